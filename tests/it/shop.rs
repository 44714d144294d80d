//! The shop of `examples/sessions`: what is kept in a process goes with it, and what is kept in the cookie does not.

use support::{
    Balancer, Config, Group,
    apps::{Running, shop},
};

fn group(processes: &[Running]) -> Group {
    let targets: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
    let mut group = Group::of("shop", &targets).lb_cookie();
    "path = \"/health\"".clone_into(&mut group.health_check);
    group
}

/// What the cart of a client is answered with before the target that it logged in at is replaced, and after.
fn before_and_after(arguments: &[&str]) -> Option<[(u16, String); 2]> {
    let mut processes = vec![shop(arguments)?, shop(arguments)?];
    let balancer = Balancer::start(&Config::with(group(&processes)));
    let mut client = balancer.client();
    assert_eq!(client.post("/login?user=ann").status, 200);
    assert_eq!(client.post("/cart/book").status, 200);
    let mut cart = || {
        let response = client.get("/cart");
        (response.status, response.header("x-target").to_owned(), String::from_utf8(response.body).unwrap())
    };
    let (status, home, body) = cart();
    for _ in 0..5 {
        assert_eq!(cart().1, home, "it sticks");
    }
    let place = processes.iter().position(|process| process.address.ends_with(&format!(":{home}"))).unwrap();
    let new = shop(arguments)?;
    let old = std::mem::replace(&mut processes[place], new);
    balancer.reload(&Config::with(group(&processes)));
    drop(old);
    let (status_after, elsewhere, body_after) = cart();
    assert_ne!(elsewhere, home);
    Some([(status, body), (status_after, body_after)])
}

#[test]
fn sessions_in_memory_go_with_their_process() {
    let Some([before, after]) = before_and_after(&["--sessions", "memory"]) else { return };
    assert_eq!((before.0, after.0), (200, 401));
    assert!(before.1.contains("ann") && before.1.contains("book"), "{}", before.1);
}

#[test]
fn sessions_in_signed_tokens_go_with_their_client() {
    let folder = tempfile::tempdir().unwrap();
    let [secret, revoked] = ["secret", "revoked"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&secret, "a key for tests, of thirty-two bytes and more").unwrap();
    let arguments = ["--sessions", "token", "--secret", &secret, "--revoked", &revoked];
    let Some([before, after]) = before_and_after(&arguments) else { return };
    assert_eq!((before.0, after.0), (200, 200));
    assert_eq!(before.1, after.1);
}
