//! Getting at a target: a connection kept or a new one, and the count of what is in flight to it.
//! Must not know: what is sent.

use std::time::Duration;

use tokio_rustls::TlsConnector;

use super::Context;
use crate::{
    id::Slot,
    kernel::Outstanding,
    upstream::{Connection, Destination},
    wire::deadline::{Interrupt, Watch},
};

/// Longest time that a TLS handshake with a target may take (ALB: troubleshooting, 504).
pub(super) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

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
    /// It took the connection and failed the TLS handshake.
    pub(super) in_handshake: bool,
}

/// An idle connection to the target; with `ask` one that the kernel says is alive.
pub(super) fn pooled(context: &Context, destination: &Destination, ask: bool) -> Option<Connection> {
    let connection = context.pool.borrow_mut().take(destination, ask)?;
    context.counters.target_reuses.inc();
    Some(connection)
}

/// A new connection to the target: within `timeout`, and then as long as a TLS handshake may take.
///
/// # Errors
/// There is none to be had.
pub(super) async fn open(
    context: &Context,
    watch: &Watch,
    timeout: Duration,
    destination: &Destination,
) -> Result<Connection, Unreachable> {
    context.counters.target_connects.inc();
    watch.arm(context.clock.millis(), timeout);
    let connection = match watch.within(Connection::open(destination, &context.counting)).await {
        Ok(Ok(connection)) => connection,
        failed => {
            let timed_out = matches!(failed, Err(Interrupt::TimedOut));
            return Err(Unreachable { timed_out, in_handshake: false });
        }
    };
    match connector(context, destination) {
        None => Ok(connection),
        // Apart, so that plain connections do not carry its state.
        Some(connector) => Box::pin(secure(context, watch, connection, destination, connector)).await,
    }
}

/// What to shake hands with, when the destination has TLS.
pub(super) fn connector(context: &Context, destination: &Destination) -> Option<TlsConnector> {
    let tls = destination.tls.as_ref()?;
    Some(context.tls_sessions.borrow_mut().connector(destination, tls))
}

async fn secure(
    context: &Context,
    watch: &Watch,
    connection: Connection,
    destination: &Destination,
    connector: TlsConnector,
) -> Result<Connection, Unreachable> {
    watch.arm(context.clock.millis(), TLS_HANDSHAKE);
    match watch.within(connection.secure(destination, connector, &context.counting)).await {
        Ok(Ok(connection)) => {
            context.counters.target_tls_handshakes.inc();
            if connection.is_resumed() {
                context.counters.target_tls_resumptions.inc();
            }
            Ok(connection)
        }
        failed => {
            if let Ok(Err(error)) = &failed {
                tracing::debug!(%error, target = %destination.endpoint, "no TLS with a target");
            }
            Err(Unreachable { timed_out: matches!(failed, Err(Interrupt::TimedOut)), in_handshake: true })
        }
    }
}
