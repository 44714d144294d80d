//! The thread that speaks to the store: takes what workers leave, asks and tells in batches, and goes on without the store
//! while it is away. Must not know: what a session means to who serves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::yield_now,
    time::{interval_at, sleep, timeout},
};

use super::{
    fault::StoreFault,
    link::{CONNECT, Link, News},
    notice::Notice,
    pending::{PendingWrites, SessionWrite, StoredSession},
    port::{Asked, Keys, Orders, StoreOrder, StorePort, StoreState},
    wording,
};
use crate::{
    clock::{monotonic_now, until},
    counters::{Lookup, StoreCause, StoreWrite},
    id::TargetId,
    model::SessionStoreSettings,
};

mod errand_pace;
mod errands;
mod patience;
mod retelling;
mod round;
mod waiters;
mod write_pace;

use self::{
    errand_pace::Errands,
    retelling::Retelling,
    round::{Errand, Rounds, StoreRound},
    write_pace::{BATCH, WritePace},
};

/// Most requests that wait for answers of the store.
const MOST_WAITING: usize = 16_384;

/// Least and most time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked at what is left to do.
const TICK: Duration = Duration::from_millis(100);

/// Over how long balancers spread that begin to tell a store of their tables.
const SPREAD: Duration = Duration::from_millis(500);

/// How long the end waits for what is still to be told.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the host itself knows of sessions.
pub trait LocalSessions: Send {
    /// The store has this session: it is so here, too, from now on. `is_returned`: its client has just come with it.
    fn adopt(&self, key: u128, session: StoredSession, is_returned: bool);

    /// Another balancer has moved this session, which is only of interest where it is known.
    fn moved(&self, key: u128, session: StoredSession);

    /// Takes sessions of so many buckets of the table from `from` on, to be told to the store. None: there are no more buckets.
    fn page(&self, from: usize, buckets: usize) -> Option<Vec<SessionWrite>>;

    /// How many sessions each target has here.
    fn counts(&self) -> Vec<(TargetId, u64)>;
}

/// Why a connection was given up.
enum LinkEnd {
    /// There are other settings, or it is the end.
    Settings,
    Fault(StoreFault),
}

pub(super) struct StoreThread {
    pub(super) port: Arc<StorePort>,
    pub(super) orders: Orders,
    pub(super) settings: watch::Receiver<Option<SessionStoreSettings>>,
    pub(super) local: Box<dyn LocalSessions>,
    pub(super) pending: PendingWrites,
}

impl StoreThread {
    /// Until nobody has settings for it any more.
    pub(super) async fn run(mut self) {
        loop {
            let settings = self.settings.borrow_and_update().clone();
            match settings {
                Some(settings) => self.serve(&settings).await,
                None => {
                    self.pending.clear();
                    self.port.set_waiting(0, 0);
                    self.idle(None).await;
                }
            }
            if self.settings.has_changed().is_err() {
                return;
            }
        }
    }

    /// Keeps what has to be told later while there is no store, for as long as it says or until there are other settings.
    /// True: there are, or it is the end.
    async fn idle(&mut self, most: Option<Duration>) -> bool {
        let Self { port, orders, settings, pending, .. } = self;
        let over = async {
            match most {
                Some(most) => sleep(most).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = settings.changed() => true,
            () = over => false,
            () = keep(port, orders, pending) => false,
        }
    }

    async fn serve(&mut self, settings: &SessionStoreSettings) {
        let mut pause = PAUSE;
        let mut is_told = false;
        loop {
            let opened = {
                let Self { port, orders, settings: changes, pending, .. } = &mut *self;
                tokio::select! {
                    _ = changes.changed() => return,
                    opened = timeout(CONNECT, Link::open(settings)) => opened,
                    () = keep(port, orders, pending) => return,
                }
            };
            let fault = match opened.unwrap_or_else(|_| Err(StoreFault::timed_out())) {
                Ok((link, news)) => {
                    let began = monotonic_now();
                    self.is_back(is_told);
                    is_told = false;
                    let left = self.work(link, news).await;
                    if began.elapsed() > MOST_PAUSE {
                        pause = PAUSE;
                    }
                    match left {
                        LinkEnd::Settings => return,
                        LinkEnd::Fault(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            self.is_away(&fault, &mut is_told);
            if self.idle(Some(pause - some_of(pause / 2))).await {
                return;
            }
            pause = (pause * 2).min(MOST_PAUSE);
        }
    }

    fn is_back(&self, was_away: bool) {
        let (store, since) = self.port.place();
        self.port.turn(StoreState::Up);
        self.port.note.clear();
        if was_away {
            let away = since.elapsed();
            tracing::info!(store, away_ms = away.as_millis(), "the session store is back");
        } else {
            tracing::info!(store, "the session store is there");
        }
    }

    /// Notes why; one line tells it until the store is back.
    fn is_away(&self, fault: &StoreFault, is_told: &mut bool) {
        self.note(fault);
        self.port.turn(StoreState::Away);
        if !std::mem::replace(is_told, true) {
            let (store, _) = self.port.place();
            tracing::warn!(
                store,
                cause = fault.cause.as_str(),
                error = fault.text,
                "the session store is away: each balancer goes by the sessions that it knows itself"
            );
        }
    }

    fn note(&self, fault: &StoreFault) -> bool {
        self.port.shard.failures.count(fault.cause);
        self.port.note.set(fault.cause.as_str(), fault.text.as_str().into())
    }

    async fn work(&mut self, link: Link, mut news: mpsc::Receiver<News>) -> LinkEnd {
        let errands = self.begin_errands(&link);
        let mut rounds = Rounds::new(link);
        let left = self.turn_by_turn(&mut rounds, errands, &mut news).await;
        self.port.council().listen(false);
        // Who waits is told at once that there is no answer; what was not told waits again.
        let untold = rounds.give_up();
        for write in untold.into_iter().rev() {
            if !self.pending.add_back(write) {
                self.port.drop_write();
            }
        }
        self.port.set_waiting(self.pending.len(), 0);
        left
    }

    async fn turn_by_turn(
        &mut self,
        rounds: &mut Rounds,
        mut errands: Errands,
        news: &mut mpsc::Receiver<News>,
    ) -> LinkEnd {
        let port = Arc::clone(&self.port);
        let mut batch = Vec::with_capacity(BATCH);
        let mut looked = monotonic_now();
        // Balancers that find the store there at the same moment do not tell it of their tables at the same moments.
        let mut tick = interval_at((looked + some_of(TICK)).into(), TICK);
        let (mut pace, mut retelling) = (WritePace::new(), Retelling::new(looked + some_of(SPREAD)));
        loop {
            if !rounds.is_telling() && self.pending.len() > 0 {
                rounds.tell(self.pending.take(pace.batch()));
            }
            self.port.set_waiting(self.pending.len() + rounds.telling(), 0);
            // However much workers leave, others are told and heard.
            if looked.elapsed() >= TICK {
                looked = monotonic_now();
                self.run_errands(&mut errands, rounds);
                for _ in 0..BATCH {
                    let Ok(said) = news.try_recv() else { break };
                    if let Err(end) = self.hear_news(Some(said)) {
                        return end;
                    }
                }
            }
            let look = rounds.look();
            let done = tokio::select! {
                biased;
                _ = self.settings.changed() => {
                    self.say_farewell(rounds).await;
                    return LinkEnd::Settings;
                }
                taken = self.orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return LinkEnd::Settings;
                    }
                    self.take(rounds, &mut batch);
                    // However much they leave, answers are not kept waiting.
                    match rounds.ready() {
                        Some(done) => done,
                        None => continue,
                    }
                }
                done = rounds.next() => done,
                said = news.recv() => match self.hear_news(said) {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                () = port.council().stir.notified() => {
                    self.run_errands(&mut errands, rounds);
                    continue;
                }
                _ = tick.tick() => {
                    retelling.tick(monotonic_now(), pace.again(), self.pending.len());
                    rounds.ping();
                    continue;
                }
                // What lies at hand counts, however late this thread comes to it.
                () = until(look) => match rounds.at_hand().await {
                    Some(done) => done,
                    None => {
                        rounds.expire(port.timeout());
                        continue;
                    }
                },
                // Behind all else, and behind what others of this thread have to do.
                () = yield_now(), if retelling.is_due() => {
                    let page = |from, buckets| self.local.page(from, buckets);
                    retelling.go_on(page, &mut self.pending, &self.port);
                    continue;
                }
            };
            if let StoreRound::Told(Ok((after, _))) = &done {
                pace.taken(*after);
            }
            if let Err(fault) = self.settle(rounds, done) {
                return LinkEnd::Fault(fault);
            }
        }
    }

    /// The store says something by itself.
    fn hear_news(&self, said: Option<News>) -> Result<(), LinkEnd> {
        match said {
            Some(News::Moved(key, session)) => {
                if !self.pending.has(key) {
                    self.local.moved(key, session);
                }
            }
            Some(News::Told(told)) => self.hear_notice(told),
            Some(News::Gone) | None => {
                let fault = StoreFault::new(StoreCause::Closed, "the connection ended");
                return Err(LinkEnd::Fault(fault));
            }
        }
        Ok(())
    }

    /// Sorts what workers have left.
    fn take(&mut self, rounds: &mut Rounds, batch: &mut Vec<StoreOrder>) {
        let (mut questions, mut taken, most) = (Vec::new(), 0, self.port.timeout());
        for order in batch.drain(..) {
            match order {
                StoreOrder::Tell(write) => {
                    taken += 1;
                    if !self.pending.add(write) {
                        self.port.drop_write();
                    }
                }
                StoreOrder::Ask(_, answer) if rounds.waiting() >= MOST_WAITING => {
                    let _ = answer.send(Asked::Nothing(Lookup::TooMany));
                }
                // What is asked for already is not asked for again.
                StoreOrder::Ask(keys, answer) => {
                    if rounds.wait(&keys, answer, most) {
                        questions.push(keys);
                    }
                }
            }
        }
        self.port.set_waiting(self.pending.len() + rounds.telling(), taken);
        if !questions.is_empty() {
            rounds.ask(questions);
        }
    }

    /// Does what answers say.
    ///
    /// # Errors
    /// The connection will do no longer.
    fn settle(&mut self, rounds: &mut Rounds, done: StoreRound) -> Result<(), StoreFault> {
        match done {
            StoreRound::Asked(took, answers) => {
                self.port.shard.round_trip.observe(took);
                for (keys, answer) in answers? {
                    let asked = self.hear(rounds, &keys, answer)?;
                    rounds.answer(&keys, asked);
                }
            }
            StoreRound::Told(answers) => {
                for (write, answer) in answers?.1 {
                    match answer {
                        Ok(None) => self.port.shard.writes.count(StoreWrite::Written),
                        Ok(Some(session)) => {
                            self.port.shard.writes.count(StoreWrite::Lost);
                            if !self.pending.has(write.key) {
                                self.local.adopt(write.key, session, false);
                            }
                        }
                        Err(fault) if fault.is_of_connection() => return Err(fault),
                        Err(fault) => {
                            self.port.shard.writes.count(StoreWrite::Failed);
                            self.refused(&fault);
                        }
                    }
                    rounds.told(write.key);
                }
            }
            StoreRound::Done(errand, answers) => self.end_errand(errand, answers)?,
        }
        Ok(())
    }

    fn hear(
        &self,
        rounds: &Rounds,
        keys: &Keys,
        answer: Result<Option<(u128, StoredSession)>, StoreFault>,
    ) -> Result<Asked, StoreFault> {
        match answer {
            Ok(Some((key, session))) => {
                // What was said of it here meanwhile is newer.
                if !self.pending.has(key) && !rounds.tells(key) {
                    self.local.adopt(key, session, true);
                }
                Ok(Asked::Found(key, session))
            }
            Ok(None) => {
                self.port.note_absent(keys);
                Ok(Asked::Nothing(Lookup::Absent))
            }
            Err(fault) if fault.is_of_connection() => Err(fault),
            Err(fault) => {
                self.refused(&fault);
                Ok(Asked::Nothing(Lookup::Absent))
            }
        }
    }

    /// It is there and does not do what it is told. Told now and then.
    fn refused(&self, fault: &StoreFault) {
        if self.note(fault) {
            let (store, _) = self.port.place();
            let (cause, error) = (fault.cause.as_str(), &fault.text);
            tracing::warn!(store, cause, error, "the session store does not take what it is told");
        }
    }

    /// Tells what is still to be told, for a moment.
    async fn say_farewell(&mut self, rounds: &mut Rounds) {
        let end = Instant::now() + FAREWELL;
        let mut batch = Vec::new();
        while let Ok(order) = self.orders.try_recv() {
            batch.push(order);
        }
        self.take(rounds, &mut batch);
        if rounds.deaf().is_none() {
            let ends = wording::publish(self.port.council().name(), &Notice::Ends);
            rounds.send(Errand::Notices, vec![ends]);
        }
        while !rounds.is_idle() || self.pending.len() > 0 {
            if !rounds.is_telling() {
                rounds.tell(self.pending.take(BATCH));
            }
            let left = end.saturating_duration_since(Instant::now());
            let Ok(done) = timeout(left, rounds.next()).await else { return };
            if self.settle(rounds, done).is_err() {
                return;
            }
        }
    }
}

/// Keeps writes and answers questions while there is no store.
async fn keep(port: &StorePort, orders: &mut Orders, pending: &mut PendingWrites) {
    while let Some(order) = orders.recv().await {
        match order {
            StoreOrder::Tell(write) => {
                if port.is_on() && !pending.add(write) {
                    port.drop_write();
                }
                port.set_waiting(pending.len(), 1);
            }
            StoreOrder::Ask(_, answer) => away(answer),
        }
    }
}

/// A part of it, by chance.
fn some_of(most: Duration) -> Duration {
    let mut drawn = [0; 2];
    // Without any chance it is nothing.
    let drawn = crate::random::fill(&mut drawn).map_or(0, |()| u16::from_ne_bytes(drawn));
    most.mul_f64(f64::from(drawn) / 65_536.0)
}

fn away(answer: oneshot::Sender<Asked>) {
    let _ = answer.send(Asked::Nothing(Lookup::Away));
}
