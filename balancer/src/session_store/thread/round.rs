//! What is under way to the store and back: questions, and writes, one batch at a time so that they keep their order.
//! Must not know: what is done with answers.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::{Cmd, Value};
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinSet, yield_now},
};

use super::{
    super::{
        fault::StoreFault,
        link::Link,
        pending::{SessionWrite, StoredSession},
        port::{Asked, Keys},
        wording,
    },
    patience::{LastHeard, TURNS},
    waiters::Waiters,
};
use crate::clock::{Nanos, monotonic_now};

/// How long the store may take for an answer until it is held to be away: much longer than a request waits, since one slow moment
/// is no reason to go without it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The same for writes, for which nobody waits.
const PATIENCE_OF_WRITES: Duration = Duration::from_secs(1);

/// After how long without a question the store is asked for a word, and after how long without anything else: longer than between two
/// notices, which are as good.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_REST: Duration = Duration::from_secs(6);

/// How many writes are made up in one go.
pub(super) const PIECE: usize = 64;

/// A session with the key that it was found by, if it was.
type FoundSession = Result<Option<(u128, StoredSession)>, StoreFault>;

/// What a write met: nothing that was in its way, or another session.
type Met = Result<Option<StoredSession>, StoreFault>;

/// How soon the first piece of a batch was taken, and what each of its writes met.
type TakenBatch = (Duration, Vec<(SessionWrite, Met)>);

/// One way to the store and back.
pub(super) enum StoreRound {
    /// With how long it took.
    Asked(Nanos, Result<Vec<(Keys, FoundSession)>, StoreFault>),
    Told(Result<TakenBatch, StoreFault>),
    Done(Errand, Result<Vec<Result<Value, StoreFault>>, StoreFault>),
}

/// One of the two ways to the store, of which each may end without a word.
#[derive(Clone, Debug)]
struct InUse {
    running: usize,
    last: Instant,
    heard: LastHeard,
}

impl InUse {
    fn new() -> Self {
        Self { running: 0, last: monotonic_now(), heard: LastHeard::new() }
    }

    /// Something goes over it.
    fn begin(&mut self) -> LastHeard {
        (self.running, self.last) = (self.running + 1, monotonic_now());
        self.heard.clone()
    }

    fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// For how long nothing was sent, if nothing is under way.
    fn quiet_for(&self) -> Duration {
        if self.running == 0 { self.last.elapsed() } else { Duration::ZERO }
    }
}

/// What is sent besides sessions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Errand {
    /// The lead was asked for, then.
    Claim(Instant),
    /// Others are told something.
    Notices,
    /// It is found out whether the store is there.
    Ping,
}

pub(super) struct Rounds {
    link: Link,
    running: JoinSet<StoreRound>,
    waiters: Waiters,
    /// The batch that is under way.
    telling: HashMap<u128, SessionWrite>,
    is_telling: bool,
    /// The way for questions, and that for all else.
    questions: InUse,
    rest: InUse,
}

impl Rounds {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            running: JoinSet::new(),
            waiters: Waiters::default(),
            telling: HashMap::new(),
            is_telling: false,
            questions: InUse::new(),
            rest: InUse::new(),
        }
    }

    /// Somebody waits for the answer to a question, for `most`. Whether it is to be asked.
    pub(super) fn wait(&mut self, keys: &Keys, answer: oneshot::Sender<Asked>, most: Duration) -> bool {
        self.waiters.add(keys, answer, monotonic_now(), most)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiters.count()
    }

    /// The answer, for all who wait for it.
    pub(super) fn answer(&mut self, keys: &Keys, asked: Asked) {
        self.waiters.answer(keys, asked);
    }

    /// When to look whose time is over. None: nobody waits.
    pub(super) fn look(&self) -> Option<Instant> {
        self.waiters.look()
    }

    /// Those whose time is over hear that there is no answer.
    pub(super) fn expire(&mut self, most: Duration) {
        self.waiters.expire(monotonic_now(), most);
    }

    pub(super) fn is_telling(&self) -> bool {
        self.is_telling
    }

    pub(super) fn telling(&self) -> usize {
        self.telling.len()
    }

    /// Whether this session is being told.
    pub(super) fn tells(&self, key: u128) -> bool {
        self.telling.contains_key(&key)
    }

    /// It was.
    pub(super) fn told(&mut self, key: u128) {
        self.telling.remove(&key);
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Asks for what belongs to nobody on a way that was quiet for a while: whether the store is there.
    pub(super) fn ping(&mut self) {
        if self.questions.quiet_for() >= QUIET {
            self.ask(Vec::new());
        }
        if self.rest.quiet_for() >= QUIET_REST {
            self.send(Errand::Ping, vec![wording::ask_probe()]);
        }
    }

    pub(super) fn ask(&mut self, questions: Vec<Keys>) {
        let link = self.link.for_questions();
        let heard = self.questions.begin();
        self.running.spawn(async move {
            let began = Nanos::now();
            let answers = heard.within(PATIENCE, ask(link, questions)).await;
            heard.note();
            StoreRound::Asked(Nanos::now().since(began), answers)
        });
    }

    pub(super) fn tell(&mut self, writes: Vec<SessionWrite>) {
        self.telling = writes.iter().map(|write| (write.key, *write)).collect();
        self.is_telling = true;
        let link = self.link.clone();
        let heard = self.rest.begin();
        self.running.spawn(async move {
            let told = tell(link, writes, heard.clone());
            StoreRound::Told(heard.within(PATIENCE_OF_WRITES, told).await)
        });
    }

    pub(super) fn send(&mut self, errand: Errand, cmds: Vec<Cmd>) {
        let mut link = self.link.clone();
        let heard = self.rest.begin();
        self.running.spawn(async move {
            let answers = heard.within(PATIENCE, link.run(&cmds)).await;
            heard.note();
            StoreRound::Done(errand, answers)
        });
    }

    /// Why other balancers are not heard.
    pub(super) fn deaf(&self) -> Option<&StoreFault> {
        self.link.deaf()
    }

    /// The next one that is back. For ever, where nothing is under way.
    pub(super) async fn next(&mut self) -> StoreRound {
        match self.running.join_next().await {
            Some(back) => self.back(back),
            None => std::future::pending().await,
        }
    }

    /// One that is back already.
    pub(super) fn ready(&mut self) -> Option<StoreRound> {
        let back = self.running.try_join_next()?;
        Some(self.back(back))
    }

    /// One that is back as soon as this thread has read what has come.
    pub(super) async fn at_hand(&mut self) -> Option<StoreRound> {
        for _ in 0..TURNS {
            if let Some(done) = self.ready() {
                return Some(done);
            }
            yield_now().await;
        }
        self.ready()
    }

    fn back(&mut self, back: Result<StoreRound, JoinError>) -> StoreRound {
        // One that a bug has ended says nothing.
        let round = back.unwrap_or_else(|_| StoreRound::Asked(Nanos::default(), Err(StoreFault::garbage())));
        match round {
            StoreRound::Asked(..) => self.questions.end(),
            StoreRound::Told(_) => {
                self.rest.end();
                self.is_telling = false;
            }
            StoreRound::Done(..) => self.rest.end(),
        }
        round
    }

    /// What may not have been told. Who waits for an answer hears that there will be none.
    pub(super) fn give_up(self) -> Vec<SessionWrite> {
        self.telling.into_values().collect()
    }
}

async fn ask(mut link: Link, questions: Vec<Keys>) -> Result<Vec<(Keys, FoundSession)>, StoreFault> {
    let mut cmds: Vec<Cmd> = questions.iter().flatten().map(|key| wording::ask(*key)).collect();
    if cmds.is_empty() {
        cmds.push(wording::ask_probe());
    }
    let mut answers = link.run(&cmds).await?.into_iter();
    let found = |keys: Keys| {
        let mut found = Ok(None);
        // Each answer belongs to one key, whether it is needed or not.
        for (key, answer) in keys.iter().zip(answers.by_ref().take(keys.len())) {
            let read = answer.and_then(|answer| session(&answer));
            found = match (found, read) {
                (Ok(None), Ok(Some(session))) => Ok(Some((*key, session))),
                (Ok(None), Err(fault)) => Err(fault),
                (found, _) => found,
            };
        }
        (keys, found)
    };
    Ok(questions.into_iter().map(found).collect())
}

/// Sends a batch in pieces, one behind the other without waiting for answers; between two of them the thread does what else there is:
/// to make up and take apart a whole batch takes it longer than a question may have to wait for.
async fn tell(link: Link, writes: Vec<SessionWrite>, heard: LastHeard) -> Result<TakenBatch, StoreFault> {
    let mut pieces = JoinSet::new();
    for piece in writes.chunks(PIECE) {
        let (told, heard) = (tell_piece(link.clone(), piece.to_vec()), heard.clone());
        pieces.spawn(async move {
            let began = monotonic_now();
            let told = told.await;
            heard.note();
            (began.elapsed(), told)
        });
        yield_now().await;
    }
    let (mut first, mut told) = (None, Vec::with_capacity(writes.len()));
    while let Some(done) = pieces.join_next().await {
        let (after, piece) = done.map_err(|_| StoreFault::garbage())?;
        first.get_or_insert(after);
        told.extend(piece?);
    }
    Ok((first.unwrap_or_default(), told))
}

async fn tell_piece(
    mut link: Link,
    writes: Vec<SessionWrite>,
) -> Result<Vec<(SessionWrite, Met)>, StoreFault> {
    let hash = link.script().map(str::to_owned);
    let cmds: Vec<Cmd> = writes.iter().map(|write| wording::tell(write, hash.as_deref())).collect();
    let mut answers = link.run(&cmds).await?;
    // A server that has taken the place of another one does not know the script.
    let unknown =
        |answer: &Result<Value, StoreFault>| matches!(answer, Err(fault) if fault.is_unknown_script());
    if answers.iter().any(unknown) {
        let again: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| unknown(answer))
            .map(|(index, _)| index)
            .collect();
        let cmds: Vec<Cmd> = again
            .iter()
            .filter_map(|index| writes.get(*index))
            .map(|write| wording::tell(write, None))
            .collect();
        for (index, answer) in again.into_iter().zip(link.run(&cmds).await?) {
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        }
    }
    Ok(writes.into_iter().zip(answers.into_iter().map(|answer| session(&answer?))).collect())
}

/// The session that an answer tells, if it tells one.
fn session(answer: &Value) -> Result<Option<StoredSession>, StoreFault> {
    match answer {
        Value::Nil => Ok(None),
        answer => match wording::text(answer) {
            // Somebody else's: what is asked for is not there.
            Some(text) => wording::read(text).map(Some).ok_or_else(StoreFault::not_ours),
            None => Err(StoreFault::garbage()),
        },
    }
}
