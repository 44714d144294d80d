//! The processes of the instance, as each tells of itself: one that was succeeded leaves a note for the others. Must not know:
//! how it is left.

use super::{Inspector, VERSION};
use crate::{
    clock,
    counters::{Gauge, ListenerShard},
    telemetry::status::GenerationStatus,
};

impl Inspector {
    /// This process, and those that finish what they have; nothing where it is not known.
    pub(super) fn generations(&self) -> Vec<GenerationStatus> {
        let Some(generations) = &self.generations else { return Vec::new() };
        let notes = generations.notes_of_others().into_iter();
        // What cannot be read is of another version.
        let others = notes.filter_map(|note| serde_json::from_slice(&note).ok());
        std::iter::once(self.generation()).chain(others).collect()
    }

    /// This process.
    #[must_use]
    pub fn generation(&self) -> GenerationStatus {
        let now = clock::monotonic_now();
        let listeners = self.listeners.all();
        let sum = |gauge: fn(&ListenerShard) -> &Gauge| {
            listeners
                .iter()
                .flat_map(|listener| listener.shards())
                .map(|shard| gauge(shard).get())
                .sum::<u64>()
        };
        GenerationStatus {
            pid: std::process::id(),
            version: VERSION.to_owned(),
            draining: self.control.draining(),
            ends_in_seconds: self.control.ends_at().map(|end| end.saturating_duration_since(now).as_secs()),
            uptime_seconds: now.saturating_duration_since(self.started).as_secs(),
            connections_active: sum(|shard| &shard.connections_active),
            tunnels_active: sum(|shard| &shard.tunnels_active),
            requests_in_flight: self.generations.as_ref().map_or(0, |generations| generations.own_requests()),
        }
    }

    /// The numbers of those that finish what they have.
    #[must_use]
    pub fn older_processes(&self) -> Vec<u32> {
        self.generations().into_iter().skip(1).map(|older| older.pid).collect()
    }

    /// Leaves a note of this process for the others.
    pub fn leave_note(&self) {
        let Some(generations) = &self.generations else { return };
        let left = serde_json::to_vec(&self.generation())
            .map_err(std::io::Error::other)
            .and_then(|note| generations.leave_note(&note));
        if let Err(error) = left {
            tracing::debug!(%error, "the other processes of the instance are not told of this one");
        }
    }
}
