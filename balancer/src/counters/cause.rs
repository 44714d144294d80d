//! Why a request got an error of the balancer's own, or less than its target's whole answer: one word for the access
//! log, the metrics and the log. Where ALB has a word for `error_reason` it is ALB's. Every word is explained in
//! `docs/logs.md`, which a test holds. Must not know: who found out.

use std::{fmt, io, sync::Arc};

use super::{Counter, LabelValue, OwnStatus};

macro_rules! causes {
    ($($name:ident => $status:ident, $text:literal;)*) => {
        /// Why, in a word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause {
            $(#[doc = $text] $name,)*
        }

        impl Cause {
            /// All of them, in the order of [`Self::index`].
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word, as logs and metrics have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it means, for a person to read.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What the client is told; where it has its response already, what it would have been.
            #[must_use]
            pub const fn status(self) -> OwnStatus {
                match self {
                    $(Self::$name => OwnStatus::$status,)*
                }
            }
        }
    };
}

causes! {
    // There is no connection.
    TargetConnectionRefused => BadGateway, "the target refused the connection";
    TargetConnectionTimedOut => GatewayTimeout, "the target did not take the connection in time";
    TargetUnreachable => BadGateway, "there is no way to the target";
    TargetConnectionFailed => BadGateway, "the connection to the target could not be made";
    OutOfSockets => BadGateway, "this host has no file descriptor, port or memory left for a connection";
    TargetTlsFailed => BadGateway, "the TLS handshake with the target failed";
    TargetTlsTimedOut => GatewayTimeout, "the target did not finish the TLS handshake in time";
    TargetHttp2Failed => BadGateway, "the target took the connection and did not speak HTTP/2 on it";
    TargetHttp2TimedOut => GatewayTimeout, "the target took the connection and did not begin with HTTP/2 in time";
    // The connection did not last.
    TargetClosedBeforeHead => BadGateway, "the target closed the connection before its response";
    TargetResetBeforeHead => BadGateway, "the target broke the connection before its response";
    TargetClosedInHead => BadGateway, "the target closed the connection within the head of its response";
    TargetResetInHead => BadGateway, "the target broke the connection within the head of its response";
    TargetTimedOut => GatewayTimeout, "the target did not answer in time";
    TargetNotReading => GatewayTimeout, "the target did not take the body of the request in time";
    TargetRefusedStream => BadGateway, "the target refused the request over HTTP/2";
    TargetResetStream => BadGateway, "the target reset the request over HTTP/2";
    TargetHttp2Ended => BadGateway, "the target ended its HTTP/2 connection before its response";
    TargetHttp2Invalid => BadGateway, "the target violated HTTP/2";
    TargetDeregistered => BadGateway, "the target was deregistered, and its deregistration delay was over";
    // What came is no response.
    TargetStatusLineInvalid => BadGateway, "the status line of the target's response is malformed";
    TargetHeaderInvalid => BadGateway, "a header field of the target's response is malformed";
    TargetLineEndInvalid => BadGateway, "a line of the target's response does not end in CR LF";
    TargetHeadTooLarge => BadGateway, "the head of the target's response is over 32 K";
    TargetInterimTooLarge => BadGateway, "the target's interim responses are over 100, or over 32 K together";
    TargetHeaderCountTooLarge => BadGateway, "the target's response has too many header fields";
    TargetContentLengthInvalid => BadGateway, "the Content-Length of the target's response is no length";
    TargetContentLengthsDiffer => BadGateway, "the target's response has lengths that differ";
    TargetTransferEncodingInvalid => BadGateway, "the Transfer-Encoding of the target's response is not chunked alone";
    TargetResponseInvalid => BadGateway, "the head of the target's response is malformed";
    TargetUpgradeInvalid => BadGateway, "the target changed to a protocol that it was not asked for";
    TargetWebSocketInvalid => BadGateway, "the target's answer to a WebSocket handshake is none";
    // The response did not come whole: its head was sent on before.
    TargetClosedInBody => BadGateway, "the target closed the connection within the body of its response";
    TargetResetInBody => BadGateway, "the target broke the connection within the body of its response";
    TargetBodyInvalid => BadGateway, "the body of the target's response violates its coding";
    TimedOutInBody => GatewayTimeout, "nothing moved within the body of the response for the idle timeout";
    // Nobody is there.
    NoTarget => ServiceUnavailable, "the target group has no target that takes requests";
    NoTargetGroup => ServiceUnavailable, "no target group of the action has a weight";
    StickyTargetUnhealthy => ServiceUnavailable, "the target of the session is not there, and its sessions do not move";
    TargetBusy => ServiceUnavailable, "no connection to the target had room for the request in time";
    Draining => ServiceUnavailable, "the balancer ends";
    // The request.
    ClientClosed => ClientClosed, "the client went away while its answer was awaited";
    ClientClosedInBody => BadRequest, "the client went away within the body of its request";
    RequestTimedOut => RequestTimeout, "the client did not send its whole request within the idle timeout";
    RequestInvalid => BadRequest, "the request is malformed";
    RequestHeadTooLarge => BadRequest, "a header field of the request, or its whole head, is over the limit";
    RequestLineTooLong => UriTooLong, "the request line is over 16 K";
    RequestBodyInvalid => BadRequest, "the body of the request violates its coding";
    RequestNotCompliant => BadRequest, "the desync mitigation mode refuses the request";
    HttpToHttps => BadRequest, "the client spoke HTTP without TLS to an HTTPS listener";
    MethodNotAllowed => MethodNotAllowed, "the method is TRACE or CONNECT";
    TooManyForwardedAddresses => TooManyAddresses, "X-Forwarded-For has more than 30 addresses";
    ProtocolsIncompatible => IncompatibleProtocol, "the client's protocol and that of the target group do not go together";
    TransferCodingUnknown => NotImplemented, "the request has a transfer coding other than chunked";
    HttpVersionUnknown => VersionNotSupported, "the request has a version of HTTP that is not spoken here";
    TransformFailed => InternalError, "a transform of the rule failed";
    RedirectTooLong => RedirectTooLong, "the URL of the redirect is over 8 K";
}

impl Cause {
    /// Index in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether there was no connection to the target (ALB: `TargetConnectionErrorCount`).
    #[must_use]
    pub const fn is_unconnected(self) -> bool {
        matches!(
            self,
            Self::TargetConnectionRefused
                | Self::TargetConnectionTimedOut
                | Self::TargetUnreachable
                | Self::TargetConnectionFailed
                | Self::OutOfSockets
        )
    }

    /// Whether the system said at once that there is no connection to the target.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::TargetConnectionRefused | Self::TargetConnectionFailed | Self::TargetUnreachable)
    }

    /// Whether the TLS handshake with the target failed (ALB: `TargetTLSNegotiationErrorCount`).
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::TargetTlsFailed | Self::TargetTlsTimedOut)
    }

    /// Whether a target is at the bottom of it, as far as that can be known.
    #[must_use]
    pub const fn is_of_target(self) -> bool {
        matches!(self.status(), OwnStatus::BadGateway | OwnStatus::GatewayTimeout)
            && !matches!(self, Self::TimedOutInBody)
    }

    /// Whether time ran out.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(self.status(), OwnStatus::GatewayTimeout)
    }

    /// Why a client that is gone before its answer was not answered; `was_whole`: its request was there.
    #[must_use]
    pub const fn of_gone(was_whole: bool) -> Self {
        if was_whole { Self::ClientClosed } else { Self::ClientClosedInBody }
    }
}

impl LabelValue for Cause {
    const LABEL: &'static str = "cause";
    const TELLS_ZERO: bool = false;
    const KEYS: &'static [Self] = Self::ALL;
    type Counters = [Counter; Self::ALL.len()];

    fn counters() -> Self::Counters {
        std::array::from_fn(|_| Counter::default())
    }

    fn index(self) -> usize {
        self.index()
    }

    fn word(self) -> String {
        self.as_str().to_owned()
    }
}

/// Most bytes of what a system or a peer says: a peer may say anything.
const MOST_DETAIL: usize = 256;

/// A cause and, where there is more to say, what the system or the peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub cause: Cause,
    /// The system's text, an alert, an error code.
    pub detail: Option<Arc<str>>,
}

impl Fault {
    /// With more to say.
    #[must_use]
    #[cold]
    pub fn with(cause: Cause, detail: &dyn fmt::Display) -> Self {
        let mut text = detail.to_string();
        if text.len() > MOST_DETAIL {
            text.truncate(text.floor_char_boundary(MOST_DETAIL));
            text.push('…');
        }
        Self { cause, detail: Some(text.into()) }
    }

    /// A connection to a target that the system did not make.
    #[must_use]
    #[cold]
    pub fn of_connect(error: &io::Error) -> Self {
        let cause = match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::ConnectionRefused, _) => Cause::TargetConnectionRefused,
            (io::ErrorKind::TimedOut, _) => Cause::TargetConnectionTimedOut,
            (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable, _)
            | (_, Some(libc::EHOSTDOWN)) => Cause::TargetUnreachable,
            (io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory, _)
            | (_, Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS)) => Cause::OutOfSockets,
            _ => Cause::TargetConnectionFailed,
        };
        Self::with(cause, error)
    }

    /// A connection to a target that ended before the whole head of its response; with an error, or closed.
    #[must_use]
    #[cold]
    pub fn of_ended(error: Option<&io::Error>, in_head: bool) -> Self {
        match (error, in_head) {
            // A close without the alert that TLS ends with is a close.
            (Some(error), in_head) if error.kind() == io::ErrorKind::UnexpectedEof => Self::with(
                if in_head { Cause::TargetClosedInHead } else { Cause::TargetClosedBeforeHead },
                error,
            ),
            (Some(error), true) => Self::with(Cause::TargetResetInHead, error),
            (Some(error), false) => Self::with(Cause::TargetResetBeforeHead, error),
            (None, true) => Cause::TargetClosedInHead.into(),
            (None, false) => Cause::TargetClosedBeforeHead.into(),
        }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self { cause, detail: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.text())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_index_themselves_and_have_words_of_their_own() {
        for (index, cause) in Cause::ALL.iter().enumerate() {
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
    fn what_the_system_says_is_told_once() {
        let of = |errno| Fault::of_connect(&io::Error::from_raw_os_error(errno));
        let refused = of(libc::ECONNREFUSED);
        assert_eq!(
            refused.to_string(),
            "the target refused the connection: Connection refused (os error 111)"
        );
        for (errno, cause) in [
            (libc::ETIMEDOUT, Cause::TargetConnectionTimedOut),
            (libc::EHOSTUNREACH, Cause::TargetUnreachable),
            (libc::ENETUNREACH, Cause::TargetUnreachable),
            (libc::EADDRNOTAVAIL, Cause::OutOfSockets),
            (libc::EMFILE, Cause::OutOfSockets),
            (libc::ENOENT, Cause::TargetConnectionFailed),
        ] {
            assert_eq!(of(errno).cause, cause, "{errno}");
            assert!(cause.is_unconnected());
        }
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
        assert_eq!(Fault::of_ended(Some(&reset), false).cause, Cause::TargetResetBeforeHead);
        assert_eq!(Fault::of_ended(None, true).cause, Cause::TargetClosedInHead);
        assert!(!Cause::TargetTimedOut.is_unconnected() && Cause::TargetTimedOut.is_timeout());
    }
}
