//! What is told of the shield, for who looks from another thread. Must not know: how it is shown.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aya::maps::{MapData, PerCpuArray};
use balancer_common::shield::{self, ACTIONS, Packets};

/// What the actions are called, by their numbers.
const NAMES: [(u32, &str); ACTIONS as usize] = [
    (shield::PASS, "pass"),
    (shield::ALLOW, "allow"),
    (shield::DENY, "deny"),
    (shield::RATE_LIMITED, "rate_limited"),
    (shield::MALFORMED, "malformed"),
];

/// The name of an action.
pub(super) fn action_name(action: u32) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == action).map_or("unknown", |(_, name)| name)
}

/// The shield as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShieldReport {
    /// Why there is none though one is configured.
    pub off: Option<String>,
    /// Whether it only counts.
    pub dry_run: bool,
    /// How many prefixes are denied by the configuration.
    pub deny: usize,
    /// How many are allowed.
    pub allow: usize,
    /// How many are denied since somebody said so at run time.
    pub denied_at_run_time: usize,
    /// The interfaces.
    pub interfaces: Vec<InterfaceReport>,
}

/// An interface as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceReport {
    /// Its name.
    pub name: String,
    /// `native` or `generic`; nothing where the shield is not.
    pub mode: Option<&'static str>,
    /// Why not, or why not native; empty where there is nothing to say.
    pub detail: String,
}

#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
struct PodPackets(Packets);

// SAFETY: two words, each bit pattern of which is a value.
unsafe impl aya::Pod for PodPackets {}

/// Where the control side leaves word of the shield. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ShieldView(Arc<Mutex<PublishedShield>>);

#[derive(Default)]
struct PublishedShield {
    /// Nothing where no shield is configured.
    report: Option<ShieldReport>,
    packets: Option<PerCpuArray<MapData, PodPackets>>,
}

impl fmt::Debug for PublishedShield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedShield").field("report", &self.report).finish_non_exhaustive()
    }
}

impl ShieldView {
    /// One that tells this and has counted nothing: for tests and tools.
    #[must_use]
    pub fn of(report: ShieldReport) -> Self {
        let view = Self::default();
        view.tell(Some(report));
        view
    }

    /// The shield as it was when something was last other than before, and packets by action; nothing where none is configured.
    #[must_use]
    pub fn read(&self) -> Option<(ShieldReport, Vec<(&'static str, u64)>)> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = told.report.clone()?;
        let count = |action: u32| {
            let of_each = told.packets.as_ref().and_then(|packets| packets.get(&action, 0).ok());
            of_each.map_or(0, |of_each| of_each.iter().map(|counted| counted.0.packets).sum())
        };
        let counted = NAMES.iter().map(|(action, name)| (*name, count(*action))).collect();
        Some((report, counted))
    }

    pub(super) fn tell(&self, report: Option<ShieldReport>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).report = report;
    }

    pub(super) fn count_in(&self, packets: aya::maps::Map) -> Result<(), aya::maps::MapError> {
        let packets = PerCpuArray::try_from(packets)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).packets = Some(packets);
        Ok(())
    }
}
