//! `targets_from` and `target_discovery`.

use std::{path::PathBuf, time::Duration};

use balancer::model::{EtcdPlace, HttpPlace, KubernetesPlace, SourcePlace, TargetSource};

use super::support::{assert_one_fault, parse};

fn source(lines: &str) -> TargetSource {
    let text = format!("target_group \"app\" {{\n{lines}\n}}");
    parse(&text).unwrap().target_groups.remove(0).source.unwrap()
}

fn http(tls: bool, host: &str, port: u16, path: &str) -> HttpPlace {
    HttpPlace { tls, host: host.into(), port, path: path.into(), ca_file: None, token_file: None }
}

/// As seen from the folder of the configuration, which is this one.
fn here(path: &str) -> PathBuf {
    std::env::current_dir().unwrap().join(path)
}

#[test]
fn sources_are_read_with_their_defaults() {
    let read = source("targets_from = \"file:/etc/targets.json\"");
    let expected = TargetSource {
        place: SourcePlace::File("/etc/targets.json".into()),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        empty_is_error: true,
        port: None,
    };
    assert_eq!(read, expected);
    let settings = "port = 81\ntarget_discovery {\ninterval = 7\ntimeout = 60\nempty_is_error = false\n}\n";
    let read = source(&format!("{settings}targets_from = \"file:targets.yml\""));
    let expected = TargetSource {
        place: SourcePlace::File(here("targets.yml")),
        interval: Duration::from_secs(7),
        timeout: Duration::from_secs(60),
        empty_is_error: false,
        port: Some(81),
    };
    assert_eq!(read, expected);
}

#[test]
fn every_kind_of_source_is_read() {
    for (text, expected) in [
        ("file:///a/b.yaml", SourcePlace::File("/a/b.yaml".into())),
        ("dns+srv:_http._tcp.Shop.example", SourcePlace::DnsService("_http._tcp.shop.example".into())),
        ("dns+srv:_a._udp.x", SourcePlace::DnsService("_a._udp.x".into())),
        ("http://a.test", SourcePlace::Http(http(false, "a.test", 80, "/"))),
        ("https://A.test/x?y=1", SourcePlace::Http(http(true, "a.test", 443, "/x?y=1"))),
        ("http://[::1]:81/", SourcePlace::Http(http(false, "::1", 81, "/"))),
        (
            "kubernetes:shop/web",
            SourcePlace::Kubernetes(KubernetesPlace {
                server: None,
                namespace: "shop".into(),
                service: "web".into(),
                port: None,
            }),
        ),
    ] {
        assert_eq!(source(&format!("targets_from = \"{text}\"")).place, expected, "{text}");
    }
    let lines = "targets_from = \"kubernetes:shop/web:http\"\ntarget_discovery {\nserver = \"https://10.0.0.1:6443\"\n\
                 ca_file = \"ca.pem\"\ntoken_file = \"/t\"\n}";
    let SourcePlace::Kubernetes(place) = source(lines).place else { panic!("no cluster") };
    let server = HttpPlace {
        ca_file: Some(here("ca.pem")),
        token_file: Some("/t".into()),
        ..http(true, "10.0.0.1", 6443, "/")
    };
    assert_eq!((place.server, place.port.as_deref()), (Some(server), Some("http")));
    let lines = "targets_from = \"etcd:/targets/shop/\"\ntarget_discovery {\nserver = \"https://a.test:2379, https://b.test\"\n\
                 ca_file = \"ca.pem\"\nuser = \"lb\"\npassword_file = \"/p\"\n}";
    let expected = EtcdPlace {
        prefix: "/targets/shop/".into(),
        servers: vec!["https://a.test:2379".into(), "https://b.test".into()],
        ca_file: Some(here("ca.pem")),
        user: Some(("lb".into(), "/p".into())),
        certificate: None,
    };
    assert_eq!(source(lines).place, SourcePlace::Etcd(expected));
}

#[test]
fn what_etcd_takes_is_given_together() {
    let of = |settings: &str| {
        format!(
            "target_group \"app\" {{\n  targets_from = \"etcd:/t/\"\n  target_discovery {{\n{settings}\n  }}\n}}"
        )
    };
    let plain = "server = \"http://a.test\"";
    let secure = "server = \"https://a.test\"\nca_file = \"/ca\"";
    for (settings, place, wrong, allowed) in [
        ("interval = 9", "2:18", "stands without `server`", "http://HOST:PORT"),
        ("server = \"http://a.test/x\"", "4:10", "is no URL of etcd", "without a path"),
        ("server = \"http://u:secret@a.test\"", "4:10", "is no URL of etcd", "http://HOST:PORT"),
        ("server = \"https://a.test\"", "4:10", "there is no `ca_file`", "both"),
        (&format!("{plain}\nca_file = \"/ca\""), "5:11", "has no meaning without TLS", "https://"),
        (&format!("{plain}\nuser = \"u\""), "5:8", "stands without `password_file`", "both"),
        (
            &format!("{secure}\nprivate_key_file = \"/k\""),
            "6:20",
            "stands without `certificate_file`",
            "both",
        ),
        (&format!("{plain}\ntoken_file = \"/t\""), "5:14", "`token_file` has no meaning", "leave it out"),
    ] {
        assert_one_fault(&of(settings), place, wrong, allowed);
    }
}

#[test]
fn each_fault_is_told_with_its_place() {
    for (text, wrong) in [
        ("http://a.test:eighty/", "has a port that is none"),
        ("http://a.test:0/", "has a port that is none"),
        ("", "does not say of which kind it is"),
        ("targets.json", "does not say of which kind it is"),
        ("consul:web", "is of no kind that is known"),
        ("file:", "names no file"),
        ("file:/etc/targets.toml", "has an ending that does not say what it is written in"),
        ("dns+srv:shop.example", "names no service in DNS"),
        ("dns+srv:_http._tcp.", "names no service in DNS"),
        ("dns+srv:_http._tcp.10.0.0.1", "names no service in DNS"),
        ("http://", "is no URL"),
        ("http://user:secret@a.test/", "has a password in it"),
        ("http://a.test:0/", "has a port that is none"),
        ("https://-a.test/", "has a host that is neither"),
        ("etcd:targets/", "names no keys"),
        ("etcd:/", "names no keys"),
        ("etcd:/targets", "names no keys"),
        ("kubernetes:web", "names no service"),
        ("kubernetes:shop/Web", "names no service"),
        ("kubernetes:shop/web:", "names no service"),
    ] {
        let block = format!("target_group \"app\" {{\n  targets_from = \"{text}\"\n}}");
        assert_one_fault(&block, "2:18", wrong, "\"dns+srv:_http._tcp.NAME\"");
    }
    let block = |lines: &str| format!("target_group \"app\" {{\n  {lines}\n}}");
    for (lines, place, wrong, allowed) in [
        ("target_discovery {}", "2:3", "stands without `targets_from`", "both"),
        (
            "targets_from = \"file:/a.json\"\n  target_discovery {\n    interval = 0\n  }",
            "4:16",
            "`interval` = 0",
            "from 1 to 3600 seconds",
        ),
        (
            "targets_from = \"file:/a.json\"\n  target_discovery {\n    token_file = \"/t\"\n  }",
            "4:18",
            "`token_file` has no meaning for this source",
            "leave it out",
        ),
        (
            "targets_from = \"kubernetes:a/b\"\n  target_discovery {\n    server = \"ftp://a\"\n  }",
            "4:14",
            "is no URL of HTTP",
            "\"https://HOST:PORT\"",
        ),
        (
            "targets_from = \"kubernetes:a/b\"\n  target_discovery {\n    ca_file = \"/a\"\n  }",
            "4:15",
            "`ca_file` stands without `server`",
            "both",
        ),
        ("targets_from = [\"file:/a.json\"]", "2:18", "is no text", "\"file:PATH\""),
    ] {
        assert_one_fault(&block(lines), place, wrong, allowed);
    }
}

/// Neither who asks nor a query, be it that something else is wrong with it.
#[test]
fn a_secret_in_a_url_is_not_told_again() {
    const GROUP: &str = "target_group \"a\" {}\n";
    let from = |url: &str, more: &str| {
        format!(
            "target_group \"app\" {{\n  targets_from = \"{url}\"\n  port = 80\n  target_discovery {{\n{more}\n  }}\n}}"
        )
    };
    for text in [
        from("http://u:secret@a.test/", ""),
        from("http://u:sec/ret@a.test/", ""),
        from("ftp://u:secret@a.test/", ""),
        from("https://a.test:99999/?token=secret", ""),
        from("https://a b/?token=secret", ""),
        from("kubernetes:shop/web", "server = \"https://u:secret@a.test\""),
        from("kubernetes:shop/web", "server = \"https://u:secret@a.test:99999\""),
        from("etcd:/t/", "server = \"http://u:secret@a.test\""),
        format!("{GROUP}session_store {{\n  url = \"redis://u:secret@a.test\"\n}}\n"),
        format!("{GROUP}load_balancer \"b\" {{\n  idle_timeout = \"https://u:secret@a.test\"\n}}\n"),
    ] {
        let told = parse(&text).unwrap_err();
        assert!(!told.contains("secret") && !told.contains("ret@"), "{told}");
    }
}
