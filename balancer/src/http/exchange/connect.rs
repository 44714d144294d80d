//! Getting at a target: a connection kept or a new one.
//! Must not know: what is sent.

use std::time::Duration;

use tokio_rustls::TlsConnector;

use crate::{
    counters::{Cause, Failure},
    http::context::Context,
    upstream::{Connection, Destination},
    wire::deadline::{Interrupt, Watch},
};

/// Longest time that a TLS handshake with a target may take (ALB: troubleshooting, 504).
pub(crate) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// An idle connection to the target; with `ask` one that the kernel says is alive.
pub(crate) fn pooled(context: &Context, destination: &Destination, ask: bool) -> Option<Connection> {
    let connection = context.pool.borrow_mut().take(destination, ask)?;
    context.counters.target_reuses.inc();
    Some(connection)
}

/// A new connection to the target: within `timeout`, and then as long as a TLS handshake may take.
///
/// # Errors
/// There is none to be had.
pub(crate) async fn open(
    context: &Context,
    watch: &Watch,
    timeout: Duration,
    destination: &Destination,
) -> Result<Connection, Failure> {
    watch.arm(context.clock.millis(), timeout);
    let connection = match watch.within(Connection::open(destination, &context.counting)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(Failure::of_connect(&error.0)),
        Err(interrupt) => return Err(of_interrupt(interrupt, Cause::TargetConnectionTimedOut)),
    };
    context.counters.target_connects.inc();
    match connector(context, destination) {
        None => Ok(connection),
        // Apart, so that plain connections do not carry its state.
        Some(connector) => Box::pin(secure(context, watch, connection, destination, connector)).await,
    }
}

/// What to shake hands with, when the destination has TLS.
pub(crate) fn connector(context: &Context, destination: &Destination) -> Option<TlsConnector> {
    let tls = destination.tls.as_ref()?;
    Some(context.tls_sessions.borrow_mut().connector(destination, tls))
}

async fn secure(
    context: &Context,
    watch: &Watch,
    connection: Connection,
    destination: &Destination,
    connector: TlsConnector,
) -> Result<Connection, Failure> {
    watch.arm(context.clock.millis(), TLS_HANDSHAKE);
    match watch.within(connection.secure(destination, connector, &context.counting)).await {
        Ok(Ok(connection)) => {
            context.counters.target_tls_handshakes.inc();
            if connection.is_resumed() {
                context.counters.target_tls_resumptions.inc();
            }
            Ok(connection)
        }
        Ok(Err(error)) => Err(Failure::with(Cause::TargetTlsFailed, &error)),
        Err(interrupt) => Err(of_interrupt(interrupt, Cause::TargetTlsTimedOut)),
    }
}

/// What the end of a wait for a target means; `timed_out`, where time ran out.
#[cold]
pub(crate) fn of_interrupt(interrupt: Interrupt, timed_out: Cause) -> Failure {
    Failure::from(match interrupt {
        Interrupt::TimedOut | Interrupt::Silent => timed_out,
        Interrupt::Cut => Cause::TargetDeregistered,
        Interrupt::Closing | Interrupt::Park => Cause::Draining,
    })
}
