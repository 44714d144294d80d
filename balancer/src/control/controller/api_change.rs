//! Changes that were made through the API, and what they are answered. Must not know: what is changed.

use crate::{
    control::control_api::ApiCall,
    elbv2::{ApiFailure, Element, Records},
};

/// Changes, and what they are answered once they are in force.
#[derive(Debug)]
pub(super) struct ApiChange {
    /// What there is with them.
    pub(super) records: Records,
    /// Who asked for them.
    pub(super) answers: Vec<(ApiCall, Element)>,
}

impl ApiChange {
    /// None of them is done.
    pub(super) fn refuse(self, failure: &ApiFailure) {
        self.answers.into_iter().for_each(|(call, _)| fail(call, failure.clone()));
    }

    /// All of them are.
    pub(super) fn answer(self) -> Records {
        self.answers.into_iter().for_each(|(call, answer)| drop(call.reply.send(Ok(answer))));
        self.records
    }
}

/// Tells who asked that it is not done.
pub(super) fn fail(call: ApiCall, failure: ApiFailure) {
    let _ = call.reply.send(Err(failure));
}

/// It may be done later.
pub(super) fn unavailable(message: impl Into<String>) -> ApiFailure {
    ApiFailure { status: 503, code: "ServiceUnavailable", message: message.into() }
}
