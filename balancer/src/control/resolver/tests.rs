use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use tokio::net::UdpSocket;

use super::*;

const IPV4: u8 = 1;
const IPV6: u8 = 28;

/// What a name server answers to questions for one type of records.
#[derive(Clone, Debug)]
enum Reply {
    /// These addresses, which hold for a second.
    Records(Vec<IpAddr>),
    /// SERVFAIL (RFC 1035, section 4.1.1).
    Failure,
    /// NXDOMAIN.
    NoName,
    /// Not at all.
    Silence,
}

fn records(addresses: &[&str]) -> Reply {
    Reply::Records(addresses.iter().map(|text| text.parse().unwrap()).collect())
}

/// A name server whose answers the test says, by type. No records where it says nothing.
#[derive(Clone, Debug, Default)]
struct Zone(Arc<Mutex<HashMap<u8, Reply>>>);

impl Zone {
    fn set(&self, kind: u8, reply: Reply) {
        self.0.lock().unwrap().insert(kind, reply);
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question = &query[12..];
        let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
        let kind = question[end - 3];
        let reply = self.0.lock().unwrap().get(&kind).cloned().unwrap_or_else(|| records(&[]));
        let (code, addresses) = match reply {
            Reply::Records(addresses) => (0, addresses),
            Reply::Failure => (2, Vec::new()),
            Reply::NoName => (3, Vec::new()),
            Reply::Silence => return None,
        };
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
        answer.extend(&question[..end]);
        for address in addresses {
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            answer.extend([0xC0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0, u8::try_from(octets.len()).unwrap()]);
            answer.extend(octets);
        }
        Some(answer)
    }

    /// Serves, and resolves `app.example.` by it.
    async fn resolver(&self) -> Resolver {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        let zone = self.clone();
        tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut bytes).await {
                if let Some(answer) = zone.answer(&bytes[..length]) {
                    socket.send_to(&answer, client).await.unwrap();
                }
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let service = NameService::new(config, ResolverOpts::default(), b"");
        let mut resolver = Resolver::with(service, [None; 2]);
        resolver.sync(["app.example.".to_owned()].into(), monotonic_now());
        resolver.settle().await;
        resolver
    }
}

fn addresses(resolver: &Resolver) -> Vec<String> {
    resolver.addresses("app.example.").iter().map(ToString::to_string).collect()
}

fn fault(resolver: &Resolver) -> Option<String> {
    resolver.failing().next().map(|(_, _, why, _)| why.clone())
}

/// Goes on until `done`.
async fn until_it(resolver: &mut Resolver, done: impl Fn(&Resolver) -> bool) {
    let all = async {
        while !done(resolver) {
            drop(tokio::time::timeout(Duration::from_millis(20), resolver.next()).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
}

#[tokio::test]
async fn a_name_is_asked_for_again_when_its_time_to_live_is_over() {
    let zone = Zone::default();
    zone.set(IPV4, records(&["10.0.0.1"]));
    let mut resolver = zone.resolver().await;
    assert_eq!(addresses(&resolver), ["10.0.0.1"]);
    zone.set(IPV4, records(&["10.0.0.2"]));
    let changed = tokio::time::timeout(Duration::from_secs(20), resolver.next()).await;
    assert_eq!(changed.as_deref(), Ok("app.example."));
    assert_eq!(addresses(&resolver), ["10.0.0.2"]);
}

#[tokio::test]
async fn names_of_the_hosts_file_resolve_and_unknown_ones_do_no_harm() {
    let mut resolver = Resolver::new();
    resolver.sync(["localhost".to_owned(), "no-such-host.invalid".to_owned()].into(), monotonic_now());
    resolver.settle().await;
    assert!(resolver.addresses("localhost").iter().any(IpAddr::is_loopback));
    assert!(resolver.addresses("no-such-host.invalid").is_empty());
    resolver.sync(BTreeSet::new(), monotonic_now());
    assert!(resolver.addresses("localhost").is_empty());
}

#[tokio::test]
async fn a_family_that_cannot_be_asked_for_keeps_its_addresses_and_the_other_goes_on() {
    let zone = Zone::default();
    for (failing, other) in [(IPV6, IPV4), (IPV4, IPV6)] {
        let (kept, old, new) = match failing {
            IPV6 => ("fd00::1", "10.0.0.1", "10.0.0.2"),
            _ => ("10.0.0.1", "fd00::1", "fd00::2"),
        };
        zone.set(failing, records(&[kept]));
        zone.set(other, records(&[old]));
        let mut resolver = zone.resolver().await;
        assert_eq!((addresses(&resolver).len(), fault(&resolver)), (2, None));
        zone.set(failing, Reply::Failure);
        until_it(&mut resolver, |resolver| fault(resolver).is_some()).await;
        let why = fault(&resolver).unwrap();
        assert!(why.starts_with(if failing == IPV6 { "AAAA: " } else { "A: " }), "{why}");
        zone.set(other, records(&[new]));
        until_it(&mut resolver, |resolver| addresses(resolver).iter().any(|at| at == new)).await;
        let now: BTreeSet<String> = addresses(&resolver).into_iter().collect();
        assert_eq!(now, [kept, new].map(str::to_owned).into());
        // That there are none is another answer.
        zone.set(failing, Reply::NoName);
        until_it(&mut resolver, |resolver| addresses(resolver) == [new]).await;
        assert_eq!(fault(&resolver), None);
    }
}

#[tokio::test]
async fn a_family_that_is_never_answered_for_does_not_cost_the_other() {
    let zone = Zone::default();
    zone.set(IPV4, records(&["10.0.0.1"]));
    zone.set(IPV6, Reply::Silence);
    let resolver = zone.resolver().await;
    assert_eq!(addresses(&resolver), ["10.0.0.1"]);
    assert_eq!(fault(&resolver).as_deref(), Some("AAAA: no answer in time"));
}

#[tokio::test]
async fn addresses_are_as_they_would_be_written_and_those_of_no_host_are_left_out() {
    let zone = Zone::default();
    zone.set(IPV4, records(&["10.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"]));
    zone.set(
        IPV6,
        records(&["::ffff:10.0.0.2", "::ffff:10.0.0.1", "::", "::ffff:0.0.0.0", "ff02::1", "fd00::1"]),
    );
    let resolver = zone.resolver().await;
    assert_eq!(addresses(&resolver), ["10.0.0.1", "10.0.0.2", "fd00::1"]);
    let why = fault(&resolver).unwrap();
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
        assert!(why.contains(address), "{why}");
    }
}

#[tokio::test]
async fn a_name_with_nothing_but_addresses_of_no_host_keeps_what_it_had() {
    let zone = Zone::default();
    zone.set(IPV4, records(&["10.0.0.1"]));
    let mut resolver = zone.resolver().await;
    zone.set(IPV4, records(&["0.0.0.0"]));
    until_it(&mut resolver, |resolver| fault(resolver).is_some()).await;
    assert_eq!(addresses(&resolver), ["10.0.0.1"]);
}

#[test]
fn a_name_of_which_nothing_is_found_keeps_what_it_had() {
    let [v4, v6]: [IpAddr; 2] = ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap());
    let known = |families: [&[IpAddr]; 2]| KnownAddresses {
        families: families.map(<[IpAddr]>::to_vec),
        all: families.concat(),
    };
    let failed = || LookupOutcome::Failed("why".to_owned());
    let cases = [
        ([LookupOutcome::Nothing, LookupOutcome::Nothing], known([&[v4], &[v6]]), "it has no addresses"),
        ([failed(), failed()], known([&[v4], &[v6]]), "why"),
        ([LookupOutcome::Nothing, failed()], known([&[], &[v6]]), "why"),
        ([failed(), LookupOutcome::Nothing], known([&[v4], &[]]), "why"),
    ];
    for (answers, expected, why) in cases {
        let learnt = known([&[v4], &[v6]]).learn(answers.clone());
        assert_eq!((learnt.known, learnt.found), (expected, false), "{answers:?}");
        assert_eq!((learnt.again, learnt.fault.as_deref()), (AFTER_FAILURE, Some(why)));
    }
    // The family that has none is not asked for in vain.
    let learnt = known([&[v4], &[]]).learn([LookupOutcome::Nothing, failed()]);
    assert_eq!(learnt.known, known([&[v4], &[]]));
}
