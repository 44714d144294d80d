//! Bytes of clients are counted while they move, and once.

use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
};

use support::{
    Answer, Balancer, Config, Status, Target,
    http2::{Connection as Http2, flag, kind},
    target::Exchange,
};

const MUCH: usize = 1 << 20;
/// Heads, and what frames of HTTP/2 have besides.
const SLACK: usize = 1 << 17;

/// A target that does not go on after the first part of what it does until it is told to.
fn halting() -> (Target, mpsc::Sender<()>) {
    let (go_on, serve) = halt();
    (Target::heads(serve), go_on)
}

fn halt() -> (mpsc::Sender<()>, impl Fn(&mut Exchange) -> Answer + Send + Sync + 'static) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let serve = move |exchange: &mut Exchange| {
        match exchange.request.target.as_str() {
            "/tunnel" => {
                exchange.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                );
                exchange.reader.exactly(MUCH).unwrap();
                exchange.send(vec![0; MUCH]);
                let _ = wait.lock().unwrap().recv();
                return Answer::Close;
            }
            "/up" => {
                exchange.reader.exactly(MUCH).unwrap();
                let _ = wait.lock().unwrap().recv();
                exchange.reader.exactly(1).unwrap();
            }
            _ => {
                exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MUCH + 1));
                exchange.send(vec![0; MUCH]);
                let _ = wait.lock().unwrap().recv();
                exchange.send("x");
                return Answer::KeepAlive;
            }
        }
        exchange.ok("", "")
    };
    (go_on, serve)
}

fn received_and_sent(balancer: &Balancer) -> (usize, usize) {
    let status = balancer.status();
    (status.total("bytes_received") as usize, status.total("bytes_sent") as usize)
}

/// Waits until so much is counted, and no more than a few heads besides.
fn counted(balancer: &Balancer, what: &str, received: usize, sent: usize) {
    balancer.wait_status(what, 20.0, |status| {
        status.total("bytes_received") as usize >= received && status.total("bytes_sent") as usize >= sent
    });
    let (all_received, all_sent) = received_and_sent(balancer);
    assert!(all_received < received + SLACK, "{what}: {all_received} of {received}");
    assert!(all_sent < sent + SLACK, "{what}: {all_sent} of {sent}");
}

#[test]
fn long_bodies_and_tunnels_are_counted_while_they_go_on() {
    let (target, go_on) = halting();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut down = balancer.connect();
    down.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    down.reader().response_head().unwrap().unwrap();
    down.reader().exactly(MUCH).unwrap();
    counted(&balancer, "half a download", 0, MUCH);
    go_on.send(()).unwrap();
    down.reader().exactly(1).unwrap();

    let mut up = balancer.connect();
    up.send(format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", MUCH + 1));
    up.stream().write_all(&vec![0; MUCH]).unwrap();
    counted(&balancer, "half an upload", MUCH, MUCH);
    go_on.send(()).unwrap();
    up.send("x");
    assert_eq!(up.response().status, 200);

    let mut tunnel = balancer.connect();
    tunnel.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    tunnel.reader().response_head().unwrap().unwrap();
    tunnel.stream().write_all(&vec![0; MUCH]).unwrap();
    tunnel.reader().exactly(MUCH).unwrap();
    counted(&balancer, "an open tunnel", 2 * MUCH, 2 * MUCH);
    go_on.send(()).unwrap();
    assert!(tunnel.is_closed());
    drop((down, up, tunnel));
    balancer.wait_status("all is over", 10.0, |status| status.total("tunnels_active") == 0);
    counted(&balancer, "what is over is not counted again", 2 * MUCH, 2 * MUCH);
}

#[test]
fn a_long_body_over_http_2_is_counted_while_it_goes_on() {
    let (target, go_on) = halting();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let mut http2 = Http2::open(balancer.address);
    let stream = http2.get("/down", &[]);
    let mut taken = 0;
    while taken < MUCH {
        let frame = http2.read().expect("a frame");
        if (frame.kind, frame.stream) == (kind::DATA, stream) && !frame.payload.is_empty() {
            taken += frame.payload.len();
            let length = frame.payload.len() as u32;
            http2.window(0, length).window(stream, length);
        }
    }
    counted(&balancer, "half a download", 0, MUCH);
    go_on.send(()).unwrap();
    let last = http2.read_until(kind::DATA);
    assert!(last.flags & flag::END_STREAM != 0 || last.payload.len() == 1);
    drop(http2);
    balancer.wait_status("it is over", 10.0, |status| status.total("http2_connections_active") == 0);
    counted(&balancer, "what is over is not counted again", 0, MUCH);
}

/// Waits until so much of a target's bytes is counted, and no more than a few heads besides.
fn counted_at(balancer: &Balancer, target: &str, what: &str, received: usize, sent: usize) {
    let figure =
        |status: &Status, name: &str| status.target(target)["connections"][name].as_u64().unwrap() as usize;
    balancer.wait_status(what, 20.0, |status| {
        figure(status, "bytes_in") >= received && figure(status, "bytes_out") >= sent
    });
    let status = balancer.status();
    let (all_received, all_sent) = (figure(&status, "bytes_in"), figure(&status, "bytes_out"));
    assert!(all_received < received + SLACK, "{what}: {all_received} of {received}");
    assert!(all_sent < sent + SLACK, "{what}: {all_sent} of {sent}");
}

fn counts_at(target: &Target, go_on: &mpsc::Sender<()>, config: &Config) {
    let balancer = Balancer::start(config);
    let at = |what: &str, received, sent| counted_at(&balancer, &target.address, what, received, sent);
    let mut down = balancer.connect();
    down.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    down.reader().response_head().unwrap().unwrap();
    down.reader().exactly(MUCH).unwrap();
    at("half a download", MUCH, 0);
    go_on.send(()).unwrap();
    down.reader().exactly(1).unwrap();

    let mut tunnel = balancer.connect();
    tunnel.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    tunnel.reader().response_head().unwrap().unwrap();
    tunnel.stream().write_all(&vec![0; MUCH]).unwrap();
    tunnel.reader().exactly(MUCH).unwrap();
    at("an open tunnel", 2 * MUCH, MUCH);
    go_on.send(()).unwrap();
    assert!(tunnel.is_closed());
    drop((down, tunnel));
    balancer.wait_status("all is over", 10.0, |status| status.total("tunnels_active") == 0);
    at("what is over is not counted again", 2 * MUCH, MUCH);
}

#[test]
fn bytes_of_a_target_are_counted_while_they_move() {
    let (target, go_on) = halting();
    for assist in ["auto", "off"] {
        let config = Config::new(&[&target]).kernel_assist(assist);
        counts_at(&target, &go_on, &config);
        if support::kernel::is_root() {
            counts_at(&target, &go_on, &config.process("user = \"nobody\"").process("seccomp = \"on\""));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (go_on, serve) = halt();
    let target = Target::unix(&folder.path().join("socket"), serve);
    counts_at(&target, &go_on, &Config::new(&[&target]));
}
