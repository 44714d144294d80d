//! Targets that speak HTTPS: nginx, and what goes wrong between it and the balancer.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use support::{
    Answer, Balancer, Config, Group, Target,
    nginx::Nginx,
    tls::{Certificate, curl},
    tools, until,
};
use tempfile::TempDir;

use crate::tls::https;

/// A certificate for the listener, one for targets at 127.0.0.1, and where they lie.
fn certificates() -> (TempDir, Certificate, Certificate) {
    let folder = tempfile::tempdir().unwrap();
    let main = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Certificate::make(folder.path(), "target", &["127.0.0.1"]);
    (folder, main, target)
}

fn group(targets: &[&Nginx]) -> Group {
    let addresses: Vec<String> = targets.iter().map(|nginx| nginx.address.clone()).collect();
    Group::of("app", &addresses).https().algorithm("round_robin")
}

fn get(balancer: &Balancer, trusted: &Certificate, arguments: &[&str]) -> String {
    String::from_utf8(curl(balancer.address, "example.test", trusted, "/", arguments).unwrap()).unwrap()
}

fn status(balancer: &Balancer, trusted: &Certificate, version: &str) -> String {
    let arguments = [version, "--output", "/dev/null", "--write-out", "%{http_code}"];
    get(balancer, trusted, &arguments)
}

fn tls_errors(balancer: &Balancer, target: &str) -> u64 {
    balancer.status().target(target)["tls_negotiation_errors"].as_u64().unwrap()
}

#[test]
fn connections_are_kept_and_no_name_is_sent() {
    let (_folder, main, certificate) = certificates();
    // What the request came over is passed on behind nginx, which answers once it has the body.
    let target = Target::start(|exchange| {
        let seen = exchange.request.headers.get("x-seen").unwrap_or_default().to_owned();
        exchange.ok("", &seen)
    });
    let seen = "$connection $connection_requests [$ssl_server_name] $ssl_protocol $http_x_forwarded_proto";
    let directives =
        format!("location / {{ proxy_pass http://{}; proxy_set_header X-Seen \"{seen}\"; }}", target.address);
    let nginx = Nginx::tls(&certificate, &directives);
    let balancer = Balancer::start(&https(Config::with(group(&[&nginx])), &main));
    assert_eq!(balancer.status().state(&nginx.address), "healthy", "checked over TLS, whatever it shows");
    let first = get(&balancer, &main, &["--http1.1"]);
    let number = first.split(' ').next().unwrap().to_owned();
    assert_eq!(first, format!("{number} 1 [] TLSv1.3 https"));
    // Tickets that the target has sent meanwhile make no connection look dead, not even before a request that
    // cannot be sent again.
    for (served, arguments) in
        [["--http1.1", "-dx"], ["--http2", "-dx"], ["--http2", "-Gdx"]].iter().enumerate()
    {
        assert_eq!(get(&balancer, &main, arguments), format!("{number} {} [] TLSv1.3 https", served + 2));
    }
    let status = balancer.status();
    assert_eq!((status.total("target_connects"), status.total("target_reuses")), (1, 3));
    assert!(balancer.metric("balancer_target_tls_handshakes_total") >= 1.0);
    let named = Config::with(group(&[&nginx]).line("target_tls_server_name = \"app.test\""));
    balancer.reload(&https(named, &main));
    assert!(get(&balancer, &main, &[]).contains(" 1 [app.test] "), "what was agreed otherwise is not used");
}

#[test]
fn sessions_with_targets_are_resumed() {
    let (_folder, main, certificate) = certificates();
    for (protocol, version) in [("TLSv1.2", "HTTP1"), ("TLSv1.3", "HTTP1"), ("TLSv1.3", "HTTP2")] {
        let directives = format!(
            "ssl_protocols {protocol}; keepalive_requests 1; location / {{ return 200 \"$ssl_protocol $ssl_session_reused\"; }}"
        );
        let nginx = if version == "HTTP2" {
            Nginx::tls_http2(&certificate, &directives)
        } else {
            Nginx::tls(&certificate, &directives)
        };
        let group = group(&[&nginx]).line(&format!("protocol_version = \"{version}\""));
        let group = Group { health_check: "enabled = false".to_owned(), ..group };
        let balancer = Balancer::start(&https(Config::with(group), &main));
        assert_eq!(get(&balancer, &main, &[]), format!("{protocol} ."));
        for _ in 0..3 {
            assert_eq!(get(&balancer, &main, &[]), format!("{protocol} r"));
        }
        assert_eq!(balancer.metric("balancer_target_tls_resumptions_total"), 3.0);
    }
}

#[test]
fn a_connection_that_the_target_has_closed_is_not_used() {
    let (_folder, main, certificate) = certificates();
    let nginx = Nginx::tls(&certificate, "keepalive_timeout 1s; location / { return 200 \"$connection\"; }");
    let group = Group { health_check: "enabled = false".to_owned(), ..group(&[&nginx]) };
    let balancer = Balancer::start(&https(Config::with(group), &main));
    let port = nginx.address.rsplit(':').next().unwrap().parse().unwrap();
    let first = get(&balancer, &main, &[]);
    until("the target closes", 10.0, || (tools::established_to(port, balancer.pid()) == 0).then_some(()));
    let second = get(&balancer, &main, &["-dx"]);
    assert_ne!(first, second);
    assert_eq!(balancer.status().own(502), 0);
}

#[test]
fn large_bodies_pass_both_ways() {
    let (folder, main, certificate) = certificates();
    let nginx = Nginx::tls(&certificate, "client_max_body_size 0; dav_methods PUT;");
    fs::set_permissions(nginx.folder(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let body: Vec<u8> = (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = folder.path().join("body");
    fs::write(&file, &body).unwrap();
    let balancer = Balancer::start(&https(Config::with(group(&[&nginx])), &main));
    for (version, more) in
        [("--http1.1", "Expect:"), ("--http1.1", "Transfer-Encoding: chunked"), ("--http2", "Expect:")]
    {
        let path = format!("/{}", more.len() + version.len());
        let upload = [version, "-T", file.to_str().unwrap(), "-H", more];
        curl(balancer.address, "example.test", &main, &path, &upload).unwrap();
        let back = curl(balancer.address, "example.test", &main, &path, &[version]).unwrap();
        assert!(back == body, "{version} {more}");
    }
    assert_eq!(balancer.status().total("target_connects"), 1, "each ended with its connection in order");
}

#[test]
fn a_target_without_tls_is_passed_over() {
    let (_folder, main, certificate) = certificates();
    let plain = Nginx::start("location / { return 200 plain; }");
    let nginx = Nginx::tls(&certificate, "location / { return 200 fine; }");
    let both = [plain.address.clone(), nginx.address.clone()];
    let unchecked = |targets: &[String]| {
        let group = Group::of("app", targets).https().algorithm("round_robin");
        Config::with(Group { health_check: "enabled = false".to_owned(), ..group })
    };
    for version in ["--http1.1", "--http2"] {
        let balancer = Balancer::start(&https(unchecked(&both), &main));
        for body in ["-Gdx", "-dx", "-dx", "-Gdx"] {
            assert_eq!(get(&balancer, &main, &[version, body]), "fine", "nothing was sent to the other");
        }
        assert_eq!(tls_errors(&balancer, &plain.address), 2);
        assert_eq!(tls_errors(&balancer, &nginx.address), 0);
        assert_eq!(balancer.status().total("retries"), 2);
        balancer.reload(&https(unchecked(&both[..1]), &main));
        assert_eq!(status(&balancer, &main, version), "502");
        let label = format!("{{target_group=\"app\",target=\"{}\"}}", plain.address);
        assert_eq!(balancer.metric(&format!("balancer_target_tls_negotiation_errors_total{label}")), 3.0);
        assert_eq!(balancer.metric(&format!("balancer_target_connection_errors_total{label}")), 0.0);
    }
    let balancer = Balancer::start(&https(Config::with(Group::of("app", &both).https()), &main));
    balancer.wait_status("the check finds out", 20.0, |status| {
        (status.state(&plain.address), status.state(&nginx.address)) == ("unhealthy", "healthy")
    });
}

#[test]
fn a_handshake_that_hangs_is_given_up() {
    let (_folder, main, _) = certificates();
    // Who listens and never accepts still has connections made to it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let group = |version: &str| {
        let group = Group::of("app", std::slice::from_ref(&address)).https();
        let group = Group { health_check: "enabled = false".to_owned(), ..group };
        Balancer::start(&https(Config::with(group.line(&format!("protocol_version = \"{version}\""))), &main))
    };
    let (http1, http2) = (group("HTTP1"), group("HTTP2"));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for (balancer, version) in [(&http1, "--http1.1"), (&http1, "--http2"), (&http2, "--http2")] {
            let main = &main;
            scope.spawn(move || assert_eq!(status(balancer, main, version), "504", "{version}"));
        }
    });
    assert!((9.0..18.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!((tls_errors(&http1, &address), tls_errors(&http2, &address)), (2, 1));
}

#[test]
fn certificates_are_verified_where_that_is_wanted() {
    let (folder, main, certificate) = certificates();
    let expired = Certificate::until(folder.path(), "expired", &["127.0.0.1"], 2020);
    let named = Certificate::make(folder.path(), "named", &["app.test"]);
    let [good, expired_one, named_one] =
        [&certificate, &expired, &named].map(|shown| Nginx::tls(shown, "location / { return 200 fine; }"));
    let balancer = Balancer::start(&https(Config::with(group(&[&good])), &main));
    assert_eq!(get(&balancer, &main, &[]), "fine");
    let by = |ca: &Certificate, more: &str, nginx: &Nginx| {
        let verified = group(&[nginx])
            .line("target_tls_verification = \"on\"")
            .line(&format!("target_tls_ca_file = \"{}\"", ca.certificate.display()))
            .line(more);
        balancer.reload(&https(Config::with(verified), &main));
        let one = status(&balancer, &main, "--http1.1");
        assert_eq!(one, status(&balancer, &main, "--http2"));
        let health = if one == "200" { "healthy" } else { "unhealthy" };
        balancer.wait_status("health checks ask for as much", 20.0, |status| {
            status.state(&nginx.address) == health
        });
        one
    };
    let name = "target_tls_server_name = \"app.test\"";
    assert_eq!(by(&certificate, "", &good), "200");
    assert_eq!(by(&main, "", &good), "502", "another authority, and the kept connection is not used");
    assert_eq!(by(&expired, "", &expired_one), "502", "expired");
    assert_eq!(by(&named, "", &named_one), "502", "not for its address");
    assert_eq!(by(&named, name, &named_one), "200");
    assert_eq!(by(&certificate, name, &good), "502", "not for the name");
    assert!(!balancer.log().contains("BEGIN CERTIFICATE"));
}

#[test]
fn what_is_cut_off_never_looks_whole() {
    let (_folder, main, certificate) = certificates();
    for version in ["--http1.1", "--http2"] {
        let mut nginx = Nginx::tls(&certificate, "limit_rate 100k;");
        nginx.file("large", &vec![b'x'; 10_000_000]);
        let group = Group { health_check: "enabled = false".to_owned(), ..group(&[&nginx]) };
        let balancer = Balancer::start(&https(Config::with(group), &main));
        let port = balancer.address.port();
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer", "--noproxy", "*", "--max-time", "60", version, "--cacert"]);
        command.arg(&main.certificate).args(["--resolve", &format!("example.test:{port}:127.0.0.1")]);
        command.arg(format!("https://example.test:{port}/large"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 1000];
        child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
        nginx.kill();
        assert!(!child.wait().unwrap().success(), "{version}");
        balancer.wait_status("nothing is in flight", 10.0, |status| {
            status.target(&nginx.address)["outstanding_requests"] == 0
        });
    }
}

#[test]
fn sessions_stick() {
    let (folder, main, certificate) = certificates();
    let targets = ["one", "two", "three"]
        .map(|name| Nginx::tls(&certificate, &format!("location / {{ return 200 {name}; }}")));
    let group = group(&targets.each_ref()).lb_cookie();
    let balancer = Balancer::start(&https(Config::with(group).workers(2), &main));
    for version in ["--http1.1", "--http2"] {
        let jar = folder.path().join(version);
        let jar = jar.to_str().unwrap();
        let home = get(&balancer, &main, &[version, "-b", jar, "-c", jar]);
        for _ in 0..6 {
            assert_eq!(get(&balancer, &main, &[version, "-b", jar, "-c", jar]), home);
        }
    }
}

/// nginx that ends TLS before `target` and passes upgrades on.
fn in_front_of(target: &Target, certificate: &Certificate) -> Nginx {
    let pass = format!("proxy_pass http://{}; proxy_http_version 1.1;", target.address);
    let fields = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    Nginx::tls(certificate, &format!("location / {{ {pass} {fields} }}"))
}

#[test]
fn an_upgrade_becomes_a_tunnel_inside_tls_on_both_sides() {
    let (_folder, main, certificate) = certificates();
    let target = Target::start(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        );
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = exchange.reader.stream().read(&mut buffer) {
            exchange.send(&buffer[..length]);
            if buffer[..length].ends_with(b"end") {
                break;
            }
        }
        Answer::Close
    });
    let nginx = in_front_of(&target, &certificate);
    let group = Group { health_check: "enabled = false".to_owned(), ..group(&[&nginx]) };
    let balancer = Balancer::start(&https(Config::with(group), &main));
    let mut session = support::tls::Session::open(balancer.address, &[]);
    session.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(session.reader().response_head().unwrap().unwrap().status, 101);
    assert_eq!(session.reader().exactly(5).unwrap(), b"hello");
    for size in [1, 125, 70_000] {
        let message = vec![7; size];
        session.send(&message);
        assert!(session.reader().exactly(size).unwrap() == message);
    }
    session.send("end");
    assert_eq!(session.reader().exactly(3).unwrap(), b"end");
    assert!(session.is_closed(), "the end of the target is the end of the client");
    balancer.wait_status("the tunnel is over", 10.0, |status| status.total("tunnels_active") == 0);
}

#[test]
fn targets_at_unix_sockets_speak_tls_too() {
    let (_folder, main, certificate) = certificates();
    let nginx = Nginx::tls_unix(&certificate, "location / { return 200 $ssl_protocol; }");
    let balancer = Balancer::start(&https(Config::with(group(&[&nginx])), &main));
    assert_eq!(get(&balancer, &main, &[]), "TLSv1.3");
    assert_eq!(balancer.status().state(&nginx.address), "healthy");
    let status = balancer.status();
    let connections = &status.target(&nginx.address)["connections"];
    assert_eq!(connections["open"], 1, "{connections}");
}

#[test]
fn http2_targets_agree_on_it_in_the_handshake() {
    let (_folder, main, certificate) = certificates();
    let directives = "location / { return 200 \"$server_protocol $scheme $ssl_protocol\"; }";
    let nginx = Nginx::tls_http2(&certificate, directives);
    let http1_only = Nginx::tls(&certificate, directives);
    let config = |nginx: &Nginx| {
        let group = group(&[nginx]).line("protocol_version = \"HTTP2\"");
        https(Config::with(group), &main)
    };
    let balancer = Balancer::start(&config(&nginx));
    assert_eq!(balancer.status().state(&nginx.address), "healthy");
    for body in ["-Gdx", "-dx", "-Gdx"] {
        assert_eq!(get(&balancer, &main, &["--http2", body]), "HTTP/2.0 https TLSv1.3");
    }
    assert_eq!(balancer.status().total("target_connects"), 1);
    assert_eq!(status(&balancer, &main, "--http1.1"), "464");
    balancer.reload(&config(&http1_only));
    balancer
        .wait_status("the check finds out", 20.0, |status| status.state(&http1_only.address) == "unhealthy");
    let before = tls_errors(&balancer, &http1_only.address);
    assert_eq!(status(&balancer, &main, "--http2"), "502");
    assert_eq!(tls_errors(&balancer, &http1_only.address), before + 1);
}

#[test]
fn plain_checks_of_https_targets_are_warned_of() {
    let (folder, main, certificate) = certificates();
    let nginx = Nginx::tls(&certificate, "");
    let odd =
        Group { protocol: "HTTPS".to_owned(), ..Group::of("app", std::slice::from_ref(&nginx.address)) };
    let balancer = Balancer::start(&https(Config::with(odd), &main));
    balancer.wait_log("checked by plain HTTP at the same port");
    let fault = |lines: &[&str], targets: &[String]| {
        let group = lines.iter().fold(Group::of("app", targets).https(), |group, line| group.line(line));
        let ended = Balancer::prepare(&https(Config::with(group), &main)).run_to_end();
        assert_eq!(ended.code, Some(2), "{}", ended.log);
        ended.log
    };
    let here = [nginx.address.clone()];
    let ca = |path: &Path| format!("target_tls_ca_file = \"{}\"", path.display());
    let on = "target_tls_verification = \"on\"";
    assert!(fault(&[on], &here).contains("needs `target_tls_ca_file`"));
    assert!(fault(&[on, &ca(&folder.path().join("none"))], &here).contains("none cannot be read"));
    assert!(fault(&[on, &ca(&main.key)], &here).contains("holds no certificate in PEM form"));
    assert!(fault(&[&ca(&main.certificate)], &here).contains("`target_tls_ca_file` has no meaning"));
    let unix = ["unix:/run/app.sock".to_owned()];
    assert!(fault(&[on, &ca(&main.certificate)], &unix).contains("a certificate cannot be for this target"));
    assert!(
        !fault(&[on, &ca(&main.certificate)], &unix)
            .contains(&fs::read_to_string(&main.certificate).unwrap())
    );
}
