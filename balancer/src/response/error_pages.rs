//! What the balancer's own pages say.

use crate::counters::OwnStatus;

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
        OwnStatus::InternalError => "Internal Server Error",
        OwnStatus::NotImplemented => "Not Implemented",
        OwnStatus::BadGateway => "Bad Gateway",
        OwnStatus::ServiceUnavailable => "Service Temporarily Unavailable",
        OwnStatus::GatewayTimeout => "Gateway Timeout",
        OwnStatus::VersionNotSupported => "HTTP Version Not Supported",
        OwnStatus::RedirectTooLong => "Insufficient Storage",
    }
}

/// The body of a page.
#[must_use]
pub fn body(code: u16, reason: &str) -> String {
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
