//! The response head as the client gets it: hop-by-hop fields replaced by the balancer's own, edits applied.

use crate::{
    model::{EditOp, HeaderEdits, Version},
    wire::{
        connection_options::Nominated,
        fields::{Kind, line},
        head::{Framing, Response},
        pump::Delivery,
    },
};

/// What the client's side of the exchange demands of the head.
#[derive(Clone, Copy, Debug)]
pub struct ClientSide {
    /// Version of the request.
    pub version: Version,
    /// Whether the client's connection stays.
    pub keep_alive: bool,
}

/// How a body framed as `framing` reaches a client that spoke `version`.
#[must_use]
pub fn delivery(framing: Framing, version: Version) -> Delivery {
    match (framing, version) {
        (Framing::Chunked, Version::Http10 | Version::Http2) => Delivery::Unwrapped,
        (Framing::UntilClose, Version::Http11) => Delivery::Chunked,
        _ => Delivery::AsIs,
    }
}

/// Whether the client can tell the end of the body without the connection being closed.
#[must_use]
pub fn is_delimited(framing: Framing, version: Version) -> bool {
    match framing {
        Framing::Empty | Framing::Length(_) => true,
        Framing::Chunked | Framing::UntilClose => version != Version::Http10,
    }
}

/// Appends the head to `out`.
pub fn head(response: &Response<'_>, edits: &HeaderEdits, client: ClientSide, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let status = response.status;
    for digit in [status / 100, status / 10 % 10, status % 10] {
        out.push(b'0' + u8::try_from(digit % 10).unwrap_or(0));
    }
    out.push(b' ');
    out.extend_from_slice(response.reason);
    out.extend_from_slice(b"\r\n");
    let switching = matches!(status, 101 | 426);
    let nominated = Nominated::of(&response.fields);
    let coded =
        response.framing == Framing::Empty && response.fields.of(Kind::TransferEncoding).next().is_some();
    for (place, (field, kind)) in response.fields.with_kinds().enumerate() {
        let keep = match kind {
            Kind::Connection | Kind::HopByHop | Kind::TransferEncoding => false,
            Kind::Upgrade => switching,
            Kind::ContentLength => matches!(response.framing, Framing::Length(_) | Framing::Empty) && !coded,
            _ => !nominated.has(place),
        };
        if keep && (edits.is_empty() || !edits.drops(field.name)) {
            line(out, field.name, field.value);
        }
    }
    if delivery(response.framing, client.version) != Delivery::Unwrapped
        && client.version == Version::Http11
        && matches!(response.framing, Framing::Chunked | Framing::UntilClose)
    {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    for edit in edits.iter().filter(|edit| edit.op != EditOp::Remove) {
        line(out, edit.name.as_bytes(), edit.value);
    }
    match (switching, client.keep_alive, client.version) {
        (true, ..) => out.extend_from_slice(b"Connection: Upgrade\r\n"),
        (false, false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (false, true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, true, Version::Http11 | Version::Http2) => {}
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::doubling::assert_linear;

    fn composed(text: &str, edits: &HeaderEdits, version: Version, keep_alive: bool) -> String {
        let response = Response::parse(text.as_bytes(), false).expect("valid").expect("complete");
        let mut out = Vec::new();
        head(&response, edits, ClientSide { version, keep_alive }, &mut out);
        String::from_utf8(out).expect("text")
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
        assert_eq!(out, "HTTP/1.1 200 Fine\r\nServer: app\r\nContent-Length: 5\r\n\r\n");
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
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nCache-Control: private\r\nSet-Cookie: b=2\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn bodies_ended_by_closing_are_chunked_for_http_1_1() {
        let out = composed("HTTP/1.1 200 OK\r\n\r\n", &HeaderEdits::new(), Version::Http11, true);
        assert_eq!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let out = composed("HTTP/1.1 200 OK\r\n\r\n", &HeaderEdits::new(), Version::Http10, false);
        assert_eq!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    }
}
