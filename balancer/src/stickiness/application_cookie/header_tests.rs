//! Sessions by a header field that the application gives out, in place of its cookie.

use super::{
    tests::{A, B, Fleet, NOW, Table, fleet, table},
    *,
};
use crate::{
    id::TargetId,
    model::{CookieAttributes, CookieRenewal, HeaderField, StickinessExtras, StickinessKind, Version},
    stickiness::{GroupStickiness, Standing},
};

fn group() -> GroupStickiness {
    group_with(CookieRenewal::Always, None)
}

fn group_with(renewal: CookieRenewal, max_lifetime: Option<u32>) -> GroupStickiness {
    let settings = StickinessSettings {
        kind: StickinessKind::ApplicationHeader { header_name: "Mcp-Session-Id".into() },
        duration_seconds: 1000,
        attributes: CookieAttributes::default(),
        renewal,
        pick: Default::default(),
        extras: StickinessExtras { max_lifetime, ..Default::default() },
    };
    GroupStickiness::compile("app", &settings, Arc::new(Keyring::from_bytes(&[7; 32]).unwrap()))
}

/// Decides over a request with these fields.
fn decide(fields: &[(&str, &str)], fleet: &Fleet, table: &Table, now: UnixSeconds) -> Decision {
    decide_by(&group(), fields, fleet, table, now)
}

fn decide_by(
    group: &GroupStickiness,
    fields: &[(&str, &str)],
    fleet: &Fleet,
    table: &Table,
    now: UnixSeconds,
) -> Decision {
    let headers: Vec<_> = fields
        .iter()
        .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead { method: b"POST", target: b"/mcp", version: Version::Http11, headers: &headers };
    group.decide(&head, fleet, table, now)
}

/// The cookies that the client has after a response of `target`.
fn respond(
    decision: &Decision,
    answer: (TargetId, u16),
    fields: &[(&str, &str)],
    table: &Table,
    now: UnixSeconds,
) -> String {
    respond_by(&group(), decision, answer, fields, table, now)
}

fn respond_by(
    group: &GroupStickiness,
    decision: &Decision,
    (target, status): (TargetId, u16),
    fields: &[(&str, &str)],
    table: &Table,
    now: UnixSeconds,
) -> String {
    let headers: Vec<_> = fields
        .iter()
        .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let response = ResponseHead { status, headers: &headers };
    let mut edits = HeaderEdits::new();
    group.respond(decision, Answered::at_home(target), &response, false, table, now, &mut edits);
    let set = edits.iter().filter(|edit| edit.name == "Set-Cookie");
    let pairs: Vec<_> = set
        .map(|edit| {
            String::from_utf8(edit.value.split(|byte| *byte == b';').next().unwrap().to_vec()).unwrap()
        })
        .collect();
    pairs.join("; ")
}

/// Begins the session `id` at `target`; its cookies.
fn begin(id: &str, target: TargetId, table: &Table) -> String {
    let first = decide(&[], &fleet(Standing::Routable), table, NOW);
    assert_eq!((first.target, first.outcome), (None, Outcome::Absent));
    respond(&first, (target, 200), &[("mcp-session-id", id)], table, NOW)
}

#[test]
fn the_field_alone_brings_a_client_back() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    begin("one", A, &table);
    begin("two", B, &table);
    for (id, index) in [("one", 0), ("two", 1)] {
        for name in ["Mcp-Session-Id", "mcp-session-id", "MCP-SESSION-ID"] {
            let decision = decide(&[(name, id)], &fleet, &table, NOW);
            assert_eq!((decision.target, decision.outcome), (Some(index), Outcome::Pinned), "{name} {id}");
        }
    }
    assert_eq!(decide(&[("Mcp-Session-Id", "three")], &fleet, &table, NOW).target, None);
    assert_eq!(decide(&[("Mcp-Session-Id", "")], &fleet, &table, NOW).target, None);
    assert_eq!(decide(&[("Cookie", "Mcp-Session-Id=one")], &fleet, &table, NOW).target, None);
}

#[test]
fn what_a_server_refuses_with_begins_no_session() {
    for status in [400, 404, 406, 500, 302, 101] {
        let (table, fleet) = (table(), fleet(Standing::Routable));
        let first = decide(&[], &fleet, &table, NOW);
        respond(&first, (A, status), &[("Mcp-Session-Id", "dead")], &table, NOW);
        assert_eq!(decide(&[("Mcp-Session-Id", "dead")], &fleet, &table, NOW).target, None, "{status}");
        assert_eq!(table.occupied().entries, 0);
    }
    for status in [200, 201, 202, 204] {
        let (table, fleet) = (table(), fleet(Standing::Routable));
        let first = decide(&[], &fleet, &table, NOW);
        respond(&first, (A, status), &[("Mcp-Session-Id", "live")], &table, NOW);
        assert_eq!(decide(&[("Mcp-Session-Id", "live")], &fleet, &table, NOW).target, Some(0), "{status}");
    }
}

#[test]
fn a_refusal_leaves_the_session_that_there_is_where_it_is() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    begin("one", A, &table);
    let known = decide(&[("Mcp-Session-Id", "one")], &fleet, &table, NOW);
    respond(&known, (A, 400), &[("Mcp-Session-Id", "dead")], &table, NOW.plus(900));
    let later = decide(&[("Mcp-Session-Id", "one")], &fleet, &table, NOW.plus(1500));
    assert_eq!((later.target, later.outcome), (Some(0), Outcome::Pinned), "renewed");
    assert_eq!(decide(&[("Mcp-Session-Id", "dead")], &fleet, &table, NOW).target, None);
}

#[test]
fn each_session_of_a_jar_goes_to_its_own_target() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    begin("one", A, &table);
    let jar = begin("two", B, &table);
    let one = decide(&[("Mcp-Session-Id", "one"), ("Cookie", &jar)], &fleet, &table, NOW);
    assert_eq!((one.target, one.outcome), (Some(0), Outcome::Pinned), "the cookie is of the other");
    // And the answer's cookies are those of the first again.
    let jar = respond(&one, (A, 200), &[("Mcp-Session-Id", "one")], &table, NOW);
    let two = decide(&[("Mcp-Session-Id", "two"), ("Cookie", &jar)], &fleet, &table, NOW);
    assert_eq!((two.target, two.outcome), (Some(1), Outcome::Pinned));
    // A new dialogue of the same jar is bound to nobody.
    assert_eq!(decide(&[("Cookie", &jar)], &fleet, &table, NOW).target, None);
}

#[test]
fn where_the_table_has_lost_a_session_its_cookie_knows_it_and_the_next_answer_tells_the_table() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    let jar = begin("one", B, &table);
    let empty = self::table();
    let found = decide(&[("Mcp-Session-Id", "one"), ("Cookie", &jar)], &fleet, &empty, NOW);
    assert_eq!((found.target, found.outcome), (Some(1), Outcome::Pinned));
    respond(&found, (B, 200), &[("Mcp-Session-Id", "one")], &empty, NOW);
    assert_eq!(decide(&[("Mcp-Session-Id", "one")], &fleet, &empty, NOW).target, Some(1));
}

#[test]
fn a_session_whose_target_is_gone_moves_once() {
    let (table, gone) = (table(), fleet(Standing::Unhealthy));
    begin("one", A, &table);
    let lost = decide(&[("Mcp-Session-Id", "one")], &gone, &table, NOW);
    assert_eq!((lost.target, lost.outcome), (None, Outcome::Unhealthy));
    respond(&lost, (B, 200), &[("Mcp-Session-Id", "one")], &table, NOW);
    let moved = decide(&[("Mcp-Session-Id", "one")], &fleet(Standing::Routable), &table, NOW);
    assert_eq!((moved.target, moved.outcome), (Some(1), Outcome::Pinned));
}

#[test]
fn it_ends_when_it_was_not_used_for_its_duration() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    begin("one", A, &table);
    assert_eq!(decide(&[("Mcp-Session-Id", "one")], &fleet, &table, NOW.plus(1000)).target, Some(0));
    let over = decide(&[("Mcp-Session-Id", "one")], &fleet, &table, NOW.plus(1001));
    assert_eq!((over.target, over.outcome), (None, Outcome::Expired));
}

#[test]
fn a_field_without_a_value_begins_nothing() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    let first = decide(&[], &fleet, &table, NOW);
    let cookies = respond(&first, (A, 200), &[("Mcp-Session-Id", "")], &table, NOW);
    assert!(cookies.starts_with("AWSALBAPP-0=_remove_;"), "{cookies}");
    assert_eq!(table.occupied().entries, 0);
}

/// Cookies that are set when due are set when the session starts, when the table is told of it anew, and not in between.
#[test]
fn cookies_of_who_keeps_them_are_set_when_due() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    let group = group_with(CookieRenewal::WhenDue, None);
    let first = decide_by(&group, &[], &fleet, &table, NOW);
    let jar = respond_by(&group, &first, (A, 200), &[("Mcp-Session-Id", "one")], &table, NOW);
    let fields = [("Mcp-Session-Id", "one"), ("Cookie", jar.as_str())];
    let set = |now: UnixSeconds, fields: &[(&str, &str)]| {
        let known = decide_by(&group, fields, &fleet, &table, now);
        assert_eq!(known.target, Some(0));
        !respond_by(&group, &known, (A, 200), &[], &table, now).is_empty()
    };
    // The first that comes back is noted.
    assert!(set(NOW, &fields) && !set(NOW, &fields) && !set(NOW.plus(10), &fields));
    assert!(set(NOW.plus(20), &fields) && !set(NOW.plus(30), &fields));
    assert!(set(NOW.plus(30), &fields[..1]), "who keeps none is given them");
}

#[test]
fn a_dialogue_does_not_take_the_age_of_another_in_its_jar() {
    let (table, fleet) = (table(), fleet(Standing::Routable));
    let (group, endless) =
        (group_with(CookieRenewal::Always, Some(100)), group_with(CookieRenewal::Always, None));
    let first = decide_by(&group, &[], &fleet, &table, NOW);
    let jar = respond_by(&group, &first, (A, 200), &[("Mcp-Session-Id", "old")], &table, NOW);
    // Nobody noted when this one began.
    let second = decide_by(&endless, &[], &fleet, &table, NOW.plus(90));
    respond_by(&endless, &second, (A, 200), &[("Mcp-Session-Id", "young")], &table, NOW.plus(90));
    let both = [("Mcp-Session-Id", "young"), ("Cookie", jar.as_str())];
    let known = decide_by(&group, &both, &fleet, &table, NOW.plus(120));
    assert_eq!((known.target, known.outcome), (Some(0), Outcome::Pinned));
}

#[test]
fn a_group_knows_the_sessions_that_its_table_has() {
    let (table, group) = (table(), group());
    begin("one", A, &table);
    let knows = |id: &str, now| {
        let headers = [HeaderField { name: b"mcp-session-id", value: id.as_bytes() }];
        let head = RequestHead { method: b"POST", target: b"/", version: Version::Http11, headers: &headers };
        group.knows(&head, &table, now)
    };
    assert!(knows("one", NOW) && knows("one", NOW.plus(1000)));
    assert!(!knows("two", NOW) && !knows("", NOW) && !knows("one", NOW.plus(1001)));
}
