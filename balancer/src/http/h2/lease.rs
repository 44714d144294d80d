//! Getting a lease of a connection that requests share: one that is there, one that is opened for all who wait for
//! one, or what becomes free where no more may be opened. Must not know: what is asked.

use std::{cell::Cell, future::poll_fn, rc::Rc, time::Duration};

use tokio::task::spawn_local;

use super::client::Http2Client;
use crate::{
    counters::{Cause, Failure, Retry},
    http::{
        context::Context,
        exchange::{ClientSide as _, Retries, connector, of_interrupt, unless_gone},
    },
    upstream::{
        Destination,
        multiplex::{self, Availability, Driver, Lease, Opener, Opening, Patience},
    },
    wire::deadline::{Interrupt, Watch},
};

/// How often a request may see its target end a new connection before the request was on it, in a row.
const MOST_WASTED: u32 = 2;

/// How much longer a connection is waited for than opening it may take: who opens it keeps the time, and tells what took it.
const GRACE: Duration = Duration::from_secs(1);

/// A request in search of a lease.
pub(super) struct Leasing<'a> {
    pub(super) context: &'a Rc<Context>,
    pub(super) watch: &'a Watch,
    pub(super) patience: Patience,
    pub(super) destination: &'a Destination,
    /// Whether a connection that was there before will not do.
    pub(super) fresh: bool,
    pub(super) tries: &'a Retries,
}

impl Leasing<'_> {
    /// Finds the request of `client` a lease.
    ///
    /// # Errors
    /// There is none to be had; in the time that connecting may take none became free; the client is gone.
    pub(super) async fn lease(&self, client: &mut Http2Client) -> Result<Lease, Failure> {
        if let Some(lease) = self.at_once() {
            return Ok(lease);
        }
        let full = Cell::new(false);
        self.watch.arm(self.context.clock.millis(), self.most() + GRACE);
        // Apart, so that requests that need not wait do not carry its state.
        let waiting = Box::pin(self.wait(&full));
        let failure = match self.watch.within(unless_gone(client, waiting)).await {
            Ok(None) => return Err(client.gone()),
            Ok(Some(Ok(lease))) => return Ok(lease),
            Ok(Some(Err(failure))) => failure,
            Err(Interrupt::TimedOut) if full.get() => Cause::TargetBusy.into(),
            Err(interrupt) => of_interrupt(interrupt, Cause::TargetConnectionTimedOut),
        };
        Err(failure.retried(Retry::Elsewhere))
    }

    /// How long opening a connection may take.
    fn most(&self) -> Duration {
        let secure =
            if self.destination.tls.is_some() { 2 * self.patience.handshake } else { Duration::ZERO };
        self.patience.connect + secure
    }

    fn at_once(&self) -> Option<Lease> {
        if self.fresh {
            return None;
        }
        let lease = self.context.multiplexed.borrow_mut().lease(self.destination)?;
        self.context.counters.target_reuses.inc();
        Some(lease)
    }

    /// Waits for a lease. `full`: whether that is for room.
    async fn wait(&self, full: &Cell<bool>) -> Result<Lease, Failure> {
        let begun = self.context.clock.millis();
        let since = if self.fresh { self.context.multiplexed.borrow().opened_so_far() } else { 0 };
        let (mut opened, mut hurried) = (None::<Rc<Opening>>, false);
        let mut wasted = 0;
        loop {
            let begin = |opener| self.open(opener);
            let availability =
                self.context.multiplexed.borrow_mut().lease_since(self.destination, since, begin);
            full.set(matches!(availability, Availability::Full(_)));
            match availability {
                Availability::Now(mut lease) => {
                    lease.reused = opened.is_none();
                    if lease.reused {
                        self.context.counters.target_reuses.inc();
                    }
                    return Ok(lease);
                }
                Availability::Opening(opening) => {
                    opening.wait().await?;
                    opened = Some(opening);
                }
                Availability::Full(room) => {
                    if !std::mem::replace(&mut hurried, true) {
                        // Room is waited for as long as a connection; all in all no longer than for one.
                        let now = self.context.clock.millis();
                        let left =
                            self.most().saturating_sub(Duration::from_millis(now.saturating_sub(begun)));
                        self.watch.arm(now, left.min(self.patience.connect));
                    }
                    room.wait().await;
                }
            }
            if self.context.multiplexed.borrow_mut().is_bare(self.destination) {
                wasted += 1;
                if !self.tries.may_refresh() || wasted >= MOST_WASTED {
                    let failure = Failure::from(Cause::TargetHttp2Failed);
                    return Err(match opened {
                        Some(opening) => opening.of_all(failure),
                        None => failure,
                    });
                }
            }
        }
    }

    /// Opens a connection for all who wait for one.
    fn open(&self, opener: Opener) {
        let (context, patience, destination) =
            (Rc::clone(self.context), self.patience, self.destination.clone());
        spawn_local(async move {
            let connector = connector(&context, &destination);
            let connected = || context.counters.target_connects.inc();
            let means = (&context.buffers, &context.timers, || context.clock.millis());
            let counting = &context.counting;
            let opened =
                multiplex::open(patience, &destination, connector, counting, &opener, means, connected).await;
            let (outcome, driver) = match opened {
                Ok((opened, driver)) => (Ok(opened), Some(driver)),
                Err(failure) => (Err(failure), None),
            };
            if let (Ok(opened), true) = (&outcome, destination.tls.is_some()) {
                context.counters.target_tls_handshakes.inc();
                if opened.resumed {
                    context.counters.target_tls_resumptions.inc();
                }
            }
            let now = context.clock.millis();
            context.multiplexed.borrow_mut().opened(destination.slot, opener, outcome, now);
            if let Some(driver) = driver {
                drive(Rc::clone(&context), driver);
            }
        });
    }
}

/// Has the connection move for as long as it is there, in a task of its own, which carries nothing of how it was opened.
fn drive(context: Rc<Context>, mut driver: Driver) {
    spawn_local(async move {
        poll_fn(|cx| driver.poll(cx, &context.buffers, context.clock.millis())).await;
    });
}
