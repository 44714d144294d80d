//! When a response sets the cookies of the map, and for how long: sessions of several groups of a host, and none at all.

use super::{
    tests::{A, NOW, Table, decide, fleet, lines, settings, table},
    *,
};
use crate::stickiness::{GroupStickiness, Standing};

fn group(name: &str, cookie: &str, duration_seconds: u32, renewal: CookieRenewal) -> GroupStickiness {
    let ring = Arc::new(Keyring::from_bytes(&[7; 32]).unwrap());
    let settings = StickinessSettings { duration_seconds, renewal, ..settings(cookie, None) };
    GroupStickiness::compile(name, &settings, ring)
}

/// The Set-Cookie lines of the response of `A` to a request with `cookies`.
fn visit(group: &GroupStickiness, cookies: &str, sets: &str, table: &Table, later: u32) -> Vec<String> {
    let now = NOW.plus(later);
    let decision = decide(group, cookies, &fleet(Standing::Routable), table, now);
    lines(group, &decision, Answered::at_home(A), sets.as_bytes(), table, now).1
}

fn pair(line: &str) -> &str {
    line.split(';').next().unwrap()
}

fn max_age(line: &str) -> u32 {
    line.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
}

#[test]
fn a_group_ends_no_session_of_another() {
    let table = table();
    let long = group("long", "SIDL", 86_400, CookieRenewal::Always);
    let short = group("short", "SIDS", 1, CookieRenewal::Always);
    let first = visit(&long, "", "SIDL=one; Path=/", &table, 0);
    assert_eq!(max_age(&first[0]), 86_400, "its own end, where it is alone");
    for (cookies, sets) in [("", "SIDS=two; Path=/"), ("", ""), ("SIDS=two; ", "")] {
        let lines = visit(&short, &format!("{cookies}{}", pair(&first[0])), sets, &table, 100);
        assert!(max_age(&lines[0]) >= 86_300, "{}", lines[0]);
        let back = format!("SIDL=one; {}", pair(&lines[0]));
        let home = decide(&long, &back, &fleet(Standing::Routable), &super::tests::table(), NOW.plus(86_400));
        assert_eq!(home.target, Some(0), "it counts until its own end");
        let over = decide(&long, &back, &fleet(Standing::Routable), &super::tests::table(), NOW.plus(86_401));
        assert_eq!(over.outcome, Outcome::Expired, "and no longer");
    }
}

#[test]
fn what_no_group_can_count_any_more_goes() {
    let table = table();
    let (long, short) = (
        group("long", "SIDL", 604_800, CookieRenewal::WhenDue),
        group("short", "SIDS", 1, CookieRenewal::Always),
    );
    let own = visit(&long, "", "SIDL=one; Path=/", &table, 0);
    assert_ne!(pair(&visit(&short, pair(&own[0]), "", &table, LONGEST)[0]), "AWSALBAPP-0=_remove_");
    assert_eq!(pair(&visit(&short, pair(&own[0]), "", &table, LONGEST + 1)[0]), "AWSALBAPP-0=_remove_");
}

#[test]
fn without_a_session_nothing_is_due() {
    let table = table();
    for duration in [5, 1000] {
        let group = group("app", "SID", duration, CookieRenewal::WhenDue);
        let other = self::group("other", "SIDO", 1000, CookieRenewal::WhenDue);
        let none: [String; 0] = [];
        assert_eq!(visit(&group, "", "", &table, 0), none, "nobody is known");
        assert_eq!(visit(&group, "SID=unheard-of", "", &table, 0), none);
        assert_eq!(visit(&group, "AWSALBAPP-0=_remove_; AWSALBAPP-1=_remove_", "", &table, 0), none);
        let others = visit(&other, "", "SIDO=one; Path=/", &table, 0);
        assert_eq!(visit(&group, pair(&others[0]), "", &table, 0), none, "that of another group stays");
        let begun = visit(&group, pair(&others[0]), "SID=one; Path=/", &table, 0);
        assert_eq!(begun.len(), 4, "it begins");
        let left = visit(&group, pair(&begun[0]), "", &table, 1);
        assert_eq!(left.len(), 4, "who has logged out has no session");
        assert_eq!(visit(&group, pair(&left[0]), "", &table, 2), none, "and is told once");
        assert_eq!(visit(&group, "AWSALBAPP-0=nonsense", "", &table, 2).len(), 4);
    }
    let always = group("app", "SID", 1000, CookieRenewal::Always);
    assert_eq!(visit(&always, "", "", &table, 0).len(), 4, "as ALB does");
}
