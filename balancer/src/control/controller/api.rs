//! Calls of the ELBv2 API. Must not know: who may ask, and how it is asked.

use super::Controller;
use crate::{control::control_api::ApiCall, elbv2::ApiFailure};

impl Controller {
    /// Answers a call.
    pub(super) fn answer_call(&mut self, call: ApiCall) {
        let message = format!("{} cannot be answered yet", call.action);
        let _ = call.reply.send(Err(ApiFailure { status: 503, code: "ServiceUnavailable", message }));
    }
}
