//! What it says of a target that a stream to it ended early, a request's or a check's. Must not know: what is done about it.

use crate::{
    counters::{Cause, Failure},
    wire::http2::{ErrorCode, StreamEnd},
};

/// The response did not come; `otherwise`, where the target has violated HTTP/2.
#[must_use]
#[cold]
pub fn of_head(ending: &StreamEnd, otherwise: Cause) -> Failure {
    let cause = match ending {
        StreamEnd::Closed => return Failure::of_ended(None, false),
        StreamEnd::Broken(error) => return Failure::of_ended(Some(error), false),
        StreamEnd::Reset(code) if *code == ErrorCode::Refused as u32 => Cause::TargetRefusedStream,
        StreamEnd::Reset(_) => Cause::TargetResetStream,
        StreamEnd::Unseen(_) => Cause::TargetHttp2Ended,
        StreamEnd::Malformed | StreamEnd::Violated(_) => otherwise,
    };
    Failure { reset: code_of(ending), ..Failure::with(cause, ending) }
}

/// The body of the response did not come whole.
#[must_use]
#[cold]
pub fn of_body(ending: &StreamEnd) -> Failure {
    let cause = match ending {
        StreamEnd::Closed => return Cause::TargetClosedInBody.into(),
        StreamEnd::Broken(error) => return Failure::of_read(error),
        StreamEnd::Reset(_) | StreamEnd::Unseen(_) => Cause::TargetResetInBody,
        StreamEnd::Malformed | StreamEnd::Violated(_) => Cause::TargetHttp2Invalid,
    };
    Failure { reset: code_of(ending), ..Failure::with(cause, ending) }
}

/// The code of the target's that there is to tell: by itself it says that nothing went wrong, which would have what there is of
/// a response pass for all of it.
fn code_of(ending: &StreamEnd) -> Option<u32> {
    match ending {
        StreamEnd::Reset(code) if *code != ErrorCode::NoError as u32 => Some(*code),
        _ => None,
    }
}
