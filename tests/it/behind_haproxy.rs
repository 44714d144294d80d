//! Behind another proxy, whose clients share a connection of HTTP/2: what one of them sends is its own affair.

use std::thread;

use support::{Balancer, Config, Connection, Target, haproxy::HaProxy};

#[test]
fn of_four_clients_on_one_connection_the_one_that_sends_what_is_malformed_is_refused_alone() {
    let (target, go, arrived) = Target::gated("");
    let balancer = Balancer::start(&Config::new(&[&target]).workers(1).http2());
    let proxy = HaProxy::sharing_http2(balancer.address);
    // The connection that all are going to share.
    assert_eq!(Connection::open(proxy.address).get("/", "").status, 200);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let address = proxy.address;
            let client = thread::spawn(move || Connection::open(address).get("/slow", ""));
            arrived.recv().unwrap();
            client
        })
        .collect();
    let connections =
        || balancer.metric("balancer_connections_accepted_total{load_balancer=\"main\",listener=\"web\"}");
    let before = connections();
    let bad = Connection::open(proxy.address).get("/", "X-Bad: a\u{1}b\r\n");
    assert_eq!(bad.status, 400, "{}", bad.text());
    assert_eq!(connections(), before, "it came on the connection that there was");
    for _ in &waiting {
        go.send(()).unwrap();
    }
    for client in waiting {
        let response = client.join().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "finished"));
    }
    assert_eq!(Connection::open(proxy.address).get("/", "").status, 200);
    assert_eq!(connections(), before, "and it goes on");
}
