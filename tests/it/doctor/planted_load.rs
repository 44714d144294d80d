//! One thing is wrong with each of these balancers, too: with how requests are spread, and with lists of targets.

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
    let told = doctor_for(&balancer, 3, || {
        let mut client = client.lock().unwrap();
        for _ in 0..50 {
            client.get("/", "");
        }
    });
    let asked = targets.iter().max_by_key(|target| target.count()).unwrap();
    named_first(told, "uneven_targets", &[&asked.address, "3.0 times its share", "balancer status"]);
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
