//! Answers of the balancer's own.

use super::listener_fields::ListenerFields;
use crate::{clock::CoarseClock, telemetry::counters::OwnStatus};

/// The reason phrase (RFC 9110, section 15; ALB has 460, 463 and 464 of its own).
#[must_use]
pub const fn reason(status: OwnStatus) -> &'static str {
    match status {
        OwnStatus::BadRequest => "Bad Request",
        OwnStatus::MethodNotAllowed => "Method Not Allowed",
        OwnStatus::RequestTimeout => "Request Timeout",
        OwnStatus::UriTooLong => "URI Too Long",
        OwnStatus::ClientClosed => "Client Closed Request",
        OwnStatus::TooManyAddresses => "Too Many Forwarded Addresses",
        OwnStatus::IncompatibleProtocol => "Incompatible Protocol Versions",
        OwnStatus::NotImplemented => "Not Implemented",
        OwnStatus::BadGateway => "Bad Gateway",
        OwnStatus::ServiceUnavailable => "Service Temporarily Unavailable",
        OwnStatus::GatewayTimeout => "Gateway Timeout",
        OwnStatus::VersionNotSupported => "HTTP Version Not Supported",
    }
}

/// The body.
#[must_use]
pub fn body(status: OwnStatus) -> String {
    let (code, reason) = (status.code(), reason(status));
    format!(
        "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n\
         <center><h1>{code} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// The value of the Allow field, for the status that has one.
#[must_use]
pub fn allow(status: OwnStatus) -> Option<&'static str> {
    (status == OwnStatus::MethodNotAllowed).then_some("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH")
}

/// The whole answer, with the listener's `fields`; without its body when it answers HEAD.
#[must_use]
pub fn page(
    status: OwnStatus,
    fields: &ListenerFields,
    clock: &CoarseClock,
    keep_alive: bool,
    to_head: bool,
) -> Vec<u8> {
    let fields = fields.own_lines();
    let (code, reason) = (status.code(), reason(status));
    let body = body(status);
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let allow = allow(status).map(|methods| format!("Allow: {methods}\r\n")).unwrap_or_default();
    let head = clock.with_date(|date| {
        format!(
            "HTTP/1.1 {code} {reason}\r\n{fields}Date: {date}\r\nContent-Type: text/html\r\n\
             {allow}Content-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        )
    });
    let mut page = head.into_bytes();
    if !to_head {
        page.extend_from_slice(body.as_bytes());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Framing, Response};

    #[test]
    fn every_page_is_a_valid_response_without_cookies() {
        let clock = CoarseClock::new();
        for status in OwnStatus::ALL {
            let page = page(status, &ListenerFields::default(), &clock, false, false);
            let response = Response::parse(&page, false).expect("valid").expect("complete");
            assert_eq!(response.status, status.code());
            assert_eq!(response.framing, Framing::Length((page.len() - response.length) as u64));
            assert!(response.view().values("set-cookie").next().is_none());
        }
    }
}
