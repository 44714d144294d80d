//! A list at a URL.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use support::{Answer, Config, Target, nginx::Nginx, tls::Certificate};

use super::{group, list, source, start, wait_fault, wait_targets};

/// A server of lists, and what it answers from now on: the whole of it, or nothing at all.
fn server() -> (Target, Arc<Mutex<Option<String>>>) {
    let answer: Arc<Mutex<Option<String>>> = Arc::default();
    let told = Arc::clone(&answer);
    let server = Target::start(move |exchange| {
        let text = told.lock().unwrap().clone();
        match text {
            Some(text) => {
                exchange.send(text);
                Answer::Close
            }
            // It stays open until somebody has had enough of it.
            None => {
                let _ = std::io::Read::read(&mut exchange.reader.stream(), &mut [0]);
                Answer::Close
            }
        }
    });
    (server, answer)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_url_says_who_is_a_target_and_its_faults_change_nothing() {
    let targets = [Target::plain(), Target::plain()];
    let [one, two] = &targets;
    let (server, answer) = server();
    let set = |text: Option<String>| *answer.lock().unwrap() = text;
    set(Some(ok(&list(&[one]))));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let url = format!("http://{}/targets?key=hidden", server.address);
    let settings = format!("interval = 1\ntimeout = 1\ntoken_file = \"{}\"", token.display());
    let balancer = start(group(&url, &settings));
    wait_targets(&balancer, &[one]);
    let asked = server.last();
    assert_eq!(asked.target, "/targets?key=hidden");
    assert_eq!(asked.headers.get("authorization").unwrap_or_default(), "Bearer first");
    assert_eq!(asked.headers.get("accept-encoding").unwrap_or_default(), "identity");
    assert_eq!(asked.headers.get("x-prometheus-refresh-interval-seconds").unwrap_or_default(), "1");

    std::fs::write(&token, "untold").unwrap();
    set(Some(ok(&list(&[one, two]))));
    wait_targets(&balancer, &[one, two]);
    assert_eq!(server.last().headers.get("authorization").unwrap_or_default(), "Bearer untold");

    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n[{}", " ".repeat(6 << 20));
    for (text, cause, words) in [
        (
            Some("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned()),
            "refused",
            "answers 503",
        ),
        (
            Some("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".to_owned()),
            "refused",
            "answers 302",
        ),
        (Some("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_owned()), "refused", "answers 304"),
        (
            Some("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x0b".to_owned()),
            "not_understood",
            "content-encoding \"gzip\", which was not asked for",
        ),
        (Some(ok("<html>")), "not_understood", "no list of targets in JSON"),
        (Some(ok("[]")), "empty", "it lists no targets"),
        (Some(endless), "not_understood", "more than 4194304 bytes"),
        (Some("SSH-2.0-OpenSSH_9.2\r\n".to_owned()), "unreachable", "invalid HTTP version"),
        (None, "unreachable", "no answer within 1 s"),
    ] {
        set(text);
        wait_fault(&balancer, cause, words, &[one, two]);
    }
    set(Some(ok(&list(&[two]))));
    wait_targets(&balancer, &[two]);
    server.kill();
    wait_fault(&balancer, "unreachable", "the connection is refused", &[two]);
    let told = balancer.status().0.to_string() + &balancer.log() + &balancer.admin_page("/metrics").text();
    assert!(!told.contains("hidden") && !told.contains("untold"), "no key and no token is told");
    assert!(source(&balancer.status())["source"].as_str().unwrap().ends_with("/targets"));
}

#[test]
fn a_list_that_has_not_changed_is_not_sent_again() {
    let target = Target::plain();
    let body = list(&[&target]);
    let asked_anew = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked_anew);
    let server = Target::start(move |exchange| {
        if exchange.request.headers.get("if-none-match").unwrap_or_default() == "\"one\"" {
            counted.fetch_add(1, SeqCst);
            exchange.send("HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n");
        } else {
            exchange.send(format!(
                "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
        Answer::Close
    });
    let balancer = start(group(&format!("http://{}/", server.address), "interval = 1"));
    wait_targets(&balancer, &[&target]);
    balancer.wait_status("it is asked again", 20.0, |status| source(status)["reads"].as_u64().unwrap() >= 3);
    assert!(asked_anew.load(SeqCst) >= 2);
    assert_eq!(balancer.status().targets().len(), 1);
}

#[test]
fn a_list_comes_over_tls_from_the_server_of_the_name_that_was_asked_for_and_no_other() {
    let (target, folder) = (Target::plain(), tempfile::tempdir().unwrap());
    let text = list(&[&target]);
    let serve = |file: &str, names: &[&str]| {
        let certificate = Certificate::make(folder.path(), file, names);
        let answer = format!("location = /targets {{ default_type application/json; return 200 '{text}'; }}");
        (Nginx::tls(&certificate, &answer), certificate)
    };
    let ((good, trusted), (other, of_other)) =
        (serve("good", &["localhost", "127.0.0.1"]), serve("other", &["other.test"]));
    let source_at = |nginx: &Nginx, host: &str, authority: &Certificate| {
        let port = nginx.address.rsplit(':').next().unwrap();
        group(
            &format!("https://{host}:{port}/targets"),
            &format!("interval = 1\ntimeout = 5\nca_file = \"{}\"", authority.certificate.display()),
        )
    };
    let balancer = start(source_at(&good, "localhost", &trusted));
    wait_targets(&balancer, &[&target]);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    // Another name, another authority: each is told, and takes nothing away.
    for (group, host, words) in [
        (source_at(&other, "localhost", &of_other), "localhost:", "not valid for name \"localhost\""),
        (source_at(&other, "127.0.0.1", &of_other), "127.0.0.1:", "not valid for name \"127.0.0.1\""),
        (source_at(&good, "localhost", &of_other), "localhost:", "UnknownIssuer"),
    ] {
        balancer.reload(&Config::with(group));
        wait_fault(&balancer, "tls", words, &[&target]);
        let told = source(&balancer.status())["error"]["error"].as_str().unwrap().to_owned();
        assert!(told.contains(host), "{told}");
    }
    // An address is a name as well.
    balancer.reload(&Config::with(source_at(&good, "127.0.0.1", &trusted)));
    balancer.wait_status("it is read", 20.0, |status| source(status)["failing"] == false);
    wait_targets(&balancer, &[&target]);
}
