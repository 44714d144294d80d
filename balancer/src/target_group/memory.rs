//! What a book of targets knows that another one, of the process that takes this one's place, would have to learn anew: states
//! and how they came about, slow starts, draining. In a form that says its version; what another version says is passed over.
//! Must not know: how it gets there.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{HealthReason, Hold};
use crate::model::Endpoint;

/// Version of all that is written here.
const VERSION: u32 = 1;

/// What is known of all targets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TargetMemory {
    version: u32,
    pub(super) targets: Vec<KnownTarget>,
}

/// What is known of one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KnownTarget {
    /// Its group.
    pub(super) group: String,
    place: Place,
    pub(super) life: KnownLife,
    /// What an operator has said of it.
    #[serde(default)]
    pub(super) hold: Hold,
}

/// An endpoint.
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How far it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum KnownLife {
    Registered {
        /// Whether it is checked.
        checked: bool,
        history: KnownHistory,
        founder: bool,
        returned: bool,
        exempt: bool,
        /// How long it has been in slow start.
        slow: Option<Duration>,
    },
    Draining {
        /// How much time is left.
        left: Duration,
        sound: bool,
    },
}

/// What its checks have found; of a reason its code alone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KnownHistory {
    pub(super) state: KnownState,
    pub(super) reason: Option<KnownReason>,
    pub(super) ever_healthy: bool,
    pub(super) checked: bool,
    pub(super) passes: u8,
    pub(super) failures: u8,
    pub(super) hasty: bool,
}

/// The states that checks lead to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum KnownState {
    Initial,
    Healthy,
    Unhealthy,
}

/// Why a target is in its state, as far as checks say so.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum KnownReason {
    InitialHealthChecking,
    ResponseCodeMismatch(u16),
    Timeout,
    FailedHealthChecks,
}

impl TargetMemory {
    pub(super) fn new(targets: Vec<KnownTarget>) -> Self {
        Self { version: VERSION, targets }
    }

    /// What another process has written; nothing where it is of another version, or none.
    #[must_use]
    pub fn read(text: serde_json::Value) -> Self {
        let read: Self = serde_json::from_value(text).unwrap_or_default();
        if read.version == VERSION { read } else { Self::default() }
    }

    /// To be read by another process.
    #[must_use]
    pub fn write(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where the targets of a group are.
    pub fn endpoints<'a>(&'a self, group: &'a str) -> impl Iterator<Item = Endpoint> + 'a {
        self.targets.iter().filter(move |target| target.group == group).map(KnownTarget::endpoint)
    }
}

impl TargetMemory {
    /// Where those targets of a group are that did not drain.
    pub fn registered<'a>(&'a self, group: &'a str) -> impl Iterator<Item = Endpoint> + 'a {
        let is_registered = |known: &&KnownTarget| matches!(known.life, KnownLife::Registered { .. });
        let ours = self.targets.iter().filter(move |target| target.group == group);
        ours.filter(is_registered).map(KnownTarget::endpoint)
    }
}

impl KnownTarget {
    pub(super) fn new(group: &str, endpoint: &Endpoint, life: KnownLife, hold: Hold) -> Self {
        let place = match endpoint {
            Endpoint::Tcp(address) => Place::Tcp(*address),
            Endpoint::Unix(path) => Place::Unix(path.clone()),
        };
        Self { group: group.to_owned(), place, life, hold }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        match &self.place {
            Place::Tcp(address) => Endpoint::Tcp(*address),
            Place::Unix(path) => Endpoint::Unix(path.clone()),
        }
    }
}

/// How long ago `since` was.
pub(super) fn span(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

impl KnownReason {
    pub(super) fn of(reason: HealthReason) -> Option<Self> {
        match reason {
            HealthReason::InitialHealthChecking => Some(Self::InitialHealthChecking),
            HealthReason::ResponseCodeMismatch(code) => Some(Self::ResponseCodeMismatch(code)),
            HealthReason::Timeout => Some(Self::Timeout),
            HealthReason::FailedHealthChecks => Some(Self::FailedHealthChecks),
            _ => None,
        }
    }

    pub(super) fn reason(self) -> HealthReason {
        match self {
            Self::InitialHealthChecking => HealthReason::InitialHealthChecking,
            Self::ResponseCodeMismatch(code) => HealthReason::ResponseCodeMismatch(code),
            Self::Timeout => HealthReason::Timeout,
            Self::FailedHealthChecks => HealthReason::FailedHealthChecks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_memory_of_this_version_is_none() {
        let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 80).into());
        let life = KnownLife::Draining { left: Duration::from_secs(3), sound: true };
        let memory = TargetMemory::new(vec![KnownTarget::new("app", &endpoint, life, Hold::default())]);
        let text = memory.write();
        let endpoints = |text| TargetMemory::read(text).endpoints("app").collect::<Vec<_>>();
        assert_eq!(endpoints(text.clone()), [endpoint]);
        assert_eq!(TargetMemory::read(text.clone()).endpoints("other").count(), 0);
        let mut later = text;
        later["version"] = 2.into();
        assert!(endpoints(later).is_empty());
        for none in [serde_json::Value::Null, serde_json::json!({"version": 1}), serde_json::json!([7])] {
            assert!(endpoints(none).is_empty());
        }
    }
}
