//! What sources say targets get.

use super::*;
use crate::{
    model::{Algorithm, TargetShare},
    stickiness::{Standing, TargetLookup},
    target_group::WantedTarget,
};

const EVEN: TargetShare = TargetShare { priority: 0, weight: 1, leaving: false };
const LEAVING: TargetShare = TargetShare { leaving: true, ..EVEN };

/// Targets at ports 1, 2, … with these shares.
fn shared(shares: &[TargetShare]) -> WantedGroup {
    let mut group = app(&[]);
    let target = |(port, share): (u16, &TargetShare)| WantedTarget { endpoint: local(port), share: *share };
    group.targets = (1..).zip(shares).map(target).collect();
    group
}

fn standing(book: &mut Book, port: u16) -> Option<Standing> {
    let view = book.view("app");
    TargetLookup::find(&*view, TestNames::under(1, "app", &local(port))).map(|(_, standing)| standing)
}

fn state(book: &mut Book, port: u16) -> TargetState {
    book.states().into_iter().find(|(at, _)| *at == port).unwrap().1
}

#[test]
fn one_that_is_about_to_go_keeps_its_sessions_and_gets_nobody_new() {
    let mut book = Book::new(vec![shared(&[EVEN, EVEN])]);
    for port in [1, 2] {
        book.record(port, CheckResult::Pass);
    }
    let registration = book.registration("app", 2);
    book.apply(vec![shared(&[EVEN, LEAVING])]);
    assert_eq!((book.routable(), state(&mut book, 2)), (vec![1], TargetState::Draining));
    assert_eq!(standing(&mut book, 2), Some(Standing::Routable));
    assert_eq!(book.registration("app", 2), registration, "it is who it was");
    assert_eq!(book.registry.checked_targets().count(), 2, "its checks go on");
    for _ in 0..2 {
        book.record(2, FAIL);
    }
    assert_eq!(state(&mut book, 2), TargetState::Unhealthy);
    assert_eq!(standing(&mut book, 2), Some(Standing::Unhealthy));
    for _ in 0..3 {
        book.record(2, CheckResult::Pass);
    }
    assert_eq!(state(&mut book, 2), TargetState::Draining);
    // For want of others it serves, and it may think better of it.
    for _ in 0..2 {
        book.record(1, FAIL);
    }
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![2], false));
    book.apply(vec![shared(&[EVEN, EVEN])]);
    assert_eq!(state(&mut book, 2), TargetState::Healthy);
}

#[test]
fn a_lower_priority_comes_first_and_sessions_of_others_stay() {
    let second = TargetShare { priority: 1, ..EVEN };
    let mut book = Book::new(vec![shared(&[second, EVEN])]);
    for port in [1, 2] {
        book.record(port, CheckResult::Pass);
    }
    assert_eq!(book.routable(), [2]);
    assert_eq!(
        (state(&mut book, 1), standing(&mut book, 1)),
        (TargetState::Healthy, Some(Standing::Routable))
    );
    for _ in 0..2 {
        book.record(2, FAIL);
    }
    assert_eq!((book.routable(), book.view("app").failing_open), (vec![1], false));
}

#[test]
fn weights_are_parts_of_the_view_until_they_are_even() {
    let heavy = TargetShare { weight: 3, ..EVEN };
    for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRandom, Algorithm::LeastOutstandingRequests] {
        let with = |shares: &[TargetShare]| {
            let mut group = shared(shares);
            Arc::make_mut(&mut group.settings).algorithm = algorithm;
            group
        };
        let mut book = Book::new(vec![with(&[heavy, EVEN])]);
        for port in [1, 2] {
            book.record(port, CheckResult::Pass);
        }
        let parts = book.view("app").parts.clone().unwrap();
        assert!((parts.of_the_most(1) * 3.0 - parts.of_the_most(0)).abs() < 0.01);
        let weights = book.view("app").weights.clone().unwrap();
        let mut random = crate::balance::Random::new(1);
        let picked = (0..10_000).filter(|_| weights.pick(random.draw(), &[]) == Some(0)).count();
        assert!((7_300..7_700).contains(&picked), "{picked} of 10,000");
        book.apply(vec![with(&[heavy, heavy])]);
        assert!(book.view("app").parts.is_none(), "equal weights are none");
    }
}
