//! Which check is due when. Time and the seed of the jitter come from outside: the schedule can be run
//! through in a test without waiting. Must not know: sockets, results beyond "it ended".

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use super::kernel_events::Suspicion;
use crate::target_group::{CheckOrigin, CheckTarget};

/// Checks of each origin that run at the same time. Triggered ones have their own allowance, so that a
/// rack of targets that never answer does not keep a dead one from being noticed.
const MAX_IN_FLIGHT: usize = 512;
/// The first checks of targets that come together begin this far apart, and…
const FIRST_CHECK_GAP: Duration = Duration::from_millis(1);
/// …all within this, or within the interval where that is shorter.
const FIRST_CHECK_SPREAD: Duration = Duration::from_secs(1);
/// Until a target has been healthy for the first time its checks are this far apart: who starts after the balancer does
/// not wait for an interval. And…
const EARLY_GAP: Duration = Duration::from_secs(1);
/// …those of all such targets come no more often than this in that time, and…
const EARLY_CHECKS: u32 = 64;
/// …no more of them run at the same time, so that targets that never answer leave room for the others.
const EARLY_IN_FLIGHT: usize = MAX_IN_FLIGHT / 2;
/// A target is not checked out of turn more often than this, whatever happens to its connections.
const TRIGGER_GAP: Duration = Duration::from_millis(50);
/// How soon a failed triggered check is followed by the next.
const CONFIRMATION_GAP: Duration = Duration::from_millis(10);
/// How soon a triggered check that could not be made, for want of file descriptors say, is tried again; and that of a
/// target which others like it have found unhealthy.
const RECOVERY_GAP: Duration = Duration::from_secs(1);

/// The part of an interval within which balancers take up checks when the one that made them for all is silent.
const FOLLOWERS_SPREAD: f64 = 0.1;

/// A check to be made now.
#[derive(Clone, Debug)]
pub struct ProbeOrder {
    /// Names the check.
    pub number: u64,
    /// Whose.
    pub registration: u64,
    /// Why.
    pub origin: CheckOrigin,
    /// What to check.
    pub target: CheckTarget,
    /// What is suspected of it.
    pub suspicion: Option<Suspicion>,
}

#[derive(Debug)]
struct ScheduledTarget {
    target: CheckTarget,
    due: Instant,
    checked_before: bool,
    /// Whether it has been healthy.
    settled: bool,
    in_flight: Option<u64>,
    trigger: Trigger,
    /// When another balancer checked it, whose word is taken for it.
    followed: Option<Instant>,
}

#[derive(Debug, Default)]
struct Trigger {
    due: Option<Instant>,
    last: Option<Instant>,
    in_flight: Option<u64>,
    /// Something happened since the running check began, which may not have seen it.
    again: bool,
    /// What is suspected of it until it passes.
    suspicion: Option<Suspicion>,
}

/// The schedule.
#[derive(Debug)]
pub struct Schedule {
    entries: HashMap<u64, ScheduledTarget>,
    scheduled: BTreeSet<(Instant, u64)>,
    triggered: BTreeSet<(Instant, u64)>,
    in_flight: HashMap<u64, (u64, CheckOrigin)>,
    next_number: u64,
    random: u64,
}

impl Schedule {
    /// An empty schedule.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            entries: HashMap::new(),
            scheduled: BTreeSet::new(),
            triggered: BTreeSet::new(),
            in_flight: HashMap::new(),
            next_number: 0,
            random: seed,
        }
    }

    /// Makes `targets` the ones that are checked. New ones get their first check at once, or within a
    /// second when there are many; those that stay keep their turn and get their group's new settings.
    pub fn sync(&mut self, targets: impl Iterator<Item = CheckTarget>, now: Instant) {
        let mut kept = HashSet::new();
        let mut new = Vec::new();
        for target in targets {
            kept.insert(target.registration);
            match self.entries.get_mut(&target.registration) {
                Some(entry) => {
                    let latest = now + target.settings.health_check.interval;
                    if entry.due > latest {
                        self.scheduled.remove(&(entry.due, target.registration));
                        self.scheduled.insert((latest, target.registration));
                        entry.due = latest;
                    }
                    entry.target = target;
                }
                None => new.push(target),
            }
        }
        self.entries.retain(|registration, entry| {
            let keep = kept.contains(registration);
            if !keep {
                self.scheduled.remove(&(entry.due, *registration));
                if let Some(due) = entry.trigger.due {
                    self.triggered.remove(&(due, *registration));
                }
            }
            keep
        });
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX).max(1);
        for (index, target) in (0_u32..).zip(new) {
            let spread = FIRST_CHECK_SPREAD.min(target.settings.health_check.interval);
            let due = now + FIRST_CHECK_GAP.min(spread / count) * index;
            self.scheduled.insert((due, target.registration));
            // Another process may have found it healthy.
            let settled = target.proven;
            self.entries.insert(
                target.registration,
                ScheduledTarget {
                    target,
                    due,
                    checked_before: false,
                    settled,
                    in_flight: None,
                    trigger: Trigger::default(),
                    followed: None,
                },
            );
        }
    }

    /// Asks for a check out of turn. One that is waiting serves; one that runs is followed by another. What is
    /// suspected of a target is so until it [passes](Self::calm) a check.
    pub fn trigger(&mut self, registration: u64, suspicion: Option<Suspicion>, now: Instant) {
        let Some(entry) = self.entries.get_mut(&registration) else { return };
        let trigger = &mut entry.trigger;
        trigger.suspicion = trigger.suspicion.into_iter().chain(suspicion).reduce(Suspicion::and);
        if trigger.in_flight.is_some() {
            trigger.again = true;
        } else if trigger.due.is_none() {
            let due = trigger.last.map_or(now, |last| now.max(last + TRIGGER_GAP));
            trigger.due = Some(due);
            self.triggered.insert((due, registration));
        }
    }

    /// A target was healthy for the first time: from now on its interval counts, in which it gets a place of its own.
    pub fn settle(&mut self, registration: u64, now: Instant) {
        let share = self.share();
        let Some(entry) = self.entries.get_mut(&registration).filter(|entry| !entry.settled) else { return };
        entry.settled = true;
        self.scheduled.remove(&(entry.due, registration));
        entry.due = now + entry.target.settings.health_check.interval.mul_f64(0.5 + share / 2.0);
        self.scheduled.insert((entry.due, registration));
    }

    /// Another balancer has checked a target at `checked`, and does so again: it is not this one's turn before `until`, or a moment later,
    /// since all that go by that balancer have the same time.
    pub fn follow(&mut self, registration: u64, checked: Instant, until: Instant) {
        let share = self.share();
        let Some(entry) = self.entries.get_mut(&registration) else { return };
        let later = entry.target.settings.health_check.interval.mul_f64(share * FOLLOWERS_SPREAD);
        self.scheduled.remove(&(entry.due, registration));
        (entry.due, entry.followed) = (until + later, Some(checked));
        self.scheduled.insert((entry.due, registration));
    }

    /// This balancer is the one that checks from now on: each target an interval after it was checked last.
    pub fn lead(&mut self, now: Instant) {
        for (registration, entry) in &mut self.entries {
            let Some(checked) = entry.followed.take() else { continue };
            let due = now.max(checked + entry.target.settings.health_check.interval);
            if due < entry.due {
                self.scheduled.remove(&(entry.due, *registration));
                entry.due = due;
                self.scheduled.insert((due, *registration));
            }
        }
    }

    /// A target has passed a check: whatever was suspected of it, connecting may take its time again.
    pub fn calm(&mut self, registration: u64) {
        if let Some(entry) = self.entries.get_mut(&registration) {
            entry.trigger.suspicion = None;
        }
    }

    /// A triggered check failed and more of them must say so: the next is due very soon.
    pub fn confirm(&mut self, registration: u64, now: Instant) {
        self.trigger_at(registration, now + CONFIRMATION_GAP);
    }

    /// A triggered check could not be made, or found what others like it had found before: the next is due when this host,
    /// or the target, may have recovered.
    pub fn try_again(&mut self, registration: u64, now: Instant) {
        self.trigger_at(registration, now + RECOVERY_GAP);
    }

    fn trigger_at(&mut self, registration: u64, due: Instant) {
        let Some(entry) = self.entries.get_mut(&registration) else { return };
        if entry.trigger.in_flight.is_some() {
            return;
        }
        if let Some(waiting) = entry.trigger.due.replace(due) {
            self.triggered.remove(&(waiting, registration));
        }
        self.triggered.insert((due, registration));
    }

    /// The next check to begin, if one is due and not too many run.
    pub fn next(&mut self, now: Instant) -> Option<ProbeOrder> {
        self.next_triggered(now).or_else(|| self.next_scheduled(now))
    }

    /// When to ask [`Self::next`] again, unless a check ends before.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let first = |origin, queue: &BTreeSet<(Instant, u64)>| {
            queue.first().map(|(due, _)| *due).filter(|_| self.running(origin) < MAX_IN_FLIGHT)
        };
        let triggered = first(CheckOrigin::Triggered, &self.triggered);
        let scheduled = first(CheckOrigin::Scheduled, &self.scheduled);
        triggered.into_iter().chain(scheduled).min()
    }

    /// Takes note that a check ended. Returns whether its target still waits for it.
    pub fn ended(&mut self, number: u64) -> bool {
        let Some((registration, origin)) = self.in_flight.remove(&number) else { return false };
        let Some(entry) = self.entries.get_mut(&registration) else { return false };
        let awaited = match origin {
            CheckOrigin::Scheduled => &mut entry.in_flight,
            CheckOrigin::Triggered => &mut entry.trigger.in_flight,
        };
        if *awaited != Some(number) {
            return false;
        }
        *awaited = None;
        if origin == CheckOrigin::Triggered && std::mem::take(&mut entry.trigger.again) {
            let due = entry.trigger.last.map(|last| last + TRIGGER_GAP);
            if let Some(due) = due {
                entry.trigger.due = Some(due);
                self.triggered.insert((due, registration));
            }
        }
        true
    }

    fn next_triggered(&mut self, now: Instant) -> Option<ProbeOrder> {
        let &(due, registration) = self.triggered.first()?;
        if due > now || self.running(CheckOrigin::Triggered) >= MAX_IN_FLIGHT {
            return None;
        }
        self.triggered.pop_first();
        let number = self.number();
        let entry = self.entries.get_mut(&registration)?;
        let suspicion = entry.trigger.suspicion;
        entry.trigger =
            Trigger { due: None, last: Some(now), in_flight: Some(number), again: false, suspicion };
        let target = entry.target.clone();
        self.in_flight.insert(number, (registration, CheckOrigin::Triggered));
        Some(ProbeOrder { number, registration, origin: CheckOrigin::Triggered, target, suspicion })
    }

    fn next_scheduled(&mut self, now: Instant) -> Option<ProbeOrder> {
        let (early, early_running) = self.early();
        loop {
            let &(due, registration) = self.scheduled.first()?;
            if due > now || self.running(CheckOrigin::Scheduled) >= MAX_IN_FLIGHT {
                return None;
            }
            self.scheduled.pop_first();
            let number = self.number();
            let entry = self.entries.get_mut(&registration)?;
            let interval = entry.target.settings.health_check.interval;
            let pause = if entry.settled { interval } else { early_gap(early).min(interval) };
            entry.due = (due + pause).max(now);
            self.scheduled.insert((entry.due, registration));
            let waits = !entry.settled && entry.checked_before && early_running >= EARLY_IN_FLIGHT;
            if entry.in_flight.is_some() || waits {
                // Its next turn is later than now.
                continue;
            }
            entry.checked_before = true;
            entry.in_flight = Some(number);
            let target = entry.target.clone();
            self.in_flight.insert(number, (registration, CheckOrigin::Scheduled));
            let (origin, suspicion) = (CheckOrigin::Scheduled, entry.trigger.suspicion);
            return Some(ProbeOrder { number, registration, origin, target, suspicion });
        }
    }

    /// How many targets have not been healthy yet, and how many scheduled checks of such run.
    fn early(&self) -> (usize, usize) {
        let early = || self.entries.values().filter(|entry| !entry.settled);
        (early().count(), early().filter(|entry| entry.in_flight.is_some()).count())
    }

    fn running(&self, origin: CheckOrigin) -> usize {
        self.in_flight.values().filter(|(_, running)| *running == origin).count()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// A number within 0 to 1 (SplitMix64).
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// How far apart the checks of each of so many targets are that have not been healthy.
fn early_gap(targets: usize) -> Duration {
    let all = EARLY_GAP / EARLY_CHECKS * u32::try_from(targets).unwrap_or(u32::MAX);
    all.max(EARLY_GAP)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{model::Endpoint, target_group::test_support::group};

    fn targets(count: u64) -> Vec<CheckTarget> {
        let settings = Arc::new(group("app", &[]));
        (0..count)
            .map(|registration| CheckTarget {
                registration,
                endpoint: Endpoint::Tcp(([127, 0, 0, 1], 1).into()),
                settings: Arc::clone(&settings),
                tls: None,
                elsewhere: Vec::new(),
                proven: false,
            })
            .collect()
    }

    #[test]
    fn a_target_is_checked_at_once_each_second_until_it_is_healthy_and_then_by_its_interval() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1).into_iter(), start);
        let order = schedule.next(start).expect("due at once");
        assert_eq!((order.registration, order.origin), (0, CheckOrigin::Scheduled));
        assert!(schedule.next(start).is_none(), "one at a time");
        assert!(schedule.ended(order.number));
        let second = |number| start + EARLY_GAP * number;
        for number in 1..100 {
            assert!(schedule.next(second(number) - EARLY_GAP / 2).is_none(), "not before its time");
            let order = schedule.next(second(number)).expect("each second");
            assert!(schedule.ended(order.number));
        }
        schedule.settle(0, second(99));
        assert!(schedule.next(second(101)).is_none(), "not before half an interval");
        let order = schedule.next(second(104)).expect("within an interval");
        assert!(schedule.ended(order.number));
        assert!(schedule.next(second(106)).is_none(), "not before the interval");
        assert!(schedule.next(second(109)).is_some());
    }

    #[test]
    fn targets_that_never_answer_leave_room_for_those_that_do() {
        const ALL: u64 = 1000;
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(ALL).into_iter(), start);
        let mut now = start;
        // The first checks: one in ten answers, the others do so never.
        let mut begun = 0;
        let mut silent = Vec::new();
        while begun < ALL {
            now += Duration::from_millis(20);
            while let Some(order) = schedule.next(now) {
                begun += 1;
                if order.registration % 10 == 0 {
                    assert!(schedule.ended(order.number));
                    schedule.settle(order.registration, now);
                } else {
                    silent.push((now + Duration::from_secs(5), order.number));
                }
            }
            silent.retain(|(until, number)| *until > now || !schedule.ended(*number));
        }
        // From then on who has been healthy has its turn when it is due, or a moment later.
        let (mut late, mut early) = (Duration::ZERO, 0_u32);
        let end = now + Duration::from_secs(30);
        let due = |schedule: &Schedule| schedule.entries[&10].due;
        let mut expected = due(&schedule);
        while now < end {
            now += Duration::from_millis(20);
            while let Some(order) = schedule.next(now) {
                if order.registration == 10 {
                    late = late.max(now.saturating_duration_since(expected));
                    expected = due(&schedule);
                }
                if order.registration % 10 == 0 {
                    assert!(schedule.ended(order.number));
                } else {
                    early += 1;
                    silent.push((now + Duration::from_secs(5), order.number));
                }
            }
            silent.retain(|(until, number)| *until > now || !schedule.ended(*number));
        }
        assert!(late < Duration::from_secs(1), "{late:?}");
        assert!(early > 100, "{early}");
    }

    #[test]
    fn many_targets_that_are_down_are_not_checked_more_often_than_a_few_a_second() {
        assert_eq!(early_gap(1), EARLY_GAP);
        assert_eq!(early_gap(64), EARLY_GAP);
        assert!(early_gap(1000) > EARLY_GAP * 15 && early_gap(1000) < EARLY_GAP * 16);
    }

    #[test]
    fn a_triggered_check_comes_at_once_and_confirmations_follow_shortly() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1).into_iter(), start);
        let first = schedule.next(start).expect("due");
        assert!(schedule.ended(first.number));
        let now = start + Duration::from_millis(500);
        schedule.trigger(0, None, now);
        let triggered = schedule.next(now).expect("at once");
        assert_eq!(triggered.origin, CheckOrigin::Triggered);
        assert!(schedule.ended(triggered.number));
        schedule.confirm(0, now);
        assert!(schedule.next(now).is_none());
        let again = schedule.next(now + CONFIRMATION_GAP).expect("shortly after");
        assert_eq!(again.origin, CheckOrigin::Triggered);
    }

    #[test]
    fn who_answers_nothing_is_waited_for_shortly_until_it_passes() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        let second = Duration::from_secs(1);
        schedule.sync(targets(1).into_iter(), start);
        let mut patiences = |now: Instant, before: &mut dyn FnMut(&mut Schedule)| {
            before(&mut schedule);
            let order = schedule.next(now).expect("due");
            assert!(schedule.ended(order.number));
            order.suspicion.map(|suspicion| suspicion.patience)
        };
        assert_eq!(patiences(start, &mut |_| {}), None, "in its turn");
        let short = Duration::from_millis(100);
        let of = |patience| Some(Suspicion { patience, unheard: true });
        assert_eq!(patiences(start, &mut |it| it.trigger(0, of(short), start)), Some(short));
        let now = start + second;
        assert_eq!(patiences(now, &mut |it| it.trigger(0, None, now)), Some(short));
        let now = now + second;
        assert_eq!(patiences(now, &mut |it| it.trigger(0, of(second), now)), Some(short), "the least");
        assert_eq!(patiences(now + second, &mut |it| it.confirm(0, now)), Some(short));
        let now = now + second * 3;
        let calmed = patiences(now, &mut |it| {
            it.calm(0);
            it.trigger(0, None, now);
        });
        assert_eq!(calmed, None);
    }

    #[test]
    fn a_triggered_check_that_could_not_be_made_is_tried_again() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1).into_iter(), start);
        let first = schedule.next(start).expect("due");
        assert!(schedule.ended(first.number));
        schedule.trigger(0, None, start);
        let triggered = schedule.next(start).expect("at once");
        assert!(schedule.ended(triggered.number));
        schedule.try_again(0, start);
        assert_eq!(schedule.next_due(), Some(start + RECOVERY_GAP));
        assert!(
            schedule.next(start + RECOVERY_GAP).is_some_and(|order| order.origin == CheckOrigin::Triggered)
        );
    }

    #[test]
    fn a_result_of_a_target_that_is_gone_does_not_count() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1).into_iter(), start);
        let order = schedule.next(start).expect("due");
        schedule.sync(std::iter::empty(), start);
        assert!(!schedule.ended(order.number));
        assert!(schedule.next_due().is_none());
    }

    #[test]
    fn many_new_targets_begin_within_a_second_and_not_all_at_once() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1000).into_iter(), start);
        let mut at_once = 0;
        while let Some(order) = schedule.next(start) {
            schedule.ended(order.number);
            at_once += 1;
        }
        assert!(at_once < 100, "{at_once}");
        let mut soon = 0;
        while let Some(order) = schedule.next(start + FIRST_CHECK_SPREAD) {
            schedule.ended(order.number);
            soon += 1;
        }
        assert!(at_once + soon >= 1000, "{soon}");
    }

    #[test]
    fn what_another_balancer_checks_is_left_to_it_until_it_is_silent() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(2).into_iter(), start);
        let interval = schedule.entries[&0].target.settings.health_check.interval;
        let at_most = interval * 2 + interval.mul_f64(FOLLOWERS_SPREAD);
        for registration in [0, 1] {
            schedule.settle(registration, start);
            schedule.follow(registration, start, start + interval * 2);
        }
        assert!(schedule.next(start + interval * 2 - Duration::from_millis(1)).is_none());
        // It says something again.
        let later = start + interval;
        schedule.follow(0, later, later + interval * 2);
        let order = schedule.next(start + at_most).expect("nobody speaks of the other one any more");
        assert_eq!(order.registration, 1);
        assert!(schedule.ended(order.number) && schedule.next(start + at_most).is_none());
        assert!(schedule.next_due() > Some(start + at_most), "the other one again in an interval");
        // Something happens to a connection to it.
        schedule.trigger(0, None, later);
        assert!(schedule.next(later).is_some_and(|order| order.origin == CheckOrigin::Triggered));
    }

    #[test]
    fn who_takes_the_lead_goes_on_where_the_one_before_was() {
        let (mut schedule, start) = (Schedule::new(1), Instant::now());
        schedule.sync(targets(1).into_iter(), start);
        let interval = schedule.entries[&0].target.settings.health_check.interval;
        schedule.follow(0, start, start + interval * 2);
        schedule.lead(start + interval / 2);
        assert_eq!(schedule.next_due(), Some(start + interval), "an interval after the last check");
        schedule.follow(0, start, start + interval * 2);
        schedule.lead(start + interval.mul_f64(1.5));
        assert_eq!(schedule.next_due(), Some(start + interval.mul_f64(1.5)), "at once where that is over");
    }
}
