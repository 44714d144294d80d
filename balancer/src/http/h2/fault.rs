//! What the engine says of a target that did not answer as it should have.

use std::io;

use crate::{
    counters::{Cause, Fault},
    http::exchange::of_read,
};

/// The target closed the connection: the engine takes that for a broken pipe of its own.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// The response did not come.
#[cold]
pub(super) fn of_head(error: &h2::Error) -> Fault {
    if let Some(error) = error.get_io() {
        return Fault::of_ended(Some(error).filter(|error| !is_closed(error)), false);
    }
    let cause = match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => Cause::TargetRefusedStream,
        _ if error.is_remote() && error.is_reset() => Cause::TargetResetStream,
        _ if error.is_remote() => Cause::TargetHttp2Ended,
        _ => Cause::TargetHttp2Invalid,
    };
    Fault::with(cause, error)
}

/// The body of the response did not come whole.
#[cold]
pub(super) fn of_body(error: &h2::Error) -> Fault {
    match error.get_io() {
        Some(error) if is_closed(error) => Cause::TargetClosedInBody.into(),
        Some(error) => of_read(error),
        None if error.is_remote() => Fault::with(Cause::TargetResetInBody, error),
        None => Fault::with(Cause::TargetHttp2Invalid, error),
    }
}
