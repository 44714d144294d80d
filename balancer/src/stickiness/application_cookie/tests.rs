//! Application cookies from the first visit on: maps, the session table, moves and bad values.

use super::*;
use crate::{
    id::TargetId,
    model::{CookieAttributes, CookieRenewal, HeaderField, StickinessExtras, StickinessKind, Version},
    stickiness::{GroupStickiness, Standing},
};

pub(super) struct Fleet(Vec<(TargetId, Standing)>);

impl TargetLookup for Fleet {
    fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
        let index = self.0.iter().position(|(known, _)| *known == id)?;
        Some((index, self.0[index].1))
    }
}

pub(super) const A: TargetId = TargetId(11);
pub(super) const B: TargetId = TargetId(22);
pub(super) const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

pub(super) fn fleet(a: Standing) -> Fleet {
    Fleet(vec![(A, a), (B, Standing::Routable)])
}

fn group(name: &str, cookie: &str) -> GroupStickiness {
    group_that_lasts(name, cookie, None)
}

/// A group whose sessions last 1000 seconds without a request, and so many at most.
pub(super) fn group_that_lasts(name: &str, cookie: &str, max_lifetime: Option<u32>) -> GroupStickiness {
    let ring = Arc::new(Keyring::from_bytes(&[7; 32]).unwrap());
    GroupStickiness::compile(name, &settings(cookie, max_lifetime), ring)
}

pub(super) fn settings(cookie: &str, max_lifetime: Option<u32>) -> StickinessSettings {
    StickinessSettings {
        kind: StickinessKind::ApplicationCookie { cookie_name: cookie.into() },
        duration_seconds: 1000,
        attributes: CookieAttributes::default(),
        renewal: CookieRenewal::Always,
        pick: Default::default(),
        extras: StickinessExtras { max_lifetime, ..StickinessExtras::default() },
    }
}

pub(super) fn table() -> SessionTable<Vec<AtomicU64>> {
    SessionTable::new((0..1024).map(|_| AtomicU64::new(0)).collect())
}

pub(super) type Table = SessionTable<Vec<AtomicU64>>;

pub(super) fn decide(
    group: &GroupStickiness,
    cookies: &str,
    fleet: &Fleet,
    table: &Table,
    now: UnixSeconds,
) -> Decision {
    let headers = [HeaderField { name: b"Cookie", value: cookies.as_bytes() }];
    let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
    group.decide(&head, fleet, table, now)
}

/// The cookies of the response, name → value.
fn respond(
    group: &GroupStickiness,
    decision: &Decision,
    chosen: TargetId,
    set_cookie: &str,
    table: &Table,
    now: UnixSeconds,
) -> Vec<(String, String)> {
    respond_raw(group, decision, chosen, set_cookie.as_bytes(), table, now)
}

fn respond_raw(
    group: &GroupStickiness,
    decision: &Decision,
    chosen: TargetId,
    set_cookie: &[u8],
    table: &Table,
    now: UnixSeconds,
) -> Vec<(String, String)> {
    let (_, lines) = lines(group, decision, Answered::at_home(chosen), set_cookie, table, now);
    lines
        .iter()
        .map(|line| {
            let (name, rest) = line.split_once('=').unwrap();
            (name.to_owned(), rest.split(';').next().unwrap().to_owned())
        })
        .collect()
}

/// What becomes of the session, and the Set-Cookie lines of the response.
pub(super) fn lines(
    group: &GroupStickiness,
    decision: &Decision,
    answered: Answered,
    set_cookie: &[u8],
    table: &Table,
    now: UnixSeconds,
) -> (Renewal, Vec<String>) {
    let headers = [HeaderField { name: b"Set-Cookie", value: set_cookie }];
    let headers = if set_cookie.is_empty() { &headers[..0] } else { &headers[..] };
    let response = ResponseHead { status: 200, headers };
    let mut edits = HeaderEdits::new();
    let renewal = group.respond(decision, answered, &response, false, table, now, &mut edits);
    let set = edits.iter().filter(|edit| edit.name == "Set-Cookie");
    (renewal, set.map(|edit| String::from_utf8(edit.value.to_vec()).unwrap()).collect())
}

fn log_in(group: &GroupStickiness, table: &Table) -> String {
    let decision = decide(group, "", &fleet(Standing::Routable), table, NOW);
    assert_eq!((decision.target, decision.outcome), (None, Outcome::Absent));
    let cookies = respond(group, &decision, A, "SID=one; Path=/; HttpOnly", table, NOW);
    assert_eq!(cookies.len(), 4);
    assert!(cookies[1..].iter().all(|(_, value)| value == "_remove_"));
    assert_eq!(cookies[0].0, "AWSALBAPP-0");
    format!("AWSALBAPP-0={}; AWSALBAPP-1=_remove_", cookies[0].1)
}

#[test]
fn both_cookies_pin_and_so_does_the_applications_alone() {
    let (group, table) = (group("app", "SID"), table());
    let own = log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    let empty = self::table();
    let both = decide(&group, &format!("SID=one; {own}"), &fleet, &empty, NOW);
    assert_eq!((both.target, both.outcome), (Some(0), Outcome::Pinned));
    let alone = decide(&group, "SID=one", &fleet, &table, NOW);
    assert_eq!((alone.target, alone.outcome), (Some(0), Outcome::Pinned));
    assert_eq!(decide(&group, &own, &fleet, &table, NOW).target, None, "not without the application's");
    assert_eq!(decide(&group, "SID=two", &fleet, &table, NOW).outcome, Outcome::Absent);
    assert_eq!(decide(&group, "SID=one", &fleet, &empty, NOW).outcome, Outcome::Absent);
    assert_eq!(decide(&self::group("other", "SID"), "SID=one", &fleet, &table, NOW).target, None);
}

#[test]
fn a_valid_map_binds_no_value_that_a_client_made_up() {
    let (group, table) = (group("app", "SID"), table());
    let own = log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    let made_up = decide(&group, &format!("SID=made-up; {own}"), &fleet, &table, NOW);
    assert_eq!(made_up.target, Some(0), "the name alone is looked at");
    respond(&group, &made_up, A, "", &table, NOW.plus(500));
    assert_eq!(table.occupied().entries, 1);
    assert_eq!(decide(&group, "SID=made-up", &fleet, &table, NOW).target, None);
}

#[test]
fn a_valid_map_does_not_rebind_the_session_of_another() {
    let (group, table) = (group("app", "SID"), table());
    log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    let decision = decide(&group, "", &fleet, &table, NOW);
    let cookies = respond(&group, &decision, B, "SID=attacker", &table, NOW);
    let both = format!("SID=one; AWSALBAPP-0={}", cookies[0].1);
    let theirs = decide(&group, &both, &fleet, &table, NOW);
    respond(&group, &theirs, B, "", &table, NOW.plus(500));
    assert_eq!(decide(&group, "SID=one", &fleet, &table, NOW).target, Some(0));
}

#[test]
fn of_repeated_cookies_the_one_that_counts_is_found() {
    let (group, table) = (group("app", "SID"), table());
    let own = log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    assert_eq!(decide(&group, "SID=old; SID=one", &fleet, &table, NOW).target, Some(0));
    assert_eq!(decide(&group, "SID=one; SID=old", &fleet, &table, NOW).target, Some(0));
    let twice = format!("SID=x; AWSALBAPP-0=garbage; {own}");
    assert_eq!(decide(&group, &twice, &fleet, &self::table(), NOW).target, Some(0));
    let many = format!("{}SID=one", "SID=x; ".repeat(1000));
    assert_eq!(decide(&group, &many, &fleet, &table, NOW).target, None, "looking has a bound");
}

#[test]
fn a_value_whose_session_is_over_hides_no_other() {
    let (group, table) = (group("app", "SID"), table());
    log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    let decision = decide(&group, "", &fleet, &table, NOW.plus(900));
    respond(&group, &decision, B, "SID=two", &table, NOW.plus(900));
    let later = NOW.plus(1500);
    assert_eq!(decide(&group, "SID=one", &fleet, &table, later).outcome, Outcome::Expired);
    for cookies in ["SID=one; SID=two", "SID=two; SID=one", "SID=nobody; SID=one; SID=two"] {
        let decision = decide(&group, cookies, &fleet, &table, later);
        assert_eq!((decision.target, decision.outcome), (Some(1), Outcome::Pinned), "{cookies}");
        // And it is that which is renewed.
        respond(&group, &decision, B, "", &table, later);
    }
    assert_eq!(decide(&group, "SID=two", &fleet, &table, NOW.plus(2400)).target, Some(1));
    assert_eq!(decide(&group, "SID=one", &fleet, &table, NOW.plus(2400)).target, None);
}

#[test]
fn a_map_of_several_shards_is_read_back_whole() {
    let table = table();
    let fleet = fleet(Standing::Routable);
    let groups: Vec<_> = (0..150).map(|n| group(&format!("group-{n}"), "SID")).collect();
    let mut own = String::new();
    for group in &groups {
        let decision = decide(group, &own, &fleet, &table, NOW);
        let cookies = respond(group, &decision, B, "SID=one", &table, NOW);
        assert!(cookies.iter().all(|(_, value)| value.len() <= SHARD_LEN));
        own = cookies.iter().map(|(name, value)| format!("{name}={value}; ")).collect();
    }
    assert!(!own.contains("AWSALBAPP-1=_remove_"), "it takes more than one shard");
    let empty = self::table();
    for group in &groups {
        assert_eq!(decide(group, &format!("{own}SID=one"), &fleet, &empty, NOW).target, Some(1));
    }
    let without_second = own.replace("AWSALBAPP-1=", "X=");
    let decision = decide(&groups[0], &format!("{without_second}SID=one"), &fleet, &empty, NOW);
    assert!(matches!(decision.outcome, Outcome::Malformed | Outcome::Forged), "{:?}", decision.outcome);
}

#[test]
fn sessions_slide_and_expire() {
    let (group, table) = (group("app", "SID"), table());
    log_in(&group, &table);
    let fleet = fleet(Standing::Routable);
    let later = NOW.plus(900);
    let decision = decide(&group, "SID=one", &fleet, &table, later);
    assert_eq!(decision.target, Some(0));
    respond(&group, &decision, A, "", &table, later);
    assert_eq!(decide(&group, "SID=one", &fleet, &table, later.plus(900)).target, Some(0), "renewed");
    let gone = decide(&group, "SID=one", &fleet, &table, later.plus(1001));
    assert_eq!((gone.target, gone.outcome), (None, Outcome::Expired));
}

#[test]
fn a_dead_target_moves_the_session_for_good() {
    let (group, table) = (group("app", "SID"), table());
    let own = log_in(&group, &table);
    for cookies in [format!("SID=one; {own}"), "SID=one".to_owned()] {
        let dead = decide(&group, &cookies, &fleet(Standing::Unhealthy), &table, NOW);
        assert_eq!((dead.target, dead.outcome), (None, Outcome::Unhealthy));
    }
    let dead = decide(&group, "SID=one", &fleet(Standing::Unhealthy), &table, NOW);
    let cookies = respond(&group, &dead, B, "", &table, NOW);
    assert_eq!(decide(&group, "SID=one", &fleet(Standing::Routable), &table, NOW).target, Some(1));
    let both = format!("SID=one; AWSALBAPP-0={}", cookies[0].1);
    assert_eq!(decide(&group, &both, &fleet(Standing::Routable), &self::table(), NOW).target, Some(1));
}

#[test]
fn a_map_that_names_a_dead_target_follows_the_table() {
    let (group, table) = (group("app", "SID"), table());
    let both = format!("SID=one; {}", log_in(&group, &table));
    let dead = decide(&group, &both, &fleet(Standing::Unhealthy), &table, NOW);
    respond(&group, &dead, B, "", &table, NOW);
    let parallel = decide(&group, &both, &fleet(Standing::Unhealthy), &table, NOW);
    assert_eq!((parallel.target, parallel.outcome), (Some(1), Outcome::Pinned));
    let cookies = respond(&group, &parallel, B, "", &table, NOW);
    assert_ne!(cookies[0].1, "_remove_", "its map is set anew");
}

#[test]
fn a_late_response_does_not_undo_a_move() {
    let (group, table) = (group("app", "SID"), table());
    log_in(&group, &table);
    let late = decide(&group, "SID=one", &fleet(Standing::Routable), &table, NOW);
    let moved = decide(&group, "SID=one", &fleet(Standing::Draining), &table, NOW);
    respond(&group, &moved, B, "", &table, NOW);
    respond(&group, &late, A, "", &table, NOW.plus(500));
    assert_eq!(decide(&group, "SID=one", &fleet(Standing::Draining), &table, NOW).target, Some(1));
}

#[test]
fn a_line_that_ends_the_cookie_starts_nothing() {
    let (group, table) = (group("app", "SID"), table());
    let fleet = fleet(Standing::Routable);
    let decision = decide(&group, "", &fleet, &table, NOW);
    for line in ["SID=deleted; Max-Age=0", "SID=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        let cookies = respond(&group, &decision, A, line, &table, NOW);
        assert!(cookies.iter().all(|(_, value)| value == "_remove_"), "{line}");
        assert_eq!(decide(&group, "SID=deleted", &fleet, &table, NOW).target, None);
    }
}

#[test]
fn a_session_id_that_changes_at_login_stays_on_its_target() {
    let (group, table) = (group("app", "SID"), table());
    log_in(&group, &table);
    let decision = decide(&group, "SID=one", &fleet(Standing::Routable), &table, NOW);
    respond(&group, &decision, A, "SID=two; Secure", &table, NOW);
    assert_eq!(decide(&group, "SID=two", &fleet(Standing::Routable), &table, NOW).target, Some(0));
}

#[test]
fn values_of_any_bytes_start_sessions() {
    let (group, table) = (group("app", "SID"), table());
    let fleet = fleet(Standing::Routable);
    let decision = decide(&group, "", &fleet, &table, NOW);
    respond_raw(&group, &decision, A, b"SID=\xe9t\xe9; Path=/", &table, NOW);
    let headers = [HeaderField { name: b"Cookie", value: b"SID=\xe9t\xe9" }];
    let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
    assert_eq!(group.decide(&head, &fleet, &table, NOW).target, Some(0));
}

#[test]
fn nothing_is_bound_that_no_target_issued() {
    let (group, table) = (group("app", "SID"), table());
    let fleet = fleet(Standing::Routable);
    let decision = decide(&group, "SID=made-up", &fleet, &table, NOW);
    let cookies = respond(&group, &decision, A, "OTHER=1", &table, NOW);
    assert!(cookies.len() == 4 && cookies.iter().all(|(_, value)| value == "_remove_"), "{cookies:?}");
    respond(&group, &decision, A, "SIDE=1", &table, NOW);
    assert_eq!(decide(&group, "SID=made-up", &fleet, &table, NOW).target, None);
}

#[test]
fn other_groups_keep_their_place_in_the_map() {
    let (first, second, table) = (group("one", "SID"), group("two", "SID2"), table());
    let own = log_in(&first, &table);
    let fleet = fleet(Standing::Routable);
    let decision = decide(&second, &own, &fleet, &table, NOW);
    let cookies = respond(&second, &decision, B, "SID2=x", &table, NOW);
    let own = format!("AWSALBAPP-0={}", cookies[0].1);
    let empty = self::table();
    assert_eq!(decide(&first, &format!("SID=one; {own}"), &fleet, &empty, NOW).target, Some(0));
    assert_eq!(decide(&second, &format!("SID2=x; {own}"), &fleet, &empty, NOW).target, Some(1));
}

#[test]
fn bad_values_are_counted_and_lead_nowhere() {
    let (group, table) = (group("app", "SID"), table());
    let own = log_in(&group, &self::table());
    let fleet = fleet(Standing::Routable);
    let outcome = |cookies: &str| decide(&group, cookies, &fleet, &table, NOW).outcome;
    assert_eq!(outcome("SID=one; AWSALBAPP-0=garbage!"), Outcome::Malformed);
    let flipped = own.replacen("AWSALBAPP-0=Ag", "AWSALBAPP-0=Aw", 1);
    assert!(matches!(outcome(&format!("SID=one; {flipped}")), Outcome::Malformed | Outcome::Forged));
    assert_eq!(outcome("SID=one; AWSALBAPP-0=_remove_; AWSALBAPP-1=_remove_"), Outcome::Absent);
}
