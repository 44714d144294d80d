//! What the engine's errors say of a target that did not answer as it should have, a request or a check.
//! Must not know: what is done about it.

use std::io;

use crate::counters::{Cause, Failure};

/// Whether the target closed the connection: the engine takes that for a broken pipe of its own.
#[must_use]
pub fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The response did not come; `otherwise`, where it is none of the target's doing that is known.
#[must_use]
#[cold]
pub fn of_head(error: &h2::Error, otherwise: Cause) -> Failure {
    if let Some(error) = error.get_io() {
        return Failure::of_ended(Some(error).filter(|error| !is_closed(error)), false);
    }
    let cause = match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => Cause::TargetRefusedStream,
        _ if error.is_remote() && error.is_reset() => Cause::TargetResetStream,
        _ if error.is_remote() => Cause::TargetHttp2Ended,
        _ => otherwise,
    };
    Failure::with(cause, error)
}

/// The body of the response did not come whole.
#[must_use]
#[cold]
pub fn of_body(error: &h2::Error) -> Failure {
    match error.get_io() {
        Some(error) if is_closed(error) => Cause::TargetClosedInBody.into(),
        Some(error) => Failure::of_read(error),
        None if error.is_remote() => Failure::with(Cause::TargetResetInBody, error),
        None => Failure::with(Cause::TargetHttp2Invalid, error),
    }
}
