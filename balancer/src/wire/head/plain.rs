//! The heads that nearly all messages have, read in one pass: whole, every line end in full, one space where one belongs, no
//! white space elsewhere. It takes fewer heads than the parser does and reads those alike; whatever it does not take is the
//! parser's, which says what is wrong with it. Must not know: what is done about a head.

use super::{
    blocks,
    lines::Fields,
    syntax::{MAX_LINE, is_token_byte},
};
use crate::model::Version;

/// What a start line says; the field lines are in [`Fields`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestStart<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

/// The same of a response, and where its head ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResponseStart<'a> {
    pub(super) status: u16,
    pub(super) version: Version,
    pub(super) reason: &'a [u8],
    pub(super) length: usize,
}

/// Reads the request head that `bytes` are.
pub(super) fn request<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<RequestStart<'a>> {
    fields.clear();
    let (method, rest) = bytes.split_at_checked(blocks::token(bytes).0)?;
    let rest = rest.strip_prefix(b" ")?;
    let (target, rest) = rest.split_at_checked(blocks::run(rest, b' '))?;
    let (version, rest) = rest.split_first_chunk()?;
    let version = match version {
        b" HTTP/1.1\r\n" => Version::Http11,
        b" HTTP/1.0\r\n" => Version::Http10,
        _ => return None,
    };
    if method.is_empty() || target.is_empty() || !target.is_ascii() {
        return None;
    }
    let length = field_lines(rest, fields)?;
    (length == rest.len()).then_some(RequestStart { method, target, version })
}

/// Reads the response head that `bytes` begin with.
pub(super) fn response<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<ResponseStart<'a>> {
    fields.clear();
    let (version, rest) = bytes.split_first_chunk()?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let ([hundreds, tens, ones, b' '], rest) = rest.split_first_chunk()? else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let status = digit(hundreds)? * 100 + digit(tens)? * 10 + digit(ones)?;
    let (reason, lines) = rest.split_at_checked(blocks::run(rest, b'\r'))?;
    let lines = lines.strip_prefix(b"\r\n")?;
    if reason.is_empty() || !reason.is_ascii() {
        return None;
    }
    let length = bytes.len() - lines.len() + field_lines(lines, fields)?;
    Some(ResponseStart { status, version, reason, length })
}

/// Reads field lines and the empty one; how long they are.
fn field_lines<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<usize> {
    let (mut rest, mut all_plain) = (bytes, true);
    loop {
        if let Some(behind) = rest.strip_prefix(b"\r\n") {
            fields.stand_in(bytes, all_plain);
            return Some(bytes.len() - behind.len());
        }
        let (length, is_plain) = blocks::token(rest);
        all_plain &= is_plain;
        let (name, behind) = rest.split_at_checked(length)?;
        let behind = behind.strip_prefix(b":")?;
        let behind = behind.strip_prefix(b" ").unwrap_or(behind);
        let (value, behind) = behind.split_at_checked(blocks::run(behind, b'\r'))?;
        rest = behind.strip_prefix(b"\r\n")?;
        let is_trimmed = value.first() != Some(&b' ') && value.last() != Some(&b' ');
        if name.is_empty() || !is_trimmed || !fields.put(name, value) {
            return None;
        }
    }
}

/// Whether `bytes` are one request head and nothing else, with every line end in full and no line over its limit.
pub(super) fn is_one_head(bytes: &[u8]) -> bool {
    let is_framed = bytes.first().is_some_and(|byte| is_token_byte(*byte)) && bytes.ends_with(b"\r\n\r\n");
    if !is_framed || bytes.len() > MAX_LINE || bytes.get(1) == Some(&b'\n') {
        return false;
    }
    // Each byte but the last with the two before it: without a branch, so that it goes by vectors.
    let (third, second) =
        (bytes.get(2..bytes.len() - 1).unwrap_or_default(), bytes.get(1..).unwrap_or_default());
    let earlier = second.iter().zip(bytes);
    let stops = third.iter().zip(earlier).fold(0, |stops, (third, (second, first))| {
        stops | u8::from(*third == b'\n') & (u8::from(*second != b'\r') | u8::from(*first == b'\n'))
    });
    stops == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{HeadError, HeadScanner, Request, Response};
    use super::*;

    type Lines = Vec<(Vec<u8>, Vec<u8>)>;

    fn owned(fields: &Fields<'_>) -> Lines {
        fields.lines().iter().map(|line| (line.name.to_vec(), line.value.to_vec())).collect()
    }

    /// What this reads the parser reads alike. Whether it was read here.
    fn is_read_alike(bytes: &[u8]) -> bool {
        let mut fields = Fields::default();
        let mut read = false;
        if let Some(line) = request(bytes, &mut fields) {
            let mut by_parser = Fields::default();
            let other = Request::parse_any(bytes, &mut by_parser).expect("taken by the parser");
            assert_eq!((&line, owned(&fields)), (&other, owned(&by_parser)));
            assert_eq!(HeadScanner::default().find_end_by_lines(bytes), Ok(Some(bytes.len())));
            read = true;
        }
        let mut fields = Fields::default();
        if let Some(line) = response(bytes, &mut fields) {
            let mut by_parser = Fields::default();
            let other =
                Response::parse_any(bytes, &mut by_parser).expect("taken by the parser").expect("whole");
            assert_eq!((&line, owned(&fields)), (&other, owned(&by_parser)));
            read = true;
        }
        if is_one_head(bytes) {
            assert_eq!(HeadScanner::default().find_end_by_lines(bytes), Ok(Some(bytes.len())));
        }
        read
    }

    #[test]
    fn heads_as_they_are_sent_are_read_here() {
        let heads: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /a?b=c%20d HTTP/1.0\r\nHost: a:80\r\nCookie: a=b; c=\"d\"\r\nX-Empty:\r\nY-Empty: \r\nZ:z\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nServer: \xc3\xa4 b\r\n\r\nx",
            b"HTTP/1.0 404 Not Found\r\nSet-Cookie: a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ];
        for head in heads {
            assert!(is_read_alike(head), "{}", head.escape_ascii());
        }
        assert!(is_one_head(heads[0]) && is_one_head(heads[1]));
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_parser() {
        let heads: [&[u8]; 16] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:  a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a \r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:\ta\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n",
            b"GET / HTTP/1.1\r\n folded: a\r\n\r\n",
            b"GET / HTTP/1.1\r\n: a\r\n\r\n",
            b" / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200\r\nA: b\r\n\r\n",
            b"HTTP/1.1 20 OK\r\nA: b\r\n\r\n",
            b"HTTP/1.1 200 \xc3\xa4\r\nA: b\r\n\r\n",
        ];
        for head in heads {
            assert!(!is_read_alike(head), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn more_than_one_head_and_broken_line_ends_are_not_one_head() {
        let heads: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"G\n\r\n\r\n",
            b"\r\n\r\n",
            b"\r\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\n\r\n\r\n",
        ];
        for head in heads {
            assert!(!is_one_head(head), "{}", head.escape_ascii());
        }
        let long = [b"GET /", &[b'a'; MAX_LINE][..], b" HTTP/1.1\r\n\r\n"].concat();
        assert!(!is_one_head(&long));
        assert_eq!(HeadScanner::default().find_end(&long), Err(HeadError::LineTooLong));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "GET",
            " ",
            "/",
            "HTTP/1.1",
            "HTTP/1.0",
            "\r\n",
            "\r\n\r\n",
            "Host",
            ":",
            ": ",
            "a",
            "\t",
            "\n",
            "\r",
            "200",
            "OK",
            "Content-Length: 0",
            "\x7f",
            "X: y\r\n",
            "HTTP/1.1 200 OK\r\n",
            "GET / HTTP/1.1\r\n",
            "ä",
        ]);
        prop_oneof![
            6 => known.prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_here_is_read_alike_by_the_parser(
            pieces in prop::collection::vec(piece(), 0..12), start in 0..3_usize,
        ) {
            let start = [&b""[..], b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"][start];
            let bytes = [start, &pieces.concat(), b"\r\n\r\n"].concat();
            is_read_alike(&bytes);
            is_read_alike(&bytes[..bytes.len() - 2]);
        }
    }
}
