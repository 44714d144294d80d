//! What a target gets beside its peers: slow start, thresholds of the group's health, anomalies.

use std::ops::Deref;

use super::*;
use crate::{
    balance::PARITY,
    model::{Algorithm, MinimumHealthy, TargetGroup},
};

const SLOW_START: Duration = Duration::from_secs(100);

fn with(ports: &[u16], change: impl FnOnce(&mut TargetGroup)) -> WantedGroup {
    let mut wanted = app(ports);
    change(Arc::make_mut(&mut wanted.settings));
    wanted
}

fn slow(ports: &[u16]) -> WantedGroup {
    with(ports, |settings| settings.slow_start = Some(SLOW_START))
}

impl Book {
    /// The targets in slow start.
    fn slow(&mut self) -> Vec<u16> {
        let view = self.view("app");
        let slow = view.targets.iter().filter(|target| target.slow_since.is_some());
        let ports = slow.map(|target| target.endpoint.port()).collect::<Vec<_>>();
        assert!(view.slow_start.is_none() || !ports.is_empty());
        ports
    }

    fn pass(&mut self, port: u16) {
        self.record(port, CheckResult::Pass);
    }

    /// Ten requests to each target of the group, of which so many fail.
    fn serve(&mut self, failing: &[(u16, u64)]) {
        for target in &self.view("app").targets {
            let [.., shard] = target.runtime.shards() else { panic!("no worker") };
            let failed = failing
                .iter()
                .find(|(port, _)| *port == target.endpoint.port())
                .map_or(0, |(_, failed)| *failed);
            shard.responses[1].add(100 - failed);
            shard.responses[4].add(failed);
        }
    }

    fn anomalous(&mut self) -> Vec<u16> {
        let view = self.view("app");
        let anomalous = view.targets.iter().filter(|target| target.watch.is_anomalous());
        anomalous.map(|target| target.endpoint.port()).collect()
    }
}

#[test]
fn the_first_targets_of_a_group_do_not_start_slowly_and_later_ones_do() {
    let mut book = Book::new(vec![slow(&[1, 2])]);
    book.pass(1);
    book.pass(2);
    assert_eq!(book.slow(), [0; 0], "registered in one call in an empty group");
    book.apply(vec![slow(&[1, 2, 3])]);
    assert_eq!(book.slow(), [0; 0], "not yet healthy");
    book.pass(3);
    assert_eq!(book.slow(), [3]);
    assert_eq!(book.routable(), [1, 2, 3]);
    assert!(book.view("app").slow_start.is_some());
    assert_eq!(book.registry.next_expiry(), Some(book.now + SLOW_START));
    assert_eq!(book.pass_after(99), [0; 0]);
    assert_eq!(book.slow(), [3]);
    assert_eq!(book.pass_after(1), [0; 0], "nothing is cut");
    assert_eq!((book.slow(), book.registry.next_expiry()), (vec![], None));
    assert!(book.view("app").slow_start.is_none());
}

#[test]
fn a_target_that_recovers_starts_slowly_again() {
    let mut book = Book::new(vec![slow(&[1, 2])]);
    book.pass(1);
    book.pass(2);
    book.record(2, FAIL);
    book.record(2, FAIL);
    for _ in 0..3 {
        book.pass(2);
    }
    assert_eq!(book.slow(), [2]);
    book.pass_after(10);
    book.record(2, FAIL);
    assert_eq!(book.slow(), [2], "still healthy");
    book.record(2, FAIL);
    assert_eq!(book.slow(), [0; 0], "unhealthy: slow start ends");
    for _ in 0..3 {
        book.pass(2);
    }
    assert_eq!(book.registry.next_expiry(), Some(book.now + SLOW_START), "from the beginning");
}

#[test]
fn nobody_starts_slowly_without_a_healthy_peer_at_full_share() {
    let mut book = Book::new(vec![slow(&[1])]);
    book.pass(1);
    book.apply(vec![slow(&[1, 2, 3])]);
    book.record(1, FAIL);
    book.record(1, FAIL);
    book.pass(2);
    assert_eq!(book.slow(), [0; 0], "it is the only healthy one");
    book.pass(3);
    assert_eq!(book.slow(), [3]);
    for _ in 0..3 {
        book.pass(1);
    }
    assert_eq!(book.slow(), [1, 3]);
    book.record(2, FAIL);
    book.record(2, FAIL);
    assert_eq!(book.slow(), [1, 3]);
    assert!(book.view("app").slow_start.is_none(), "nobody is left to take their turns");
}

#[test]
fn registering_anew_starts_slowly_anew() {
    let mut book = Book::new(vec![slow(&[1])]);
    book.pass(1);
    book.apply(vec![slow(&[1, 2])]);
    book.pass(2);
    book.apply(vec![slow(&[1])]);
    assert_eq!(book.slow(), [0; 0], "it drains");
    book.pass_after(20);
    book.apply(vec![slow(&[1, 2])]);
    book.pass(2);
    let since = book.view("app").targets.iter().find_map(|target| target.slow_since);
    assert_eq!(since, Some(book.now));
}

#[test]
fn slow_start_that_is_switched_on_or_off_moves_nobody_into_it() {
    let mut book = Book::new(vec![app(&[1])]);
    book.pass(1);
    book.apply(vec![app(&[1, 2])]);
    book.pass(2);
    book.apply(vec![slow(&[1, 2])]);
    assert_eq!(book.slow(), [0; 0]);
    book.apply(vec![slow(&[1, 2, 3])]);
    book.pass(3);
    assert_eq!(book.slow(), [3]);
    book.apply(vec![app(&[1, 2, 3])]);
    book.apply(vec![slow(&[1, 2, 3])]);
    assert_eq!(book.slow(), [0; 0], "it was switched off meanwhile");
}

#[test]
fn the_thresholds_decide_when_a_group_fails_open() {
    let minimum = |count, percentage| {
        move |settings: &mut TargetGroup| settings.minimum_healthy = MinimumHealthy { count, percentage }
    };
    let mut book = Book::new(vec![with(&[1, 2, 3, 4], minimum(2, None))]);
    for port in 1..=4 {
        book.pass(port);
    }
    let fall = |book: &mut Book, port| (0..2).for_each(|_| _ = book.record(port, FAIL));
    fall(&mut book, 1);
    fall(&mut book, 2);
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![3, 4], false));
    fall(&mut book, 3);
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![1, 2, 3, 4], true));
    book.apply(vec![with(&[1, 2, 3, 4], minimum(1, Some(25)))]);
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![4], false));
    book.apply(vec![with(&[1, 2, 3, 4], minimum(1, Some(26)))]);
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![1, 2, 3, 4], true));
    // A share of what is registered: draining ones do not count.
    book.apply(vec![with(&[1, 3, 4], minimum(1, Some(26)))]);
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![4], false));
}

#[test]
fn an_anomalous_target_is_told_and_gets_less_where_that_is_wanted() {
    let random = |mitigate| {
        with(&[1, 2, 3, 4], move |settings| {
            settings.algorithm = Algorithm::WeightedRandom;
            settings.anomaly_mitigation = mitigate;
        })
    };
    let mut book = Book::new(vec![random(false)]);
    (1..=4).for_each(|port| book.pass(port));
    assert_eq!(book.registry.assess(|_| 0), (false, vec![]), "the first look compares nothing");
    let round = |book: &mut Book| {
        book.serve(&[(3, 50)]);
        book.registry.assess(|_| 0)
    };
    let sick = book.registration("app", 3);
    assert_eq!(round(&mut book), (true, vec![(sick, true)]));
    assert_eq!(book.anomalous(), [3]);
    assert!(book.view("app").targets.iter().all(|target| target.watch.weight() == PARITY));
    assert_eq!(round(&mut book), (false, vec![]), "told once");
    book.apply(vec![random(true)]);
    assert_eq!(round(&mut book), (true, vec![]));
    let view = book.view("app");
    assert!(view.targets[2].watch.is_mitigated());
    let weights = view.weights.clone().unwrap();
    let mut random = crate::balance::Random::new(1);
    let picked = (0..10_000).filter(|_| weights.pick(random.draw(), &[]) == Some(2)).count();
    assert!(picked < 500, "{picked} of 10,000");
    book.record(3, FAIL);
    book.record(3, FAIL);
    assert!(book.registry.assess(|_| 0).0);
    assert_eq!(book.anomalous(), [0; 0], "an unhealthy target is compared with nobody");
}

#[test]
fn connection_failures_and_trouble_in_the_kernels_eyes_count() {
    let mut book = Book::new(vec![app(&[1, 2, 3])]);
    (1..=3).for_each(|port| book.pass(port));
    book.registry.assess(|_| 0);
    book.serve(&[]);
    let slot = book.view("app").targets[1].slot;
    book.registry.assess(|of| if of == slot { 90 } else { 1 });
    assert_eq!(book.anomalous(), [2], "resets and retransmissions");
    let view = book.view("app");
    view.deref().targets[0].runtime.shards()[0].connection_errors.add(100);
    book.serve(&[]);
    book.registry.assess(|of| if of == slot { 90 } else { 1 });
    assert!(book.anomalous().contains(&1), "connections that failed");
}

#[test]
fn requests_without_a_response_and_responses_that_break_off_count() {
    for breaks_off in [false, true] {
        let mut book = Book::new(vec![app(&[1, 2, 3])]);
        (1..=3).for_each(|port| book.pass(port));
        book.registry.assess(|_| 0);
        book.serve(&[]);
        let view = book.view("app");
        let shard = &view.deref().targets[0].runtime.shards()[0];
        if breaks_off { &shard.broken_responses } else { &shard.unanswered }.add(100);
        book.registry.assess(|_| 0);
        assert_eq!(book.anomalous(), [1], "{breaks_off}");
    }
}

#[test]
fn a_target_that_drains_keeps_its_sessions_where_that_is_wanted() {
    use crate::stickiness::{Standing, TargetLookup};
    let sticky = |ports: &[u16], keeps_draining| {
        with(ports, move |settings| {
            settings.stickiness = Some(crate::model::StickinessSettings {
                kind: crate::model::StickinessKind::LoadBalancerCookie,
                duration_seconds: 60,
                attributes: crate::model::CookieAttributes::default(),
                renewal: crate::model::CookieRenewal::Always,
                pick: Default::default(),
                extras: crate::model::StickinessExtras { keeps_draining, ..Default::default() },
            });
        })
    };
    let standing = |book: &mut Book, port| {
        let view = book.view("app");
        TargetLookup::find(&*view, TestNames::under(1, "app", &local(port))).map(|(_, standing)| standing)
    };
    let mut book = Book::new(vec![sticky(&[1, 2, 3], true)]);
    (1..=3).for_each(|port| book.pass(port));
    book.record(3, FAIL);
    book.record(3, FAIL);
    book.apply(vec![sticky(&[1], true)]);
    assert_eq!(book.routable(), [1], "nobody new");
    assert_eq!(standing(&mut book, 2), Some(Standing::Routable));
    assert_eq!(standing(&mut book, 3), Some(Standing::Draining), "it was unhealthy when it was taken out");
    book.apply(vec![sticky(&[1], false)]);
    assert_eq!(standing(&mut book, 2), Some(Standing::Draining), "as ALB has it");
    book.apply(vec![sticky(&[1], true)]);
    assert_eq!(standing(&mut book, 2), Some(Standing::Routable));
    book.pass_after(300);
    assert_eq!(standing(&mut book, 2), None);
}
