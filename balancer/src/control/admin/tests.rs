//! The endpoint over real sockets: what it answers, and what it survives.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Instant,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::telemetry::status::{Totals, Work};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

struct Figures {
    serving: AtomicBool,
}

impl Inspect for Figures {
    fn status(&self) -> Status {
        Status {
            version: "1.2.3".into(),
            totals: Totals { work: Work { retries: 42, ..Work::default() }, ..Totals::default() },
            ..Status::default()
        }
    }
    fn serving(&self) -> bool {
        self.serving.load(Relaxed)
    }
}

fn start(limits: Limits) -> (SocketAddr, Arc<Figures>) {
    let mut admin = Admin::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
    admin.limits = limits;
    let address = admin.address().unwrap();
    let figures = Arc::new(Figures { serving: AtomicBool::new(true) });
    tokio::spawn(admin.serve(Arc::clone(&figures) as Arc<dyn Inspect>));
    (address, figures)
}

fn limits() -> Limits {
    Limits {
        connections: CONNECTIONS,
        head: HEAD_LIMIT,
        connection: CONNECTION_LIMIT,
        pace: Duration::from_millis(50),
    }
}

/// Sends `bytes` and reads until the server ends the connection. A reset after the answer is no matter.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have said no before everything was sent.
    let _ = stream.write_all(bytes).await;
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, async {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..read]);
        }
    })
    .await
    .expect("the server ends the connection");
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, request_line: &str) -> String {
    exchange(address, format!("{request_line} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn the_three_pages_are_served() {
    let (address, figures) = start(limits());
    let metrics = get(address, "GET /metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains(&format!("content-type: {}\r\n", metrics::PLAIN_CONTENT_TYPE)), "{metrics}");
    assert!(metrics.contains("\n# TYPE balancer_build_info gauge\n"), "{metrics}");
    assert!(metrics.contains("\nbalancer_retries_total 42\n") && !metrics.contains("# EOF"), "{metrics}");
    let wanted = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n";
    let metrics = exchange(address, wanted).await;
    assert!(metrics.contains(&format!("content-type: {}\r\n", metrics::CONTENT_TYPE)), "{metrics}");
    assert!(metrics.contains("\nbalancer_retries_total 42\n") && metrics.ends_with("# EOF\n"), "{metrics}");

    let status = get(address, "GET /status?x=1").await;
    let (head, document) = status.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-type: application/json"));
    assert_eq!(serde_json::from_str::<Status>(document).unwrap(), figures.status());

    let healthy = get(address, "GET /healthz").await;
    assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n") && healthy.ends_with("\r\n\r\nok\n"), "{healthy}");
    figures.serving.store(false, Relaxed);
    assert!(get(address, "GET /healthz").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn head_has_the_length_and_no_body_and_the_rest_is_refused() {
    let (address, _) = start(limits());
    let head = get(address, "HEAD /healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 3\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for (request, code) in [
        ("GET /metrics/", "404"),
        ("GET /dashboard/", "404"),
        ("GET /index.html", "404"),
        ("POST /", "405"),
        ("POST /events", "405"),
        ("POST /status", "405"),
        ("DELETE /metrics", "405"),
        ("BREW /healthz", "405"),
        ("OPTIONS *", "404"),
    ] {
        let answer = get(address, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {answer}");
        assert_eq!(answer.contains("allow: GET, HEAD\r\n"), code == "405", "{request}: {answer}");
    }
    let with_body = b"POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc";
    assert!(exchange(address, with_body).await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn the_dashboard_is_a_page_that_may_do_nothing_but_ask_here() {
    let (address, _) = start(limits());
    let page = get(address, "GET /").await;
    let (head, _) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("default-src 'none'; script-src 'self'") && !head.contains("unsafe"), "{head}");
    for field in ["x-content-type-options: nosniff", "frame-ancestors 'none'", "referrer-policy: no-referrer"]
    {
        assert!(head.contains(field), "{head}");
    }
    assert!(get(address, "GET /dashboard/main.js").await.contains("content-type: text/javascript"));
}

/// Begins to look at the dashboard, up to the first piece of what is shown.
async fn look(address: SocketAddr, field: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    tokio::time::timeout(PATIENCE, async {
        let mut chunk = [0; 4096];
        while !told.ends_with(b"\n\n\r\n") {
            match stream.read(&mut chunk).await {
                Ok(read @ 1..) => told.extend_from_slice(&chunk[..read]),
                _ => break,
            }
        }
    })
    .await
    .expect("something is told");
    (stream, String::from_utf8(told).unwrap())
}

#[tokio::test]
async fn who_looks_is_told_for_as_long_as_it_looks() {
    let (address, _) = start(Limits { connection: Duration::from_millis(100), ..limits() });
    let (mut stream, told) = look(address, "Sec-Fetch-Site: same-origin\r\n").await;
    assert!(told.contains("content-type: text/event-stream\r\n"), "{told}");
    assert!(told.contains("\r\ndata: {") && told.contains("\"version\":\"1.2.3\""), "{told}");
    // Longer than any other connection may take.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 65536])).await;
        assert!(read.expect("it is told").unwrap() > 0, "it ended after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn so_many_may_look_and_no_more_and_none_from_a_page_of_somebody_else() {
    let (address, _) = start(limits());
    let mut looking = Vec::new();
    for _ in 0..MOST_VIEWERS {
        let (stream, told) = look(address, "").await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        looking.push(stream);
    }
    let refused = get(address, "GET /events").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("16 others look"), "{refused}");
    assert!(get(address, "GET /status").await.starts_with("HTTP/1.1 200 "));
    looking.clear();
    let begun = Instant::now();
    while !look(address, "").await.1.starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < PATIENCE, "the places are free again");
    }
    for site in ["cross-site", "same-site"] {
        let elsewhere = format!("GET /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: {site}\r\n\r\n");
        assert!(exchange(address, elsewhere.as_bytes()).await.starts_with("HTTP/1.1 403 "));
    }
}

/// Posts an action with these fields, and gives the answer and what was asked for.
async fn post(address: SocketAddr, fields: &str, asked: &str) -> String {
    let length = asked.len();
    let request = format!(
        "POST /actions HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{asked}"
    );
    exchange(address, request.as_bytes()).await
}

/// An endpoint that notes what it is to do, and does it but for the group `none`.
fn start_with_actions() -> (SocketAddr, Arc<std::sync::Mutex<Vec<AdminAction>>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "correct-horse-battery\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let token = AdminToken::load(&path, None).unwrap();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let act = move |request: AdminRequest| {
        let refused = matches!(&request.action, AdminAction::Drain { group, .. } if group == "none");
        noted.lock().unwrap().push(request.action);
        let answer = if refused { Err("no such group".to_owned()) } else { Ok("done".to_owned()) };
        request.answer.send(answer).unwrap();
    };
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap().with_actions(token, Box::new(act));
    let address = admin.address().unwrap();
    let figures = Arc::new(Figures { serving: AtomicBool::new(true) });
    tokio::spawn(admin.serve(figures as Arc<dyn Inspect>));
    (address, asked)
}

const JSON: &str = "Content-Type: application/json\r\n";
const TOKEN: &str = "Authorization: Bearer correct-horse-battery\r\n";
const DRAIN: &str = r#"{"action":"drain","group":"app","target":"127.0.0.1:80"}"#;

#[tokio::test]
async fn who_has_the_token_may_have_something_done_and_nobody_else() {
    let (address, asked) = start_with_actions();
    let good = format!("{JSON}{TOKEN}");
    for (fields, code) in [
        (JSON.to_owned(), "401"),
        (format!("{JSON}Authorization: Bearer wrong-horse-battery\r\n"), "401"),
        (format!("{JSON}Authorization: Bearer \r\n"), "401"),
        (format!("{JSON}Authorization: Basic correct-horse-battery\r\n"), "401"),
        (TOKEN.to_owned(), "415"),
        (format!("{TOKEN}Content-Type: application/x-www-form-urlencoded\r\n"), "415"),
        (format!("{TOKEN}Content-Type: text/plain\r\n"), "415"),
        (format!("{good}Origin: http://evil.example\r\n"), "403"),
        (format!("{good}Origin: null\r\n"), "403"),
        (format!("{good}Sec-Fetch-Site: cross-site\r\n"), "403"),
        (format!("{good}Sec-Fetch-Site: same-site\r\n"), "403"),
    ] {
        let answer = post(address, &fields, DRAIN).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{fields}: {answer}");
        assert!(!answer.contains("horse"), "{answer}");
    }
    let foreign = format!("POST /actions HTTP/1.1\r\nHost: evil.example\r\n{good}Content-Length: 0\r\n\r\n");
    assert!(exchange(address, foreign.as_bytes()).await.starts_with("HTTP/1.1 421 "));
    assert!(asked.lock().unwrap().is_empty(), "nothing was done");
    for origin in ["", "Origin: http://localhost\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
        let answer = post(address, &format!("{good}{origin}"), DRAIN).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done\n"), "{answer}");
    }
    let action = AdminAction::Drain { group: "app".into(), target: "127.0.0.1:80".into() };
    assert_eq!(*asked.lock().unwrap(), vec![action; 3]);
}

#[tokio::test]
async fn what_is_no_action_is_refused_in_words() {
    let (address, asked) = start_with_actions();
    let good = format!("{JSON}{TOKEN}");
    for (wrong, code, words) in [
        ("", "400", "not an action"),
        ("{}", "400", "action"),
        (r#"{"action":"explode"}"#, "400", "explode"),
        (r#"{"action":"drain","group":"app"}"#, "400", "target"),
        (r#"{"action":"weight","group":"a","target":"b","percent":300}"#, "400", "300"),
        (&format!("{{\"action\":\"{}\"}}", "a".repeat(5000)), "413", "4096"),
    ] {
        let answer = post(address, &good, wrong).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code} ")) && answer.contains(words),
            "{wrong}: {answer}"
        );
    }
    assert!(asked.lock().unwrap().is_empty());
    // Who waits with too much of it is not told to go on.
    let head = format!(
        "POST /actions HTTP/1.1\r\nHost: localhost\r\n{good}Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n"
    );
    let answer = exchange(address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let refused = post(address, &good, r#"{"action":"drain","group":"none","target":"x"}"#).await;
    assert!(refused.starts_with("HTTP/1.1 409 ") && refused.contains("no such group"), "{refused}");
    assert!(get(address, "GET /actions").await.starts_with("HTTP/1.1 405 "));
    let (read_only, _) = start(limits());
    let answer = post(read_only, &good, DRAIN).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("admin_token_file"), "{answer}");
}

#[tokio::test]
async fn garbage_is_refused_and_the_endpoint_goes_on() {
    let (address, _) = start(limits());
    let long_line = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let long_head = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(50_000));
    let garbage: [&[u8]; 9] = [
        b"\0\0\0\0\xff\xff\xff\xff\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/9.9\r\n\r\n",
        b"GET /status HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long_line.as_bytes(),
        long_head.as_bytes(),
    ];
    for bytes in garbage {
        let answer = exchange(address, bytes).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    // A client that goes away at once, and one that sends half a head.
    drop(TcpStream::connect(address).await.unwrap());
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /sta").await.unwrap();
    drop(half);
    assert!(get(address, "GET /healthz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn one_connection_is_one_answer() {
    let (address, _) = start(limits());
    let two =
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = exchange(address, two).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn clients_that_send_slowly_or_nothing_are_let_go() {
    let (address, _) = start(Limits { head: Duration::from_millis(50), ..limits() });
    let started = Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /status HTTP/1.1\r\nHost:").await.unwrap();
    for stream in [&mut silent, &mut slow] {
        let answer = read_to_end(stream).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn who_holds_every_place_keeps_nobody_waiting() {
    let (address, _) = start(limits());
    let mut holding = Vec::new();
    for index in 0..2 * CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if index % 2 == 0 {
            stream.write_all(b"GET /status HTTP/1.1\r\n").await.unwrap();
        }
        holding.push(stream);
    }
    let started = Instant::now();
    for _ in 0..CONNECTIONS {
        assert!(get(address, "GET /healthz").await.starts_with("HTTP/1.1 200 "));
    }
    assert!(started.elapsed() < HEAD_LIMIT, "{:?}", started.elapsed());
    // The oldest of them went first.
    for stream in holding.iter_mut().take(CONNECTIONS) {
        assert!(!read_to_end(stream).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn who_asks_by_another_name_learns_nothing() {
    let (address, _) = start(limits());
    for page in ["/metrics", "/status", "/healthz", "/"] {
        let request = format!("GET {page} HTTP/1.1\r\nHost: evil.example:9900\r\n\r\n");
        let answer = exchange(address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("admin_hosts"), "{answer}");
        assert!(!answer.contains("balancer_"), "{answer}");
    }
    let old = exchange(address, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") || old.starts_with("HTTP/1.1 200 "), "{old}");
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let first = Admin::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
    let error = Admin::bind(first.address().unwrap(), &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
