//! Two thousand clients that return the application's cookie alone and come to any of three balancers, at random and without a
//! pause, while one part after the other dies.

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
    thread,
};

use support::{Balancer, Connection, Redis, until};

use super::{Lone, Nodes, begun, lost, targets, wait_up};

const CLIENTS: usize = 2000;

/// What all of them have gone through.
#[derive(Default)]
struct Tally {
    ends: AtomicBool,
    asked: AtomicUsize,
    lost: AtomicUsize,
}

impl Tally {
    /// Clients that ask until it is over.
    fn crowd(&self, clients: &mut [Lone], nodes: &[SocketAddr]) {
        while !self.ends.load(SeqCst) {
            for client in &mut *clients {
                let node = nodes[client.draw(nodes.len())];
                // One that is dead answers nobody; its client comes again, to whichever it draws.
                let Some(response) = ask(node, &client.jar) else { continue };
                self.asked.fetch_add(1, Relaxed);
                self.lost.fetch_add(usize::from(!client.keeps(&response)), Relaxed);
                if self.ends.load(SeqCst) {
                    return;
                }
            }
        }
    }

    /// Waits until as many have asked as there are.
    fn go_on(&self) {
        let before = self.asked.load(Relaxed);
        until("clients go on", 60.0, || (self.asked.load(Relaxed) > before + CLIENTS).then_some(()));
    }
}

fn ask(node: SocketAddr, jar: &str) -> Option<support::Response> {
    let mut connection = Connection::over(TcpStream::connect(node).ok()?);
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{jar}\r\n");
    connection.try_send(request).ok()?;
    connection.reader().response("GET").ok()
}

fn wait_away(balancers: &[Balancer], times: usize) {
    for balancer in balancers {
        balancer.wait_log_lines(&["the session store is away"], times);
    }
}

#[test]
fn two_thousand_clients_lose_nothing_while_one_part_after_the_other_dies() {
    let mut first = Redis::start("");
    let mut second = Redis::start(&format!("replicaof 127.0.0.1 {}", first.address.port()));
    let sentinel = Redis::sentinel(&first, 1);
    until("the sentinel knows both", 30.0, || {
        let replicas = sentinel.cli(&["SENTINEL", "REPLICAS", "main"]);
        replicas.contains(&second.address.port().to_string()).then_some(())
    });
    let lines =
        format!("url = \"redis://{}\"\nmode = \"sentinel\"\nsentinel_service = \"main\"", sentinel.address);
    let mut nodes = Nodes::start(3, targets(4), &lines);
    let mut clients = begun(&nodes, CLIENTS);
    // From here on each is known everywhere, by what the store said.
    for balancer in &nodes.balancers {
        assert_eq!(lost(&[balancer], &mut clients, 1), 0);
    }
    let addresses: Vec<SocketAddr> = nodes.balancers.iter().map(|balancer| balancer.address).collect();
    let tally = Tally::default();
    thread::scope(|scope| {
        let _over = Over(&tally);
        for clients in clients.chunks_mut(CLIENTS / 4) {
            scope.spawn(|| tally.crowd(clients, &addresses));
        }
        tally.go_on();
        // The store's primary, and the replica takes its place.
        first.kill();
        wait_away(&nodes.balancers, 1);
        tally.go_on();
        nodes.wait_up();
        assert!(second.cli(&["ROLE"]).starts_with("master"), "it was promoted");
        // A balancer.
        nodes.balancers[1].kill();
        tally.go_on();
        nodes.balancers[1].run();
        nodes.wait_up();
        tally.go_on();
        // The store, which has nothing when it is back, and is told all again.
        second.kill();
        tally.go_on();
        second.restart();
        until("it has all again", 60.0, || (second.sessions().len() >= CLIENTS).then_some(()));
        nodes.wait_up();
        tally.go_on();
    });
    assert_eq!(tally.lost.load(Relaxed), 0, "of {} requests", tally.asked.load(Relaxed));
    // A balancer that knows nobody finds all.
    let fresh = Balancer::start(&nodes.config(&lines, |group| group.app_cookie("SESSIONID")));
    wait_up(&fresh);
    assert_eq!(lost(&[&fresh], &mut clients, 1), 0);
}

/// Sends all clients home, however the test ends.
struct Over<'t>(&'t Tally);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, SeqCst);
    }
}
