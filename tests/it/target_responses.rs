//! How responses of HTTP/1.1 targets are framed, and what of that clients of HTTP/1.1 and HTTP/2 get.

use std::{io::Read as _, process::Command};

use support::{Answer, Balancer, Config, Group, Target, access_log::wait_for};

/// A target that answers with the bytes that a header of the request names, and ends the connection.
fn scripted(answers: &'static [&'static str]) -> Target {
    Target::start(move |exchange| {
        let number: usize = exchange.request.headers.get("x-number").unwrap().parse().unwrap();
        exchange.send(answers[number]);
        Answer::Close
    })
}

fn before(target: &Target) -> Balancer {
    let group = Group::new("app", &[target]).unchecked();
    Balancer::start(&Config::with(group).attribute("idle_timeout = 2").http2())
}

/// Status, field lines of that name and body of the answer that curl gets in this version of HTTP.
fn curl(
    balancer: &Balancer,
    version: &str,
    method: &str,
    number: usize,
    name: &str,
) -> (u16, Vec<String>, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--max-time", "20", version, "-H", &format!("X-Number: {number}")]);
    if method == "HEAD" {
        command.arg("-I");
    }
    let output = command.arg(format!("http://{}/", balancer.address)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{number} {}\n{text}", String::from_utf8_lossy(&output.stderr));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let values = head.lines().filter_map(|line| line.split_once(':'));
    let values = values.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    (status, values.map(|(_, value)| value.trim().to_owned()).collect(), body.to_owned())
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

#[test]
fn equal_lengths_are_one_length() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\ncontent-length: 5\r\n\r\nhello",
    ];
    let target = scripted(ANSWERS);
    let balancer = before(&target);
    for version in VERSIONS {
        for (number, answer) in ANSWERS.iter().enumerate() {
            let got = curl(&balancer, version, "GET", number, "content-length");
            assert_eq!(got, (200, vec!["5".to_owned()], "hello".to_owned()), "{version} {answer:?}");
            let (status, lengths, _) = curl(&balancer, version, "HEAD", number, "content-length");
            assert_eq!((status, lengths), (200, vec!["5".to_owned()]), "{version} HEAD {answer:?}");
        }
    }
}

#[test]
fn responses_that_could_be_read_two_ways_are_502() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\nX-Y: z\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let target = scripted(ANSWERS);
    let balancer = before(&target);
    for version in VERSIONS {
        for (number, answer) in ANSWERS.iter().enumerate() {
            for method in ["GET", "HEAD"] {
                let (status, ..) = curl(&balancer, version, method, number, "x");
                assert_eq!(status, 502, "{version} {method} {answer:?}");
            }
        }
    }
}

#[test]
fn chunks_with_bare_line_feeds_are_502() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\n\r\n",
    ];
    let target = scripted(ANSWERS);
    let balancer = before(&target);
    for version in VERSIONS {
        for (number, answer) in ANSWERS.iter().enumerate() {
            let (status, ..) = curl(&balancer, version, "GET", number, "x");
            assert_eq!(status, 502, "{version} {answer:?}");
        }
    }
}

#[test]
fn what_has_no_content_has_no_length() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    let target = scripted(ANSWERS);
    let balancer = before(&target);
    for version in VERSIONS {
        for (number, answer) in ANSWERS.iter().enumerate() {
            let got = curl(&balancer, version, "GET", number, "content-length");
            assert_eq!(got, (204, Vec::new(), String::new()), "{version} {answer:?}");
        }
    }
}

#[test]
fn what_follows_a_response_without_content_is_nobodys_answer() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 204 No Content\r\nContent-Length: 38\r\n\r\n");
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        Answer::KeepAlive
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    for _ in 0..3 {
        assert_eq!(connection.get("/", "").status, 204);
    }
    assert_eq!(target.connections(), 3);
}

#[test]
fn what_stands_before_a_broken_chunk_reaches_the_client() {
    const ANSWERS: [(&str, &str); 3] = [
        ("none\r\n", ""),
        ("4\r\npart\r\nnone\r\n", "4\r\npart"),
        ("4\r\npart\r\n0\r\nNo Name\r\n\r\n", "4\r\npart"),
    ];
    for (body, reached) in ANSWERS {
        let target = Target::start(move |exchange| {
            exchange.send(format!("HTTP/1.1 200 OK\r\nX-App: 1\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
            Answer::KeepAlive
        });
        let config = Config::with(Group::new("app", &[&target]).unchecked());
        let mut balancer = Balancer::prepare(&config);
        let path = balancer.folder().join("access.log");
        let logs = format!("access_logs {{\nenabled = true\npath = \"{}\"\n}}", path.display());
        balancer.write(&config.attribute(&logs));
        balancer.run();
        let mut connection = balancer.connect();
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut came, mut piece) = (Vec::new(), [0; 4096]);
        let end = loop {
            match connection.stream().read(&mut piece) {
                Ok(length @ 1..) => came.extend_from_slice(&piece[..length]),
                end => break end,
            }
        };
        assert!(end.is_err(), "it is told that this is not the whole");
        let text = String::from_utf8(came).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nX-App: 1"), "{body:?}: {text}");
        assert!(
            rest.starts_with(reached) && !rest.contains("none") && !rest.contains("Name"),
            "{body:?}: {text}"
        );
        let line = wait_for(&path, 1).remove(0);
        line.expect(&[
            ("elb_status_code", "200"),
            ("error_reason", "TargetBodyInvalid"),
            ("sent_bytes", &text.len().to_string()),
        ]);
    }
}

#[test]
fn what_connection_keeps_from_the_client_counts_for_nothing() {
    let target = Target::start(|exchange| {
        exchange.send(
            "HTTP/1.1 200 OK\r\nConnection: Set-Cookie, cache-control, date\r\nSet-Cookie: SESSIONID=1\r\n\
             Cache-Control: no-store\r\nDate: then\r\nContent-Length: 0\r\n\r\n",
        );
        Answer::KeepAlive
    });
    let group = Group::new("app", &[&target]).app_cookie("SESSIONID").unchecked();
    let balancer = Balancer::start(&Config::with(group).http2());
    let response = balancer.connect().get("/", "");
    assert!(response.set_cookie("SESSIONID").is_none());
    assert_eq!(response.cookie("AWSALBAPP-0"), Some("_remove_"), "there is no session without the cookie");
    assert_eq!(response.headers.all("date").filter(|date| date.ends_with(" GMT")).count(), 1);
    assert_eq!(balancer.metric("balancer_target_sessions"), 0.0);
    let group = Group::new("app", &[&target]).lb_cookie().unchecked();
    let balancer = Balancer::start(&Config::with(group));
    let response = balancer.connect().get("/", "");
    assert_eq!(response.headers.all("cache-control").collect::<Vec<_>>(), ["private"]);
}

#[test]
fn interim_responses_have_no_length() {
    let target = Target::start(|exchange| {
        exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n");
        exchange.ok("", "hello")
    });
    let balancer = before(&target);
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let hint = connection.reader().response_head().unwrap().unwrap();
    assert_eq!((hint.status, hint.header("link")), (103, "</a>"));
    assert!(hint.headers.get("content-length").is_none() && hint.headers.get("date").is_none());
    assert_eq!(connection.response().text(), "hello");
}

#[test]
fn a_response_without_a_date_gets_one() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let target = scripted(ANSWERS);
    let balancer = before(&target);
    for version in VERSIONS {
        for number in [0, 2] {
            let (_, dates, _) = curl(&balancer, version, "GET", number, "date");
            assert_eq!(dates.len(), 1, "{version}");
            let seconds = |of: &str| {
                let output = Command::new("date").args(["+%s", "-d", of]).output().unwrap();
                String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap()
            };
            assert!((seconds("now") - seconds(&dates[0])).abs() < 60, "{dates:?}");
        }
        let (_, dates, _) = curl(&balancer, version, "GET", 1, "date");
        assert_eq!(dates, ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    }
}

#[test]
fn options_and_expect_go_on_as_they_are_meant() {
    let target = Target::plain();
    let balancer = before(&target);
    for (request, line) in [
        ("OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "OPTIONS * HTTP/1.1"),
        ("OPTIONS http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "OPTIONS / HTTP/1.1"),
        ("GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET / HTTP/1.1"),
        (
            "POST / HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1",
        ),
    ] {
        let mut connection = balancer.connect();
        connection.send(request);
        let response = connection.response();
        assert_eq!(response.status, 200, "{request}");
        let head = String::from_utf8(target.last().head).unwrap();
        assert_eq!(head.lines().next(), Some(line));
        assert!(!head.to_ascii_lowercase().contains("expect"), "{head}");
    }
}
