//! What an operator has done over the admin endpoint. Must not know: who may, and how it is asked for.

use super::Controller;
use crate::{
    control::{
        admin::{AdminAction, AdminRequest},
        upgrade::DenyRequest,
    },
    target_group::{HoldChange, HoldError},
};

impl Controller {
    /// Does it, and says so to who asked and in the log.
    pub(super) fn act(&mut self, request: AdminRequest) {
        let AdminRequest { action, client, answer } = request;
        let done = self.try_to_act(&action);
        match &done {
            Ok(done) => tracing::info!(%client, "done at the admin endpoint: {done}"),
            Err(refused) => tracing::info!(%client, "not done at the admin endpoint: {refused}"),
        }
        // Who asked may have gone.
        let _ = answer.send(done);
    }

    fn try_to_act(&mut self, action: &AdminAction) -> Result<String, String> {
        if self.succession.is_frozen() {
            return Err("another process is taking the place of this one: ask again in a moment".to_owned());
        }
        match action {
            AdminAction::Drain { group, target } => {
                self.hold(group, target, HoldChange::Drain, "gets no new sessions")
            }
            AdminAction::Undrain { group, target } => {
                self.hold(group, target, HoldChange::Undrain, "gets new sessions")
            }
            AdminAction::Weight { group, target, percent } => {
                let says = percent.map_or_else(
                    || "has all of its weight".to_owned(),
                    |percent| format!("has {percent} percent of its weight"),
                );
                self.hold(group, target, HoldChange::Weight(*percent), &says)
            }
            AdminAction::Deny { prefix, seconds } => {
                let request = DenyRequest::Add { prefix: prefix.clone(), seconds: *seconds };
                self.ask_the_shield(&request, format!("{prefix} is denied"))
            }
            AdminAction::Undeny { prefix } => {
                let request = DenyRequest::Remove { prefix: prefix.clone() };
                self.ask_the_shield(&request, format!("{prefix} is not denied any more"))
            }
        }
    }

    fn hold(&mut self, group: &str, target: &str, change: HoldChange, says: &str) -> Result<String, String> {
        let held = self.registry.hold(group, target, change);
        held.map_err(|refused: HoldError| refused.to_string())?;
        self.publish();
        Ok(format!("target {target} of {group} {says}"))
    }

    fn ask_the_shield(&mut self, request: &DenyRequest, says: String) -> Result<String, String> {
        let answer = self.deny(request);
        match (answer.refused, answer.note) {
            (Some(refused), _) => Err(refused),
            (None, Some(note)) => Ok(format!("{says}; {note}")),
            (None, None) => Ok(says),
        }
    }
}
