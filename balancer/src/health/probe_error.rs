//! Why a check of either HTTP version got no status, how it presents itself, and how much of an answer it reads.
//! Must not know: how a check is made.

use std::{io, time::Duration};

use crate::{
    counters::{Cause, Failure, is_own_shortage},
    upstream::http2_failure,
    wire::http2::StreamEnd,
};

/// As ALB's `ELB-HealthChecker/2.0`, under our own name.
pub(super) const USER_AGENT: &str = concat!("balancer-health-check/", env!("CARGO_PKG_VERSION"));
/// What is read of a body so that the target sees its answer taken and not a reset, and for how long.
pub(super) const POLITE_BYTES: usize = 64 * 1024;

/// Why a check did not get a status code.
#[derive(Debug)]
pub(super) enum ProbeError {
    /// This host could not even try: says nothing about the target.
    Local(io::Error),
    /// It does not take the connection, for which it had less time than for the check.
    Silent(Duration),
    /// The target refused, closed, reset, or answered what is not HTTP.
    Target(Failure),
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        if is_own_shortage(&error) { Self::Local(error) } else { Self::Target(Failure::of_connect(&error)) }
    }
}

impl From<Failure> for ProbeError {
    fn from(failure: Failure) -> Self {
        Self::Target(failure)
    }
}

impl From<StreamEnd> for ProbeError {
    fn from(ending: StreamEnd) -> Self {
        // Whose answer can be read, and is ill-formed, speaks HTTP/2; what cannot be read may be anything.
        let otherwise = match ending {
            StreamEnd::Malformed => Cause::TargetHttp2Invalid,
            _ => Cause::TargetHttp2Failed,
        };
        Self::Target(http2_failure::of_head(&ending, otherwise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http2::Violation;

    #[test]
    fn an_ill_formed_answer_is_one_of_http_2() {
        for (ending, wanted) in [
            (StreamEnd::Malformed, Cause::TargetHttp2Invalid),
            (StreamEnd::Violated(Violation::Compression), Cause::TargetHttp2Failed),
        ] {
            let ProbeError::Target(failure) = ProbeError::from(ending) else { panic!("of the target") };
            assert_eq!(failure.cause, wanted);
        }
    }

    #[test]
    fn what_this_host_is_short_of_says_nothing_about_a_target() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL] {
            let error = ProbeError::from(io::Error::from_raw_os_error(errno));
            assert!(matches!(error, ProbeError::Local(_)), "{errno}: {error:?}");
        }
        for errno in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ECONNRESET] {
            let error = ProbeError::from(io::Error::from_raw_os_error(errno));
            assert!(matches!(error, ProbeError::Target(_)), "{errno}: {error:?}");
        }
    }
}
