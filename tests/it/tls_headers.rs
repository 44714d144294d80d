//! What targets are told of their clients' TLS, and that nobody else can tell them.

use support::{
    Balancer, Config, Group, Target,
    http2::{Connection, Outcome},
    tls::{Certificate, curl},
};

use crate::tls::https;

const ON: &str = "enable_tls_version_and_cipher_suite_headers = true";

fn told(target: &Target, name: &str) -> Vec<String> {
    target.last().headers.all(name).map(str::to_owned).collect()
}

#[test]
fn version_and_suite_are_told_in_openssls_words() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&https(Config::new(&[&target]).attribute(ON), &certificate));
    for http in ["--http1.1", "--http2"] {
        for (arguments, version, suite) in [
            (
                ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
                "TLSv1.2",
                "ECDHE-ECDSA-AES256-GCM-SHA384",
            ),
            (
                ["--tls-max", "1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"],
                "TLSv1.3",
                "TLS_AES_128_GCM_SHA256",
            ),
        ] {
            let forged = ["-H", "x-amzn-tls-version: SSLv2", "-H", "X_Amzn_Tls_Cipher_Suite: none", http];
            let arguments = [&forged[..], &arguments].concat();
            curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
            assert_eq!(told(&target, "x-amzn-tls-version"), [version]);
            assert_eq!(told(&target, "x-amzn-tls-cipher-suite"), [suite]);
            assert!(told(&target, "x_amzn_tls_cipher_suite").is_empty());
        }
    }
}

#[test]
fn how_keys_were_exchanged_is_told_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let on = Config::new(&[&target]).attribute("routing_http_x_amzn_tls_kx_enabled = true");
    let balancer = Balancer::start(&https(on, &certificate));
    // With TLS 1.2 the curve of the certificate, P-256, has to be among them.
    for (version, curves, group) in [
        ("1.2", "X25519:P-256", "x25519"),
        ("1.2", "P-256", "secp256r1"),
        ("1.3", "X25519", "x25519"),
        ("1.3", "P-256", "secp256r1"),
        ("1.3", "P-384", "secp384r1"),
    ] {
        let arguments = ["--tls-max", version, "--curves", curves, "-H", "X_Amzn_Tls_Kx: none"];
        curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
        assert_eq!(told(&target, "x-amzn-tls-kx"), [group], "{version} {curves}");
        assert!(told(&target, "x_amzn_tls_kx").is_empty() && told(&target, "x-amzn-tls-version").is_empty());
    }
    // Off, it is a field like any other.
    balancer.reload(&https(Config::new(&[&target]), &certificate));
    curl(balancer.address, "example.test", &certificate, "/", &["-H", "x-amzn-tls-kx: mine"]).unwrap();
    assert_eq!(told(&target, "x-amzn-tls-kx"), ["mine"]);
}

#[test]
fn the_fields_can_have_other_names_and_are_off_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let off = https(Config::new(&[&target]), &certificate);
    let balancer = Balancer::start(&off);
    let forge = ["--http1.1", "-H", "X-Tls: none", "-H", "x-amzn-tls-version: SSLv2"];
    curl(balancer.address, "example.test", &certificate, "/", &forge).unwrap();
    assert_eq!(told(&target, "x-amzn-tls-version"), ["SSLv2"], "a field like any other");
    let renamed = "routing_http_request_x_amzn_tls_version_header_name = \"X-Tls\"";
    balancer.reload(&https(Config::new(&[&target]).attribute(ON).listener(renamed), &certificate));
    curl(balancer.address, "example.test", &certificate, "/", &forge).unwrap();
    assert_eq!(told(&target, "x-tls"), ["TLSv1.3"]);
    assert_eq!(told(&target, "x-amzn-tls-version"), ["SSLv2"], "a field like any other");
    assert_eq!(told(&target, "x-amzn-tls-cipher-suite").len(), 1);
}

#[test]
fn without_tls_nothing_is_told_by_anybody() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target])).attribute(ON).http2());
    let forged = "x-amzn-tls-version: TLSv1.3\r\nX-Amzn-Tls-Cipher-Suite: best\r\nX-Other: 1\r\n";
    assert_eq!(balancer.connect().get("/", forged).status, 200);
    let mut http2 = Connection::open(balancer.address);
    assert_eq!(http2.status_of("/", &[("x-amzn-tls-version", "TLSv1.3"), ("x-other", "1")]), 200);
    let requests = target.requests();
    for request in &requests[requests.len() - 2..] {
        assert!(request.headers.get("x-amzn-tls-version").is_none(), "{request:?}");
        assert!(request.headers.get("x-amzn-tls-cipher-suite").is_none(), "{request:?}");
        assert_eq!(request.headers.get("x-other"), Some("1"));
    }
}

#[test]
fn trailers_say_nothing_that_fields_could_not() {
    let target = Target::plain();
    // Behind another balancer, so that the first has a target of HTTP/2.
    let second = Balancer::start(&Config::new(&[&target]).http2());
    let behind =
        Group::of("app", &[second.address.to_string()]).line("protocol_version = \"HTTP2\"").unchecked();
    let sent = [
        ("x-amzn-tls-version", "TLSv1.3"),
        ("x_amzn-tls_cipher-suite", "best"),
        ("x-sum", "5"),
        ("x_sum", "6"),
        ("authorization", "none"),
    ];
    let lines: String = sent.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n";
    for (drop_invalid, wanted) in [(false, &[("x-sum", "5"), ("x_sum", "6")][..]), (true, &[("x-sum", "5")])]
    {
        let line = format!("drop_invalid_header_fields = {drop_invalid}");
        for (group, is_http1) in [(Group::new("app", &[&target]), true), (behind.clone(), false)] {
            let config = Config::with(group).attribute(ON).attribute(&line).http2();
            let balancer = Balancer::start(&config);
            let wanted: Vec<_> =
                wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            if is_http1 {
                let mut http1 = balancer.connect();
                http1.send(format!("{head}5\r\nhello\r\n0\r\n{lines}\r\n"));
                assert_eq!(http1.response().status, 200);
                assert_eq!(target.last().trailers.0, wanted, "HTTP/1.1");
            }
            let mut http2 = Connection::open(balancer.address);
            let stream = http2.post("/", &[("te", "trailers")]);
            http2.data(stream, b"hello", false).head(stream, &sent, true);
            assert!(matches!(http2.outcome(stream), Outcome::Answer(200, _)));
            assert_eq!(target.last().trailers.0, wanted, "to HTTP/{}", if is_http1 { 1 } else { 2 });
            // Where nothing is left there is still an end.
            let stream = http2.post("/", &[("te", "trailers")]);
            http2.data(stream, b"hello", false).head(stream, &sent[..2], true);
            assert!(matches!(http2.outcome(stream), Outcome::Answer(200, _)));
            assert!(target.last().trailers.0.is_empty());
        }
    }
}
