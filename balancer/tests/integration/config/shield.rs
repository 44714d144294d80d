//! The `shield` block: what is read, and every fault with its place.
use std::{fmt::Write as _, fs};

use balancer::model::{ShieldMode, ShieldSettings};

use super::one_fault::{assert_one_fault, parse};

const LISTENER: &str = "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"fixed-response\"\n    \
                        fixed_response {\n      content_type = \"text/plain\"\n      status_code = \"200\"\n    }\n  }\n}\n";

fn shield(lines: &str) -> ShieldSettings {
    let text = format!("shield {{\n{lines}\n}}\n{LISTENER}");
    parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults}")).shield.expect("a shield")
}

fn shown(prefixes: &[balancer::model::IpPrefix]) -> Vec<String> {
    prefixes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_has_a_default() {
    let found = shield("interfaces = [\"eth0\"]");
    assert_eq!(found.interfaces, ["eth0"]);
    assert_eq!((found.mode, found.dry_run), (ShieldMode::Auto, false));
    assert!(found.deny.is_empty() && found.allow.is_empty());
    assert_eq!(found.new_connections_per_second, None);
    assert_eq!(parse(LISTENER).unwrap().shield, None, "there is none where none is asked for");
}

#[test]
fn everything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("denied");
    fs::write(&file, "# by hand\n192.0.2.7   # a note\n\n2001:db8:1::/48\r\n").unwrap();
    let found = shield(&format!(
        "interfaces = [\"eth0\", \"eth0.100\"]\nmode = \"generic\"\ndry_run = true\ndeny = [\"203.0.113.0/24\", \"192.0.2.7\"]\n\
         deny_file = \"{}\"\nallow = [\"198.51.100.0/24\"]\nnew_connections_per_second = 50\nburst = 200",
        file.display()
    ));
    assert_eq!((found.mode, found.dry_run), (ShieldMode::Generic, true));
    assert_eq!(
        shown(&found.deny),
        ["192.0.2.7/32", "203.0.113.0/24", "2001:db8:1::/48"],
        "sorted, each once"
    );
    assert_eq!(shown(&found.allow), ["198.51.100.0/24"]);
    assert_eq!((found.new_connections_per_second, found.burst), (Some(50), 200));
    assert_eq!(shield("interfaces = [\"eth0\"]\nnew_connections_per_second = 7").burst, 7);
    let json = r#"{"shield": {"interfaces": ["eth0"], "deny": ["192.0.2.7"]}}"#;
    let files = [("x.tf.json".into(), json.to_owned()), ("y.hcl".into(), LISTENER.to_owned())];
    let found = balancer::config::parse(&files).unwrap().shield.unwrap();
    assert_eq!(shown(&found.deny), ["192.0.2.7/32"]);
}

#[test]
fn faults_are_told_with_their_places() {
    for (lines, place, wrong, allowed) in [
        ("deny = []", "1:1", "shield needs `interfaces`", "1 to 64"),
        ("interfaces = []", "2:14", "`interfaces` has 0 names", "1 to 64"),
        ("interfaces = \"eth0\"", "2:14", "`interfaces` = \"eth0\" is no list", "1 to 64"),
        (
            "interfaces = [\"lo\"]",
            "2:15",
            "`interfaces` has \"lo\": the loopback is never blocked",
            "not \"lo\"",
        ),
        ("interfaces = [\"a/b\"]", "2:15", "`interfaces` has \"a/b\"", "names of interfaces"),
        ("interfaces = [\"abcdefghijklmnop\"]", "2:15", "`interfaces` has", "names of interfaces"),
        ("interfaces = [\"a\", \"a\"]", "2:20", "`interfaces` has \"a\" twice", "each once"),
        (
            "interfaces = [\"a\"]\nmode = \"offload\"",
            "3:8",
            "`mode` = \"offload\"",
            "\"auto\", \"native\" or \"generic\"",
        ),
        ("interfaces = [\"a\"]\ndry_run = 3", "3:11", "`dry_run` = 3", "true or false"),
        (
            "interfaces = [\"a\"]\ndeny = [\"10.0.0.1/8\"]",
            "3:9",
            "`deny` has \"10.0.0.1/8\", which has bits set beyond its length (did you mean \"10.0.0.0/8\"?)",
            "prefixes",
        ),
        (
            "interfaces = [\"a\"]\ndeny = [\"127.0.0.0/8\"]",
            "3:9",
            "`deny` has \"127.0.0.0/8\", which is of the loopback",
            "prefixes",
        ),
        (
            "interfaces = [\"a\"]\nallow = [\"::ffff:192.0.2.1\"]",
            "3:10",
            "`allow` has \"::ffff:192.0.2.1\", which is IPv4",
            "prefixes",
        ),
        (
            "interfaces = [\"a\"]\nallow = [\"example.com\"]",
            "3:10",
            "`allow` has \"example.com\", which is no prefix",
            "prefixes",
        ),
        ("interfaces = [\"a\"]\nallow = [7]", "3:10", "`allow` has 7, which is no prefix", "prefixes"),
        (
            "interfaces = [\"a\"]\ndeny = \"10.0.0.0/8\"",
            "3:8",
            "`deny` = \"10.0.0.0/8\" is no list",
            "prefixes",
        ),
        (
            "interfaces = [\"a\"]\ndeny_file = \"/no/such\"",
            "3:13",
            "`deny_file`: /no/such cannot be read: there is no such",
            "a prefix a line",
        ),
        (
            "interfaces = [\"a\"]\nnew_connections_per_second = 0",
            "3:30",
            "`new_connections_per_second` = 0 is out of range",
            "from 1 to 1000000",
        ),
        (
            "interfaces = [\"a\"]\nburst = 3",
            "3:9",
            "`burst` stands without `new_connections_per_second`",
            "both",
        ),
        ("interfaces = [\"a\"]\ndenied = []", "3:1", "unknown attribute `denied`", "deny"),
    ] {
        assert_one_fault(&format!("shield {{\n{lines}\n}}\n{LISTENER}"), place, wrong, allowed);
    }
    let block = "shield {\ninterfaces = [\"a\"]\n}\n";
    assert_one_fault(&format!("{block}{block}{LISTENER}"), "4:1", "a second `shield` block", "one");
    let labelled = block.replace("shield", "shield \"a\"");
    assert_one_fault(&format!("{labelled}{LISTENER}"), "1:8", "`shield` takes no label", "`shield { … }`");
}

#[test]
fn all_faults_of_a_file_are_told_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("denied");
    fs::write(&file, "192.0.2.7\n10.0.0.1/8\nnobody\n").unwrap();
    let text = format!("shield {{\ninterfaces = [\"a\"]\ndeny_file = \"{}\"\n}}\n{LISTENER}", file.display());
    let faults = parse(&text).unwrap_err();
    let told: Vec<&str> = faults.lines().collect();
    assert_eq!(told.len(), 2, "{faults}");
    assert!(told[0].contains("denied:2: \"10.0.0.1/8\" has bits set"), "{faults}");
    assert!(told[1].contains("denied:3: \"nobody\" is no prefix"), "{faults}");
}

#[test]
fn a_file_that_is_no_text_is_told_as_such_and_a_mark_is_none_of_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("denied");
    let text = format!("shield {{\ninterfaces = [\"a\"]\ndeny_file = \"{}\"\n}}\n{LISTENER}", file.display());
    let wide: Vec<u8> = "192.0.2.7\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &wide].concat();
    for (bytes, wrong) in
        [(&wide[..], "is text in UTF-16"), (&marked, "is text in UTF-16"), (b"\x7fELF\0\0", "is no text")]
    {
        fs::write(&file, bytes).unwrap();
        let faults = parse(&text).unwrap_err();
        assert!(faults.lines().count() == 1 && faults.contains(wrong), "{faults}");
    }
    fs::write(&file, "\u{feff}192.0.2.7\r\n# B\u{fc}ro\r\n").unwrap();
    assert_eq!(parse(&text).unwrap().shield.unwrap().deny.len(), 1);
    fs::write(&file, b"192.0.2.7 # B\xfcro\n").unwrap();
    assert_eq!(parse(&text).unwrap().shield.unwrap().deny.len(), 1, "a comment in another encoding");
}

#[test]
fn a_hundred_thousand_prefixes_are_read_and_more_than_there_can_be_are_refused() {
    let list = |count: u32| {
        let mut text = String::from("shield {\ninterfaces = [\"a\"]\ndeny = [");
        for number in 0..count {
            writeln!(text, "\"{}\",", std::net::Ipv4Addr::from(0x0a00_0000 + number)).unwrap();
        }
        text + "]\n}\n" + LISTENER
    };
    assert_eq!(parse(&list(100_000)).unwrap().shield.unwrap().deny.len(), 100_000);
    assert_one_fault(&list(200_001), "3:8", "200001 prefixes are denied or allowed", "200000");
}
