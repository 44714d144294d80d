//! Clients' certificates: asked for, held against a trust store, told to targets. openssl makes them, curl and openssl
//! show them.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, mpsc},
};

use rustix::process::Signal;
use support::{
    Balancer, Config, Group, Status, Target,
    authority::Authority,
    http2::{Connection, Outcome, kind},
    tls::{Certificate, Session, curl, handshake},
    until,
};
use tempfile::TempDir;

use crate::tls::https;

const SUBJECT: &str = "/C=US/O=Tests, Inc/CN=client one";

struct World {
    folder: TempDir,
    main: Certificate,
    authority: Authority,
    client: Certificate,
    target: Target,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let main = Certificate::make(folder.path(), "main", &["example.test"]);
        let authority = Authority::make(folder.path(), "root");
        let client = authority.client("client", SUBJECT);
        Self { main, client, authority, folder, target: Target::plain() }
    }

    fn config(&self, mode: &str, more: &str) -> Config {
        let block = format!("mutual_authentication {{\n    mode = \"{mode}\"\n    {more}\n  }}");
        https(Config::with(Group::new("app", &[&self.target])), &self.main)
            .listener(&block)
            .more(&self.authority.trust_store("clients"))
    }

    fn verify(&self, more: &str) -> Config {
        self.config("verify", &format!("trust_store_arn = trust_store.clients.arn\n    {more}"))
    }

    /// Asks with this certificate; the exit code of curl when that fails.
    fn ask(&self, balancer: &Balancer, shown: Option<&Certificate>, more: &[&str]) -> Result<(), i32> {
        let mut arguments = more.to_vec();
        if let Some(Certificate { certificate, key }) = shown {
            arguments.extend(["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        }
        let said = curl(balancer.address, "example.test", &self.main, "/", &arguments);
        said.map(drop).map_err(|(code, _)| code)
    }

    fn told(&self, name: &str) -> Vec<String> {
        self.target.last().headers.all(name).map(str::to_owned).collect()
    }
}

/// Waits until so many were refused for that reason and no more: a client hears of it before it is counted.
fn wait_refused(balancer: &Balancer, reason: &str, count: u64) {
    let counted =
        |status: &Status| status.0["totals"]["client_certificate_refusals"][reason].as_u64().unwrap();
    let status = balancer.wait_status(reason, 20.0, |status| counted(status) >= count);
    assert_eq!(counted(&status), count, "{reason}");
}

/// A file of PEM as ALB puts it into a field.
fn escaped(path: &Path) -> String {
    fs::read_to_string(path).unwrap().replace(' ', "%20").replace('\n', "%0A")
}

#[test]
fn a_certificate_in_order_is_told_to_targets() {
    let world = World::new();
    let balancer = Balancer::start(&world.verify(""));
    for http in ["--http1.1", "--http2"] {
        for version in ["1.2", "1.3"] {
            let forged = ["-H", "X-Amzn-Mtls-Clientcert-Subject: CN=root", "-H", "x_amzn_mtls_clientcert: x"];
            let more = [&[http, "--tls-max", version][..], &forged].concat();
            world.ask(&balancer, Some(&world.client), &more).unwrap();
            assert_eq!(world.told("x-amzn-mtls-clientcert-serial-number"), ["03A5B1"]);
            assert_eq!(world.told("x-amzn-mtls-clientcert-issuer"), ["CN=root,O=Tests"]);
            assert_eq!(world.told("x-amzn-mtls-clientcert-subject"), ["CN=client one,O=Tests\\, Inc,C=US"]);
            let validity = &world.told("x-amzn-mtls-clientcert-validity")[0];
            let (from, to) = validity.split_once(';').unwrap();
            assert!(from.starts_with("NotBefore=20") && from.ends_with('Z'), "{from}");
            assert!(to.starts_with("NotAfter=20") && to.ends_with('Z'), "{to}");
            assert_eq!(world.told("x-amzn-mtls-clientcert-leaf"), [escaped(&world.client.certificate)]);
            assert!(world.told("x-amzn-mtls-clientcert").is_empty(), "that is for passthrough");
        }
    }
}

#[test]
fn who_shows_nothing_or_something_else_is_refused_in_the_handshake() {
    let world = World::new();
    let balancer = Balancer::start(&world.verify(""));
    let path = world.folder.path();
    let stranger = Authority::make(path, "stranger").client("client", SUBJECT);
    let server = world.authority.sign("server", "/CN=server", "server", &[]);
    let dates = |from, to| ["-startdate", from, "-enddate", to];
    let expired = dates("20200101000000Z", "20210101000000Z");
    let expired = world.authority.sign("expired", "/CN=expired", "client", &expired);
    let early = dates("29990101000000Z", "30000101000000Z");
    let early = world.authority.sign("early", "/CN=early", "client", &early);
    let before = world.target.count();
    for (shown, reason) in [
        (None, "ClientCertMissing"),
        (Some(&stranger), "ClientCertUntrusted"),
        (Some(&server), "ClientCertPurposeInvalid"),
        (Some(&expired), "ClientCertExpired"),
        (Some(&early), "ClientCertNotYetValid"),
    ] {
        for (count, more) in [["--tls-max", "1.2"], ["--tls-max", "1.3"]].iter().enumerate() {
            let errors = balancer.metric("balancer_client_tls_negotiation_errors_total");
            world.ask(&balancer, shown, more).unwrap_err();
            wait_refused(&balancer, reason, count as u64 + 1);
            let sample = format!("balancer_client_certificate_refusals_total{{reason=\"{reason}\"}}");
            balancer.wait_metric(&sample, count as f64 + 1.0);
            balancer.wait_metric("balancer_client_tls_negotiation_errors_total", errors + 1.0);
        }
    }
    assert_eq!(world.target.count(), before, "nothing got through");
    // Expiry alone can be put up with.
    balancer.reload(&world.verify("ignore_client_certificate_expiry = true"));
    world.ask(&balancer, Some(&expired), &[]).unwrap();
    world.ask(&balancer, Some(&early), &[]).unwrap_err();
    world.ask(&balancer, Some(&stranger), &[]).unwrap_err();
    // One that vouches for itself, and by openssl's defaults for others, too.
    let [certificate, key] = ["own.pem", "own.key"].map(|name| path.join(name));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=own", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    wait_refused(&balancer, "ClientCertUntrusted", 3);
    world.ask(&balancer, Some(&Certificate { certificate, key }), &[]).unwrap_err();
    wait_refused(&balancer, "ClientCertUntrusted", 4);
}

#[test]
fn intermediate_authorities_may_stand_between_but_not_too_many() {
    let world = World::new();
    let balancer = Balancer::start(&world.verify(""));
    let between = world.authority.sign("between", "/CN=between", "authority", &[]);
    let path = world.folder.path().join("root");
    let more = ["-cert", between.certificate.to_str().unwrap(), "-keyfile", between.key.to_str().unwrap()];
    let leaf = world.authority.sign("leaf", "/CN=leaf", "client", &more);
    world.ask(&balancer, Some(&leaf), &[]).unwrap_err();
    let [leaf_text, between_text] =
        [&leaf, &between].map(|one| fs::read_to_string(&one.certificate).unwrap());
    let chain = |times: usize| {
        let certificate = path.join(format!("chain{times}.pem"));
        fs::write(&certificate, leaf_text.clone() + &between_text.repeat(times)).unwrap();
        Certificate { certificate, key: leaf.key.clone() }
    };
    world.ask(&balancer, Some(&chain(1)), &[]).unwrap();
    assert_eq!(world.told("x-amzn-mtls-clientcert-subject"), ["CN=leaf"]);
    world.ask(&balancer, Some(&chain(3)), &[]).unwrap();
    world.ask(&balancer, Some(&chain(4)), &[]).unwrap_err();
    wait_refused(&balancer, "ClientCertMaxChainDepthExceeded", 1);
}

#[test]
fn what_was_taken_back_is_refused_after_a_reload() {
    let world = World::new();
    let balancer = Balancer::start(&world.verify(""));
    let other = world.authority.client("other", "/CN=other");
    world.ask(&balancer, Some(&world.client), &[]).unwrap();
    // A connection that is open and a session that could be resumed are no way around the list.
    let [certificate, key] =
        [&world.client.certificate, &world.client.key].map(|path| path.to_str().unwrap());
    let kept = world.folder.path().join("session");
    let saved = ["-tls1_3", "-cert", certificate, "-key", key, "-sess_out", kept.to_str().unwrap()];
    let mut open = Session::open(balancer.address, &saved);
    assert_eq!(open.get("/", "").status, 200);
    let list = world.authority.revoke(&world.client, "list");
    let block = |path: &Path| {
        format!(
            "trust_store_revocation \"one\" {{\n  trust_store_arn = trust_store.clients.arn\n  revocations_file = \"{}\"\n}}\n",
            path.display()
        )
    };
    balancer.reload(&world.verify("").more(&block(&list)));
    assert!(open.is_closed(), "it would have to show its certificate again");
    world.ask(&balancer, Some(&world.client), &[]).unwrap_err();
    wait_refused(&balancer, "ClientCertCrlHit", 1);
    world.ask(&balancer, Some(&other), &[]).unwrap();
    let resumed = handshake(
        balancer.address,
        &["-tls1_3", "-cert", certificate, "-key", key, "-sess_in", kept.to_str().unwrap()],
    );
    assert!(!resumed.contains("Reused"), "{resumed}");
    wait_refused(&balancer, "ClientCertCrlHit", 2);
}

#[test]
fn sessions_are_taken_up_only_where_the_same_is_asked() {
    let world = World::new();
    let kept = world.folder.path().join("session");
    let kept = kept.to_str().unwrap();
    let [certificate, key] =
        [&world.client.certificate, &world.client.key].map(|path| path.to_str().unwrap());
    let with = ["-tls1_3", "-cert", certificate, "-key", key];
    let balancer = Balancer::start(&world.verify(""));
    Session::open(balancer.address, &[&with[..], &["-sess_out", kept]].concat()).get("/", "");
    let mut again = Session::open(balancer.address, &["-tls1_3", "-sess_in", kept]);
    assert_eq!(again.get("/", "").status, 200);
    assert_eq!(
        world.told("x-amzn-mtls-clientcert-serial-number"),
        ["03A5B1"],
        "a session keeps its certificate"
    );
    balancer.reload(&world.verify(""));
    let resumed = || handshake(balancer.address, &["-tls1_3", "-sess_in", kept]).contains("Reused");
    assert!(resumed(), "a reload that changes nothing keeps sessions");
    assert_eq!(again.get("/", "").status, 200, "and connections");
    for other in [world.config("passthrough", ""), world.verify("ignore_client_certificate_expiry = true")] {
        balancer.reload(&other);
        assert!(!resumed());
    }
    // What was begun where nothing was asked is worth nothing where something is.
    balancer.reload(&world.config("off", ""));
    let mut plain = Session::open(balancer.address, &["-tls1_3", "-sess_out", kept]);
    assert_eq!(plain.get("/", "").status, 200);
    let before = world.target.count();
    balancer.reload(&world.verify(""));
    assert!(plain.is_closed());
    let mut sneaking = Session::open(balancer.address, &["-tls1_3", "-sess_in", kept]);
    sneaking.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sneaking.is_closed());
    assert_eq!(world.target.count(), before);
}

/// What the `date` program says, for instance a time in openssl's words.
fn date(arguments: &[&str]) -> String {
    let output = Command::new("date").arg("--utc").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_session_ends_with_its_certificate() {
    let world = World::new();
    let strict = Balancer::start(&world.verify(""));
    let lax = Balancer::start(&world.verify("ignore_client_certificate_expiry = true"));
    // Time for what follows, on a busy machine too.
    let until_then = date(&["--date=8 seconds", "+%Y%m%d%H%M%SZ"]);
    let short = world.authority.sign("short", "/CN=short", "client", &["-enddate", &until_then]);
    let [certificate, key] = [&short.certificate, &short.key].map(|path| path.to_str().unwrap());
    let kept = |name: &str| world.folder.path().join(name).to_str().unwrap().to_owned();
    let versions = ["-tls1_2", "-tls1_3"];
    for (balancer, name) in [(&strict, "strict"), (&lax, "lax")] {
        for version in versions {
            let session = kept(&format!("{name}{version}"));
            let arguments = [version, "-cert", certificate, "-key", key, "-sess_out", &session];
            assert_eq!(Session::open(balancer.address, &arguments).get("/", "").status, 200);
            let mut resumed = Session::open(balancer.address, &[version, "-sess_in", &session]);
            assert_eq!(
                resumed.get("/", "").status,
                200,
                "it shows no certificate, and is known by its session"
            );
        }
    }
    until("the certificate expires", 20.0, || (date(&["+%Y%m%d%H%M%SZ"]) > until_then).then_some(()));
    let before = world.target.count();
    for (count, version) in versions.into_iter().enumerate() {
        let session = kept(&format!("strict{version}"));
        let mut resumed = Session::open(strict.address, &[version, "-sess_in", &session]);
        resumed.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(resumed.is_closed(), "{version}");
        wait_refused(&strict, "ClientCertExpired", count as u64 + 1);
    }
    assert_eq!(world.target.count(), before, "nothing got through");
    for version in versions {
        let session = kept(&format!("lax{version}"));
        let mut resumed = Session::open(lax.address, &[version, "-sess_in", &session]);
        assert_eq!(resumed.get("/", "").status, 200, "{version}");
        assert_eq!(world.told("x-amzn-mtls-clientcert-subject"), ["CN=short"]);
    }
    assert_eq!(lax.status().total("client_tls_resumptions"), 4, "they were sessions taken up");
}

#[test]
fn what_is_under_way_ends_when_something_else_is_asked_and_nothing_new_begins() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let target = Target::start(move |exchange| {
        if exchange.request.target == "/held" {
            held.lock().unwrap().recv().unwrap();
        }
        exchange.ok("", "done")
    });
    let world = World { target, ..World::new() };
    let balancer = Balancer::start(&world.config("off", ""));
    let mut http1 = Session::open(balancer.address, &[]);
    http1.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut http2 = Connection::open_over_tls(balancer.address, &[]);
    let first = http2.get("/held", &[]);
    until("both are at the target", 10.0, || (world.target.count() == 2).then_some(()));
    balancer.reload(&world.verify(""));
    http2.read_until(kind::GOAWAY);
    // Said before the client has taken notice: it may be sent again, on a connection with a certificate.
    let second = http2.get("/", &[]);
    assert_eq!(http2.outcome(second), Outcome::Reset(7), "REFUSED_STREAM");
    for _ in 0..2 {
        release.send(()).unwrap();
    }
    assert_eq!(http2.outcome(first), Outcome::Answer(200, b"done".to_vec()));
    assert_eq!(http2.outcome(0), Outcome::Closed);
    let response = http1.reader().response("GET").unwrap();
    assert_eq!((response.status, response.header("connection")), (200, "close"));
    assert!(http1.is_closed());
    assert_eq!(world.target.count(), 2);
}

#[test]
fn a_trust_store_that_is_written_a_line_lower_is_the_same() {
    let world = World::new();
    let balancer = Balancer::start(&world.verify(""));
    let Certificate { certificate, key } = &world.client;
    let shown = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let mut kept = Session::open(balancer.address, &shown);
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.reader().response("GET").unwrap().status, 200);
    let text = balancer.text(&world.verify(""));
    balancer.write_text(&format!("# One line more.\n{text}"));
    let reloads = |status: &Status| status.0["reloads"].as_u64().unwrap();
    let before = reloads(&balancer.status());
    balancer.signal(Signal::HUP);
    balancer.wait_status("taken up", 10.0, |status| reloads(status) > before);
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = kept.reader().response("GET").unwrap();
    assert_eq!((response.status, response.header("connection")), (200, ""));
}

#[test]
fn passthrough_hands_on_whatever_is_shown() {
    let world = World::new();
    let balancer = Balancer::start(&world.config("passthrough", ""));
    let expired = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"];
    let expired = world.authority.sign("expired", "/CN=expired", "client", &expired);
    let both = world.folder.path().join("both.pem");
    let texts = [&expired.certificate, &world.authority.own.certificate].map(|path| fs::read(path).unwrap());
    fs::write(&both, texts.concat()).unwrap();
    let chain = Certificate { certificate: both.clone(), key: expired.key };
    for http in ["--http1.1", "--http2"] {
        let forged = ["-H", "X-Amzn-Mtls-Clientcert: forged", http];
        world.ask(&balancer, Some(&chain), &forged).unwrap();
        assert_eq!(world.told("x-amzn-mtls-clientcert"), [escaped(&both)]);
        assert!(world.told("x-amzn-mtls-clientcert-subject").is_empty());
        world.ask(&balancer, None, &forged).unwrap();
        assert!(world.told("x-amzn-mtls-clientcert").is_empty(), "none shown, none told");
    }
    let other = world.authority.client("other", "/CN=other");
    let stolen = Certificate { key: other.key, ..world.client.clone() };
    world.ask(&balancer, Some(&stolen), &[]).unwrap_err();
}

#[test]
fn fields_have_the_names_they_are_given_and_are_kept_from_all_clients() {
    let world = World::new();
    let port = support::ports::free();
    let second = format!(
        "listener \"plain\" {{\n  address = \"127.0.0.1\"\n  port = {port}\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n}}\n"
    );
    let config = world
        .verify("")
        .listener("routing_http_request_x_amzn_mtls_clientcert_subject_header_name = \"X-Who\"")
        .more(&second);
    let balancer = Balancer::start(&config);
    world.ask(&balancer, Some(&world.client), &["-H", "X-Who: CN=root"]).unwrap();
    assert_eq!(world.told("x-who"), ["CN=client one,O=Tests\\, Inc,C=US"]);
    let mut plain = support::Connection::open(([127, 0, 0, 1], port).into());
    let forged = "X-Who: CN=root\r\nX-Amzn-Mtls-Clientcert-Issuer: CN=root\r\nX-Amzn-Mtls-Clientcert: x\r\n";
    assert_eq!(plain.get("/", forged).status, 200);
    assert!(world.told("x-who").is_empty() && world.told("x-amzn-mtls-clientcert-issuer").is_empty());
    assert_eq!(world.told("x-amzn-mtls-clientcert"), ["x"], "a name that no listener uses");
}

#[test]
fn names_of_authorities_are_told_where_that_is_wanted() {
    let world = World::new();
    let names = |config: &Config| {
        let balancer = Balancer::start(config);
        handshake(balancer.address, &["-tls1_2"]).contains("CN = root")
    };
    assert!(!names(&world.verify("")));
    assert!(names(&world.verify("advertise_trust_store_ca_names = \"on\"")));
}

#[test]
fn what_is_wrong_with_trust_stores_is_told_with_its_place() {
    let world = World::new();
    let stranger = Authority::make(world.folder.path(), "stranger");
    let list = |path: &Path| {
        format!(
            "trust_store_revocation \"one\" {{\n  trust_store_arn = trust_store.clients.arn\n  revocations_file = \"{}\"\n}}\n",
            path.display()
        )
    };
    let empty = "trust_store \"empty\" {\n  ca_certificates_bundle_file = \"/dev/null\"\n}\n";
    let key = format!(
        "trust_store \"key\" {{\n  ca_certificates_bundle_file = \"{}\"\n}}\n",
        world.client.key.display()
    );
    for (config, wanted) in [
        (world.verify("").more(empty), "/dev/null cannot be read: it is no file"),
        (world.verify("").more(&key), "holds no certificate in PEM form"),
        (world.verify("").more(&list(&stranger.list("list", &[]))), "of an authority that is not in"),
        (world.verify("").more(&list(&world.main.certificate)), "holds no revocation list"),
        (world.verify("").more(&list(Path::new("/none"))), "/none cannot be read"),
        (world.config("verify", ""), "needs `trust_store_arn`"),
        (world.config("verify", "trust_store_arn = trust_store.client.arn"), "did you mean"),
        (
            world.config("passthrough", "trust_store_arn = trust_store.clients.arn"),
            "is for `mode` = \"verify\"",
        ),
        (world.config("passthru", ""), "\"off\", \"passthrough\" or \"verify\""),
        (
            Config { protocol: "HTTP".to_owned(), ..Config::new(&[&world.target]) }
                .listener("mutual_authentication {\n mode = \"passthrough\"\n }"),
            "is for HTTPS",
        ),
        (
            world.verify("").listener("routing_http_request_x_amzn_tls_version_header_name = \"Host\""),
            "`routing_http_request_x_amzn_tls_version_header_name` = \"Host\"",
        ),
    ] {
        let ended = Balancer::prepare(&config).run_to_end();
        assert_eq!(ended.code, Some(2), "{wanted}: {}", ended.log);
        let line = ended.log.lines().find(|line| line.contains(wanted));
        assert!(line.is_some_and(|line| line.contains("balancer.hcl:")), "{wanted}: {}", ended.log);
    }
    let late = world
        .authority
        .list("late", &["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"]);
    let balancer = Balancer::start(&world.verify("").more(&list(&late)));
    balancer.wait_log("a newer list than that in");
    world.ask(&balancer, Some(&world.client), &[]).expect("as on ALB, a list that is late still holds");
    // A store that has gone bad changes nothing.
    fs::write(&world.authority.own.certificate, "nothing").unwrap();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_status("the refusal", 10.0, |status| status.0["reload_failures"] == 1);
    world.ask(&balancer, Some(&world.client), &[]).unwrap();
}
