//! The shield as the control side has it: what it is told of, and what is told of it. Must not know: how packets are looked at.

use super::Controller;
use crate::{
    control::upgrade::{Denial, DenyAnswer, DenyRequest},
    kernel::{DenyError, ShieldSample},
    logs::quiet::LineKind,
    model::{IpPrefix, PrefixError},
};

/// Why nothing is denied.
#[derive(Debug, thiserror::Error)]
enum DenyRequestError {
    #[error("{0:?} {1}")]
    Prefix(String, PrefixError),
    #[error(transparent)]
    Shield(#[from] DenyError),
}

impl Controller {
    /// Takes the settings of the configuration in force into use.
    pub(super) fn configure_shield(&mut self) {
        let addresses = self.configuration.listeners.iter().map(|listener| listener.address).collect();
        self.kernel.shield().configure(self.configuration.shield.as_ref(), addresses);
    }

    /// A packet was dropped, or would have been.
    pub(super) fn tell_of_packet(&mut self, sample: ShieldSample) {
        if !LineKind::Shield.admits() {
            return;
        }
        let shield = self.kernel.shield();
        let dry_run = shield.is_dry_run();
        let interface = shield.interface_name(sample.interface).unwrap_or_default();
        let ShieldSample { source, port, action, .. } = sample;
        let what = if dry_run { "the shield would drop packets" } else { "the shield drops packets" };
        tracing::info!(%source, port, action, interface, dry_run, "{what}");
    }

    /// Denies sources, or the like.
    pub(super) fn deny(&mut self, request: &DenyRequest) -> DenyAnswer {
        self.try_to_deny(request).unwrap_or_else(|refused| DenyAnswer {
            refused: Some(refused.to_string()),
            ..DenyAnswer::default()
        })
    }

    fn try_to_deny(&mut self, request: &DenyRequest) -> Result<DenyAnswer, DenyRequestError> {
        let parse = |text: &str| {
            IpPrefix::parse(text).map_err(|error| DenyRequestError::Prefix(text.to_owned(), error))
        };
        let shield = self.kernel.shield();
        let mut answer = DenyAnswer::default();
        match request {
            DenyRequest::Add { prefix, seconds } => {
                let prefix = parse(prefix)?;
                shield.deny(prefix, *seconds)?;
                answer.note = shield.remark();
                tracing::info!(%prefix, seconds, "denied at run time");
            }
            DenyRequest::Remove { prefix } => {
                let prefix = parse(prefix)?;
                shield.undeny(prefix)?;
                tracing::info!(%prefix, "not denied at run time any more");
            }
            DenyRequest::List => {
                let denial = |(prefix, ends_in_seconds): (IpPrefix, Option<u64>)| Denial {
                    prefix: prefix.to_string(),
                    ends_in_seconds,
                };
                answer.denied = shield.denied()?.into_iter().map(denial).collect();
            }
        }
        Ok(answer)
    }
}
