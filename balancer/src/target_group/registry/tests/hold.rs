//! What an operator says of targets.

use super::{memory::succeed, *};
use crate::{
    model::Algorithm,
    target_group::{
        Hold,
        HoldChange::{Drain, Undrain, Weight},
    },
};

fn healthy(ports: &[u16]) -> Book {
    let mut book = Book::new(vec![app(ports)]);
    for port in ports {
        book.record(*port, CheckResult::Pass);
    }
    book
}

impl Book {
    fn hold(&mut self, port: u16, change: HoldChange) {
        self.registry.hold("app", &local(port).to_string(), change).unwrap();
    }

    fn held(&mut self, port: u16) -> Hold {
        self.view("app").targets.iter().find(|target| target.endpoint == local(port)).unwrap().hold
    }

    fn keeps_sessions(&mut self, port: u16) -> bool {
        let view = self.view("app");
        view.targets.iter().find(|target| target.endpoint == local(port)).unwrap().keeps_sessions
    }
}

#[test]
fn a_drained_target_keeps_its_sessions_and_gets_no_new_ones_until_that_is_taken_back() {
    let mut book = healthy(&[1, 2, 3]);
    book.hold(2, Drain);
    assert_eq!(book.routable(), [1, 3]);
    assert!(book.keeps_sessions(2));
    assert_eq!(book.states()[1], (2, TargetState::Healthy), "it is as healthy as it was");
    book.record(2, FAIL);
    book.record(2, FAIL);
    assert!(!book.keeps_sessions(2), "one that fails keeps none");
    for _ in 0..3 {
        book.record(2, CheckResult::Pass);
    }
    assert_eq!(book.routable(), [1, 3], "health is not what keeps it out");
    book.hold(2, Undrain);
    assert_eq!(book.routable(), [1, 2, 3]);
}

#[test]
fn where_all_are_drained_or_the_rest_is_unhealthy_clients_are_served_all_the_same() {
    let mut book = healthy(&[1, 2]);
    book.hold(1, Drain);
    book.record(2, FAIL);
    book.record(2, FAIL);
    assert_eq!(book.routable(), [1], "the drained one, and not the unhealthy one");
    assert!(!book.view("app").failing_open);
    book.record(1, FAIL);
    book.record(1, FAIL);
    assert_eq!(book.routable(), [2], "none is healthy: all but the drained one");
    book.hold(2, Drain);
    assert_eq!(book.routable(), [1, 2]);
}

#[test]
fn it_holds_over_reloads_and_upgrades_until_the_target_is_taken_out() {
    let mut book = healthy(&[1, 2, 3]);
    book.hold(2, Drain);
    book.apply(vec![app(&[1, 2, 3, 4])]);
    assert_eq!(book.routable(), [1, 3]);
    let mut next = succeed(&book, || app(&[1, 2, 3]));
    assert_eq!(next.routable(), [1, 3]);
    next.apply(vec![app(&[1, 3])]);
    next.apply(vec![app(&[1, 2, 3])]);
    assert_eq!(next.held(2), Hold::default(), "it left");
}

#[test]
fn a_weight_is_a_part_of_what_the_target_would_get() {
    let weighted = || {
        let mut group = app(&[1, 2]);
        Arc::make_mut(&mut group.settings).algorithm = Algorithm::WeightedRandom;
        group
    };
    let mut book = Book::new(vec![weighted()]);
    (1..=2).for_each(|port| _ = book.record(port, CheckResult::Pass));
    book.hold(1, Weight(Some(25)));
    let view = book.view("app");
    let picks = |view: &GroupView| {
        let mut random = crate::balance::Random::new(3);
        (0..10_000).filter(|_| view.weights.as_ref().unwrap().pick(random.draw(), &[]) == Some(0)).count()
    };
    // A quarter beside a whole one.
    assert!((1_800..2_200).contains(&picks(&view)), "{}", picks(&view));
    book.hold(1, Weight(None));
    assert!((4_700..5_300).contains(&picks(&book.view("app"))));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut book = healthy(&[1, 2]);
    let target = local(1).to_string();
    let mut refused = |group: &str, target: &str, change| {
        book.registry.hold(group, target, change).unwrap_err().to_string()
    };
    assert!(refused("other", &target, Drain).contains("no target group \"other\""));
    assert!(refused("app", "127.0.0.1:9", Drain).contains("no target \"127.0.0.1:9\""));
    assert!(refused("app", &target, Weight(Some(50))).contains("round_robin; allowed"));
    book.apply(vec![app(&[2])]);
    let refused = book.registry.hold("app", &target, Drain).unwrap_err().to_string();
    assert!(refused.contains("is being deregistered"), "{refused}");
}
