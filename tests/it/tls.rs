//! HTTPS listeners and the clients that people use: curl, openssl and Python's standard library.

use std::{
    fs,
    io::{Read, Write},
    time::Duration,
};

use support::{
    Answer, Balancer, Config, Group, Target,
    tls::{Certificate, Session, curl, handshake, python},
};
use tempfile::TempDir;

/// An HTTPS listener that shows this certificate.
pub(crate) fn https(config: Config, certificate: &Certificate) -> Config {
    config.https(certificate)
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn clients_speak_tls_1_2_and_1_3_and_targets_hear_of_it() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let group = Group::new("app", &[&target]).lb_cookie();
    let balancer = Balancer::start(&https(Config::with(group), &certificate));
    for version in
        [["--http1.1", "--tlsv1.2", "--tls-max", "1.2"], ["--http1.1", "--tlsv1.3", "--tls-max", "1.3"]]
    {
        let arguments = [&version[..], &["--include", "-H", "X-Forwarded-Proto: http"]].concat();
        let response = curl(balancer.address, "example.test", &certificate, "/a?b=c", &arguments).unwrap();
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let twin = response.lines().find(|line| line.starts_with("Set-Cookie: AWSALBCORS=")).unwrap();
        assert!(twin.ends_with("; SameSite=None; Secure"), "{twin}");
        let seen = target.last();
        assert_eq!(seen.headers.all("x-forwarded-proto").collect::<Vec<_>>(), ["https"]);
        assert_eq!(seen.headers.get("x-forwarded-port").unwrap(), balancer.address.port().to_string());
    }
    let script = "import ssl, sys, http.client\n\
        context = ssl.create_default_context(cafile=sys.argv[2])\n\
        context.check_hostname = False\n\
        c = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), context=context)\n\
        for _ in range(3):\n\
        \x20 c.request('GET', '/'); r = c.getresponse(); r.read(); print(r.status, c.sock.version())\n";
    let port = balancer.address.port().to_string();
    let said = python(script, &[&port, certificate.certificate.to_str().unwrap()]).unwrap();
    assert_eq!(said, "200 TLSv1.3\n".repeat(3));
    assert!(balancer.metric("balancer_client_tls_handshakes_total") >= 3.0);
    assert_eq!(balancer.status().0["listeners"][0]["protocol"], "HTTPS");
}

#[test]
fn the_handshake_settles_which_http_is_spoken() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let version = |config: Config, argument: &str| {
        let balancer = Balancer::start(&https(config, &certificate));
        let arguments = ["--output", "/dev/null", "--write-out", "%{http_version}", argument];
        let said = curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
        let proto = target.last().headers.get("x-forwarded-proto").map(str::to_owned);
        assert_eq!(proto.as_deref(), Some("https"));
        String::from_utf8(said).unwrap()
    };
    let plain = || Config::new(&[&target]);
    assert_eq!(version(plain(), "--http2"), "2");
    assert_eq!(version(plain(), "--http1.1"), "1.1");
    assert_eq!(version(plain().listener("alpn_policy = \"HTTP1Only\""), "--http2"), "1.1");
    assert_eq!(version(plain().listener("alpn_policy = \"HTTP2Optional\""), "--http2"), "1.1");
    assert_eq!(version(plain().attribute("enable_http2 = false"), "--http2"), "1.1");
}

#[test]
fn sessions_stick_over_https() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let group = Group::new("app", &targets.iter().collect::<Vec<_>>()).algorithm("round_robin").lb_cookie();
    let balancer = Balancer::start(&https(Config::with(group), &certificate).workers(2));
    let jar = folder.path().join("jar");
    let jar = jar.to_str().unwrap();
    let get = || curl(balancer.address, "example.test", &certificate, "/", &["-b", jar, "-c", jar]).unwrap();
    let home = get();
    for _ in 0..6 {
        assert_eq!(get(), home);
    }
}

fn shown(balancer: &Balancer, name: &str, more: &[&str]) -> String {
    let said = handshake(balancer.address, &[&["-servername", name], more].concat());
    let subject = said.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default();
    subject.rsplit("CN = ").next().unwrap_or_default().to_owned()
}

#[test]
fn certificates_are_chosen_by_the_name_asked_for() {
    let folder = folder();
    let path = folder.path();
    let main = Certificate::make(path, "main", &["main.test"]);
    let certificates = [
        Certificate::make(path, "exact", &["a.example.test"]),
        Certificate::make(path, "wild", &["*.example.test"]),
        Certificate::rsa(path, "rsa", "both.test"),
        Certificate::make(path, "ecdsa", &["both.test"]),
        Certificate::until(path, "expired", &["old.test"], 2020),
        Certificate::rsa(path, "valid", "old.test"),
    ];
    let labels = ["exact", "wild", "rsa", "ecdsa", "expired", "valid"];
    let target = Target::plain();
    let mut config = https(Config::new(&[&target]), &main);
    for (label, certificate) in labels.iter().zip(&certificates) {
        config = config.more(&certificate.block(label)).more(&format!(
            "listener_certificate \"{label}\" {{\n  listener_arn = listener.web.arn\n  certificate_arn = certificate.{label}.arn\n}}\n"
        ));
    }
    let balancer = Balancer::start(&config);
    assert_eq!(shown(&balancer, "main.test", &[]), "main");
    assert_eq!(shown(&balancer, "A.Example.TEST", &[]), "exact");
    assert_eq!(shown(&balancer, "b.example.test", &[]), "wild");
    assert_eq!(shown(&balancer, "x.b.example.test", &[]), "main", "a star is one label");
    assert_eq!(shown(&balancer, "example.test", &[]), "main");
    assert_eq!(shown(&balancer, "both.test", &[]), "ecdsa");
    assert_eq!(shown(&balancer, "both.test", &["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]), "rsa");
    assert_eq!(shown(&balancer, "old.test", &[]), "valid");
    balancer.wait_log_line(&["balancer.hcl:", "certificate expired: expired "]);
}

#[test]
fn policies_bound_the_versions() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    for (policy, tls12, tls13) in [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", false, true),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", true, true),
        ("ELBSecurityPolicy-2016-08", true, false),
    ] {
        let config = https(Config::new(&[&target]), &certificate);
        let balancer = Balancer::start(&config.listener(&format!("ssl_policy = \"{policy}\"")));
        let works = |version| {
            let arguments = ["--tlsv1.2", "--tls-max", version];
            curl(balancer.address, "example.test", &certificate, "/", &arguments).is_ok()
        };
        assert_eq!(
            (works("1.2"), handshake(balancer.address, &["-tls1_3"]).contains("New, TLSv1.3")),
            (tls12, tls13)
        );
        assert!(!handshake(balancer.address, &["-tls1_1"]).contains("New, TLSv1"));
        assert!(balancer.metric("balancer_client_tls_negotiation_errors_total") >= 1.0);
        balancer.wait_log("serving");
        assert_eq!(balancer.log().contains("is stricter here"), tls12, "{}", balancer.log());
    }
}

#[test]
fn the_policies_of_rfc_9151_have_one_suite_and_one_curve() {
    let folder = folder();
    let path = folder.path();
    let small = Certificate::make(path, "small", &["example.test"]);
    let strict = Certificate { certificate: path.join("strict.pem"), key: path.join("strict.key") };
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:secp384r1",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-sha384", "-subj", "/CN=strict", "-addext", "subjectAltName=DNS:example.test"])
        .arg("-keyout")
        .arg(&strict.key)
        .arg("-out")
        .arg(&strict.certificate)
        .output()
        .unwrap();
    assert!(made.status.success());
    let target = Target::plain();
    let policy = "ssl_policy = \"ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07\"";
    let ended = Balancer::prepare(&https(Config::new(&[&target]), &small).listener(policy)).run_to_end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.log.contains("the key of certificate \"main\" does not"), "{}", ended.log);
    let balancer = Balancer::start(&https(Config::new(&[&target]), &strict).listener(policy));
    for (arguments, suite) in [
        (&["-tls1_3"][..], Some("TLS_AES_256_GCM_SHA384")),
        (&["-tls1_2"], Some("ECDHE-ECDSA-AES256-GCM-SHA384")),
        (&["-tls1_3", "-curves", "P-256:X25519"], None),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], None),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], None),
    ] {
        let said = handshake(balancer.address, arguments);
        let agreed = said.lines().find(|line| line.starts_with("New, TLSv1"));
        let wanted = suite.map(|suite| format!("Cipher is {suite}"));
        assert_eq!(agreed.map(|line| line.split(", ").nth(2).unwrap()), wanted.as_deref(), "{said}");
    }
}

#[test]
fn sessions_are_resumed_by_every_worker_and_after_a_reload() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let config = https(Config::new(&[&target]), &certificate).workers(3);
    let balancer = Balancer::start(&config);
    let said = handshake(balancer.address, &["-tls1_2", "-reconnect"]);
    assert_eq!(said.matches("Reused, TLSv1.2").count(), 5, "{said}");
    // A ticket of TLS 1.3 comes after the handshake: an exchange makes sure that it has come.
    let file = folder.path().join("session");
    let file = file.to_str().unwrap();
    Session::open(balancer.address, &["-tls1_3", "-sess_out", file]).get("/", "");
    let resumed = || handshake(balancer.address, &["-tls1_3", "-sess_in", file]).contains("Reused, TLSv1.3");
    assert!((0..6).all(|_| resumed()));
    balancer.reload(&config);
    assert!((0..6).all(|_| resumed()), "a reload keeps the keys");
    assert!(balancer.metric("balancer_client_tls_resumptions_total") >= 17.0);
}

#[test]
fn a_reload_takes_new_certificates_and_keeps_connections() {
    let folder = folder();
    let first = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let config = https(Config::new(&[&target]), &first);
    let balancer = Balancer::start(&config);
    let mut session = Session::open(balancer.address, &[]);
    assert_eq!(session.get("/", "").status, 200);
    let before = fs::read(&first.certificate).unwrap();
    let second = Certificate::make(folder.path(), "main", &["example.test"]);
    assert_ne!(before, fs::read(&second.certificate).unwrap());
    balancer.reload(&config);
    assert_eq!(session.get("/", "").status, 200, "the connection is the same");
    curl(balancer.address, "example.test", &second, "/", &[]).expect("the new one is shown");
    // A pair that does not fit changes nothing.
    let other = Certificate::make(folder.path(), "other", &["example.test"]);
    fs::copy(&other.key, &second.key).unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_status("the refusal", 10.0, |status| status.0["reload_failures"] == 1);
    curl(balancer.address, "example.test", &second, "/", &[]).expect("the old pair is kept");
    assert_eq!(session.get("/", "").status, 200);
}

#[test]
fn plain_http_garbage_and_silence_end_quickly_and_are_counted() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&https(Config::new(&[&target]), &certificate));
    let errors = || balancer.metric("balancer_client_tls_negotiation_errors_total");
    let before = errors();
    let mut silent = balancer.connect();
    assert_eq!(balancer.connect().get("/", "").status, 400);
    let mut garbage = balancer.connect();
    garbage.send(b"\x16\x03\x01\x00\x05garbage and more of it");
    garbage.reader().to_end().unwrap_or_default();
    let mut half = balancer.connect();
    half.send(b"\x16\x03\x01");
    half.finish();
    assert!(half.is_closed());
    // A client hears of it before it is counted.
    let counted = |errors_more: f64| {
        support::until("errors", 20.0, || (errors() >= before + errors_more).then_some(()));
    };
    counted(3.0);
    assert!(silent.is_closed_within(Duration::from_secs(40)), "a handshake has 10 s");
    counted(4.0);
    assert_eq!(target.count(), 0);
    balancer.wait_status("nothing is left", 10.0, |status| status.total("connections_active") == 0);
}

#[test]
fn tls_to_a_plain_port_ends_quickly() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let said = handshake(balancer.address, &[]);
    assert!(!said.contains("New, TLSv1"), "{said}");
    assert!(balancer.metric("balancer_responses_total{status=\"400\"}") >= 1.0);
}

#[test]
fn large_bodies_pass_both_ways() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::echo();
    let balancer = Balancer::start(&https(Config::new(&[&target]), &certificate));
    let body: Vec<u8> = (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = folder.path().join("body");
    fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    for version in ["1.2", "1.3"] {
        let arguments = ["--tls-max", version, "--data-binary", &upload, "-H", "Expect:"];
        let echoed = curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
        assert!(echoed == body);
        let arguments =
            ["--http1.1", "--tls-max", version, "--data-binary", &upload, "-H", "Transfer-Encoding: chunked"];
        let echoed = curl(balancer.address, "example.test", &certificate, "/", &arguments).unwrap();
        assert!(echoed == body);
    }
}

#[test]
fn a_client_that_stops_reading_costs_little() {
    const OFFERED: usize = 256 * 1024 * 1024;
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let (done, sent) = std::sync::mpsc::channel();
    let target = Target::start(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n"));
        exchange.reader.stream().set_write_timeout(Some(Duration::from_secs(1)));
        let block = [b'x'; 64 * 1024];
        let mut total = 0;
        while total < OFFERED {
            match exchange.reader.stream().write(&block) {
                Ok(length) => total += length,
                Err(_) => break,
            }
        }
        done.send(total).unwrap();
        Answer::Close
    });
    let balancer = Balancer::start(&https(Config::new(&[&target]), &certificate));
    let before = balancer.memory();
    let mut stalled: Vec<_> = (0..4).map(|_| Session::open(balancer.address, &[])).collect();
    for session in &mut stalled {
        session.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for _ in &stalled {
        let total = sent.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(total < OFFERED / 2, "took {total} bytes");
    }
    let grown = balancer.memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "grew by {grown} bytes");
}

#[test]
fn half_a_body_never_looks_whole() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    for head in ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let target = Target::start(move |exchange| {
            exchange.send(format!("HTTP/1.1 200 OK\r\n{head}"));
            Answer::Close
        });
        let group = Group::new("app", &[&target]).unchecked();
        let balancer = Balancer::start(&https(Config::with(group), &certificate));
        for version in ["--http2", "--http1.1", "--http1.0"] {
            let arguments = [version];
            let cut = curl(balancer.address, "example.test", &certificate, "/", &arguments);
            assert!(cut.is_err(), "{head:?} {version}: {cut:?}");
        }
    }
}

#[test]
fn an_upgrade_becomes_a_tunnel_inside_tls() {
    let folder = folder();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::start(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        );
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = exchange.reader.stream().read(&mut buffer) {
            if buffer[..length].ends_with(b"end") {
                break;
            }
            exchange.send(&buffer[..length]);
        }
        Answer::Close
    });
    let balancer = Balancer::start(&https(Config::new(&[&target]), &certificate));
    let mut session = Session::open(balancer.address, &[]);
    session.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(session.reader().response_head().unwrap().unwrap().status, 101);
    assert_eq!(session.reader().exactly(5).unwrap(), b"hello");
    for size in [1, 125, 70_000] {
        let message = vec![7; size];
        session.send(&message);
        assert!(session.reader().exactly(size).unwrap() == message);
    }
    session.send("end");
    assert!(session.is_closed(), "the end of the target is the end of the client");
    drop(session);
    balancer.wait_status("the tunnel is over", 10.0, |status| status.total("tunnels_active") == 0);
}

#[test]
fn what_is_wrong_with_certificates_is_told_with_its_place() {
    let folder = folder();
    let main = Certificate::make(folder.path(), "main", &["example.test"]);
    let other = Certificate::make(folder.path(), "other", &["example.test"]);
    let target = Target::plain();
    let plain = || Config::new(&[&target]);
    let mismatch = Certificate { key: other.key.clone(), ..main.clone() };
    let missing = Certificate { certificate: folder.path().join("none.pem"), ..main.clone() };
    let swapped = Certificate { certificate: main.key.clone(), key: main.certificate.clone() };
    for (config, wanted) in [
        (https(plain(), &mismatch), "is not that of the first certificate"),
        (https(plain(), &missing), "none.pem cannot be read"),
        (https(plain(), &swapped), "holds no certificate in PEM form"),
        (https(plain(), &main).listener("ssl_policy = \"ELBSecurityPolicy-2016-09\""), "did you mean"),
        (https(plain(), &main).listener("alpn_policy = \"HTTP3Only\""), "`alpn_policy` = "),
        (Config { protocol: "HTTPS".to_owned(), ..plain() }, "needs `certificate_arn`"),
        (
            plain().listener("certificate_arn = certificate.main.arn").more(&main.block("main")),
            "is for HTTPS",
        ),
    ] {
        let mut balancer = Balancer::prepare(&config);
        let ended = balancer.run_to_end();
        assert_eq!(ended.code, Some(2), "{wanted}: {}", ended.log);
        let line = ended.log.lines().find(|line| line.contains(wanted));
        assert!(line.is_some_and(|line| line.contains("balancer.hcl:")), "{wanted}: {}", ended.log);
        assert!(!ended.log.contains("PRIVATE KEY"), "{}", ended.log);
    }
    fs::set_permissions(&main.key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let balancer = Balancer::start(&https(plain(), &main));
    balancer.wait_log("everybody on this host can read its key");
}

/// Keys that need a passphrase, in each form that openssl writes.
#[test]
fn a_key_with_a_passphrase_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificate::rsa(folder.path(), "own", "localhost");
    let locked = folder.path().join("locked.key");
    for form in [&["rsa", "-traditional"][..], &["pkcs8", "-topk8", "-v2", "aes-256-cbc"], &["pkey"]] {
        let mut command = std::process::Command::new("openssl");
        command.arg(form[0]).arg("-in").arg(&own.key).arg("-out").arg(&locked).args(&form[1..]);
        if form[0] != "pkcs8" {
            command.arg("-aes256");
        }
        assert!(command.args(["-passout", "pass:secret"]).output().unwrap().status.success(), "{form:?}");
        let certificate = Certificate { certificate: own.certificate.clone(), key: locked.clone() };
        let target = Target::plain();
        let mut balancer = Balancer::prepare(&https(Config::new(&[&target]), &certificate));
        let ended = balancer.run_to_end();
        assert_eq!(ended.code, Some(2), "{}", ended.log);
        let said = format!("the key in {} is encrypted with a passphrase", locked.display());
        assert!(ended.log.contains(&said), "{form:?}: {}", ended.log);
    }
}
