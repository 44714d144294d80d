//! From something that happened to a connection to the targets that deserve a look. An event ejects
//! nobody: it brings a check forward. Must not know: where events come from.

use std::time::Duration;

use crate::{
    id::Slot,
    kernel::TargetEventKind,
    target_group::{Registry, TargetState},
};

/// The registrations to check at once when a connection to this slot failed or was reset. Those that are
/// known to be unhealthy get no extra checks: a group that fails open would have them checked all the time.
pub fn suspects(registry: &Registry, slot: Slot) -> impl Iterator<Item = u64> {
    registry.registrations_on(slot).iter().copied().filter(|registration| {
        matches!(registry.state(*registration), Some((TargetState::Healthy | TargetState::Initial, _)))
    })
}

/// A host takes connections by itself, whatever its applications do: who takes this many times the way there and back is
/// not there.
const ROUND_TRIPS: u32 = 10;
/// For hosts nearby, which have moments without processor time as well.
const LEAST: Duration = Duration::from_millis(100);
/// An attempt to connect is repeated after a second (RFC 6298, section 2): within it the first is the only one.
const MOST: Duration = Duration::from_secs(1);

/// How a target is looked at that is suspected to be out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// How long connecting may take.
    pub patience: Duration,
    /// Whether it left data without an answer.
    pub unheard: bool,
}

impl Suspicion {
    /// Both of them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { patience: self.patience.min(other.patience), unheard: self.unheard || other.unheard }
    }
}

/// What is suspected of a target after such an event, beyond that its application may have failed. `srtt` is the smoothed
/// round-trip time to it, zero where that is not known. Only who left data without an answer is waited for shortly: a host
/// may leave attempts to connect without one because too many wait there.
#[must_use]
pub fn suspicion(kind: TargetEventKind, srtt: Duration) -> Option<Suspicion> {
    let unheard = kind == TargetEventKind::DataUnanswered;
    let patience = match kind {
        TargetEventKind::DataUnanswered if !srtt.is_zero() => (srtt * ROUND_TRIPS).clamp(LEAST, MOST),
        TargetEventKind::DataUnanswered | TargetEventKind::ConnectUnanswered => MOST,
        TargetEventKind::ConnectFailed | TargetEventKind::Reset => return None,
    };
    Some(Suspicion { patience, unheard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_has_some_round_trips() {
        let of = |kind, millis| {
            let suspicion = suspicion(kind, Duration::from_millis(millis))?;
            assert_eq!(suspicion.unheard, kind == TargetEventKind::DataUnanswered);
            Some(suspicion.patience)
        };
        assert_eq!(of(TargetEventKind::DataUnanswered, 1), Some(LEAST));
        assert_eq!(of(TargetEventKind::DataUnanswered, 30), Some(Duration::from_millis(300)));
        assert_eq!(of(TargetEventKind::DataUnanswered, 500), Some(MOST));
        assert_eq!(of(TargetEventKind::DataUnanswered, 0), Some(MOST), "it is not known");
        assert_eq!(of(TargetEventKind::ConnectUnanswered, 1), Some(MOST));
        assert_eq!(of(TargetEventKind::Reset, 1), None);
        assert_eq!(of(TargetEventKind::ConnectFailed, 1), None);
    }
}
