use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{
    clock::{UnixSeconds, unix_now},
    counters::{ApiOutcome, ApiRejection},
    elbv2::{Element, SignedRequest, signing},
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
const WRITER: (&str, &str) = ("WRITER", SECRET);
const READER: (&str, &str) = ("READER", SECRET);
const DESCRIBE: &str = "Action=DescribeLoadBalancers&Version=2015-12-01";
const CREATE: &str = "Action=CreateLoadBalancer&Version=2015-12-01&Name=web";

/// An endpoint whose controller answers each call with how many there were before it.
struct Endpoint {
    address: SocketAddr,
    access: Arc<ApiAccess>,
    settings: ControlApiSettings,
    seen: Arc<std::sync::Mutex<Vec<ApiCall>>>,
    counters: Arc<ControlCounters>,
    serving: JoinHandle<io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Endpoint {
    /// `answers`: whether calls are answered, or kept.
    fn start(answers: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path().join("keys"));
        write_keys(&settings, &format!("WRITER {SECRET}\nREADER {SECRET} read-only\n"));
        let api = ControlApi::open(&settings, None).unwrap();
        let (address, access) = (api.address().unwrap(), api.access());
        let (calls, mut asked) = channel();
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Some(mut call) = asked.recv().await {
                let (reply, _) = tokio::sync::oneshot::channel();
                let reply = if answers { std::mem::replace(&mut call.reply, reply) } else { reply };
                let count = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(call);
                    kept.len()
                };
                let _ = reply.send(Ok(Element::new("AnyResult").text("Count", count)));
            }
        });
        let counters = Arc::new(ControlCounters::default());
        let serving = tokio::spawn(api.serve(calls, Arc::clone(&counters)));
        Self { address, access, settings, seen, counters, serving, _folder: folder }
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What is answered to these bytes, after which the connection is closed by either side.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The same of a request with this body.
    async fn ask(&self, body: &[u8], key: (&str, &str)) -> String {
        self.send(&post(body, key, unix_now(), "")).await
    }
}

fn settings(access_keys_file: PathBuf) -> ControlApiSettings {
    ControlApiSettings {
        address: "127.0.0.1:0".parse().unwrap(),
        access_keys_file,
        tls: None,
        state_file: PathBuf::new(),
        region: "us-east-1".to_owned(),
        account_id: "000000000000".to_owned(),
        dns_suffix: String::new(),
        buckets_dir: None,
        instances: std::collections::BTreeMap::new(),
    }
}

fn write_keys(settings: &ControlApiSettings, text: &str) {
    fs::write(&settings.access_keys_file, text).unwrap();
    fs::set_permissions(&settings.access_keys_file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A request, signed, with these lines in its head besides.
fn post(body: &[u8], key: (&str, &str), time: UnixSeconds, more: &str) -> Vec<u8> {
    let date = signing::amz_date(time);
    let headers: [(&str, &[u8]); 2] = [("host", b"api"), ("x-amz-date", date.as_bytes())];
    let request = SignedRequest { method: "POST", query: "", headers: &headers };
    let authorization = signing::authorize(&request, body, key, time);
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: api\r\nX-Amz-Date: {date}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{more}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn code(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let code = answer.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
    format!("{status} {code}")
}

#[tokio::test]
async fn who_signs_is_answered_in_the_envelope_of_the_action() {
    let endpoint = Endpoint::start(true);
    let answer = endpoint.ask(DESCRIBE.as_bytes(), READER).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/xml\r\n"), "{answer}");
    let id = answer.split("x-amzn-requestid: ").nth(1).unwrap().split('\r').next().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let wanted = format!(
        "<DescribeLoadBalancersResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><AnyResult>\
         <Count>1</Count></AnyResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </DescribeLoadBalancersResponse>\n"
    );
    assert_eq!(body, wanted);
    let seen = endpoint.seen.lock().unwrap();
    assert_eq!((&*seen[0].key_id, &*seen[0].action), ("READER", "DescribeLoadBalancers"));
    assert_eq!(seen[0].request_id, id);
}

#[tokio::test]
async fn who_may_not_ask_learns_that_and_reaches_nobody() {
    let endpoint = Endpoint::start(true);
    let (now, body) = (unix_now(), DESCRIBE.as_bytes());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let signed = text(post(body, WRITER, now, ""));
    let unsigned = signed.lines().filter(|line| !line.starts_with("Authorization")).collect::<Vec<_>>();
    for (request, told) in [
        (unsigned.join("\r\n"), "403 MissingAuthenticationToken"),
        (text(post(body, ("NOBODY", SECRET), now, "")), "403 InvalidClientTokenId"),
        (text(post(body, ("WRITER", "another secret of it"), now, "")), "403 SignatureDoesNotMatch"),
        (text(post(body, WRITER, UnixSeconds(now.0 - 1000), "")), "403 SignatureDoesNotMatch"),
        (text(post(body, WRITER, UnixSeconds(now.0 + 1000), "")), "403 SignatureDoesNotMatch"),
        (signed.replace("us-east-1", "eu-west-1"), "403 SignatureDoesNotMatch"),
        (signed.replace("AWS4-HMAC-SHA256 ", "Bearer "), "403 IncompleteSignature"),
        (signed.replace("Describe", "Destroyy"), "403 SignatureDoesNotMatch"),
        (signed.replace("POST /", "GET /"), "403 SignatureDoesNotMatch"),
        (signed.replace("POST / ", "PUT / "), "405 InvalidAction"),
        (signed.replace("POST / ", "POST /status "), "404 InvalidAction"),
        (signed.replace("POST / ", "POST /?Action=X "), "403 SignatureDoesNotMatch"),
    ] {
        assert_eq!(code(&endpoint.send(request.as_bytes()).await), told, "{request}");
    }
    // A session's token is no part of what is signed here, so that it is refused for being unsigned.
    let session = post(body, WRITER, now, "X-Amz-Security-Token: token\r\n");
    assert_eq!(code(&endpoint.send(&session).await), "403 SignatureDoesNotMatch");
    assert_eq!(endpoint.calls(), 0);
    let rejected = |code: ApiRejection| endpoint.counters.api_rejections.of(code);
    assert_eq!(
        ApiRejection::ALL.map(rejected),
        [1, 1, 1, 8, 0, 0, 2],
        "each is counted by its code, and what is no request apart"
    );
    assert!(endpoint.counters.api_reads.iter().all(|counter| counter.get() == 0));
}

#[tokio::test]
async fn what_is_no_call_of_the_api_is_told_so() {
    let endpoint = Endpoint::start(true);
    let large = [b"Action=", &*vec![b'x'; 10 << 20]].concat();
    for (body, told) in [
        (&b""[..], "400 MissingAction"),
        (b"Version=2015-12-01", "400 MissingAction"),
        (b"Action=DescribeLoadBalancers", "400 MissingParameter"),
        (b"Action=DescribeLoadBalancers&Version=2012-06-01", "400 InvalidAction"),
        (b"Action=DestroyEverything&Version=2015-12-01", "400 InvalidAction"),
        (b"Action=A&Action=B&Version=2015-12-01", "404 MalformedQueryString"),
        (b"Action=%FF&Version=2015-12-01", "404 MalformedQueryString"),
        (&*large, "413 RequestEntityTooLarge"),
    ] {
        assert_eq!(code(&endpoint.ask(body, WRITER).await), told);
    }
    assert_eq!(endpoint.calls(), 0);
}

/// Its body is not asked for (100), and its connection cannot be gone on with.
#[tokio::test]
async fn a_body_that_is_held_back_and_not_wanted_is_left_where_it_is() {
    let endpoint = Endpoint::start(true);
    let signed = String::from_utf8(post(b"", WRITER, unix_now(), "")).unwrap();
    let held = signed.replace("Connection: close\r\n", "Expect: 100-continue\r\n");
    let of = |head: &str, length: usize| {
        head.replace("Content-Length: 0", &format!("Content-Length: {length}")).into_bytes()
    };
    let unsigned = held.replace("AWS4-HMAC-SHA256 ", "Bearer ");
    for (request, told) in [
        (of(&held, 2 << 20), "413 RequestEntityTooLarge"),
        (of(&unsigned, 3), "403 IncompleteSignature"),
        (of(&held.replace("POST / ", "PUT / "), 3), "405 InvalidAction"),
    ] {
        let answer = endpoint.send(&request).await;
        assert_eq!(code(&answer), told, "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    // What may be wanted is asked for.
    let (head, body) = (of(&held, 3), b"a=b");
    let answer = endpoint.send(&[&*head, body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn a_key_that_only_reads_changes_nothing() {
    let endpoint = Endpoint::start(true);
    let answer = endpoint.ask(CREATE.as_bytes(), READER).await;
    assert_eq!(code(&answer), "403 AccessDenied");
    assert!(answer.contains("perform: elasticloadbalancing:CreateLoadBalancer"), "{answer}");
    assert_eq!(endpoint.calls(), 0);
    assert_eq!(endpoint.counters.api_rejections.of(ApiRejection::AccessDenied), 1);
}

#[tokio::test]
async fn a_signed_change_is_carried_out_once() {
    let endpoint = Endpoint::start(true);
    let request = post(CREATE.as_bytes(), WRITER, unix_now(), "");
    let (one, other) = tokio::join!(endpoint.send(&request), endpoint.send(&request));
    for answer in [&one, &other, &endpoint.send(&request).await] {
        assert!(answer.contains("<Count>1</Count>"), "{answer}");
    }
    assert_eq!(endpoint.calls(), 1);
    // What only reads may be asked as often as anybody likes.
    let request = post(DESCRIBE.as_bytes(), WRITER, unix_now(), "");
    endpoint.send(&request).await;
    endpoint.send(&request).await;
    assert_eq!(endpoint.calls(), 3);
    // Signed anew it is another one.
    endpoint.send(&post(CREATE.as_bytes(), WRITER, UnixSeconds(unix_now().0 - 5), "")).await;
    assert_eq!(endpoint.calls(), 4);
    let ControlCounters { api_reads, api_changes, .. } = &*endpoint.counters;
    assert_eq!((api_reads.of(ApiOutcome::Done), api_changes.of(ApiOutcome::Done)), (2, 4));
}

#[tokio::test]
async fn a_reload_changes_who_may_ask() {
    let endpoint = Endpoint::start(true);
    write_keys(&endpoint.settings, &format!("OTHER {SECRET}\n"));
    let next = endpoint.access.prepare(&endpoint.settings).unwrap();
    assert_eq!(code(&endpoint.ask(DESCRIBE.as_bytes(), WRITER).await), "200 ");
    endpoint.access.take_up(next);
    assert_eq!(code(&endpoint.ask(DESCRIBE.as_bytes(), WRITER).await), "403 InvalidClientTokenId");
    assert_eq!(code(&endpoint.ask(DESCRIBE.as_bytes(), ("OTHER", SECRET)).await), "200 ");
    // A file that is wrong changes nobody.
    write_keys(&endpoint.settings, "OTHER\n");
    let fault = endpoint.access.prepare(&endpoint.settings).unwrap_err().to_string();
    assert!(fault.contains("keys (access_keys_file of control_api) line 1: allowed are"), "{fault}");
}

#[tokio::test]
async fn calls_that_nobody_answers_are_to_be_tried_again() {
    let endpoint = Endpoint::start(false);
    for body in [DESCRIBE, CREATE] {
        // The channel of its answer is kept, and then dropped with the call.
        let request = post(body.as_bytes(), WRITER, unix_now(), "");
        let (answer, ()) = tokio::join!(endpoint.send(&request), async {
            while endpoint.calls() == 0 {
                tokio::task::yield_now().await;
            }
            endpoint.seen.lock().unwrap().clear();
        });
        assert_eq!(code(&answer), "503 ServiceUnavailable");
    }
    let ControlCounters { api_reads, api_changes, .. } = &*endpoint.counters;
    assert_eq!((api_reads.of(ApiOutcome::Failed), api_changes.of(ApiOutcome::Failed)), (1, 1));
}

#[tokio::test]
async fn idle_connections_end_with_the_endpoint() {
    let endpoint = Endpoint::start(true);
    let mut idle = TcpStream::connect(endpoint.address).await.unwrap();
    let request = post(DESCRIBE.as_bytes(), WRITER, unix_now(), "");
    let kept = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
    for _ in 0..2 {
        idle.write_all(kept.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = timeout(Duration::from_secs(20), idle.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "a connection is for several requests");
    }
    endpoint.serving.abort();
    let end = timeout(Duration::from_secs(20), idle.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    TcpStream::connect(endpoint.address).await.unwrap_err();
}
