//! What stands between a request and the whole of its target's response: whose fault it is, what may be done about it, and
//! what its parts on either side mean. Must not know: what the client is answered.

use std::io;

use crate::{
    counters::{Cause, Fault},
    wire::head::HeadError,
};

/// What may be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
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

/// Why a request has no response, or not the whole of it. Status, side, metrics and log follow from the cause.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Why, with what the system or the peer said.
    pub(crate) fault: Fault,
    /// What may be done about it.
    pub(crate) retry: Retry,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, retry: Retry::Never }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Fault::from(cause).into()
    }
}

impl Failure {
    /// The client is gone; `is_read`: its request was there.
    #[cold]
    pub(crate) fn gone(is_read: bool) -> Self {
        Cause::of_gone(is_read).into()
    }

    /// Whether there is nobody to be answered.
    pub(crate) fn is_of_gone(&self) -> bool {
        matches!(self.fault.cause, Cause::ClientClosed | Cause::ClientClosedInBody)
    }

    /// Whether the target is told to have failed, whatever comes of the request. A connection that has served others ends
    /// some day: it is the target's fault when that is all that comes of it.
    pub(crate) fn is_of_target(&self) -> bool {
        match self.retry {
            Retry::Elsewhere | Retry::Ended { reused: false } => true,
            Retry::Unseen | Retry::Ended { reused: true } => false,
            Retry::Never => self.fault.cause.is_of_target(),
        }
    }
}

/// Reading the body of a response failed.
#[cold]
pub(crate) fn of_read(error: &io::Error) -> Fault {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    Fault::with(if closed { Cause::TargetClosedInBody } else { Cause::TargetResetInBody }, error)
}

/// Which rule the head of a target's response breaks.
#[cold]
pub(crate) fn of_response(error: HeadError) -> Failure {
    Failure::from(match error {
        HeadError::StatusLine | HeadError::Version => Cause::TargetStatusLineInvalid,
        HeadError::Field => Cause::TargetHeaderInvalid,
        HeadError::LineEnd => Cause::TargetLineEndInvalid,
        HeadError::TooLarge | HeadError::LineTooLong => Cause::TargetHeadTooLarge,
        HeadError::TooManyFields => Cause::TargetHeaderCountTooLarge,
        HeadError::ContentLength => Cause::TargetContentLengthInvalid,
        HeadError::ContentLengthsDiffer => Cause::TargetContentLengthsDiffer,
        HeadError::TransferCoding => Cause::TargetTransferEncodingInvalid,
        HeadError::Malformed => Cause::TargetResponseInvalid,
    })
}
