//! Services in DNS: a balancer in a mount namespace of its own asks a name server of the test.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use support::{Balancer, Config, Group, Target, kernel};

use super::{group, source, wait_fault, wait_targets};

const SERVICE: u8 = 33;
const IPV4: u8 = 1;

/// A record: priority, weight, port, host.
type Record = (u16, u16, u16, String);

/// What the name server has: records of the service, or a code of failure. Hosts are called by the last part of their address, `h2`
/// for 127.0.0.2. All of it holds for a second.
#[derive(Clone, Debug)]
struct Zone(Arc<Mutex<Result<Vec<Record>, u8>>>);

impl Zone {
    fn set(&self, records: Result<Vec<Record>, u8>) {
        *self.0.lock().unwrap() = records;
    }

    /// Serves at an address of its own.
    fn serve(records: Vec<Record>) -> (Self, IpAddr) {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (socket, listener) = loop {
            let [.., high, low] = std::process::id().to_be_bytes();
            let address = IpAddr::from([127, 3 + high % 240, low, NEXT.fetch_add(1, Relaxed)]);
            if let (Ok(socket), Ok(listener)) =
                (UdpSocket::bind((address, 53)), TcpListener::bind((address, 53)))
            {
                break (socket, listener);
            }
        };
        let address = socket.local_addr().unwrap().ip();
        let zone = Self(Arc::new(Mutex::new(Ok(records))));
        let (by_udp, by_tcp) = (zone.clone(), zone.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut bytes) {
                let mut answer = by_udp.answer(&bytes[..length]);
                if answer.len() > 1200 {
                    // The rest is to be asked for over TCP: TC, and no records.
                    answer[2] |= 2;
                    answer[6..8].fill(0);
                    let question = bytes[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                    answer.truncate(12 + question);
                }
                let _ = socket.send_to(&answer, client);
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, zone) = (stream.unwrap(), by_tcp.clone());
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                        stream.read_exact(&mut query).unwrap();
                        let answer = zone.answer(&query);
                        let _ = stream.write_all(&[(answer.len() >> 8) as u8, answer.len() as u8]);
                        let _ = stream.write_all(&answer);
                    }
                });
            }
        });
        (zone, address)
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let question = &query[12..];
        let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
        let kind = question[end - 3];
        let mut answer = query[..2].to_vec();
        let head =
            |code: u8, count: usize| [0x81, 0x80 | code, 0, 1, (count >> 8) as u8, count as u8, 0, 0, 0, 0];
        let body: Vec<Vec<u8>> = match (kind, &*self.0.lock().unwrap()) {
            (SERVICE, Err(code)) => {
                answer.extend(head(*code, 0));
                answer.extend(&question[..end]);
                return answer;
            }
            (SERVICE, Ok(records)) => records.iter().map(service).collect(),
            (IPV4, _) => {
                let label = &question[1..=usize::from(question[0])];
                if label == b"many" {
                    let more = (0..1200_u16).map(|at| Ipv4Addr::new(127, 1, (at >> 8) as u8, at as u8));
                    let all = std::iter::once(Ipv4Addr::new(127, 0, 0, 2)).chain(more);
                    all.map(|address| address.octets().to_vec()).collect()
                } else {
                    let number = std::str::from_utf8(&label[1..]).unwrap().parse().unwrap();
                    vec![Ipv4Addr::new(127, 0, 0, number).octets().to_vec()]
                }
            }
            _ => Vec::new(),
        };
        answer.extend(head(0, body.len()));
        answer.extend(&question[..end]);
        for data in body {
            answer.extend([0xC0, 12, 0, kind, 0, 1, 0, 0, 0, 1, (data.len() >> 8) as u8, data.len() as u8]);
            answer.extend(data);
        }
        answer
    }
}

fn service((priority, weight, port, host): &Record) -> Vec<u8> {
    let mut data: Vec<u8> = [priority, weight, port].iter().flat_map(|part| part.to_be_bytes()).collect();
    for label in host.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}

fn start(group: Group, name_server: IpAddr) -> Balancer {
    let balancer = begin(group, name_server);
    balancer.wait_until_settled();
    balancer
}

/// The same, before all targets are checked.
fn begin(group: Group, name_server: IpAddr) -> Balancer {
    let mut balancer = Balancer::prepare(&Config::with(group));
    let hosts = balancer.folder().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    balancer.hosts = Some(hosts);
    balancer.name_server = Some(name_server);
    balancer.run();
    balancer
}

/// Two targets at two addresses, whose ports differ.
fn pair() -> [Target; 2] {
    ["127.0.0.2:0", "127.0.0.3:0"]
        .map(|address| Target::at(address, false, |exchange| exchange.ok("", "here")))
}

fn record(target: &Target, priority: u16, weight: u16) -> Record {
    let number = target.address.split(':').next().unwrap().rsplit('.').next().unwrap();
    (priority, weight, target.port(), format!("h{number}.shop.example"))
}

#[test]
fn records_of_a_service_come_and_go_one_at_a_time() {
    if !kernel::is_root() {
        return;
    }
    let targets = pair();
    let [one, two] = &targets;
    let (zone, server) = Zone::serve(vec![record(one, 0, 3)]);
    let balancer = start(group("dns+srv:_http._tcp.shop.example", "").algorithm("round_robin"), server);
    wait_targets(&balancer, &[one]);
    // One more, whose host's name has to be resolved, too.
    zone.set(Ok(vec![record(two, 0, 1), record(one, 0, 3)]));
    wait_targets(&balancer, &[one, two]);
    let mut connection = balancer.connect();
    (0..40).for_each(|_| drop(connection.get("/", "")));
    assert!(
        (28..=32).contains(&one.count()) && one.count() + two.count() == 40,
        "{} {}",
        one.count(),
        two.count()
    );
    // Another priority, then one less.
    zone.set(Ok(vec![record(two, 0, 1), record(one, 1, 3)]));
    balancer.wait_status("the other one is for want of this", 20.0, |status| {
        status.target(&one.address)["weight"] == 0.0
    });
    let before = one.count();
    (0..10).for_each(|_| drop(connection.get("/", "")));
    assert_eq!(one.count(), before);
    zone.set(Ok(vec![record(two, 0, 1)]));
    wait_targets(&balancer, &[two]);
}

#[test]
fn answers_that_are_away_empty_or_without_bound_lose_nothing() {
    if !kernel::is_root() {
        return;
    }
    let targets = pair();
    let [one, two] = &targets;
    let both = || vec![record(one, 0, 1), record(two, 0, 1)];
    let (zone, server) = Zone::serve(both());
    let balancer = start(group("dns+srv:_http._tcp.shop.example", "timeout = 2"), server);
    wait_targets(&balancer, &[one, two]);
    let all = [one, two];
    zone.set(Err(2));
    wait_fault(&balancer, "unreachable", "SRV", &all);
    zone.set(Err(3));
    wait_fault(&balancer, "empty", "it lists no targets", &all);
    // There is decidedly no such service.
    zone.set(Ok(vec![(0, 0, 0, String::new())]));
    wait_fault(&balancer, "empty", "it lists no targets", &all);
    // A port and a host that are none, beside one that is.
    zone.set(Ok(vec![record(one, 0, 1), (0, 1, 0, "h4.shop.example".into()), record(two, 0, 1)]));
    let status = balancer
        .wait_status("it is told what is left out", 20.0, |status| !source(status)["left_out"].is_null());
    assert!(
        source(&status)["left_out"].as_str().unwrap().contains("h4.shop.example.:0"),
        "{}",
        source(&status)
    );
    assert_eq!(status.targets().len(), 2);
    // A thousand records and more, which takes TCP.
    let many = (1..=1300).map(|port| (1, 1, port, "h9".to_owned()));
    zone.set(Ok(both().into_iter().chain(many).collect()));
    let status = balancer
        .wait_status("there are as many as there may be", 30.0, |status| status.targets().len() == 1000);
    for target in &targets {
        assert_eq!(status.state(&target.address), "healthy");
    }
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

/// More addresses of one name than a group has targets: the same ones are kept, it is told, and what is healthy serves.
#[test]
fn a_name_of_more_addresses_than_there_may_be_targets_serves_with_as_many() {
    if !kernel::is_root() {
        return;
    }
    let targets = pair();
    let (_zone, server) = Zone::serve(Vec::new());
    let name = format!("many.shop.example:{}", targets[0].port());
    let balancer = begin(Group::of("app", &[name]), server);
    let is_first = |status: &support::Status| {
        status.find(&targets[0].address).is_some_and(|target| target["state"] == "healthy")
    };
    balancer.wait_status("as many as there may be, and one that serves", 60.0, |status| {
        status.targets().len() == 1000 && is_first(status)
    });
    balancer.wait_log_line(&["there are more addresses than a target group has targets", "at most 1000"]);
    let mut connection = balancer.connect();
    for _ in 0..5 {
        assert_eq!(connection.get("/", "").text(), "here");
    }
}
