//! Keys of cookies that nodes share through etcd: sealed there, and changed without anybody's losing a session.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use support::{Connection, Relay};

use super::*;

/// A file of secrets, the same for the same numbers.
pub(super) fn secret_file(folder: &Path, name: &str, numbers: &[u8]) -> PathBuf {
    let secret = |number: u8| {
        (0..32).map(move |at: u8| at.wrapping_mul(at).wrapping_mul(37) ^ number.wrapping_mul(91))
    };
    let bytes: Vec<u8> = numbers.iter().flat_map(|&number| secret(number)).collect();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// `balancer etcd keys …` with the seal of this file.
pub(super) fn keys_command(etcd: &Etcd, seal: &Path, words: &[&str]) -> Output {
    let mut all = vec!["keys"];
    all.extend(words);
    all.extend(["--etcd-seal-file", seal.to_str().unwrap()]);
    etcd_command(etcd, &all)
}

pub(super) fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    told(output)
}

/// A node with a key file of its own and this seal, which comes to etcd by a way of its own.
fn sealed_node(etcd: &Etcd, name: &str, key_file: &Path, seal: Option<&Path>) -> (Balancer, Relay) {
    let mut node = prepared(etcd, name, &format!("key_file = \"{}\"", key_file.display()));
    let server = etcd.url(0).trim_start_matches("http://").parse().unwrap();
    let way = Relay::to(server);
    let url = node.arguments.iter_mut().find(|word| word.starts_with("http://")).unwrap();
    *url = format!("http://{}", way.address);
    if let Some(seal) = seal {
        node.arguments.extend(["--etcd-seal-file".to_owned(), seal.display().to_string()]);
    }
    (node, way)
}

/// A group whose sessions are the balancer's, and one whose sessions are the application's.
fn sticky(plain: &[&Target], keeping: &[&Target]) -> String {
    let list = |targets: &[&Target]| {
        targets.iter().map(|target| format!("\"{}\"", target.address)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "listener \"web\" {{\n  address = \"127.0.0.1\"\n  port = var.port\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n}}\nlistener_rule \"kept\" {{\n  listener_arn = listener.web.arn\n  \
         condition {{\n    path_pattern {{\n      values = [\"/kept\"]\n    }}\n  }}\n  action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.kept.arn\n  }}\n}}\ntarget_group \"app\" {{\n  load_balancing_algorithm_type = \
         \"round_robin\"\n  health_check {{\n    enabled = false\n  }}\n  stickiness {{\n    type = \"lb_cookie\"\n  }}\n  targets \
         = [{}]\n}}\ntarget_group \"kept\" {{\n  health_check {{\n    enabled = false\n  }}\n  stickiness {{\n    type = \
         \"app_cookie\"\n    cookie_name = \"SESSIONID\"\n  }}\n  targets = [{}]\n}}\n",
        list(plain),
        list(keeping)
    )
}

/// What clients have gone through.
#[derive(Debug, Default)]
struct Tally {
    ends: AtomicBool,
    asked: AtomicUsize,
    /// Requests that were not served by the target of their session.
    lost: AtomicUsize,
}

/// A client that keeps its cookies and asks one node after the other, as by chance.
fn client(number: usize, nodes: &[std::net::SocketAddr], tally: &Tally) {
    let (path, mut seed) = (["/", "/kept"][number % 2], number as u64);
    let (mut jar, mut home): (BTreeMap<String, String>, String) = Default::default();
    while !tally.ends.load(SeqCst) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let node = nodes[(seed >> 33) as usize % nodes.len()];
        // One that restarts answers nobody.
        let Ok(response) = ask(node, path, &jar) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        for line in response.headers.all("set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value == "_remove_" {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let by = response.header("x-target").to_owned();
        if home.is_empty() {
            home.clone_from(&by);
        }
        tally.asked.fetch_add(1, SeqCst);
        let is_kept = response.status == 200 && by == home && response.headers.get("x-lost").is_none();
        tally.lost.fetch_add(usize::from(!is_kept), SeqCst);
        // Somebody reads what came.
        thread::sleep(Duration::from_millis(5));
    }
}

fn ask(
    node: std::net::SocketAddr,
    path: &str,
    jar: &BTreeMap<String, String>,
) -> io::Result<support::Response> {
    let mut connection = Connection::over(std::net::TcpStream::connect(node)?);
    let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    connection.try_send(format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nCookie: {}\r\n\r\n",
        cookies.join("; ")
    ))?;
    connection.reader().response("GET")
}

/// Waits until clients have asked as often again as makes a difference.
fn go_on(tally: &Tally) {
    let before = tally.asked.load(SeqCst);
    until("clients go on", 60.0, || (tally.asked.load(SeqCst) > before + 400).then_some(()));
}

fn named(name: &'static str) -> Target {
    Target::start(move |exchange| exchange.ok(&format!("X-Target: {name}\r\n"), ""))
}

pub(super) fn key_names(node: &Balancer) -> Vec<String> {
    let names = node.status().0["keys"].as_array().unwrap().clone();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Twice, under load, while a node restarts and one is cut off from etcd: nobody is lost, and no secret is seen anywhere.
#[test]
fn keys_are_changed_over_all_nodes_and_nobody_loses_a_session() {
    let etcd = Etcd::start();
    let (seal, key_file) =
        (secret_file(etcd.folder(), "seal", &[1]), secret_file(etcd.folder(), "shared.key", &[2]));
    let (plain, keeping) = (["one", "two", "three"].map(named), [Target::sessions(), Target::sessions()]);
    pushed(&etcd, &sticky(&plain.each_ref(), &keeping.each_ref()), &[]);
    let started = ["a", "b", "c"].map(|name| sealed_node(&etcd, name, &key_file, Some(&seal)));
    let (mut nodes, ways): (Vec<Balancer>, Vec<Relay>) = started.into_iter().unzip();
    nodes.iter_mut().for_each(Balancer::run);
    let run = |words: &[&str]| keys_command(&etcd, &seal, words);
    let said = told(&run(&["rotate"]));
    assert!(said.contains("there are no keys under /lb/config/") && said.contains("keys put FILE"), "{said}");

    let tally = Arc::new(Tally::default());
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let (tally, addresses) = (Arc::clone(&tally), addresses.clone());
            thread::spawn(move || client(number, &addresses, &tally))
        })
        .collect();
    go_on(&tally);
    let first = key_names(&nodes[0]);
    // The keys of the key file, which nobody needs from here on.
    done(&run(&["put", key_file.to_str().unwrap()]));
    fs::remove_file(&key_file).unwrap();
    nodes.iter().for_each(|node| assert_eq!(key_names(node), first));
    go_on(&tally);

    // A node restarts while the keys change.
    let said = thread::scope(|scope| {
        let rotation = scope.spawn(|| done(&run(&["rotate", "--author", "ann"])));
        nodes[1].kill();
        nodes[1].run();
        rotation.join().unwrap()
    });
    assert!(said.contains("is accepted, and signs when") && said.lines().count() == 2, "{said}");
    go_on(&tally);
    let second = key_names(&nodes[0]);
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    for node in &nodes {
        assert_eq!(key_names(node), second);
        assert_eq!(cluster(node)["author"], "ann");
        assert!(
            node.status_text()
                .contains(&format!("keys of cookies: {} signs; accepted too: {}", second[0], second[1]))
        );
    }
    // One is cut off: it is waited for, also when its lease has run out, and nothing signs that it does not know.
    ways[2].cut(true);
    let notes = || told(&etcd_command(&etcd, &["nodes"]));
    until("nobody hears of it", 30.0, || (!notes().contains("\nc ")).then_some(()));
    let late = run(&["rotate", "--wait", "1"]);
    let said = told(&late);
    assert_eq!(late.status.code(), Some(1), "{said}");
    assert!(said.contains("does not sign yet") && said.contains("c (away, has what it had since"), "{said}");
    for node in &nodes[..2] {
        until("it is accepted behind the others", 30.0, || {
            let names = key_names(node);
            (names.len() == 3 && names[..2] == second[..]).then_some(())
        });
    }
    let waiting = key_names(&nodes[0]);
    assert_eq!(key_names(&nodes[2]), second);
    go_on(&tally);
    // It restarts while it is cut off, with what it has kept.
    nodes[2].kill();
    nodes[2].run();
    assert_eq!(key_names(&nodes[2]), second);
    go_on(&tally);
    let shown = done(&run(&["show"]));
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(row(&second[0]).contains("signs  ") && row(&second[0]).ends_with("a, b, c"), "{shown}");
    assert!(row(&waiting[2]).contains("signs next") && row(&waiting[2]).ends_with("a, b"), "{shown}");
    assert!(row(&first[0]).contains("has signed until"), "{shown}");
    ways[2].cut(false);
    done(&run(&["rotate"]));
    go_on(&tally);
    for node in &nodes {
        assert_eq!(key_names(node), [&waiting[2], &second[0], &first[0]].map(String::clone));
    }

    tally.ends.store(true, SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(tally.lost.load(SeqCst), 0, "of {} requests", tally.asked.load(SeqCst));

    // In clear a secret is nowhere: not in etcd, not on disk, not in what is told.
    let (secret, seal_bytes) =
        (fs::read(secret_file(etcd.folder(), "again", &[2])).unwrap(), fs::read(&seal).unwrap());
    let mut places: Vec<(String, Vec<u8>)> =
        vec![("etcd".to_owned(), etcd.ctl(&["get", "--prefix", "/lb/", "-w", "simple"]).into_bytes())];
    for node in &nodes {
        places.push(("log".to_owned(), node.log().into_bytes()));
        places.push(("status".to_owned(), node.status().0.to_string().into_bytes()));
        places.push(("cache".to_owned(), fs::read(node.folder().join("state/etcd.json")).unwrap()));
    }
    for (place, bytes) in &places {
        for secret in [&secret, &seal_bytes] {
            let text = base64(secret);
            assert!(!bytes.windows(8).any(|window| window == &secret[..8]), "{place}");
            assert!(!String::from_utf8_lossy(bytes).contains(&text[..20]), "{place}");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..=chunk.len()).for_each(|at| text.push(char::from(digits[(bits >> (18 - 6 * at)) as usize & 63])));
    }
    text
}

/// What cannot be opened is taken up by nobody, and what would end sessions takes a word more.
#[test]
fn keys_that_cannot_be_opened_or_would_end_sessions_are_refused() {
    let etcd = Etcd::start();
    let folder = etcd.folder();
    let [seal, other] =
        [("seal", 1), ("other-seal", 9)].map(|(name, number)| secret_file(folder, name, &[number]));
    let [one, two] =
        [("one.key", 2), ("two.key", 3)].map(|(name, number)| secret_file(folder, name, &[number]));
    let target = named("one");
    pushed(&etcd, &sticky(&[&target], &[&target]), &[]);
    // Two with key files that differ say so; the second has another seal.
    let (mut a, _way) = sealed_node(&etcd, "a", &one, Some(&seal));
    let (mut b, _other_way) = sealed_node(&etcd, "b", &two, Some(&other));
    a.run();
    b.run();
    let foreign = |cluster: &Value| cluster["foreign_keys"].as_str().unwrap_or_default().to_owned();
    let found = wait_cluster(&a, "the keys differ", |cluster| !foreign(cluster).is_empty());
    assert!(foreign(&found).contains(&format!("b ({})", key_names(&b)[0])), "{found}");
    assert!(a.status_text().contains("TROUBLE: cookies of these nodes are not understood here"));
    a.wait_log_line(&["WARN", "sign with keys that this one does not have"]);

    let put = |path: &Path, wait: &str| {
        keys_command(&etcd, &seal, &["put", path.to_str().unwrap(), "--wait", wait])
    };
    let before = key_names(&a);
    let output = put(&two, "3");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let refused = wait_cluster(&b, "it is refused", |cluster| cluster["state"] == "refused");
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.contains("etcd:/lb/config/.keys: cannot be opened: sealed with another seal file"),
        "{reason}"
    );
    wait_cluster(&a, "it is held", |cluster| cluster["state"] == "held");
    assert_eq!(key_names(&a), before);
    assert!(told(&output).contains("refused"), "{}", told(&output));
    // A push leaves the keys alone, and so does what was pushed before.
    let (mut c, _third_way) = sealed_node(&etcd, "c", &one, None);
    let ended = c.run_to_end();
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(
        ended.log.contains("etcd:/lb/config/.keys: holds sealed keys")
            && ended.log.contains("--etcd-seal-file"),
        "{}",
        ended.log
    );
    b.kill();
    secret_file(folder, "other-seal", &[1]);
    b.run();
    pushed(&etcd, &(sticky(&[&target], &[&target]) + "# more\n"), &["--wait", "30"]);
    until("both have them", 30.0, || {
        (key_names(&a) == key_names(&b) && key_names(&a) != before).then_some(())
    });
    wait_cluster(&a, "nobody is a stranger", |cluster| foreign(cluster).is_empty());

    // The key that signs is to be among them.
    let output = put(&one, "3");
    let said = told(&output);
    assert!(!output.status.success() && said.contains("every session would end; allowed: --force"), "{said}");
    let both = secret_file(folder, "both.key", &[2, 3]);
    done(&put(&both, "30"));
    let names = key_names(&a);
    let output = keys_command(&etcd, &seal, &["drop", &names[0]]);
    assert!(told(&output).contains("cookies are signed with it"), "{}", told(&output));
    done(&keys_command(&etcd, &seal, &["drop", &names[1]]));
    assert_eq!((key_names(&a), key_names(&b)), (names[..1].to_vec(), names[..1].to_vec()));
    // Who is there is not forgotten; who is gone is.
    let forget = |name: &str| etcd_command(&etcd, &["keys", "forget", name]);
    assert!(told(&forget("b")).contains("node b is there"));
    b.kill();
    until("its lease has run out", 30.0, || forget("b").status.success().then_some(()));
    done(&keys_command(&etcd, &seal, &["rotate"]));
    // What is garbage is refused by its name.
    etcd.ctl(&["put", "/lb/config/.keys", "garbage"]);
    let refused = wait_cluster(&a, "it is refused", |cluster| cluster["state"] == "refused");
    assert!(
        refused["reason"].as_str().unwrap().contains(".keys: is not what `balancer etcd keys` writes"),
        "{refused}"
    );
    let output = keys_command(&etcd, &seal, &["show"]);
    assert!(told(&output).contains("is not what `balancer etcd keys` writes"), "{}", told(&output));
    let output = etcd_command(&etcd, &["keys", "show"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("--etcd-seal-file FILE is missing"), "{}", told(&output));
}
