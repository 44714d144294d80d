//! The program itself, run by the kernel over crafted packets.

mod frames;

use std::time::Duration;

use aya::EbpfLoader;

use self::frames::{ACK, FIN, Frame, PSH, RST, SYN, URG};
use super::*;
use crate::{kernel::sys, model::ShieldMode};

const V4: &str = "198.51.100.1";
const V6: &str = "2001:db8::1";
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// The kernel's answer, and what it was counted as; nothing: it was not looked at.
type Judged = (u32, Option<&'static str>);

const UNSEEN: Judged = (XDP_PASS, None);
const PASSED: Judged = (XDP_PASS, Some("pass"));
const DENIED: Judged = (XDP_DROP, Some("deny"));
const LIMITED: Judged = (XDP_DROP, Some("rate_limited"));
const MALFORMED: Judged = (XDP_DROP, Some("malformed"));

pub(super) fn settings() -> ShieldSettings {
    ShieldSettings {
        interfaces: Vec::new(),
        interfaces_at: Vec::new(),
        mode: ShieldMode::Auto,
        dry_run: false,
        deny: Vec::new(),
        allow: Vec::new(),
        files: Vec::new(),
        new_connections_per_second: None,
        burst: 1,
    }
}

fn prefixes(texts: &[&str]) -> Vec<IpPrefix> {
    let mut parsed: Vec<IpPrefix> = texts.iter().map(|text| IpPrefix::parse(text).unwrap()).collect();
    parsed.sort_unstable();
    parsed
}

/// A shield before listeners at port 80 of one address of each family. Nothing where the kernel does not let us: told as skipped,
/// and a failure where CI is set.
fn shield(settings: &ShieldSettings) -> Option<Shield> {
    let mut shield = Shield { wanted: Some(settings.clone()), ..Shield::default() };
    match Object::load_with(&mut EbpfLoader::new(), &shield.view) {
        Ok((object, samples)) => {
            shield.state = ShieldState::Loaded(Box::new(LoadedShield::new(object)));
            shield.samples = Some(ShieldSamples::new(samples));
        }
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: {}", error.reason());
            return None;
        }
        Err(error) => panic!("{}", error.reason()),
    }
    let listeners = [V4, V6].map(|address| SocketAddr::new(address.parse().unwrap(), 80));
    shield.configure(Some(settings), listeners.to_vec());
    Some(shield)
}

impl Shield {
    fn judge(&self, frame: &Frame) -> Judged {
        self.judge_bytes(&frame.bytes())
    }

    fn judge_bytes(&self, bytes: &[u8]) -> Judged {
        let ShieldState::Loaded(loaded) = &self.state else { panic!("not loaded") };
        let before = self.view.read().unwrap().1;
        let (verdict, _) = sys::test_run(loaded.object.program().unwrap(), bytes, 1).unwrap();
        let after = self.view.read().unwrap().1;
        let counted: Vec<_> =
            before.iter().zip(&after).filter(|(before, after)| before.1 != after.1).collect();
        assert!(counted.len() <= 1 && counted.iter().all(|(before, after)| before.1 + 1 == after.1));
        (verdict, counted.first().map(|(_, after)| after.0))
    }
}

#[test]
fn only_tcp_to_listeners_is_looked_at() {
    let deny = prefixes(&["0.0.0.0/0", "::/0"]);
    let Some(shield) = shield(&ShieldSettings { deny, ..settings() }) else { return };
    for (source, to, elsewhere) in [("192.0.2.7", V4, "198.51.100.2"), ("2001:db8:7::7", V6, "2001:db8::2")] {
        let frame = Frame::syn(source, to);
        assert_eq!(shield.judge(&frame), DENIED, "{to}");
        assert_eq!(shield.judge(&frame.clone().flags(ACK)), DENIED, "{to}: of a connection that is there");
        assert_eq!(shield.judge(&Frame { port: 81, ..frame.clone() }), UNSEEN, "{to}");
        assert_eq!(shield.judge(&Frame::syn(source, elsewhere)), UNSEEN, "{elsewhere}");
        for protocol in [17, 1, 58, 132, 50, 59] {
            assert_eq!(shield.judge(&Frame { protocol, ..frame.clone() }), UNSEEN, "{to} {protocol}");
        }
        for tags in [vec![0x8100], vec![0x88a8, 0x8100], vec![0x8100, 0x8100]] {
            assert_eq!(shield.judge(&Frame { tags, ..frame.clone() }), DENIED, "{to}");
        }
        let tags = vec![0x8100; 3];
        assert_eq!(shield.judge(&Frame { tags, ..frame }), UNSEEN, "{to}");
    }
    // ARP, and what is no more than a header.
    let mut arp = vec![2; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(shield.judge_bytes(&arp), UNSEEN);
    let whole = Frame { tags: vec![0x8100], ..Frame::syn("192.0.2.7", V4) }.bytes();
    for length in 14..whole.len() - 20 + 4 {
        assert_eq!(shield.judge_bytes(&whole[..length]), UNSEEN, "{length}");
    }
}

#[test]
fn options_and_extension_headers_hide_nothing() {
    let deny = prefixes(&["192.0.2.7", "2001:db8:7::/64"]);
    let Some(shield) = shield(&ShieldSettings { deny, ..settings() }) else { return };
    for options in [4, 8, 40] {
        let frame = Frame { options, ..Frame::syn("192.0.2.7", V4) };
        assert_eq!(shield.judge(&frame), DENIED, "{options}");
    }
    let of = |extensions: &[(u8, usize)]| Frame {
        extensions: extensions.to_vec(),
        ..Frame::syn("2001:db8:7::7", V6)
    };
    for extensions in [
        &[(0, 8)][..],
        &[(43, 24)],
        &[(60, 16)],
        &[(51, 24)],
        &[(135, 8)],
        &[(0, 8), (60, 8), (43, 8), (51, 12), (60, 256)],
    ] {
        assert_eq!(shield.judge(&of(extensions)), DENIED, "{extensions:?}");
        let allowed = Frame { source: "2001:db8:8::7".parse().unwrap(), ..of(extensions) };
        assert_eq!(shield.judge(&allowed), PASSED, "{extensions:?}");
    }
    assert_eq!(shield.judge(&of(&[(60, 8); 23])), DENIED);
    // Whatever is at the end of them.
    assert_eq!(shield.judge(&of(&[(60, 8); 30])), MALFORMED);
    let elsewhere = Frame { destination: "2001:db8::2".parse().unwrap(), ..of(&[(60, 8); 30]) };
    assert_eq!(shield.judge(&elsewhere), UNSEEN);
    let other = Frame { protocol: 17, ..of(&[(60, 8), (0, 8)]) };
    assert_eq!(shield.judge(&other), UNSEEN);
}

#[test]
fn the_first_fragment_is_looked_at_and_the_others_pass() {
    let deny = prefixes(&["192.0.2.7", "2001:db8:7::/64"]);
    let Some(shield) = shield(&ShieldSettings { deny, ..settings() }) else { return };
    for (source, other, to) in [("192.0.2.7", "192.0.2.8", V4), ("2001:db8:7::7", "2001:db8:8::8", V6)] {
        let first = Frame { fragment: Some((0, true)), payload: 8, ..Frame::syn(source, to) };
        assert_eq!(shield.judge(&first), DENIED, "{to}");
        assert_eq!(shield.judge(&Frame { source: other.parse().unwrap(), ..first.clone() }), PASSED, "{to}");
        assert_eq!(shield.judge(&Frame { fragment: Some((3, false)), ..first.clone() }), UNSEEN, "{to}");
        // One that ends before the flags (RFC 1858).
        let tiny = Frame { cut: Some(8), source: other.parse().unwrap(), ..first };
        assert_eq!(shield.judge(&tiny), MALFORMED, "{to}");
    }
    let without_ports = Frame { fragment: Some((0, true)), cut: Some(0), ..Frame::syn("2001:db8:8::8", V6) };
    assert_eq!(shield.judge(&without_ports), MALFORMED);
}

#[test]
fn what_is_no_tcp_is_dropped_and_what_is_passes() {
    let Some(shield) = shield(&settings()) else { return };
    for (source, to) in [("192.0.2.7", V4), ("2001:db8:7::7", V6)] {
        let frame = Frame::syn(source, to);
        for flags in
            [SYN, SYN | ACK, ACK, RST, RST | ACK, FIN | ACK, PSH | ACK, PSH | ACK | FIN | URG, SYN | 0xc0]
        {
            assert_eq!(shield.judge(&frame.clone().flags(flags)), PASSED, "{to} {flags}");
        }
        for flags in [0, FIN, PSH, URG, FIN | PSH | URG, SYN | FIN, SYN | RST, SYN | FIN | ACK, 0xff] {
            assert_eq!(shield.judge(&frame.clone().flags(flags)), MALFORMED, "{to} {flags}");
        }
        for words in 0..5 {
            assert_eq!(shield.judge(&Frame { words, ..frame.clone() }), MALFORMED, "{to} {words}");
        }
        for words in 5..16 {
            let whole = Frame { words, ..frame.clone() };
            assert_eq!(shield.judge(&whole), PASSED, "{to} {words}");
            let cut = Frame { cut: Some(usize::from(words) * 4 - 1), ..whole };
            assert_eq!(shield.judge(&cut), MALFORMED, "{to} {words}");
        }
        for cut in 4..20 {
            assert_eq!(shield.judge(&Frame { cut: Some(cut), ..frame.clone() }), MALFORMED, "{to} {cut}");
        }
        assert_eq!(shield.judge(&Frame { cut: Some(3), ..frame }), UNSEEN, "{to}");
    }
}

#[test]
fn who_is_allowed_is_not_denied_and_not_limited() {
    let wanted = ShieldSettings {
        deny: prefixes(&["192.0.2.0/24", "2001:db8::/32"]),
        allow: prefixes(&["192.0.2.64/26", "2001:db8:7::/48"]),
        new_connections_per_second: Some(1),
        ..settings()
    };
    let Some(shield) = shield(&wanted) else { return };
    for (denied, allowed, to) in
        [("192.0.2.63", "192.0.2.64", V4), ("2001:db8:6:ffff::1", "2001:db8:7::1", V6)]
    {
        assert_eq!(shield.judge(&Frame::syn(denied, to)), DENIED);
        for _ in 0..10 {
            assert_eq!(shield.judge(&Frame::syn(allowed, to)), (XDP_PASS, Some("allow")));
        }
        assert_eq!(shield.judge(&Frame::syn(allowed, to).flags(SYN | FIN)), MALFORMED);
    }
    for (loopback, to) in [("127.0.0.1", V4), ("127.255.255.254", V4), ("::1", V6)] {
        let everybody = ShieldSettings { deny: prefixes(&["0.0.0.0/0", "::/0"]), ..settings() };
        let Some(shield) = self::shield(&everybody) else { return };
        assert_eq!(shield.judge(&Frame::syn(loopback, to)), PASSED, "{loopback}");
    }
}

#[test]
fn new_connections_of_a_source_are_limited_and_others_are_not() {
    let wanted = ShieldSettings { new_connections_per_second: Some(1), burst: 3, ..settings() };
    let Some(shield) = shield(&wanted) else { return };
    for (source, same, other, to) in [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8", V4),
        ("2001:db8:7::7", "2001:db8:7::ffff:1", "2001:db8:7:1::7", V6),
    ] {
        let begun = std::time::Instant::now();
        for _ in 0..3 {
            assert_eq!(shield.judge(&Frame::syn(source, to)), PASSED);
        }
        let fourth = shield.judge(&Frame::syn(same, to));
        // Unless this machine took a second for it, after which there is room for one more.
        assert!(fourth == LIMITED || begun.elapsed() > Duration::from_millis(900), "{to}");
        assert_eq!(shield.judge(&Frame::syn(other, to)), PASSED, "{to}");
        assert_eq!(shield.judge(&Frame::syn(source, to).flags(ACK)), PASSED, "{to}: no new one");
        assert_eq!(shield.judge(&Frame::syn(source, to).flags(SYN | ACK)), PASSED, "{to}: no new one");
    }
    // With the time that passes there is room again.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while shield.judge(&Frame::syn("192.0.2.7", V4)) != PASSED {
        assert!(std::time::Instant::now() < deadline, "there is never room again");
    }
}

#[test]
fn a_dry_run_counts_and_drops_nothing() {
    let wanted = ShieldSettings {
        dry_run: true,
        deny: prefixes(&["192.0.2.7"]),
        new_connections_per_second: Some(1),
        ..settings()
    };
    let Some(shield) = shield(&wanted) else { return };
    assert_eq!(shield.judge(&Frame::syn("192.0.2.7", V4)), (XDP_PASS, Some("deny")));
    assert_eq!(shield.judge(&Frame::syn("192.0.2.7", V4).flags(0)), (XDP_PASS, Some("malformed")));
    let judged: Vec<_> = (0..50).map(|_| shield.judge(&Frame::syn("192.0.2.8", V4))).collect();
    assert!(judged.contains(&(XDP_PASS, Some("rate_limited"))), "{judged:?}");
    assert!(judged.iter().all(|(verdict, _)| *verdict == XDP_PASS));
}

#[test]
fn denials_of_run_time_begin_and_end() {
    let wanted = ShieldSettings {
        deny: prefixes(&["203.0.113.0/24"]),
        allow: prefixes(&["198.18.0.0/15"]),
        ..settings()
    };
    let Some(mut shield) = shield(&wanted) else { return };
    let (net, host) = (IpPrefix::parse("192.0.2.0/24").unwrap(), IpPrefix::parse("192.0.2.7").unwrap());
    let frame = Frame::syn("192.0.2.7", V4);
    assert_eq!(shield.judge(&frame), PASSED);
    shield.deny(host, None).unwrap();
    assert_eq!(shield.judge(&frame), DENIED);
    assert_eq!(shield.denied().unwrap(), [(host, None)]);
    assert!(matches!(shield.deny(host, None), Err(DenyError::Denied(..))));
    assert!(matches!(shield.deny(host, Some(10)), Err(DenyError::Denied(..))), "it does not end earlier");
    shield.undeny(host).unwrap();
    assert_eq!(shield.judge(&frame), PASSED);
    assert!(matches!(shield.undeny(host), Err(DenyError::NotDenied(..))));
    let configured = shield.undeny(prefixes(&["203.0.113.0/24"])[0]).unwrap_err().to_string();
    assert!(configured.ends_with("but by the configuration"), "{configured}");

    let allowed = shield.deny(prefixes(&["198.18.7.0/24"])[0], None).unwrap_err().to_string();
    assert!(allowed.contains("within 198.18.0.0/15"), "{allowed}");

    // Ends in the kernel, before anything is swept; the one around it goes on.
    shield.deny(net, Some(3600)).unwrap();
    shield.deny(host, Some(7200)).unwrap();
    shield.undeny(net).unwrap();
    assert_eq!(shield.judge(&Frame::syn("192.0.2.8", V4)), PASSED);
    assert_eq!(shield.judge(&frame), DENIED);
    shield.undeny(host).unwrap();
    shield.deny(host, Some(1)).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while shield.judge(&frame) != PASSED {
        assert!(std::time::Instant::now() < deadline, "it does not end");
    }
    assert!(shield.denied().unwrap().is_empty(), "nor is it shown");
    shield.tend();
    let ShieldState::Loaded(loaded) = &shield.state else { panic!() };
    assert!(loaded.object.runtime().is_empty() && loaded.entries.len() == 2, "swept");
}

#[test]
fn another_configuration_takes_the_place_of_the_one_before() {
    let Some(mut shield) = shield(&ShieldSettings { deny: prefixes(&["192.0.2.7"]), ..settings() }) else {
        return;
    };
    let frame = Frame::syn("192.0.2.7", V4);
    assert_eq!(shield.judge(&frame), DENIED);
    let wanted = ShieldSettings { deny: prefixes(&["192.0.2.8", "2001:db8:7::/64"]), ..settings() };
    let elsewhere = SocketAddr::new(V4.parse().unwrap(), 8080);
    shield.configure(Some(&wanted), vec![elsewhere]);
    assert_eq!(shield.judge(&Frame::syn("192.0.2.8", V4)), UNSEEN, "nobody listens there any more");
    assert_eq!(shield.judge(&Frame { port: 8080, ..frame }), PASSED);
    assert_eq!(shield.judge(&Frame { port: 8080, ..Frame::syn("192.0.2.8", V4) }), DENIED);
}

#[test]
fn what_is_dropped_is_told_of_now_and_then() {
    let Some(mut shield) = shield(&ShieldSettings { deny: prefixes(&["192.0.2.7"]), ..settings() }) else {
        return;
    };
    let mut samples = shield.take_samples().unwrap();
    for _ in 0..1000 {
        shield.judge(&Frame::syn("192.0.2.7", V4));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sample = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), samples.next()).await.expect("one is told of")
    });
    assert_eq!((sample.source, sample.port, sample.action), ("192.0.2.7".parse().unwrap(), 80, "deny"));
}

#[test]
fn listeners_at_all_addresses_are_at_those_of_the_host() {
    let of_host: Vec<IpAddr> =
        ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::9"].map(|address| address.parse().unwrap()).to_vec();
    let at = |listener: &str| {
        let found = services(&[listener.parse().unwrap()], &of_host);
        let mut found: Vec<_> = found
            .into_iter()
            .filter(|service| service.port != 0)
            .map(|service| (IpAddr::from(service.address).to_canonical().to_string(), service.port))
            .collect();
        found.sort_unstable();
        found
    };
    assert_eq!(at("0.0.0.0:80"), [("192.0.2.1".to_owned(), 80)]);
    assert_eq!(at("[::]:80"), [("2001:db8::9".to_owned(), 80)]);
    assert_eq!(at("192.0.2.5:80"), [("192.0.2.5".to_owned(), 80)]);
    assert!(at("127.0.0.1:80").is_empty(), "the loopback's is never looked at");
}
