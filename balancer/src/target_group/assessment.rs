//! From counters that only ever rise to what happened at a target since the last look.
//! Must not know: what makes a target stand out (see [`crate::balance::anomaly`]), how often it is looked.

use std::collections::HashMap;

use super::TargetRuntime;
use crate::{
    balance::anomaly::{AnomalyState, Round},
    counters::Counter,
    id::Slot,
};

/// What all groups together have sent over the connections of a slot, and what befell these connections.
pub(super) struct SlotRound<'a> {
    /// Attempts by slot, over all groups.
    pub(super) attempts: HashMap<Slot, u64>,
    /// Resets by the target and segments sent again, so far.
    pub(super) trouble: &'a dyn Fn(Slot) -> u64,
}

/// Counters of a target at one look.
#[derive(Clone, Copy, Debug)]
struct Figures {
    attempts: u64,
    errors: u64,
    slot_attempts: u64,
    trouble: u64,
}

/// A target as it was at the last look, and what was concluded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TargetAssessment {
    pub(super) watch: AnomalyState,
    last: Option<Figures>,
}

impl TargetAssessment {
    /// What happened since the last look; nothing at the first one.
    pub(super) fn round(&mut self, runtime: &TargetRuntime, slot: Slot, slots: &SlotRound<'_>) -> Round {
        let now = Figures {
            attempts: attempts(runtime),
            errors: errors(runtime),
            slot_attempts: slots.attempts.get(&slot).copied().unwrap_or(0),
            trouble: (slots.trouble)(slot),
        };
        let Some(last) = self.last.replace(now) else { return Round::default() };
        // A slot's counters fall when it changes hands, and with a group that leaves.
        Round {
            requests: now.attempts.saturating_sub(last.attempts),
            // A 5xx that breaks off is two.
            errors: now.errors.saturating_sub(last.errors).min(now.attempts.saturating_sub(last.attempts)),
            trouble: now.trouble.saturating_sub(last.trouble),
            trouble_requests: now.slot_attempts.saturating_sub(last.slot_attempts),
        }
    }
}

/// Attempts at a target that have come to an end: by a response, without one, or by a failed connection.
pub(super) fn attempts(runtime: &TargetRuntime) -> u64 {
    let answered = runtime.shards().iter().flat_map(|shard| shard.responses.iter());
    sum(answered).wrapping_add(failed(runtime))
}

/// Those of them that ended in anything but a whole response other than a 5xx.
fn errors(runtime: &TargetRuntime) -> u64 {
    let answered = runtime.shards().iter().filter_map(|shard| shard.responses.last());
    let broken = sum(runtime.shards().iter().map(|shard| &shard.broken_responses));
    sum(answered).wrapping_add(broken).wrapping_add(failed(runtime))
}

fn failed(runtime: &TargetRuntime) -> u64 {
    sum(runtime
        .shards()
        .iter()
        .flat_map(|shard| [&shard.connection_errors, &shard.tls_negotiation_errors, &shard.unanswered]))
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter>) -> u64 {
    counters.fold(0, |total, counter| total.wrapping_add(counter.get()))
}
