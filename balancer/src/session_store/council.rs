//! What balancers of one store know together beyond sessions: how many sessions each target has, and what one of them finds out by
//! checks for all. Where the store's thread, the control side and those who look on meet. Must not know: how others are told.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};

use super::{
    lead::HealthLead,
    notice::{HealthVerdict, NodeName, ToldVerdict},
    others::{OtherNodes, SessionsElsewhere},
};
use crate::{clock::monotonic_now, id::TargetId, random};

/// How long others may take to tell what they know to one that has just come.
const INTRODUCTION: Duration = Duration::from_secs(2);

/// Most verdicts that are kept to be told, and for how long: longer than between any two checks.
const MOST_VERDICTS: usize = 65_536;
const VERDICTS_KEPT: Duration = Duration::from_secs(900);

/// Most news that wait for the control side.
const NEWS: usize = 1024;

/// A verdict of the balancer that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardVerdict {
    /// The target, as cookies name it.
    pub target: TargetId,
    /// What is said of it.
    pub verdict: HealthVerdict,
    /// When the check ended that it rests on.
    pub checked: Instant,
}

/// What the control side hears.
#[derive(Debug)]
pub enum CouncilNews {
    /// This balancer checks for all from now on.
    Leads,
    /// Nobody is heard any more.
    Alone,
    /// Another one has found this.
    Heard(Vec<HeardVerdict>),
}

#[derive(Debug, Default)]
struct VerdictBoard {
    known: HashMap<TargetId, (HealthVerdict, Instant)>,
    /// Those that differ from what was told of them.
    changed: HashSet<TargetId>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Council {
    name: NodeName,
    others: Mutex<OtherNodes>,
    /// Since when others are heard.
    listens_since: Mutex<Option<Instant>>,
    /// Somebody has come who knows nothing.
    asked: AtomicBool,
    /// Somebody tells verdicts who does not lead, as far as it is known.
    doubted: AtomicBool,
    /// Another process of the instance speaks now, or none.
    retired: AtomicBool,
    shares_checks: AtomicBool,
    /// Names the balancers that check for each other; 0: not known yet.
    set: AtomicU64,
    lead: Mutex<HealthLead>,
    board: Mutex<VerdictBoard>,
    /// There is something to be told at once.
    pub(super) stir: Notify,
    news: mpsc::Sender<CouncilNews>,
    listener: Mutex<Option<mpsc::Receiver<CouncilNews>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Council {
    fn default() -> Self {
        let mut name = [0; 8];
        // Without randomness all have one name, and hear nobody.
        let name = random::fill(&mut name).map_or(0, |()| u64::from_ne_bytes(name));
        let (news, listener) = mpsc::channel(NEWS);
        Self {
            name: NodeName(name),
            others: Mutex::default(),
            listens_since: Mutex::default(),
            asked: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            shares_checks: AtomicBool::new(false),
            set: AtomicU64::new(0),
            lead: Mutex::default(),
            board: Mutex::default(),
            stir: Notify::new(),
            news,
            listener: Mutex::new(Some(listener)),
        }
    }
}

/// Of the control side, and of those who look on.
impl Council {
    /// The name of this process.
    #[must_use]
    pub const fn name(&self) -> NodeName {
        self.name
    }

    /// Where news come out; none: somebody has it.
    #[must_use]
    pub fn take_news(&self) -> Option<mpsc::Receiver<CouncilNews>> {
        locked(&self.listener).take()
    }

    /// This process tells nothing any more and does not check for others: another one does, or it ends.
    pub fn retire(&self) {
        if !self.retired.swap(true, Relaxed) {
            locked(&self.lead).give_up();
            self.stir.notify_one();
        }
    }

    /// Whether balancers check for each other.
    #[must_use]
    pub fn shares_checks(&self) -> bool {
        self.shares_checks.load(Relaxed)
    }

    /// Balancers that have the same `set` check for each other.
    pub fn be_of(&self, set: TargetId) {
        self.set.store(set.0, Relaxed);
    }

    /// Whether this balancer checks for all.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.shares_checks() && locked(&self.lead).is_own(now)
    }

    /// Who checks for all, this balancer or another one; none: nobody.
    #[must_use]
    pub fn leader(&self, now: Instant) -> Option<NodeName> {
        if self.leads(now) {
            return Some(self.name);
        }
        locked(&self.lead).other(now).filter(|_| self.shares_checks())
    }

    /// A check has ended, and this is what is known of its target now.
    pub fn note(&self, target: TargetId, verdict: HealthVerdict, now: Instant) {
        let mut board = locked(&self.board);
        if !board.known.contains_key(&target) && board.known.len() >= MOST_VERDICTS {
            return;
        }
        let before = board.known.insert(target, (verdict, now));
        if before.is_none_or(|(before, _)| before != verdict) {
            board.changed.insert(target);
            self.stir.notify_one();
        }
    }

    /// Sessions of the target with any of these ids at other balancers; none: it is not known.
    #[must_use]
    pub fn elsewhere(&self, ids: &[TargetId], now: Instant) -> Option<SessionsElsewhere> {
        let since = (*locked(&self.listens_since))?;
        let is_known = now.saturating_duration_since(since) >= INTRODUCTION;
        is_known.then(|| locked(&self.others).of(ids, now))
    }

    /// How many other balancers there are.
    #[must_use]
    pub fn others(&self, now: Instant) -> usize {
        locked(&self.others).count(now)
    }
}

/// Of the store's thread.
impl Council {
    pub(super) fn configure(&self, shares_checks: bool) {
        let before = self.shares_checks.swap(shares_checks, Relaxed);
        locked(&self.lead).give_up();
        if before && !shares_checks {
            let _ = self.news.try_send(CouncilNews::Alone);
        }
    }

    /// It is not sure who leads, and the store is to be asked at once.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Relaxed);
    }

    /// Whether it is not.
    pub(super) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Relaxed)
    }

    /// Others are heard from now on, or not any more.
    pub(super) fn listen(&self, listens: bool) {
        let before = std::mem::replace(&mut *locked(&self.listens_since), listens.then(monotonic_now));
        if before.is_some() && !listens {
            locked(&self.lead).give_up();
            let _ = self.news.try_send(CouncilNews::Alone);
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Drops what is too old.
    pub(super) fn expire(&self, now: Instant) {
        locked(&self.others).expire(now);
    }

    /// Names the balancers that check for each other.
    pub(super) fn set(&self) -> Option<u64> {
        Some(self.set.load(Relaxed)).filter(|set| *set != 0 && self.shares_checks())
    }

    /// The store has given the lead to this balancer, when it was asked at `asked`. Whether it had it not.
    pub(super) fn granted(&self, asked: Instant) -> bool {
        let mut lead = locked(&self.lead);
        let is_new = !lead.is_own(asked) && !self.is_retired();
        if !self.is_retired() {
            lead.granted(asked);
        }
        drop(lead);
        if is_new {
            let _ = self.news.try_send(CouncilNews::Leads);
        }
        is_new
    }

    /// Another one has it.
    pub(super) fn held_by(&self, other: NodeName, now: Instant) {
        locked(&self.lead).held_by(other, now);
    }

    /// Somebody asks what is known.
    pub(super) fn be_asked(&self) {
        self.asked.store(true, Relaxed);
    }

    /// Whether somebody has asked.
    pub(super) fn take_asked(&self) -> bool {
        self.asked.swap(false, Relaxed)
    }

    /// Another balancer tells how many sessions targets have. False: there is no room for that.
    pub(super) fn hear(&self, from: NodeName, counts: &[(TargetId, u64)], now: Instant) -> bool {
        locked(&self.others).hear(from, counts, now)
    }

    /// Another balancer ends.
    pub(super) fn end(&self, node: NodeName) {
        locked(&self.others).end(node);
    }

    /// Another balancer tells what its checks have found. False: too much of that waits.
    pub(super) fn pass_on(&self, told: &[ToldVerdict], now: Instant) -> bool {
        if !self.shares_checks() {
            return true;
        }
        let heard = |told: &ToldVerdict| {
            let checked = now.checked_sub(told.age)?;
            Some(HeardVerdict { target: told.target, verdict: told.verdict, checked })
        };
        self.news.try_send(CouncilNews::Heard(told.iter().filter_map(heard).collect())).is_ok()
    }

    /// What is to be told: all, or what has changed since it was told.
    pub(super) fn verdicts(&self, all: bool, now: Instant) -> Vec<ToldVerdict> {
        let mut board = locked(&self.board);
        let changed = std::mem::take(&mut board.changed);
        let told = |target: &TargetId, verdict: HealthVerdict, checked: Instant| ToldVerdict {
            target: *target,
            verdict,
            age: now.saturating_duration_since(checked),
        };
        if all {
            board.known.retain(|_, (_, checked)| now.saturating_duration_since(*checked) < VERDICTS_KEPT);
            return board.known.iter().map(|(target, (verdict, at))| told(target, *verdict, *at)).collect();
        }
        let known =
            |target: &TargetId| board.known.get(target).map(|(verdict, at)| told(target, *verdict, *at));
        changed.iter().filter_map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_store::notice::Ailment;

    #[test]
    fn what_has_changed_is_told_once_and_all_of_it_again_and_again() {
        let (council, start) = (Council::default(), monotonic_now());
        let (one, two) = (TargetId(1), TargetId(2));
        council.note(one, None, start);
        council.note(two, None, start);
        council.note(one, None, start);
        assert_eq!(council.verdicts(false, start).len(), 2);
        assert_eq!(council.verdicts(false, start), []);
        let later = start + Duration::from_secs(1);
        council.note(one, Some(Ailment::Timeout), later);
        let changed = ToldVerdict { target: one, verdict: Some(Ailment::Timeout), age: Duration::ZERO };
        assert_eq!(council.verdicts(false, later), [changed]);
        let mut all = council.verdicts(true, later);
        all.sort_unstable_by_key(|told| told.target);
        let second = ToldVerdict { target: two, verdict: None, age: Duration::from_secs(1) };
        assert_eq!(all, [changed, second]);
        assert_eq!(council.verdicts(true, later + VERDICTS_KEPT), []);
    }

    #[test]
    fn sums_are_not_known_before_others_had_time_to_tell() {
        let (council, one) = (Council::default(), [TargetId(1)]);
        assert_eq!(council.elsewhere(&one, monotonic_now()), None);
        council.listen(true);
        let now = monotonic_now();
        assert_eq!(council.elsewhere(&one, now), None);
        assert!(council.hear(NodeName(9), &[(one[0], 4)], now));
        let sum = council.elsewhere(&one, now + INTRODUCTION).unwrap();
        assert_eq!((sum.sessions, sum.balancers), (4, 1));
        council.listen(false);
        assert_eq!(council.elsewhere(&one, now + INTRODUCTION), None, "the store is away");
    }

    #[test]
    fn who_retires_leads_no_more() {
        let (council, start) = (Council::default(), monotonic_now());
        council.configure(true);
        let mut news = council.take_news().unwrap();
        assert!(council.granted(start) && council.leads(start));
        assert!(!council.granted(start), "it is no news");
        assert_eq!(council.leader(start), Some(council.name()));
        council.retire();
        assert!(!council.leads(start) && !council.granted(start) && council.leader(start).is_none());
        assert!(matches!(news.try_recv(), Ok(CouncilNews::Leads)) && news.try_recv().is_err());
    }
}
