//! The response head as the client gets it: hop-by-hop fields replaced by the balancer's own, edits applied.

use std::convert::Infallible;

use crate::{
    clock::CoarseClock,
    model::{EditOp, HeaderEdits, Version},
    wire::{
        fields::{Kind, line, list},
        head::{Framing, Response},
    },
};

/// Who receives the head.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// Version of the request.
    pub version: Version,
    /// Whether the client's connection stays.
    pub keep_alive: bool,
}

/// Whether a body framed as `framing` reaches a client that spoke `version` in chunked coding.
#[must_use]
pub fn is_chunked(framing: Framing, version: Version) -> bool {
    matches!(framing, Framing::Chunked | Framing::UntilClose) && version == Version::Http11
}

/// Whether the client can tell the end of the body without the connection being closed.
#[must_use]
pub fn is_delimited(framing: Framing, version: Version) -> bool {
    match framing {
        Framing::Empty | Framing::Length(_) => true,
        Framing::Chunked | Framing::UntilClose => version != Version::Http10,
    }
}

/// Hands the fields of the response that go on to `put`, whatever carries them. A response that says of no time gets that
/// of `clock` (RFC 9110, section 6.6.1).
#[inline]
pub fn fields<E>(
    response: &Response<'_>,
    edits: &HeaderEdits,
    clock: &CoarseClock,
    keeps_upgrade: bool,
    mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut has_length, mut has_date) = (!response.may_have_length(), response.status < 200);
    for (field, kind) in response.fields.with_kinds() {
        let keep = match kind {
            Kind::Connection | Kind::HopByHop | Kind::TransferEncoding | Kind::Te => false,
            Kind::Upgrade => keeps_upgrade,
            // Equal lengths count once, and so does a list of them.
            Kind::ContentLength => !std::mem::replace(&mut has_length, true),
            // One that is empty says of no time.
            Kind::Date => !field.value.is_empty(),
            _ => true,
        };
        if keep && (edits.is_empty() || !edits.drops(field.name)) {
            has_date |= kind == Kind::Date;
            let value = if kind == Kind::ContentLength { first(field.value) } else { field.value };
            put(field.name, value)?;
        }
    }
    if !has_date {
        clock.with_date(|date| put(b"Date", date.as_bytes()))?;
    }
    Ok(())
}

/// Appends the head to `out`.
pub fn head(
    response: &Response<'_>,
    edits: &HeaderEdits,
    receiver: Receiver,
    clock: &CoarseClock,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let status = response.status;
    for digit in [status / 100, status / 10 % 10, status % 10] {
        out.push(b'0' + u8::try_from(digit % 10).unwrap_or(0));
    }
    out.push(b' ');
    out.extend_from_slice(response.reason);
    out.extend_from_slice(b"\r\n");
    let switching = matches!(status, 101 | 426);
    let mut copier = response.fields.copier();
    let put = |name: &[u8], value: &[u8]| -> Result<(), Infallible> {
        copier.put(name, value, out);
        Ok(())
    };
    let Ok(()) = fields(response, edits, clock, switching, put);
    copier.finish(out);
    if is_chunked(response.framing, receiver.version) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    for edit in edits.iter().filter(|edit| edit.op != EditOp::Remove) {
        line(out, edit.name.as_bytes(), edit.value);
    }
    // What Upgrade names goes to the next hop with it (RFC 9110, section 7.8).
    let upgrade = switching && response.fields.has(Kind::Upgrade);
    match (upgrade, receiver.keep_alive, receiver.version) {
        (true, false, _) if status != 101 => out.extend_from_slice(b"Connection: Upgrade, close\r\n"),
        (true, true, Version::Http10) => out.extend_from_slice(b"Connection: Upgrade, keep-alive\r\n"),
        (true, ..) => out.extend_from_slice(b"Connection: Upgrade\r\n"),
        (false, false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (false, true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, true, Version::Http11 | Version::Http2) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// The first member of a list that may have but one.
#[must_use]
pub fn first(value: &[u8]) -> &[u8] {
    if value.contains(&b',') { list(value).next().unwrap_or(value) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::doubling::assert_linear;

    fn composed(text: &str, edits: &HeaderEdits, version: Version, keep_alive: bool) -> String {
        let response = Response::parse(text.as_bytes(), false).expect("valid").expect("complete");
        let mut out = Vec::new();
        let clock = CoarseClock::new();
        head(&response, edits, Receiver { version, keep_alive }, &clock, &mut out);
        let out = String::from_utf8(out).expect("text");
        clock.with_date(|date| out.replace(date, "now"))
    }

    #[test]
    fn hop_by_hop_fields_stay_behind() {
        let out = composed(
            "HTTP/1.0 200 Fine\r\nServer: app\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 3\r\n\
             Upgrade: h2c\r\nContent-Length: 5\r\n\r\n",
            &HeaderEdits::new(),
            Version::Http11,
            true,
        );
        assert_eq!(out, "HTTP/1.1 200 Fine\r\nServer: app\r\nContent-Length: 5\r\nDate: now\r\n\r\n");
    }

    #[test]
    fn many_connection_members_and_many_fields_do_not_multiply() {
        let text = |n: usize| {
            let members: String = (0..n).map(|number| format!("m{number:03},")).collect();
            let lines: String = (0..n / 20).map(|number| format!("m{number:03}x: v\r\n")).collect();
            format!("HTTP/1.1 200 OK\r\nConnection: {members}\r\n{lines}Content-Length: 0\r\n\r\n")
        };
        assert_linear(text, 1600, |text| {
            assert!(composed(text, &HeaderEdits::new(), Version::Http11, true).contains("m000x"));
        });
    }

    #[test]
    fn edits_replace_and_add() {
        let mut edits = HeaderEdits::new();
        edits.set("Cache-Control", b"private");
        edits.append("Set-Cookie", b"b=2");
        let out = composed(
            "HTTP/1.1 200 OK\r\ncache-control: public\r\nSet-Cookie: a=1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &edits,
            Version::Http10,
            false,
        );
        assert_eq!(
            out,
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nDate: now\r\nCache-Control: private\r\nSet-Cookie: b=2\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn bodies_ended_by_closing_are_chunked_for_http_1_1() {
        let out = composed("HTTP/1.1 200 OK\r\n\r\n", &HeaderEdits::new(), Version::Http11, true);
        assert_eq!(out, "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n");
        let out = composed("HTTP/1.1 200 OK\r\n\r\n", &HeaderEdits::new(), Version::Http10, false);
        assert_eq!(out, "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn a_date_is_added_where_there_is_none_to_go_on() {
        let dates = |text: &str| {
            let out = composed(text, &HeaderEdits::new(), Version::Http11, true);
            out.lines().filter_map(|line| line.strip_prefix("Date: ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(dates("HTTP/1.1 200 OK\r\nDate: then\r\n\r\n"), ["then"]);
        assert_eq!(dates("HTTP/1.1 200 OK\r\n\r\n"), ["now"]);
        assert_eq!(dates("HTTP/1.1 200 OK\r\nDate:\r\n\r\n"), ["now"]);
        assert_eq!(dates("HTTP/1.1 200 OK\r\nDate: \r\nDate: then\r\n\r\n"), ["then"]);
        assert_eq!(dates("HTTP/1.1 103 Early Hints\r\nDate:\r\n\r\n"), [""; 0]);
        assert_eq!(dates("HTTP/1.1 200 OK\r\nDate: then\r\nConnection: date\r\n\r\n"), ["now"]);
        assert_eq!(dates("HTTP/1.1 103 Early Hints\r\n\r\n"), [""; 0]);
    }

    #[test]
    fn one_length_goes_on_and_only_where_there_can_be_content() {
        let lengths = |text: &str| {
            let out = composed(text, &HeaderEdits::new(), Version::Http11, true);
            let lines = out.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lengths("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"), ["5"]);
        assert_eq!(lengths("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), ["5"]);
        assert_eq!(lengths("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), ["5"]);
        for status in ["103 Early Hints", "204 No Content"] {
            assert_eq!(
                lengths(&format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n")),
                [""; 0],
                "{status}"
            );
        }
    }
}
