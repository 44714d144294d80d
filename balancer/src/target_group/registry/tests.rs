//! Tables of what happens to targets over reloads, checks and time.

use std::time::Duration;

use super::*;
use crate::target_group::test_support::{TestNames, TestSlots, group, local, wanted};

mod balance;
mod hold;
mod memory;
mod sessions;
mod shares;

const FAIL: CheckResult = CheckResult::Fail(HealthReason::FailedHealthChecks);

struct Book {
    registry: Registry,
    slots: TestSlots,
    names: TestNames,
    now: Instant,
}

impl Book {
    fn new(wanted: Vec<WantedGroup>) -> Self {
        let mut book = Self {
            registry: Registry::new(2),
            slots: TestSlots::default(),
            names: TestNames(vec![1]),
            now: crate::clock::monotonic_now(),
        };
        book.apply(wanted);
        book
    }

    fn apply(&mut self, wanted: Vec<WantedGroup>) {
        self.registry.apply(wanted, &self.names, &mut self.slots, self.now).unwrap();
    }

    fn view(&mut self, name: &str) -> Arc<GroupView> {
        self.registry.views().into_iter().find(|view| view.settings.name == name).unwrap()
    }

    fn record(&mut self, port: u16, result: CheckResult) -> Urgency {
        let registration = self.registration("app", port);
        self.registry.record(registration, result, CheckOrigin::Scheduled, self.now)
    }

    fn registration(&mut self, group: &str, port: u16) -> u64 {
        let view = self.view(group);
        view.targets.iter().find(|target| target.endpoint == local(port)).unwrap().registration
    }

    fn states(&mut self) -> Vec<(u16, TargetState)> {
        self.view("app").targets.iter().map(|target| (target.endpoint.port(), target.state)).collect()
    }

    fn routable(&mut self) -> Vec<u16> {
        let view = self.view("app");
        let by_flag: Vec<u32> =
            (0..).zip(&view.targets).filter(|(_, target)| target.routable).map(|(index, _)| index).collect();
        assert_eq!(by_flag, view.routable);
        view.routable.iter().map(|index| view.targets[*index as usize].endpoint.port()).collect()
    }

    fn pass_after(&mut self, seconds: u64) -> Vec<u64> {
        self.now += Duration::from_secs(seconds);
        self.registry.expire(&mut self.slots, self.now)
    }
}

fn app(ports: &[u16]) -> WantedGroup {
    wanted("app", &ports.iter().copied().map(local).collect::<Vec<_>>())
}

#[test]
fn a_new_group_fails_open_until_a_check_passes() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    assert_eq!(book.states(), [(1, TargetState::Initial), (2, TargetState::Initial)]);
    assert!(book.view("app").failing_open);
    assert_eq!(book.routable(), [1, 2]);
    assert_eq!(book.record(1, FAIL), Urgency::Soon, "now it counts as checked");
    assert_eq!(book.record(1, FAIL), Urgency::Now);
    assert_eq!(book.routable(), [1, 2], "none is healthy: all of them, unhealthy and initial");
    assert_eq!(book.record(2, CheckResult::Pass), Urgency::Soon);
    assert!(!book.view("app").failing_open);
    assert_eq!(book.routable(), [2]);
    assert_eq!(book.record(2, CheckResult::Pass), Urgency::None);
}

#[test]
fn founders_count_until_checked_and_joiners_after() {
    let mut book = Book::new(vec![app(&[1, 2, 3])]);
    book.record(1, CheckResult::Pass);
    assert_eq!(book.routable(), [1, 2, 3], "2 and 3 were there from the start and are not yet checked");
    assert!(!book.view("app").failing_open);
    book.record(2, FAIL);
    assert_eq!(book.routable(), [1, 3]);
    book.apply(vec![app(&[1, 2, 3, 4])]);
    assert_eq!(book.routable(), [1, 3], "4 joins a group that has a healthy target");
    book.record(3, FAIL);
    assert_eq!(book.routable(), [1]);
    book.record(4, CheckResult::Pass);
    assert_eq!(book.routable(), [1, 4]);
}

#[test]
fn a_group_whose_last_healthy_target_fails_fails_open() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    for port in [1, 2] {
        book.record(port, CheckResult::Pass);
        book.record(port, FAIL);
    }
    assert_eq!(book.record(1, FAIL), Urgency::Now);
    assert_eq!(book.routable(), [2]);
    assert_eq!(book.record(2, FAIL), Urgency::Now);
    assert_eq!(book.routable(), [1, 2]);
    assert!(book.view("app").failing_open);
}

#[test]
fn who_has_a_healthy_peer_is_known() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    let [one, two] = [1, 2].map(|port| book.registration("app", port));
    let peers = |book: &Book| [one, two].map(|registration| book.registry.has_healthy_peer(registration));
    assert_eq!(peers(&book), [false, false], "nobody was checked");
    book.record(2, CheckResult::Pass);
    assert_eq!(peers(&book), [true, false], "nobody is a peer of itself");
    book.record(1, CheckResult::Pass);
    assert_eq!(peers(&book), [true, true]);
    book.apply(vec![app(&[1])]);
    assert_eq!(peers(&book), [false, true], "who drains is none");
    assert!(!book.registry.has_healthy_peer(99));
}

#[test]
fn a_group_without_targets_or_listeners_routes_nowhere() {
    let mut book = Book::new(vec![app(&[])]);
    assert!(book.routable().is_empty() && !book.view("app").failing_open);
    book.apply(vec![WantedGroup { in_use: false, ..app(&[1]) }]);
    assert_eq!(book.states(), [(1, TargetState::Unused)]);
    assert!(book.routable().is_empty() && !book.view("app").failing_open);
    assert_eq!(book.registry.checked_targets().count(), 0);
    book.apply(vec![app(&[1])]);
    assert_eq!(book.states(), [(1, TargetState::Initial)]);
    assert_eq!(book.registry.checked_targets().count(), 1);
}

#[test]
fn without_checks_targets_are_unavailable_and_used() {
    let mut unchecked = group("app", &[local(1)]);
    unchecked.health_check.enabled = false;
    let mut book = Book::new(vec![WantedGroup { settings: Arc::new(unchecked), ..app(&[1]) }]);
    let view = book.view("app");
    assert_eq!(view.targets[0].state, TargetState::Unavailable);
    assert_eq!(view.targets[0].reason, Some(HealthReason::HealthCheckDisabled));
    assert_eq!((book.routable(), view.failing_open), (vec![1], false));
    assert_eq!(book.record(1, FAIL), Urgency::None, "a late result of an earlier check");
    book.apply(vec![app(&[1])]);
    assert_eq!(book.states(), [(1, TargetState::Initial)]);
}

#[test]
fn a_reload_keeps_what_stays() {
    let mut book = Book::new(vec![app(&[1, 2]), wanted("other", &[local(9)])]);
    book.record(1, CheckResult::Pass);
    book.record(2, CheckResult::Pass);
    let before = book.view("app");
    let mut settings = group("app", &[local(2), local(3), local(1)]);
    settings.health_check.healthy_threshold = 7;
    settings.health_check.path = "/new".into();
    book.apply(vec![WantedGroup { settings: Arc::new(settings), ..app(&[2, 3, 1]) }]);
    let after = book.view("app");
    assert_eq!(
        book.states(),
        [(2, TargetState::Healthy), (3, TargetState::Initial), (1, TargetState::Healthy)]
    );
    assert!(Arc::ptr_eq(&before.runtime, &after.runtime));
    for (old, new) in [(0, 2), (1, 0)] {
        let (old, new) = (&before.targets[old], &after.targets[new]);
        assert_eq!((old.slot, old.registration, old.id), (new.slot, new.registration, new.id));
        assert!(Arc::ptr_eq(&old.runtime, &new.runtime));
    }
    assert_eq!(after.settings.health_check.path, "/new");
    assert_eq!(book.registry.checked_targets().next().unwrap().settings.health_check.path, "/new");
}

#[test]
fn what_is_deregistered_drains_for_the_whole_delay() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    book.record(2, CheckResult::Pass);
    let gone = book.registration("app", 2);
    book.apply(vec![app(&[1])]);
    assert_eq!(book.states(), [(1, TargetState::Healthy), (2, TargetState::Draining)]);
    assert_eq!(book.routable(), [1]);
    assert_eq!(book.registry.checked_targets().count(), 1);
    assert_eq!(book.registry.next_expiry(), Some(book.now + Duration::from_secs(300)));
    assert_eq!(book.registry.record(gone, FAIL, CheckOrigin::Scheduled, book.now), Urgency::None);
    assert!(book.pass_after(299).is_empty());
    book.apply(vec![app(&[1])]);
    assert_eq!(book.states().len(), 2, "a reload does not begin the delay anew");
    assert_eq!(book.slots.held.len(), 2);
    assert_eq!(book.pass_after(1), [gone]);
    assert_eq!(book.states(), [(1, TargetState::Healthy)]);
    assert_eq!(book.slots.held.values().collect::<Vec<_>>(), [&local(1)]);
    assert_eq!(book.registry.next_expiry(), None);
}

#[test]
fn draining_targets_are_no_failing_open_either() {
    let mut book = Book::new(vec![app(&[1])]);
    book.record(1, CheckResult::Pass);
    book.apply(vec![app(&[])]);
    assert_eq!(book.states(), [(1, TargetState::Draining)]);
    assert!(book.routable().is_empty() && !book.view("app").failing_open);
}

#[test]
fn coming_back_while_draining_keeps_all_but_the_health() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    book.record(2, CheckResult::Pass);
    let before = book.view("app").targets[1].clone();
    book.apply(vec![app(&[1])]);
    assert!(book.pass_after(200).is_empty());
    book.apply(vec![app(&[1, 2])]);
    let after = book.view("app").targets[1].clone();
    assert_eq!(after.state, TargetState::Initial);
    assert_eq!((before.slot, before.registration), (after.slot, after.registration));
    assert!(Arc::ptr_eq(&before.runtime, &after.runtime));
    assert!(book.pass_after(200).is_empty());
    book.record(2, FAIL);
    book.record(2, CheckResult::Pass);
    assert_eq!(book.routable(), [1, 2]);
}

#[test]
fn without_a_delay_a_target_is_cut_at_once() {
    let mut settings = group("app", &[]);
    settings.deregistration_delay = Duration::ZERO;
    let mut book = Book::new(vec![app(&[1])]);
    let gone = book.registration("app", 1);
    book.apply(vec![WantedGroup { settings: Arc::new(settings), ..app(&[]) }]);
    assert_eq!(book.pass_after(0), [gone]);
    assert!(book.slots.held.is_empty());
}

#[test]
fn a_group_that_goes_drains_unseen_and_may_come_back() {
    let mut book = Book::new(vec![app(&[1]), wanted("other", &[local(9)])]);
    let (app_target, other) = (book.registration("app", 1), book.view("other"));
    book.apply(vec![app(&[1])]);
    assert_eq!(book.registry.views().len(), 1);
    assert_eq!(book.slots.held.len(), 2);
    book.pass_after(10);
    book.apply(vec![wanted("other", &[local(9)])]);
    let again = book.view("other");
    assert_eq!(again.targets[0].registration, other.targets[0].registration);
    assert_eq!(again.targets[0].state, TargetState::Initial);
    assert!(Arc::ptr_eq(&again.runtime, &other.runtime));
    assert_eq!(book.pass_after(300), [app_target]);
    assert_eq!(book.slots.held.values().collect::<Vec<_>>(), [&local(9)]);
}

#[test]
fn groups_share_the_slot_of_a_shared_endpoint() {
    let mut book = Book::new(vec![app(&[1, 2]), wanted("other", &[local(2), local(2)])]);
    let (mine, theirs) = (book.view("app").targets[1].clone(), book.view("other").targets[0].clone());
    assert_eq!(book.view("other").targets.len(), 1, "named twice, registered once");
    assert_eq!(mine.slot, theirs.slot);
    assert_ne!(mine.registration, theirs.registration);
    assert_ne!(mine.id, theirs.id);
    assert_eq!(book.registry.registrations_on(mine.slot), [mine.registration, theirs.registration]);
    book.apply(vec![app(&[1, 2])]);
    book.pass_after(300);
    assert_eq!(book.slots.held.len(), 2);
    assert_eq!(book.registry.registrations_on(mine.slot), [mine.registration]);
    book.apply(vec![app(&[1])]);
    book.pass_after(300);
    assert_eq!(book.slots.held.len(), 1);
}

#[test]
fn without_slots_nothing_changes() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    let before = book.view("app");
    book.slots.limit = Some(3);
    let refused =
        book.registry.apply(vec![app(&[1, 3, 4]), app(&[5])], &book.names, &mut book.slots, book.now);
    assert!(refused.is_err());
    assert!(Arc::ptr_eq(&before, &book.view("app")));
    assert_eq!(book.slots.held.values().collect::<Vec<_>>(), [&local(1), &local(2)]);
    assert!(
        book.registry
            .set_targets_of(
                "app",
                vec![local(3).into(), local(4).into()],
                &book.names,
                &mut book.slots,
                book.now
            )
            .is_err()
    );
    assert!(Arc::ptr_eq(&before, &book.view("app")));
    assert_eq!(book.slots.held.len(), 2);
}

#[test]
fn resolved_endpoints_come_and_go_within_a_group() {
    let mut book = Book::new(vec![app(&[1, 2]), wanted("other", &[local(9)])]);
    book.record(1, CheckResult::Pass);
    let other = book.view("other");
    let resolved = |book: &mut Book, endpoints: Vec<Endpoint>| {
        let names = TestNames(vec![1]);
        book.registry
            .set_targets_of(
                "app",
                endpoints.into_iter().map(Into::into).collect(),
                &names,
                &mut book.slots,
                book.now,
            )
            .unwrap()
    };
    assert!(!resolved(&mut book, vec![local(1), local(2)]));
    assert!(resolved(&mut book, vec![local(1), local(3)]));
    assert_eq!(
        book.states(),
        [(1, TargetState::Healthy), (3, TargetState::Initial), (2, TargetState::Draining)]
    );
    assert!(Arc::ptr_eq(&other, &book.view("other")), "only the group that changed gets a new view");
    assert!(
        !book.registry.set_targets_of("none", vec![], &book.names, &mut book.slots, book.now).unwrap(),
        "a group that a reload removed meanwhile"
    );
}

#[test]
fn views_find_targets_under_every_accepted_id() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.names = TestNames(vec![7, 1]);
    let names = TestNames(vec![7, 1]);
    book.registry.rename(&names);
    let view = book.view("app");
    for (index, port) in [(0, 1), (1, 2)] {
        for key in [1, 7] {
            let found = view.find(TestNames::under(key, "app", &local(port))).unwrap();
            assert_eq!((found.0, &found.1.endpoint), (index, &local(port)));
        }
        assert_eq!(view.targets[index].id, TestNames::under(7, "app", &local(port)));
    }
    assert!(view.find(TestNames::under(1, "other", &local(1))).is_none());
    assert!(view.find(TestNames::under(2, "app", &local(1))).is_none());
}

#[test]
fn unchanged_groups_keep_their_view_object() {
    let mut book = Book::new(vec![app(&[1]), wanted("other", &[local(9)])]);
    let other = book.view("other");
    book.record(1, CheckResult::Pass);
    assert!(Arc::ptr_eq(&other, &book.view("other")));
}
