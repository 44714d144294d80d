//! What stands between a request, or a check, and the whole of its target's response: why, and what may be done about it.
//! Status, side, metrics and log follow from the cause. Must not know: what the client is answered.

use std::{fmt, io, sync::Arc};

use super::{Cause, Phase, Side};

/// Most bytes of what a system or a peer says: a peer may say anything.
const MOST_DETAIL: usize = 256;

/// What may be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing.
    Never,
    /// The target did not take the request: another may.
    Elsewhere,
    /// The target ended a connection, kept or new, and has not seen the request: another connection may do.
    Unseen,
    /// The connection, kept (`reused`) or new, ended before anything came back. The target may have seen the request, which
    /// does no harm twice and of which nothing was consumed.
    Ended {
        /// It was kept.
        reused: bool,
    },
}

/// When a target is told to have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whatever comes of the request.
    Now,
    /// When that is all that comes of the request: a connection that has served others ends some day.
    InTheEnd,
    /// Never.
    Nobody,
}

/// Why there is no response, or not the whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// The system's text, an alert, an error code.
    pub detail: Option<Arc<str>>,
    /// What may be done about it.
    pub retry: Retry,
    /// The code by which the target reset the request over HTTP/2, where that is what happened.
    pub reset: Option<u32>,
    /// Whether its target is told to have failed by it already, for another request that waited for the same.
    pub is_told: bool,
}

/// Whether a connection was not made for want of something on this host: a file descriptor, a port, memory.
#[must_use]
pub fn is_own_shortage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory)
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS))
}

impl Failure {
    /// With more to say.
    #[must_use]
    #[cold]
    pub fn with(cause: Cause, detail: &dyn fmt::Display) -> Self {
        let mut text = detail.to_string();
        if text.len() > MOST_DETAIL {
            text.truncate(text.floor_char_boundary(MOST_DETAIL));
            text.push('…');
        }
        Self { detail: Some(text.into()), ..cause.into() }
    }

    /// The same, about which so much may be done.
    #[must_use]
    pub fn retried(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The client is gone; `is_read`: its request was there.
    #[must_use]
    #[cold]
    pub fn gone(is_read: bool) -> Self {
        if is_read { Cause::ClientClosed.into() } else { Cause::ClientClosedInBody.into() }
    }

    /// Whether there is nobody to be answered.
    #[must_use]
    pub fn is_of_gone(&self) -> bool {
        self.cause.phase() == Phase::Gone
    }

    /// When its target is told to have failed. It is not where this host was not able to ask it.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match (self.retry, self.cause.side()) {
            _ if self.is_told => Blame::Nobody,
            (_, Side::Balancer) => Blame::Nobody,
            (Retry::Elsewhere | Retry::Ended { reused: false }, _) | (Retry::Never, Side::Target) => {
                Blame::Now
            }
            (Retry::Unseen | Retry::Ended { reused: true }, _) => Blame::InTheEnd,
            (Retry::Never, _) => Blame::Nobody,
        }
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
            _ if is_own_shortage(error) => Cause::OutOfSockets,
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

    /// Reading the body of a response failed.
    #[must_use]
    #[cold]
    pub fn of_read(error: &io::Error) -> Self {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        Self::with(if closed { Cause::TargetClosedInBody } else { Cause::TargetResetInBody }, error)
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self { cause, detail: None, retry: Retry::Never, reset: None, is_told: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.text())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_once() {
        let of = |errno| Failure::of_connect(&io::Error::from_raw_os_error(errno));
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
            (libc::ENFILE, Cause::OutOfSockets),
            (libc::ENOBUFS, Cause::OutOfSockets),
            (libc::ENOMEM, Cause::OutOfSockets),
            (libc::ENOENT, Cause::TargetConnectionFailed),
        ] {
            assert_eq!(of(errno).cause, cause, "{errno}");
            assert_eq!(cause.phase(), Phase::Connect);
        }
        for (errno, blame) in [
            (libc::ECONNREFUSED, Blame::Now),
            (libc::EHOSTUNREACH, Blame::Now),
            (libc::EADDRNOTAVAIL, Blame::Nobody),
            (libc::EMFILE, Blame::Nobody),
            (libc::ENOMEM, Blame::Nobody),
        ] {
            let failure = of(errno).retried(Retry::Elsewhere);
            assert_eq!(failure.blame(), blame, "{errno}");
            assert_eq!(Failure { is_told: true, ..failure }.blame(), Blame::Nobody);
        }
        assert_eq!(Failure::from(Cause::Draining).retried(Retry::Elsewhere).blame(), Blame::Nobody);
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
        assert_eq!(Failure::of_ended(Some(&reset), false).cause, Cause::TargetResetBeforeHead);
        assert_eq!(Failure::of_ended(None, true).cause, Cause::TargetClosedInHead);
        assert!(Cause::TargetTimedOut.phase() == Phase::Head && Cause::TargetTimedOut.is_timeout());
    }
}
