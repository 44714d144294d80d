//! Targets by host name: a balancer in a mount namespace of its own, with a hosts file under the test's control.

use std::{
    fs,
    net::{IpAddr, UdpSocket},
    path::PathBuf,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, kernel};

fn hosts(address: &str) -> String {
    format!("127.0.0.1 localhost\n{address} app.test\n")
}

/// A target on each of two loopback addresses, at one port.
fn pair() -> (Target, Target) {
    loop {
        let first = Target::at("127.0.0.1:0", false, |exchange| exchange.ok("", "first"));
        let port = first.port();
        if support::ports::is_free(([127, 0, 0, 2], port).into()) {
            let second =
                Target::at(&format!("127.0.0.2:{port}"), false, |exchange| exchange.ok("", "second"));
            return (first, second);
        }
    }
}

/// A name server at an address of its own. `addresses`: what every name has, by type of record (1 for IPv4, 28 for
/// IPv6), for a second; none: it does not answer.
fn name_server(addresses: impl Fn(u8) -> Option<Vec<IpAddr>> + Send + 'static) -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let socket = loop {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = IpAddr::from([127, 1 + high % 250, low, NEXT.fetch_add(1, Relaxed)]);
        if let Ok(socket) = UdpSocket::bind((address, 53)) {
            break socket;
        }
    };
    let address = socket.local_addr().unwrap().ip();
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut bytes) {
            let question = &bytes[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let kind = question[end - 3];
            let Some(addresses) = addresses(kind) else { continue };
            let mut answer = bytes[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
            answer.extend(&question[..end]);
            for address in addresses {
                let octets = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                answer.extend([0xC0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0, octets.len() as u8]);
                answer.extend(octets);
            }
            socket.send_to(&answer, client).unwrap();
        }
    });
    address
}

/// One that has these addresses of IPv6 for every name, and none of IPv4.
fn name_server_with(addresses: &[&str]) -> IpAddr {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    name_server(move |kind| Some(if kind == 28 { addresses.clone() } else { Vec::new() }))
}

fn start(file: &str, targets: &[String]) -> (Balancer, PathBuf) {
    start_with(file, targets, None)
}

fn start_with(file: &str, targets: &[String], name_server: Option<IpAddr>) -> (Balancer, PathBuf) {
    let mut balancer = Balancer::prepare(&Config::with(Group::of("app", targets).deregistration_delay(0)));
    let path = balancer.folder().join("hosts");
    fs::write(&path, file).unwrap();
    balancer.hosts = Some(path.clone());
    balancer.name_server = name_server;
    balancer.run();
    balancer.wait_until_settled();
    (balancer, path)
}

#[test]
fn a_name_that_moves_takes_its_requests_along() {
    if !kernel::is_root() {
        return;
    }
    let (first, second) = pair();
    let (balancer, file) = start(&hosts("127.0.0.1"), &[format!("app.test:{}", first.port())]);
    assert_eq!(balancer.connect().get("/", "").text(), "first");
    fs::write(&file, hosts("127.0.0.2")).unwrap();
    balancer.wait_status("the new address is healthy and the old one gone", 20.0, |status| {
        status.find(&first.address).is_none()
            && status.find(&second.address).is_some_and(|target| target["state"] == "healthy")
    });
    for _ in 0..5 {
        assert_eq!(balancer.connect().get("/", "").text(), "second");
    }
    fs::write(&file, hosts("127.0.0.2") + "127.0.0.1 app.test\n").unwrap();
    balancer.wait_status("all addresses of a name are targets", 20.0, |status| {
        status.targets().iter().filter(|target| target["state"] == "healthy").count() == 2
    });
}

#[test]
fn a_name_that_is_lost_keeps_its_last_addresses() {
    if !kernel::is_root() {
        return;
    }
    let (first, _second) = pair();
    let (balancer, file) = start(&hosts("127.0.0.1"), &[format!("app.test:{}", first.port())]);
    fs::write(&file, "127.0.0.1 localhost\n").unwrap();
    support::until("the failure is logged", 30.0, || {
        balancer.log().contains("host name cannot be resolved").then_some(())
    });
    assert_eq!(balancer.connect().get("/", "").text(), "first");
}

#[test]
fn a_reload_with_a_name_that_does_not_resolve_holds_nothing_up() {
    if !kernel::is_root() {
        return;
    }
    let (first, _second) = pair();
    let known = format!("app.test:{}", first.port());
    let (balancer, _) = start(&hosts("127.0.0.1"), std::slice::from_ref(&known));
    let more =
        Config::with(Group::of("app", &[known, "no-such-host.test:80".to_owned()]).deregistration_delay(0));
    balancer.write(&more);
    balancer.signal(Signal::HUP);
    balancer.wait_status("the reload took effect", 30.0, |status| status.0["reloads"] == 1);
    assert_eq!(balancer.status().targets().len(), 1);
    assert_eq!(balancer.connect().get("/", "").text(), "first");
}

#[test]
fn a_name_of_the_hosts_file_is_there_alone_and_needs_no_name_server() {
    if !kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let named = [format!("app.test:{}", target.port())];
    for server in [name_server(|_| None), name_server_with(&["fd00::9"])] {
        let (balancer, _) = start_with(&hosts("127.0.0.1"), &named, Some(server));
        let status = balancer.status();
        assert_eq!(status.targets().len(), 1, "{:?}", status.targets());
        assert_eq!(status.state(&target.address), "healthy");
        assert_eq!(status.0["unresolved_names"], serde_json::json!({}));
    }
}

#[test]
fn an_address_is_one_target_however_a_name_server_writes_it() {
    if !kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let targets = [target.address.clone(), format!("mapped.test:{}", target.port())];
    let server = name_server_with(&["::ffff:127.0.0.1", "::"]);
    let (balancer, _) = start_with("127.0.0.1 localhost\n", &targets, Some(server));
    let status = balancer.status();
    assert_eq!(status.targets().len(), 1, "{:?}", status.targets());
    let told = &status.0["unresolved_names"]["mapped.test"];
    assert_eq!(told["cause"], "resolved_in_part");
    assert!(told["error"].as_str().unwrap().contains("[::]"), "the other one is told of: {told}");
}

#[test]
fn a_reload_that_waits_for_a_name_takes_effect_whatever_is_refused_meanwhile() {
    if !kernel::is_root() {
        return;
    }
    let (first, _second) = pair();
    let known = format!("app.test:{}", first.port());
    let (balancer, _) =
        start_with(&hosts("127.0.0.1"), std::slice::from_ref(&known), Some(name_server(|_| None)));
    let port = support::ports::free();
    let more = Config::with(Group::of("app", &[known, "slow.test:80".to_owned()]).deregistration_delay(0));
    let more = balancer.text(&more)
        + &format!(
            "listener \"more\" {{\naddress = \"127.0.0.1\"\nport = {port}\nload_balancer_arn = load_balancer.main.arn\n\
             default_action {{\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}}\n}}\n"
        );
    balancer.write_text(&more);
    balancer.signal(Signal::HUP);
    support::until("its socket is there", 10.0, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    // One that overtakes it gets the socket, one that is refused changes nothing.
    balancer.signal(Signal::HUP);
    support::until("it is overtaken", 10.0, || balancer.log().contains("takes the place").then_some(()));
    balancer.write_text("garbage {");
    balancer.signal(Signal::HUP);
    let status = balancer.wait_status("the good one took effect", 30.0, |status| status.0["reloads"] == 1);
    assert_eq!(status.0["reload_failures"], 1);
    assert!(!status.0["refused_reload"].is_null(), "what the file says now is still refused");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(support::Client::new(address).try_get("/").unwrap().text(), "first");
}
