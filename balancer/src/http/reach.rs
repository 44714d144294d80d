//! Getting at a target: a connection kept or a new one, and the count of what is in flight to it.
//! Must not know: what is sent.

use std::time::Duration;

use super::Context;
use crate::{
    id::Slot,
    kernel::Outstanding,
    model::Endpoint,
    upstream::Connection,
    wire::deadline::{Interrupt, Watch},
};

/// A request in flight to a target, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct InFlight {
    outstanding: Outstanding,
    slot: Slot,
}

impl InFlight {
    pub(super) fn begin(outstanding: &Outstanding, slot: Slot) -> Self {
        outstanding.begin(slot);
        Self { outstanding: outstanding.clone(), slot }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.outstanding.end(self.slot);
    }
}

/// The target did not take the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreachable {
    /// In the time it had.
    pub(super) timed_out: bool,
}

/// An idle connection to the target; with `ask` one that the kernel says is alive.
pub(super) fn pooled(context: &Context, slot: Slot, endpoint: &Endpoint, ask: bool) -> Option<Connection> {
    let connection = context.pool.borrow_mut().take(slot, endpoint, ask)?;
    context.counters.target_reuses.inc();
    Some(connection)
}

/// A new connection to the target, within `timeout`.
///
/// # Errors
/// There is none to be had.
pub(super) async fn open(
    context: &Context,
    watch: &Watch,
    timeout: Duration,
    slot: Slot,
    endpoint: &Endpoint,
) -> Result<Connection, Unreachable> {
    context.counters.target_connects.inc();
    watch.arm(context.clock.millis(), timeout);
    match watch.within(Connection::open(endpoint, slot, &context.counting)).await {
        Ok(Ok(connection)) => Ok(connection),
        failed => Err(Unreachable { timed_out: matches!(failed, Err(Interrupt::TimedOut)) }),
    }
}
