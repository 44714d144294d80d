//! Sessions that other balancers know: when those are asked, and what comes of what they say.

use super::{
    tests::{A, B, Fleet, NOW, Table, decide, fleet, group_that_lasts, table},
    *,
};
use crate::{
    model::{HeaderField, Version},
    session_store::{Expectation, Keys, StorePort, StoredSession},
    stickiness::{GroupStickiness, Standing},
};

const COOKIE: &str = "SID=one";

fn with_head<R>(cookies: &str, look: impl FnOnce(&RequestHead<'_>) -> R) -> R {
    let headers = [HeaderField { name: b"Cookie", value: cookies.as_bytes() }];
    look(&RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers })
}

fn question(group: &GroupStickiness, cookies: &str, fleet: &Fleet, table: &Table) -> Option<Keys> {
    let decision = decide(group, cookies, fleet, table, NOW);
    with_head(cookies, |head| group.question(head, &decision).map(|(_, keys)| keys))
}

fn stored(target: crate::id::TargetId, started: u32) -> StoredSession {
    StoredSession { target, started }
}

#[test]
fn others_are_asked_where_nothing_here_says_where_to() {
    let (port, _told) = StorePort::on_for_tests();
    let alone = group_that_lasts("app", "SID", None);
    let group = group_that_lasts("app", "SID", None).shared_through(&port);
    let (table, fleet_of_all) = (table(), fleet(Standing::Routable));
    assert_eq!(question(&alone, COOKIE, &fleet_of_all, &table), None, "nobody is there");
    assert_eq!(question(&group, "OTHER=one", &fleet_of_all, &table), None, "it is of no session");
    let keys = question(&group, "SID=one; SID=two", &fleet_of_all, &table).expect("it may be of one");
    assert_eq!(keys.len(), 2);
    table.insert(keys[0], A, NOW);
    assert_eq!(question(&group, COOKIE, &fleet_of_all, &table), None, "it is known");
    for standing in [Standing::Unhealthy, Standing::Draining] {
        let keys = question(&group, COOKIE, &fleet(standing), &table);
        assert!(keys.is_some(), "{standing:?}: another one may have moved it");
    }
    let off = group_that_lasts("app", "SID", None).shared_through(&StorePort::off());
    assert_eq!(question(&off, "SID=three", &fleet_of_all, &table), None, "no store is wanted");
}

#[test]
fn what_others_say_decides() {
    let (port, mut told) = StorePort::on_for_tests();
    let group = group_that_lasts("app", "SID", None).shared_through(&port);
    let (table, fleet_of_all) = (table(), fleet(Standing::Routable));
    let keys = question(&group, COOKIE, &fleet_of_all, &table).unwrap();
    let mut decision = decide(&group, COOKIE, &fleet_of_all, &table, NOW);
    assert!(group.answered(&mut decision, (&keys, keys[0]), stored(B, 0), &fleet_of_all, NOW));
    assert_eq!((decision.target, decision.outcome), (Some(1), Outcome::Pinned));
    assert_eq!(decision.proved(), Some((B, NOW)));
    let write = told.try_recv().expect("that it goes on is told");
    assert_eq!((write.key, write.expected), (keys[0], Expectation::Target(B)));
    // Its target is gone here: that is known of it, and it is balanced.
    let gone = fleet(Standing::Unhealthy);
    let mut decision = decide(&group, COOKIE, &gone, &table, NOW);
    assert!(group.answered(&mut decision, (&keys, keys[0]), stored(A, 0), &gone, NOW));
    assert_eq!((decision.target, decision.outcome), (None, Outcome::Unhealthy));
    // Known here on a target that is gone, and no better there.
    table.insert(keys[0], A, NOW);
    let mut decision = decide(&group, COOKIE, &gone, &table, NOW);
    assert!(!group.answered(&mut decision, (&keys, keys[0]), stored(A, 0), &gone, NOW));
    assert!(group.answered(&mut decision, (&keys, keys[0]), stored(B, 0), &gone, NOW), "moved there");
    assert_eq!(decision.target, Some(1));
}

#[test]
fn a_lifetime_goes_on_where_a_session_does() {
    let (port, _told) = StorePort::on_for_tests();
    let group = group_that_lasts("app", "SID", Some(500)).shared_through(&port);
    let (table, fleet) = (table(), fleet(Standing::Routable));
    let keys = question(&group, COOKIE, &fleet, &table).unwrap();
    let answered = |started| {
        let mut decision = decide(&group, COOKIE, &fleet, &table, NOW);
        group.answered(&mut decision, (&keys, keys[0]), stored(A, started), &fleet, NOW);
        decision.outcome
    };
    assert_eq!(answered(NOW.0 - 500), Outcome::Pinned);
    assert_eq!(answered(NOW.0 - 501), Outcome::Expired);
    assert_eq!(answered(0), Outcome::Pinned, "when it started was not told");
}
