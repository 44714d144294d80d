//! Sessions that end some time after their start, however busy they are: known by the balancer's own cookie, by the
//! application's alone, or by both.

use super::{
    tests::{A, B, Fleet, NOW, Table, decide, fleet, group_that_lasts, lines, settings, table},
    *,
};
use crate::{
    id::TargetId,
    stickiness::{GroupStickiness, Standing},
};

/// A client: what it sends back, and the session table that its balancer has.
struct Client {
    group: GroupStickiness,
    table: Table,
    /// The value of the application's cookie.
    application: String,
    /// The value of the balancer's own.
    own: Option<String>,
    /// Whether it returns both.
    keeps_own: bool,
    /// The expiry of the own cookie that was set last.
    expiry: String,
}

impl Client {
    /// One that `A` has given the value `one`, at `NOW`.
    fn new(max_lifetime: Option<u32>, keeps_own: bool) -> Self {
        let group = group_that_lasts("app", "SID", max_lifetime);
        let mut client = Self {
            group,
            table: table(),
            application: String::new(),
            own: None,
            keeps_own,
            expiry: String::new(),
        };
        client.visit(A, "one", 0);
        client
    }

    fn cookies(&self) -> String {
        let own = self.own.iter().filter(|_| self.keeps_own).map(|own| format!("; AWSALBAPP-0={own}"));
        format!("SID={}{}", self.application, own.collect::<String>())
    }

    fn decide(&self, fleet: &Fleet, later: u32) -> Decision {
        let cookies = if self.application.is_empty() { String::new() } else { self.cookies() };
        decide(&self.group, &cookies, fleet, &self.table, NOW.plus(later))
    }

    fn take(&mut self, decision: &Decision, chosen: TargetId, sets: &str, later: u32) {
        let line = if sets.is_empty() { String::new() } else { format!("SID={sets}; Path=/") };
        let answered = Answered::at_home(chosen);
        let (_, lines) =
            lines(&self.group, decision, answered, line.as_bytes(), &self.table, NOW.plus(later));
        if !sets.is_empty() {
            sets.clone_into(&mut self.application);
        }
        let (pair, rest) = lines[0].split_once("; ").unwrap();
        let own = pair.strip_prefix("AWSALBAPP-0=").unwrap();
        self.own = (own != "_remove_").then(|| own.to_owned());
        self.expiry = rest.split("; ").next().unwrap().to_owned();
    }

    /// A request `later` seconds after `NOW`, answered by `chosen`, which gives the application's cookie this value.
    fn visit(&mut self, chosen: TargetId, sets: &str, later: u32) -> Outcome {
        let decision = self.decide(&fleet(Standing::Routable), later);
        self.take(&decision, chosen, sets, later);
        decision.outcome
    }

    /// Where a request would go.
    fn home(&self, later: u32) -> Option<usize> {
        self.decide(&fleet(Standing::Routable), later).target
    }
}

fn expires(later: u32) -> String {
    format!("Expires={}", crate::clock::imf_date(NOW.plus(later)))
}

#[test]
fn a_busy_session_ends_and_the_next_begins_where_the_next_answer_is_from() {
    for keeps_own in [true, false] {
        // Applications that set their cookie once, and on every response.
        for sets in ["", "one"] {
            let mut client = Client::new(Some(2500), keeps_own);
            for age in [800, 1600, 2400, 2500] {
                assert_eq!(client.visit(A, sets, age), Outcome::Pinned, "{keeps_own} {sets} {age}");
                assert_eq!(client.expiry, expires((age + 1000).min(2500)));
            }
            let decision = client.decide(&fleet(Standing::Routable), 2501);
            assert_eq!((decision.target, decision.outcome), (None, Outcome::Expired), "{keeps_own} {sets}");
            client.take(&decision, B, sets, 2501);
            assert_eq!(client.expiry, expires(3501));
            for age in [3400, 4200, 5001] {
                assert_eq!(client.home(age), Some(1), "{keeps_own} {sets} {age}");
                assert_eq!(client.visit(B, sets, age), Outcome::Pinned, "a whole lifetime more");
            }
            assert_eq!(client.visit(B, sets, 5002), Outcome::Expired, "{keeps_own} {sets}");
        }
    }
}

#[test]
fn the_applications_old_value_does_not_bring_an_ended_session_back() {
    let mut both = Client::new(Some(1500), true);
    both.visit(A, "", 900);
    let ended = both.decide(&fleet(Standing::Routable), 1600);
    assert_eq!(ended.outcome, Outcome::Expired);
    // What came back with both cookies begins anew for the application's alone, too.
    both.take(&ended, B, "", 1600);
    both.keeps_own = false;
    assert_eq!(both.home(1600), Some(1));
    // A request that was under way with the old cookie of ours finds the new session.
    let mut parallel = Client::new(Some(1500), true);
    parallel.visit(A, "", 900);
    let old = parallel.own.clone();
    parallel.visit(B, "", 1600);
    parallel.own = old;
    assert_eq!(parallel.home(1600), Some(1));
}

#[test]
fn an_ended_session_begins_once() {
    let mut client = Client::new(Some(1500), false);
    client.visit(A, "", 900);
    let [first, second] = [(); 2].map(|()| client.decide(&fleet(Standing::Routable), 1600));
    client.take(&first, B, "", 1600);
    client.take(&second, A, "", 1601);
    assert_eq!(client.home(1601), Some(1), "the answer that came late changes nothing");
}

#[test]
fn a_late_answer_of_an_ended_session_does_not_undo_the_next() {
    // Applications that set their cookie once, and on every response.
    for sets in ["", "one"] {
        for next in [A, B] {
            let mut client = Client::new(Some(1500), false);
            client.visit(A, "", 900);
            let late = client.decide(&fleet(Standing::Routable), 1500);
            assert_eq!(late.outcome, Outcome::Pinned);
            assert_eq!(client.visit(next, "", 1501), Outcome::Expired);
            client.take(&late, A, sets, 1600);
            assert_eq!(client.home(1600), Some(usize::from(next == B)), "{sets}");
        }
    }
}

#[test]
fn a_session_that_only_one_side_knows_ends_and_begins_all_the_same() {
    // Another balancer has the table: the own cookie tells.
    let mut by_own = Client::new(Some(1500), true);
    by_own.visit(A, "", 900);
    by_own.table = table();
    assert_eq!(by_own.visit(B, "", 1600), Outcome::Expired);
    assert_eq!(by_own.home(1600), Some(1));
    assert_eq!(by_own.table.occupied().entries, 0, "no value is noted that this table has not heard of");
    // The own cookie does not verify: the table tells.
    let mut by_table = Client::new(Some(1500), true);
    by_table.visit(A, "", 900);
    by_table.own = Some("AAAA".to_owned());
    assert_eq!(by_table.visit(B, "", 1600), Outcome::Expired);
    by_table.keeps_own = false;
    assert_eq!(by_table.home(1600), Some(1));
}

#[test]
fn the_duration_still_ends_an_idle_session() {
    for keeps_own in [true, false] {
        let mut client = Client::new(Some(2500), keeps_own);
        assert_eq!(client.visit(B, "", 1001), Outcome::Expired);
        assert_eq!(client.home(1001), None, "no target has issued anything since");
    }
}

#[test]
fn a_value_that_changes_goes_on_ageing() {
    for keeps_own in [true, false] {
        let mut client = Client::new(Some(2500), keeps_own);
        for (age, value) in [(800, "two"), (1600, "three"), (2400, "four")] {
            assert_eq!(client.visit(A, value, age), Outcome::Pinned);
        }
        assert_eq!(client.home(2500), Some(0));
        assert_eq!(client.visit(B, "five", 2501), Outcome::Expired, "{keeps_own}");
        assert_eq!((client.home(3400), client.application.as_str()), (Some(1), "five"));
    }
}

#[test]
fn a_session_that_moves_goes_on_ageing() {
    for keeps_own in [true, false] {
        let mut client = Client::new(Some(1500), keeps_own);
        let dead = client.decide(&fleet(Standing::Unhealthy), 800);
        assert_eq!(dead.outcome, Outcome::Unhealthy);
        client.take(&dead, B, "", 800);
        assert_eq!(client.home(1500), Some(1));
        assert_eq!(client.visit(B, "", 1501), Outcome::Expired, "{keeps_own}");
    }
}

#[test]
fn a_client_that_comes_without_the_applications_cookie_begins_anew() {
    let mut client = Client::new(Some(1500), true);
    let own = client.own.clone().unwrap();
    let now = NOW.plus(900);
    let cookies = format!("AWSALBAPP-0={own}");
    let decision = decide(&client.group, &cookies, &fleet(Standing::Routable), &client.table, now);
    assert_eq!(decision.outcome, Outcome::Absent);
    client.take(&decision, A, "one", 900);
    assert_eq!(client.visit(A, "", 1800), Outcome::Pinned);
    client.keeps_own = false;
    assert_eq!((client.home(2400), client.home(2401)), (Some(0), None), "the same value, another session");
}

#[test]
fn sessions_of_before_the_setting_age_from_their_last_renewal() {
    for keeps_own in [true, false] {
        let mut client = Client::new(None, keeps_own);
        assert_eq!(client.visit(A, "", 900), Outcome::Pinned);
        assert_eq!(client.own.as_ref().unwrap().len(), 51, "as ever");
        client.group = group_that_lasts("app", "SID", Some(1500));
        for age in [1700, 2400] {
            assert_eq!(client.visit(A, "", age), Outcome::Pinned, "{keeps_own} {age}");
        }
        assert_eq!(client.own.as_ref().unwrap().len(), 56);
        assert_eq!(client.decide(&fleet(Standing::Routable), 2401).outcome, Outcome::Expired);
        client.group = group_that_lasts("app", "SID", None);
        assert_eq!(client.visit(A, "", 2401), Outcome::Pinned, "switched off: no end but the duration");
        assert_eq!(client.own.as_ref().unwrap().len(), 51);
        // And on again: what was noted of the start back then is not what counts.
        client.visit(A, "", 3000);
        client.group = group_that_lasts("app", "SID", Some(1500));
        assert_eq!(client.visit(A, "", 3900), Outcome::Pinned, "{keeps_own}");
    }
}

#[test]
fn a_start_that_was_pushed_out_is_told_by_the_own_cookie_and_else_begins_with_the_last_renewal() {
    for keeps_own in [true, false] {
        let mut client = Client::new(Some(1500), keeps_own);
        client.visit(A, "", 900);
        // Another process's table knows the session and nothing else.
        let memo = client.decide(&fleet(Standing::Routable), 900).application;
        client.table = table();
        client.table.insert(memo.key.unwrap(), A, memo.known.unwrap().issued);
        let decision = client.decide(&fleet(Standing::Routable), 1501);
        let expected = if keeps_own { Outcome::Expired } else { Outcome::Pinned };
        assert_eq!(decision.outcome, expected);
        client.take(&decision, A, "", 1501);
        assert_eq!(client.home(2400), Some(0));
        client.visit(A, "", 2400);
        // Since 1501 with the own cookie, which began then; else since 900.
        assert_eq!(client.home(2401).is_some(), keeps_own);
    }
}

#[test]
fn starts_outlive_the_process_with_the_table_and_go_over_to_new_keys() {
    let compile = |secrets: &[u8]| {
        let bytes: Vec<u8> = secrets.iter().flat_map(|&byte| [byte; 32]).collect();
        GroupStickiness::compile(
            "app",
            &settings("SID", Some(1500)),
            Arc::new(Keyring::from_bytes(&bytes).unwrap()),
        )
    };
    let mut client = Client::new(Some(1500), false);
    client.group = compile(&[7]);
    assert_eq!(client.visit(A, "", 500), Outcome::Pinned);
    client.group = compile(&[8, 7]);
    assert_eq!(client.visit(A, "", 1000), Outcome::Pinned);
    client.group = compile(&[8]);
    assert_eq!(client.visit(A, "", 1500), Outcome::Pinned, "known under the new key");
    assert_eq!(client.decide(&fleet(Standing::Routable), 1501).outcome, Outcome::Expired);
}

#[test]
fn the_end_of_a_session_does_not_end_those_of_other_groups() {
    let (short, long, table) =
        (group_that_lasts("short", "SID", Some(100)), group_that_lasts("long", "LONG", Some(5000)), table());
    let fleet = fleet(Standing::Routable);
    let first = decide(&long, "", &fleet, &table, NOW);
    let (_, set) = lines(&long, &first, Answered::at_home(A), b"LONG=x", &table, NOW);
    let own = |set: &[String]| set[0].split(';').next().unwrap().to_owned();
    let cookies = own(&set);
    let second = decide(&short, &cookies, &fleet, &table, NOW.plus(50));
    let (_, set) = lines(&short, &second, Answered::at_home(B), b"SID=x", &table, NOW.plus(50));
    assert!(set[0].contains(&expires(LONGEST)), "for all that is known here the other one lasts: {}", set[0]);
    let both = format!("{}; SID=x; LONG=x", own(&set));
    let later = NOW.plus(200);
    assert_eq!(decide(&short, &both, &fleet, &table, later).outcome, Outcome::Expired);
    // Its start came along in the other group's cookie.
    let decision = decide(&long, &both, &fleet, &self::table(), later);
    assert_eq!(decision.session.map(|session| session.started), Some(NOW));
}

#[test]
fn groups_without_a_lifetime_note_no_starts() {
    let mut client = Client::new(None, false);
    client.visit(A, "one", 500);
    assert_eq!(client.table.occupied().entries, 1);
    assert_eq!(Client::new(Some(10), false).table.occupied().entries, 2);
}
