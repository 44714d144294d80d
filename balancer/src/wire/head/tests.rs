//! Heads that are taken, and heads that are refused, with the reason of each.

use proptest::prelude::*;

use super::*;
use crate::wire::fields::is_plain_name;

fn parse(text: &str) -> Result<Framing, HeadError> {
    let mut scanner = HeadScanner::default();
    let end = scanner.find_end(text.as_bytes())?.expect("complete");
    Request::parse(&text.as_bytes()[..end]).map(|request| request.framing)
}

#[test]
fn requests_of_another_engine_are_held_to_the_same() {
    let of = |authority: Option<&'static [u8]>, lines: &[(&'static str, &'static str)], bodiless| {
        let lines =
            lines.iter().map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() });
        Request::of_fields(b"POST", b"/", authority, lines, bodiless).map(|r| (r.framing, r.host))
    };
    let host: Option<&[u8]> = Some(b"a.test");
    assert_eq!(of(host, &[], true), Ok((Framing::Empty, host)));
    assert_eq!(of(host, &[], false), Ok((Framing::Chunked, host)));
    assert_eq!(of(host, &[("content-length", "7")], false), Ok((Framing::Length(7), host)));
    assert_eq!(of(host, &[("content-length", "0")], false), Ok((Framing::Empty, host)));
    assert_eq!(of(None, &[("host", "a.test")], true), Ok((Framing::Empty, host)));
    assert_eq!(of(host, &[("host", "A.TEST")], true), Ok((Framing::Empty, host)));
    for (authority, lines, bodiless) in [
        (None, &[][..], true),
        (host, &[("host", "b.test")], true),
        (None, &[("host", "a"), ("host", "a")], true),
        (Some(&b"a@b"[..]), &[], true),
        (Some(&b"a b"[..]), &[], true),
        (host, &[("transfer-encoding", "chunked")], false),
        (host, &[("content-length", "1"), ("content-length", "1")], false),
        (host, &[("content-length", "+1")], false),
        (host, &[("content-length", "1")], true),
    ] {
        assert_eq!(of(authority, lines, bodiless), Err(HeadError::Malformed), "{authority:?} {lines:?}");
    }
    let many = vec![("x", "y"); MAX_FIELDS + 1];
    assert_eq!(of(host, &many, true), Err(HeadError::TooLarge));
}

#[test]
fn framing_is_known_or_refused() {
    let with = |fields: &str| parse(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    assert_eq!(with(""), Ok(Framing::Empty));
    assert_eq!(with("Content-Length: 0\r\n"), Ok(Framing::Empty));
    assert_eq!(with("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
    assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    for malformed in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        assert_eq!(with(malformed), Err(HeadError::Malformed), "{malformed:?}");
    }
    for coding in ["gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked"] {
        assert_eq!(
            with(&format!("Transfer-Encoding: {coding}\r\n")),
            Err(HeadError::TransferCoding),
            "{coding}"
        );
    }
    assert_eq!(
        parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Err(HeadError::Malformed),
        "chunked is not HTTP/1.0"
    );
}

#[test]
fn requests_that_could_be_read_two_ways_are_refused() {
    for (bad, why) in [
        ("GET / HTTP/1.1\nHost: a\n\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/1.1\r\n\r\n", HeadError::Malformed),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Malformed),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Malformed),
        ("GET /\r\n\r\n", HeadError::Malformed),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::Version),
        ("G\u{e9}T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Malformed),
        ("\x16\x03\x01", HeadError::Malformed),
    ] {
        assert_eq!(parse(bad), Err(why), "{bad:?}");
    }
}

#[test]
fn limits_are_those_of_alb() {
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_LINE));
    assert_eq!(HeadScanner::default().find_end(line.as_bytes()), Err(HeadError::LineTooLong));
    let unfinished = "GET /".to_owned() + &"a".repeat(MAX_LINE);
    assert_eq!(HeadScanner::default().find_end(unfinished.as_bytes()), Err(HeadError::LineTooLong));
    let field = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(MAX_LINE));
    assert_eq!(HeadScanner::default().find_end(field.as_bytes()), Err(HeadError::TooLarge));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", format!("X: {}\r\n", "a".repeat(8000)).repeat(9));
    assert_eq!(HeadScanner::default().find_end(many.as_bytes()), Err(HeadError::TooLarge));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELDS));
    assert_eq!(parse(&fields), Err(HeadError::TooLarge));
}

#[test]
fn limits_are_exact() {
    let ends = |head: &str| HeadScanner::default().find_end(head.as_bytes());
    for (more, result) in [(0, Ok(())), (1, Err(HeadError::LineTooLong))] {
        let target = "a".repeat(MAX_LINE - "GET / HTTP/1.1".len() + more);
        let line = format!("GET /{target} HTTP/1.1");
        assert_eq!(ends(&line), Ok(None), "its end may come");
        assert_eq!(ends(&format!("{line}a")).map(|_| ()), result);
        assert_eq!(ends(&format!("{line}\r\n\r\n")).map(|end| assert!(end.is_some())), result);
    }
    for (more, result) in [(0, Ok(())), (1, Err(HeadError::TooLarge))] {
        let field = format!("X: {}", "a".repeat(MAX_LINE - "X: ".len() + more));
        assert_eq!(ends(&format!("GET / HTTP/1.1\r\n{field}\r\n\r\n")).map(|_| ()), result);
        let fields = format!("GET / HTTP/1.1\r\n{}", format!("X: {}\r\n", "a".repeat(8187)).repeat(7));
        let last = MAX_REQUEST_HEAD - fields.len() - "X: \r\n\r\n".len() + more;
        let head = format!("{fields}X: {}\r\n\r\n", "a".repeat(last));
        assert_eq!(head.len(), MAX_REQUEST_HEAD + more);
        assert_eq!(ends(&head), result.map(|()| Some(head.len())));
    }
}

#[test]
fn connection_wishes() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let request = Request::parse(head).expect("valid");
    assert!(request.keep_alive);
    assert_eq!(request.upgrade.as_deref(), Some(&b"websocket"[..]));
    let close = Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").expect("valid");
    assert!(!close.keep_alive && close.upgrade.is_none());
    let old = Request::parse(b"GET / HTTP/1.0\r\n\r\n").expect("valid");
    assert!(!old.keep_alive);
}

#[test]
fn responses_frame_their_bodies() {
    let framing = |text: &str, head: bool| {
        Response::parse(text.as_bytes(), head).map(|response| response.map(|r| (r.framing, r.keep_alive)))
    };
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false),
        Ok(Some((Framing::Length(3), true)))
    );
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true),
        Ok(Some((Framing::Empty, true)))
    );
    assert_eq!(
        framing("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", false),
        Ok(Some((Framing::Length(3), false)))
    );
    assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", false), Ok(Some((Framing::UntilClose, false))));
    assert_eq!(framing("HTTP/1.1 304 Not Modified\r\n\r\n", false), Ok(Some((Framing::Empty, true))));
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        Ok(Some((Framing::Chunked, false))),
        "the connection is not used again"
    );
    assert_eq!(
        framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", false),
        Err(HeadError::ContentLengthsDiffer)
    );
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-", false), Ok(None));
    assert_eq!(framing("SSH-2.0-OpenSSH_9\r\n", false), Err(HeadError::Version));
    let big = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(MAX_RESPONSE_HEAD));
    assert_eq!(framing(&big, false), Err(HeadError::TooLarge));
}

#[test]
fn lengths_of_responses_are_one_number_or_none() {
    let parsed = |status: &str, fields: &str, to_head: bool| {
        let text = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
        Response::parse(text.as_bytes(), to_head)
            .map(|response| response.map(|response| (response.framing, response.keep_alive)).expect("whole"))
    };
    for equal in
        ["Content-Length: 5, 5\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5,05\r\n"]
    {
        assert_eq!(parsed("200 OK", equal, false), Ok((Framing::Length(5), true)), "{equal}");
        assert_eq!(parsed("200 OK", equal, true), Ok((Framing::Empty, true)), "{equal}");
    }
    for wrong in [
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length:\r\n",
        "Content-Length: ,\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 18446744073709551616\r\n",
    ] {
        for (status, to_head) in
            [("200 OK", false), ("200 OK", true), ("204 No Content", false), ("304 X", false)]
        {
            assert!(parsed(status, wrong, to_head).is_err(), "{status} {wrong}");
        }
    }
    assert_eq!(parsed("204 No Content", "Content-Length: 0\r\n", false), Ok((Framing::Empty, true)));
    assert_eq!(
        parsed("204 No Content", "Content-Length: 5\r\n", false),
        Ok((Framing::Empty, false)),
        "five bytes may follow"
    );
}

#[test]
fn responses_have_no_coding_beside_chunked() {
    let parsed = |version: &str, status: &str, fields: &str| {
        let text = format!("HTTP/{version} {status}\r\n{fields}\r\n");
        Response::parse(text.as_bytes(), false)
            .map(|response| response.map(|response| (response.framing, response.keep_alive)).expect("whole"))
    };
    assert_eq!(parsed("1.1", "200 OK", "Transfer-Encoding: Chunked\r\n"), Ok((Framing::Chunked, true)));
    let old = "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n";
    assert_eq!(parsed("1.0", "200 OK", old), Ok((Framing::Chunked, false)));
    assert_eq!(
        parsed("1.1", "204 No Content", "Transfer-Encoding: chunked\r\n"),
        Ok((Framing::Empty, false))
    );
    for wrong in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ] {
        assert!(parsed("1.1", "200 OK", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn line_ends_of_responses_are_whole() {
    let sound = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n\r\n";
    assert!(Response::parse(sound.as_bytes(), false).expect("sound").is_some());
    for (index, _) in sound.match_indices("\r\n") {
        let mut bare = sound.to_owned();
        bare.remove(index);
        assert!(!matches!(Response::parse(bare.as_bytes(), false), Ok(Some(_))), "{bare:?}");
    }
    assert!(Response::parse(sound.replace("\r\n", "\n").as_bytes(), false).is_err());
}

#[test]
fn trailers_lose_what_must_not_travel_there() {
    let section =
        b"X-Sum: 1\r\nContent-Length: 4\r\nHost: b\r\nX-Forwarded-For: 1.1.1.1\r\nSet-Cookie: a=b\r\n\r\n";
    let kept = trailers(section).expect("valid");
    assert_eq!(kept.as_slice(), [HeaderField { name: b"X-Sum", value: b"1" }]);
    assert!(trailers(b"X y: 1\r\n\r\n").is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), to_head in any::<bool>()) {
        let mut scanner = HeadScanner::default();
        if let Ok(Some(end)) = scanner.find_end(&bytes) {
            let _ = Request::parse(&bytes[..end]);
        }
        let _ = Response::parse(&bytes, to_head);
        let _ = trailers(&bytes);
    }

    #[test]
    fn line_ends_of_responses_are_whole_wherever_they_are(
        ends in proptest::collection::vec("\r\n|\r\n|\r\n|\n|\r|\r\r\n|\n\r", 5),
    ) {
        let [before, status, first, second, last] = ends.as_slice() else { unreachable!("five") };
        let before = if before == "\r\n" { "" } else { before };
        let text = format!("{before}HTTP/1.1 200 OK{status}A: b{first}C: d{second}{last}");
        if let Ok(Some(response)) = Response::parse(text.as_bytes(), true) {
            prop_assert!(has_whole_line_ends(&text.as_bytes()[..response.length]));
            prop_assert!(!text[..response.length].contains("\r\r"));
        }
    }

    #[test]
    fn a_mutated_request_is_refused_or_means_one_thing(
        index in 0_usize..90, byte in any::<u8>(),
    ) {
        let mut head = b"POST /path?q=1 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\nX-Other: value\r\n\r\n".to_vec();
        if let Some(spot) = head.get_mut(index) { *spot = byte; }
        let mut scanner = HeadScanner::default();
        if let Ok(Some(end)) = scanner.find_end(&head)
            && let Ok(request) = Request::parse(&head[..end])
        {
            let lengths = request.fields.lines().iter()
                .filter(|f| f.name.eq_ignore_ascii_case(b"content-length")).count();
            prop_assert!(lengths <= 1);
            prop_assert_eq!(matches!(request.framing, Framing::Length(_)), lengths == 1 && request.framing != Framing::Empty);
        }
    }
}

#[test]
fn lines_with_invalid_names_go_and_the_others_stay_what_they_are() {
    let head = b"GET / HTTP/1.1\r\nx_a: 1\r\nHost: a\r\nx.b: 2\r\nConnection: close\r\nX-C: 3\r\n\r\n";
    let mut request = Request::parse(head).expect("valid");
    assert!(request.fields.has_invalid_names());
    request.fields.drop_names(|name| !is_plain_name(name));
    assert!(!request.fields.has_invalid_names());
    let left: Vec<_> = request.fields.with_kinds().map(|(field, kind)| (field.name, kind)).collect();
    let wanted = [(&b"Host"[..], Kind::Host), (b"Connection", Kind::Connection), (b"X-C", Kind::Other)];
    assert_eq!(left, wanted);
}

#[test]
fn a_request_target_is_ascii() {
    let target = |target: &[u8]| {
        let head = [&b"GET "[..], target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        Request::parse(&head).map(|_| ())
    };
    assert_eq!(target(b"/caf%C3%A9"), Ok(()));
    assert_eq!(target("/caf\u{e9}".as_bytes()), Err(HeadError::Malformed));
    assert_eq!(target(b"/\xff"), Err(HeadError::Malformed));
}
