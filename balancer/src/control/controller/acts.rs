//! What an operator has done over the admin endpoint. Must not know: who may, and how it is asked for.

use super::Controller;
use crate::{
    clock::{monotonic_now, unix_now},
    control::{
        admin::{AdminAction, AdminRequest},
        upgrade::DenyRequest,
    },
    counters::SessionsEverywhere,
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
                let held = self.hold(group, target, HoldChange::Drain, "gets no new sessions");
                held.map(|says| says + &self.sessions_left(group, target))
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

    /// How many sessions are left at a target.
    fn sessions_left(&self, group: &str, target: &str) -> String {
        let Some((own, ids)) = self.registry.sessions(group, target, unix_now()) else {
            return String::new();
        };
        match self.names.1.council().elsewhere(&ids, monotonic_now()).map(|elsewhere| elsewhere.with(own)) {
            None if self.names.1.is_on() => {
                format!("; sessions left: {own} here, elsewhere it is not known")
            }
            None => format!("; sessions left: {own}"),
            Some(SessionsEverywhere { sessions, balancers, age_seconds }) => format!(
                "; sessions left: {own} here, {sessions} on {balancers} balancers (by figures of the last {} s)",
                age_seconds + 1
            ),
        }
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
