//! Where workers and the store's thread meet: workers leave questions and writes in a queue that never makes them wait, and
//! may wait for an answer. Must not know: how the store is spoken to.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    absent::AbsentKeys,
    council::Council,
    pending::{SessionWrite, StoredSession},
};
use crate::{
    clock::monotonic_now,
    counters::{LastError, LastErrorNote, Lookup, SessionStoreShard},
    model::SessionStoreSettings,
};

/// Most keys that a request's session may have: values that it comes with, under each accepted secret.
pub const MAX_KEYS: usize = 8;

/// Keys that a request's session may have, the first that is known counts.
pub type Keys = ArrayVec<u128, MAX_KEYS>;

/// Most questions and writes that the store's thread has not looked at.
const QUEUE: usize = 65_536;

/// What workers leave.
#[derive(Debug)]
pub(super) enum StoreOrder {
    /// Is there a session with one of these keys?
    Ask(Keys, oneshot::Sender<Asked>),
    /// There is this one.
    Tell(SessionWrite),
}

/// Where the store's thread takes them from.
pub(super) type Orders = mpsc::Receiver<StoreOrder>;

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The session, and which of the keys it has.
    Found(u128, StoredSession),
    /// None, and why.
    Nothing(Lookup),
}

/// Whether there is a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StoreState {
    /// None is wanted.
    Off,
    /// It cannot be asked.
    Away,
    /// It can.
    Up,
}

/// See the head of this file.
#[derive(Debug)]
pub struct StorePort {
    state: AtomicU8,
    timeout_millis: AtomicU64,
    orders: mpsc::Sender<StoreOrder>,
    absent: AbsentKeys,
    council: Council,
    began: Instant,
    dropped: AtomicU64,
    /// Writes in the queue, and those that the store's thread has taken from it.
    queued: AtomicU64,
    waiting: AtomicU64,
    /// What the store's thread counts.
    pub(super) shard: SessionStoreShard,
    /// How the store failed last.
    pub(super) note: LastErrorNote,
    /// Where it is and since when it is there or away, for people.
    place: Mutex<(String, Instant)>,
    /// Whether it was tried to connect since the settings came.
    tried: watch::Sender<bool>,
}

impl StorePort {
    /// A port without a store.
    pub(super) fn open() -> (Arc<Self>, Orders) {
        let (orders, receiver) = mpsc::channel(QUEUE);
        let now = monotonic_now();
        let port = Self {
            state: AtomicU8::new(StoreState::Off as u8),
            timeout_millis: AtomicU64::new(0),
            orders,
            absent: AbsentKeys::default(),
            council: Council::default(),
            began: now,
            dropped: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            shard: SessionStoreShard::default(),
            note: LastErrorNote::default(),
            place: Mutex::new((String::new(), now)),
            tried: watch::Sender::new(false),
        };
        (Arc::new(port), receiver)
    }

    /// A port that nobody is behind.
    #[must_use]
    pub fn off() -> Arc<Self> {
        Self::open().0
    }

    /// Whether there is a store.
    #[must_use]
    pub fn state(&self) -> StoreState {
        match self.state.load(Relaxed) {
            2 => StoreState::Up,
            1 => StoreState::Away,
            _ => StoreState::Off,
        }
    }

    /// Whether a store is wanted, there or not.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state.load(Relaxed) != StoreState::Off as u8
    }

    /// What balancers know together.
    #[must_use]
    pub const fn council(&self) -> &Council {
        &self.council
    }

    /// For how long a request waits for an answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis.load(Relaxed))
    }

    /// Where the store is, and since when it is as it is.
    #[must_use]
    pub fn place(&self) -> (String, Instant) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it failed last; none since it is there.
    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.note.get()
    }

    /// What the store's thread counts.
    #[must_use]
    pub fn shard(&self) -> &SessionStoreShard {
        &self.shard
    }

    /// Writes that were dropped so far, and that wait now.
    #[must_use]
    pub fn writes(&self) -> (u64, u64) {
        (self.dropped.load(Relaxed), self.queued.load(SeqCst) + self.waiting.load(SeqCst))
    }

    /// Tells the store of a session, behind the back of who calls.
    pub fn tell(&self, write: SessionWrite) {
        if !self.is_on() {
            return;
        }
        self.absent.forget(write.key);
        self.queued.fetch_add(1, SeqCst);
        if self.orders.try_send(StoreOrder::Tell(write)).is_err() {
            self.queued.fetch_sub(1, SeqCst);
            self.drop_write();
        }
    }

    /// Asks the store for the session that has one of `keys`.
    ///
    /// # Errors
    /// There is no need to wait: why there will be no answer.
    pub fn ask(&self, keys: &Keys) -> Result<oneshot::Receiver<Asked>, Lookup> {
        if self.state() != StoreState::Up {
            return Err(Lookup::Away);
        }
        let now = self.millis();
        if keys.iter().all(|key| self.absent.has(*key, now)) {
            return Err(Lookup::KnownAbsent);
        }
        let (answer, answered) = oneshot::channel();
        self.orders.try_send(StoreOrder::Ask(keys.clone(), answer)).map_err(|_| Lookup::TooMany)?;
        Ok(answered)
    }

    fn millis(&self) -> u64 {
        let since = monotonic_now().saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The store knows none of these keys.
    pub(super) fn note_absent(&self, keys: &Keys) {
        let now = self.millis();
        keys.iter().for_each(|key| self.absent.note(*key, now));
    }

    /// A write is not going to be told.
    pub(super) fn drop_write(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// So many wait, so many of which were in the queue until now.
    pub(super) fn set_waiting(&self, waiting: usize, taken: u64) {
        self.waiting.store(waiting as u64, SeqCst);
        self.queued.fetch_sub(taken, SeqCst);
    }

    /// There are other settings, or none.
    pub(super) fn configure(&self, settings: Option<(&SessionStoreSettings, String)>) {
        self.note.clear();
        self.council.configure(settings.as_ref().is_some_and(|(settings, _)| settings.health_check_leader));
        let (state, place) = match settings {
            None => (StoreState::Off, String::new()),
            Some((settings, place)) => {
                self.wait_for(settings.lookup_timeout);
                self.tried.send_replace(false);
                (StoreState::Away, place)
            }
        };
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = (place, monotonic_now());
        self.state.store(state as u8, Relaxed);
    }

    /// There are other settings for the same store.
    pub(super) fn adjust(&self, settings: &SessionStoreSettings) {
        self.wait_for(settings.lookup_timeout);
        if self.council.shares_checks() != settings.health_check_leader {
            self.council.configure(settings.health_check_leader);
        }
    }

    fn wait_for(&self, most: Duration) {
        self.timeout_millis.store(u64::try_from(most.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The store is there, or away; unless none is wanted any more.
    pub(super) fn turn(&self, state: StoreState) {
        let turned = self.state.try_update(Relaxed, Relaxed, |before| {
            (before != StoreState::Off as u8 && before != state as u8).then_some(state as u8)
        });
        if turned.is_ok() {
            self.place.lock().unwrap_or_else(PoisonError::into_inner).1 = monotonic_now();
        }
        self.tried.send_replace(true);
    }

    /// Waits until it was tried to connect.
    pub(super) async fn tried(&self) {
        let _ = self.tried.subscribe().wait_for(|tried| *tried).await;
    }
}

#[cfg(test)]
impl StorePort {
    /// A port that is on, and where what is told to it comes out.
    pub(crate) fn on_for_tests() -> (Arc<Self>, Told) {
        let (port, orders) = Self::open();
        port.state.store(StoreState::Up as u8, Relaxed);
        (port, Told(orders))
    }
}

/// What is told, without what is asked.
#[cfg(test)]
pub(crate) struct Told(Orders);

#[cfg(test)]
impl Told {
    pub(crate) fn try_recv(&mut self) -> Result<SessionWrite, mpsc::error::TryRecvError> {
        loop {
            if let StoreOrder::Tell(write) = self.0.try_recv()? {
                return Ok(write);
            }
        }
    }
}
