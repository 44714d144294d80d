//! Why a request got an error of the balancer's own, or less than its target's whole answer: one row of one table, from
//! which follow the word for logs and metrics, the status, and what is counted beside it. Where ALB has a word for
//! `error_reason` it is ALB's. Every row is explained in `docs/logs.md`, which a test holds. Must not know: who found out.

use super::{OwnStatus, keys::labels};
use crate::wire::head::HeadError;

/// At whom a request failed, as far as that can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its client.
    Client,
    /// Its target.
    Target,
    /// Its target group, or action: nobody is there.
    Group,
    /// This host.
    Balancer,
    /// Client or target.
    Unknown,
}

/// In what it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its client was there no more.
    Gone,
    /// The request came, or went to its target.
    Request,
    /// It was decided where to go.
    Choice,
    /// A connection to its target was made (ALB: `TargetConnectionErrorCount`).
    Connect,
    /// TLS was begun with its target (ALB: `TargetTLSNegotiationErrorCount`).
    Tls,
    /// HTTP/2 was begun with its target.
    Http2,
    /// It waited for room on connections to its target.
    Room,
    /// The head of the response was awaited, or came.
    Head,
    /// The body of the response came.
    Body,
}

/// What is known of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    side: Side,
    phase: Phase,
    status: OwnStatus,
    text: &'static str,
}

macro_rules! causes {
    ($($name:ident => $side:ident $phase:ident $status:ident, $text:literal;)*) => {
        labels! {
            /// Why, in a word.
            pub enum Cause by "cause", tells_zero false {
                $( #[doc = $text] $name = stringify!($name), )*
            }
        }

        impl Cause {
            const fn row(self) -> Row {
                match self {
                    $( Self::$name => Row {
                        side: Side::$side, phase: Phase::$phase, status: OwnStatus::$status, text: $text,
                    }, )*
                }
            }
        }
    };
}

causes! {
    // There is no connection.
    TargetConnectionRefused => Target Connect BadGateway, "the target refused the connection";
    TargetConnectionTimedOut => Target Connect GatewayTimeout, "the target did not take the connection in time";
    TargetUnreachable => Target Connect BadGateway, "there is no way to the target";
    TargetConnectionFailed => Target Connect BadGateway, "the connection to the target could not be made";
    OutOfSockets => Balancer Connect BadGateway, "this host has no file descriptor, port or memory left for a connection";
    TargetTlsFailed => Target Tls BadGateway, "the TLS handshake with the target failed";
    TargetTlsTimedOut => Target Tls GatewayTimeout, "the target did not finish the TLS handshake in time";
    TargetHttp2Failed => Target Http2 BadGateway, "the target took the connection and did not speak HTTP/2 on it";
    TargetHttp2TimedOut => Target Http2 GatewayTimeout, "the target took the connection and did not begin with HTTP/2 in time";
    // The connection did not last.
    TargetClosedBeforeHead => Target Head BadGateway, "the target closed the connection before its response";
    TargetResetBeforeHead => Target Head BadGateway, "the target broke the connection before its response";
    TargetClosedInHead => Target Head BadGateway, "the target closed the connection within the head of its response";
    TargetResetInHead => Target Head BadGateway, "the target broke the connection within the head of its response";
    TargetTimedOut => Target Head GatewayTimeout, "the target did not answer in time";
    TargetSilent => Target Head GatewayTimeout, "the target's host answered nothing any more, the request not either";
    TargetNotReading => Target Request GatewayTimeout, "the target did not take the body of the request in time";
    TargetRefusedStream => Target Head BadGateway, "the target refused the request over HTTP/2";
    TargetResetStream => Target Head BadGateway, "the target reset the request over HTTP/2";
    TargetHttp2Ended => Target Head BadGateway, "the target ended its HTTP/2 connection before its response";
    TargetHttp2Invalid => Target Head BadGateway, "the target violated HTTP/2";
    TargetDeregistered => Target Choice BadGateway, "the target was deregistered, and its deregistration delay was over";
    // What came is no response.
    TargetStatusLineInvalid => Target Head BadGateway, "the status line of the target's response is malformed";
    TargetHeaderInvalid => Target Head BadGateway, "a header field of the target's response is malformed";
    TargetLineEndInvalid => Target Head BadGateway, "a line of the target's response does not end in CR LF";
    TargetHeadTooLarge => Target Head BadGateway, "the head of the target's response is over 32 K";
    TargetInterimTooLarge => Target Head BadGateway, "the target's interim responses are over 100, or over 32 K together";
    TargetHeaderCountTooLarge => Target Head BadGateway, "the target's response has too many header fields";
    TargetContentLengthInvalid => Target Head BadGateway, "the Content-Length of the target's response is no length";
    TargetContentLengthsDiffer => Target Head BadGateway, "the target's response has lengths that differ";
    TargetTransferEncodingInvalid => Target Head BadGateway, "the Transfer-Encoding of the target's response is not chunked alone";
    TargetResponseInvalid => Target Head BadGateway, "the head of the target's response is malformed";
    TargetUpgradeInvalid => Target Head BadGateway, "the target changed to a protocol that it was not asked for";
    TargetWebSocketInvalid => Target Head BadGateway, "the target's answer to a WebSocket handshake is none";
    // The response did not come whole: its head was sent on before.
    TargetClosedInBody => Target Body BadGateway, "the target closed the connection within the body of its response";
    TargetResetInBody => Target Body BadGateway, "the target broke the connection within the body of its response";
    TargetBodyInvalid => Target Body BadGateway, "the body of the target's response violates its coding";
    TimedOutInBody => Unknown Body GatewayTimeout, "nothing moved within the body of the response for the idle timeout";
    // Nobody is there.
    NoTarget => Group Choice ServiceUnavailable, "the target group has no target that takes requests";
    NoTargetGroup => Group Choice ServiceUnavailable, "no target group of the action has a weight";
    StickyTargetUnhealthy => Group Choice ServiceUnavailable, "the target of the session is not there, and its sessions do not move";
    TargetBusy => Target Room ServiceUnavailable, "no connection to the target had room for the request in time";
    Draining => Balancer Choice ServiceUnavailable, "the balancer ends";
    // The request.
    ClientClosed => Client Gone ClientClosed, "the client went away while its answer was awaited";
    ClientClosedInBody => Client Gone BadRequest, "the client went away within the body of its request";
    RequestTimedOut => Client Request RequestTimeout, "the client did not send its whole request within the idle timeout";
    RequestInvalid => Client Request BadRequest, "the request is malformed";
    RequestHeadTooLarge => Client Request BadRequest, "a header field of the request, or its whole head, is over the limit, or it has over 200 fields";
    RequestLineTooLong => Client Request UriTooLong, "the request line is over 16 K";
    RequestBodyInvalid => Client Request BadRequest, "the body of the request violates its coding";
    RequestNotCompliant => Client Request BadRequest, "the desync mitigation mode refuses the request";
    HttpToHttps => Client Request BadRequest, "the client spoke HTTP without TLS to an HTTPS listener";
    MethodNotAllowed => Client Request MethodNotAllowed, "the method is TRACE or CONNECT";
    TooManyForwardedAddresses => Client Request TooManyAddresses, "X-Forwarded-For has more than 30 addresses";
    ProtocolsIncompatible => Client Request IncompatibleProtocol, "the client's protocol and that of the target group do not go together";
    TransferCodingUnknown => Client Request NotImplemented, "the request has a transfer coding other than chunked";
    HttpVersionUnknown => Client Request VersionNotSupported, "the request has a version of HTTP that is not spoken here";
    TransformFailed => Balancer Choice InternalError, "a transform of the rule failed";
    RedirectTooLong => Balancer Choice RedirectTooLong, "the URL of the redirect is over 8 K";
}

impl Cause {
    /// What it means, for a person to read.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.row().text
    }

    /// What the client is told; where it has its response already, what it would have been.
    #[must_use]
    pub const fn status(self) -> OwnStatus {
        self.row().status
    }

    /// At whom the request failed.
    #[must_use]
    pub const fn side(self) -> Side {
        self.row().side
    }

    /// In what it failed, by which more than the cause is counted.
    #[must_use]
    pub const fn phase(self) -> Phase {
        self.row().phase
    }

    /// Whether the system said at once that there is no connection to the target.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(
            self.row(),
            Row { side: Side::Target, phase: Phase::Connect, status: OwnStatus::BadGateway, .. }
        )
    }

    /// Whether it is what the target made of a request on a connection to it.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(
            self.row(),
            Row { side: Side::Target, phase: Phase::Http2 | Phase::Request | Phase::Head | Phase::Body, .. }
        )
    }

    /// Whether the target took all of its time.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(self.row(), Row { status: OwnStatus::GatewayTimeout, .. } | Row { phase: Phase::Room, .. })
    }
}

/// Why a head that breaks a rule is refused: of a request, and of a target's response.
#[must_use]
pub const fn causes_of(error: HeadError) -> (Cause, Cause) {
    match error {
        HeadError::StatusLine => (Cause::RequestInvalid, Cause::TargetStatusLineInvalid),
        HeadError::Version => (Cause::HttpVersionUnknown, Cause::TargetStatusLineInvalid),
        HeadError::Field => (Cause::RequestInvalid, Cause::TargetHeaderInvalid),
        HeadError::LineEnd => (Cause::RequestInvalid, Cause::TargetLineEndInvalid),
        HeadError::TooLarge => (Cause::RequestHeadTooLarge, Cause::TargetHeadTooLarge),
        HeadError::LineTooLong => (Cause::RequestLineTooLong, Cause::TargetHeadTooLarge),
        HeadError::TooManyFields => (Cause::RequestHeadTooLarge, Cause::TargetHeaderCountTooLarge),
        HeadError::ContentLength => (Cause::RequestInvalid, Cause::TargetContentLengthInvalid),
        HeadError::ContentLengthsDiffer => (Cause::RequestInvalid, Cause::TargetContentLengthsDiffer),
        HeadError::TransferCoding => (Cause::TransferCodingUnknown, Cause::TargetTransferEncodingInvalid),
        HeadError::Malformed => (Cause::RequestInvalid, Cause::TargetResponseInvalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_index_themselves_and_have_words_of_their_own() {
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), index);
            assert!(cause.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cause:?}");
        }
    }

    #[test]
    fn the_page_on_logs_explains_every_cause() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/logs.md")).unwrap();
        for cause in Cause::ALL {
            let row = format!("| `{}` | {} | {} |", cause.as_str(), cause.status().code(), cause.text());
            assert!(page.contains(&row), "docs/logs.md lacks {row}");
        }
    }

    #[test]
    fn targets_fail_in_what_they_do_and_get_no_blame_for_others() {
        for cause in Cause::ALL {
            let named = cause.as_str().starts_with("Target");
            assert_eq!(cause.side() == Side::Target, named, "{cause:?}");
            let is_bad = matches!(cause.status(), OwnStatus::BadGateway | OwnStatus::GatewayTimeout);
            assert!(is_bad || !named || cause == Cause::TargetBusy, "{cause:?}");
        }
    }
}
