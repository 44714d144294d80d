//! Which targets keep the sessions that are bound to them, though nobody new gets there.

use super::*;
use crate::{
    model::{
        CookieAttributes, CookieRenewal, StickinessExtras, StickinessKind, StickinessSettings, TargetGroup,
    },
    stickiness::{Standing, TargetLookup},
};

/// With `deregistration_stickiness = "keep"`, or `"move"`.
fn sticky(ports: &[u16], keeps_draining: bool) -> WantedGroup {
    let mut wanted = app(ports);
    let settings: &mut TargetGroup = Arc::make_mut(&mut wanted.settings);
    settings.stickiness = Some(StickinessSettings {
        kind: StickinessKind::LoadBalancerCookie,
        duration_seconds: 86_400,
        attributes: CookieAttributes::default(),
        renewal: CookieRenewal::Always,
        pick: Default::default(),
        extras: StickinessExtras { keeps_draining, ..Default::default() },
    });
    wanted
}

fn keeping(ports: &[u16]) -> WantedGroup {
    sticky(ports, true)
}

impl Book {
    /// What a session is told that is bound to the target at this port.
    fn standing(&mut self, port: u16) -> Standing {
        let view = self.view("app");
        TargetLookup::find(&*view, TestNames::under(1, "app", &local(port))).unwrap().1
    }

    fn all_pass(&mut self, ports: &[u16]) {
        for port in ports {
            self.record(*port, CheckResult::Pass);
        }
    }
}

#[test]
fn what_has_not_failed_as_often_as_makes_unhealthy_keeps_its_sessions() {
    let mut book = Book::new(vec![keeping(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    assert_eq!(book.standing(2), Standing::Routable);
    book.record(2, FAIL);
    assert_eq!((book.routable(), book.standing(2)), (vec![1], Standing::Routable), "nobody new");
    book.record(2, FAIL);
    assert_eq!(book.standing(2), Standing::Unhealthy, "the second makes it unhealthy");
    book.apply(vec![keeping(&[1, 2, 3])]);
    assert_eq!(book.standing(3), Standing::Unhealthy, "who joins has to pass first");
}

#[test]
fn checks_that_are_turned_on_again_count_from_their_beginning() {
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.all_pass(&[1, 2]);
    let mut unchecked = app(&[1, 2]);
    Arc::make_mut(&mut unchecked.settings).health_check.enabled = false;
    book.apply(vec![unchecked]);
    book.apply(vec![app(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    book.record(2, FAIL);
    assert_eq!(book.standing(2), Standing::Routable);
    book.record(2, FAIL);
    assert_eq!(book.standing(2), Standing::Unhealthy);
}

#[test]
fn who_is_put_back_while_it_keeps_its_sessions_goes_on_keeping_them() {
    let mut book = Book::new(vec![keeping(&[1, 2])]);
    book.all_pass(&[1, 2]);
    for _ in 0..2 {
        book.apply(vec![keeping(&[1])]);
        assert_eq!(book.standing(2), Standing::Routable);
        book.apply(vec![keeping(&[1, 2])]);
        assert_eq!(book.states(), [(1, TargetState::Healthy), (2, TargetState::Initial)]);
        assert_eq!((book.routable(), book.standing(2)), (vec![1], Standing::Routable));
    }
    book.record(2, FAIL);
    assert_eq!(book.standing(2), Standing::Routable);
    book.record(2, FAIL);
    assert_eq!(book.standing(2), Standing::Unhealthy);
    book.apply(vec![keeping(&[1])]);
    assert_eq!(book.standing(2), Standing::Draining, "it was not good when it was taken out");
    book.apply(vec![keeping(&[1, 2])]);
    assert_eq!(book.standing(2), Standing::Unhealthy);
}

#[test]
fn who_moves_its_sessions_has_to_pass_before_it_gets_any() {
    let mut book = Book::new(vec![sticky(&[1, 2], false)]);
    book.all_pass(&[1, 2]);
    book.apply(vec![sticky(&[1], false)]);
    assert_eq!(book.standing(2), Standing::Draining);
    book.apply(vec![sticky(&[1, 2], false)]);
    assert_eq!(book.standing(2), Standing::Unhealthy);
}
