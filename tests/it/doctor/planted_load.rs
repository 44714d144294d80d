//! One thing is wrong with each of these balancers, too: with how requests are spread, with what a worker has to do, and with
//! lists of targets.

use std::{
    io::{self, Write as _},
    net::TcpStream,
};

use super::*;

/// As servers do that authenticate the connection and not the request: all of a client's requests go over it.
#[test]
fn a_target_that_a_busy_client_has_a_connection_of_its_own_to() {
    let targets = [(); 3].map(|()| {
        Target::start(|exchange| {
            if exchange.earlier == 0 {
                exchange
                    .send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
                return Answer::KeepAlive;
            }
            exchange.ok("", "")
        })
    });
    let balancer =
        Balancer::start(&Config::with(Group::new("app", &targets.each_ref()).algorithm("round_robin")));
    let client = Mutex::new(balancer.connect());
    let told = doctor(&balancer, || {
        let mut client = client.lock().unwrap();
        for _ in 0..50 {
            client.get("/", "");
        }
    });
    let asked = targets.iter().max_by_key(|target| target.count()).unwrap();
    named_first(told, "uneven_targets", &[&asked.address, "3.0 times its share", "balancer status"]);
}

#[test]
fn a_balancer_with_fewer_workers_than_work() {
    let target = Target::plain();
    let answer = "type = \"fixed-response\"\nfixed_response {\n  content_type = \"text/plain\"\n  status_code = 200\n}";
    let config = Config::new(&[&target]).workers(1).default_action(answer);
    let mut balancer = Balancer::prepare(&config);
    balancer.run();
    // Dear for a worker, and cheap for who asks: it reads no more than bytes.
    let fields: String = (0..100).map(|number| format!("X-Field-{number}: {number}\r\n")).collect();
    let request = |last: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{last}{fields}\r\n");
    let many = request("").repeat(200) + &request("Connection: close\r\n");
    let told = doctor(&balancer, || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(balancer.address).unwrap();
                    stream.write_all(many.as_bytes()).unwrap();
                    io::copy(&mut stream, &mut io::sink()).unwrap();
                });
            }
        });
    });
    named_first(told, "workers_busy", &["a worker was at work", "more workers"]);
}

#[test]
fn a_list_with_something_in_it_that_is_left_out() {
    let target = Target::plain();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("targets.json");
    fs::write(&list, format!("[{{\"targets\": [{0:?}, {0:?}]}}]", target.address)).unwrap();
    let group = Group::of("app", &[]).line(&format!("targets_from = \"file:{}\"", list.display()));
    let balancer = Balancer::start(&Config::with(group));
    named_first(
        doctor_alone(&balancer),
        "targets_left_out",
        &["target group app", "1 targets are listed more than once"],
    );
    fs::remove_file(&list).unwrap();
    balancer.wait_status("it is missed", 20.0, |status| {
        !status.0["target_groups"][0]["source"]["error"].is_null()
    });
    named_first(doctor_alone(&balancer), "targets_source_fails", &["there is no such file"]);
}
