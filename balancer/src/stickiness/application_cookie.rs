//! `app_cookie` stickiness (ALB: application-based stickiness): bound to the life of the application's own
//! cookie. `<prefix>APP-0` to `-3` carry one map of group → session for all such groups of a host; where a
//! client returns the application's cookie alone, its hashed value is looked up in the session table.
//! Into the table get values that a target issued, and the value that comes with a map which proves a session:
//! that brings sessions back into a lost table, and lets a client with a valid map add values of its own making.
//! Must not know: duration cookies.

use std::{ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use super::{
    cookie_scan::CookieScan,
    decision::{Decision, Outcome, TargetLookup, Verdict, Window, is_preflight},
    keyring::{Keyring, SessionHasher},
    session_table::SessionTable,
    token::{self, Flaw, MAP_ENTRIES_MAX, MapEntry, Session},
};
use crate::{
    clock::UnixSeconds,
    id::TargetId,
    model::{HeaderEdits, RequestHead, ResponseHead, StickinessSettings},
    response::cookies::{Audience, CookieForm, ExpiryDate},
};

/// Shards that a map may take (ALB: at most four cookies of 4 K).
const SHARDS: usize = 4;

/// Most characters of one shard: with its name and attributes it stays below the 4,096 bytes that browsers keep.
const SHARD_LEN: usize = 4_000;

/// What a shard that is not in use is set to (as ALB does, with an expiry in the future).
const REMOVED: &[u8] = b"_remove_";

/// The part of the duration after which an entry of the session table is written anew.
const TABLE_RENEWALS: u32 = 64;

/// What a decision over application cookies has to remember for the response.
#[derive(Clone, Debug, Default)]
pub(super) struct ApplicationMemo {
    /// The session table key of the application cookie that came, under the signing key.
    key: Option<u128>,
    /// Whether the session was proved by the balancer's own cookie.
    own_cookie: bool,
    /// When the table last heard of it, if it knows it.
    known_since: Option<UnixSeconds>,
    /// Sessions in other groups that the client's map holds.
    others: Vec<MapEntry>,
}

pub(super) struct ApplicationCookie {
    ring: Arc<Keyring>,
    window: Window,
    duration: u32,
    cookie_name: String,
    own: CookieScan,
    application: CookieScan,
    /// The group's id under every accepted key, the signing one first.
    group_ids: Vec<u64>,
    /// One for every accepted key, the signing one first.
    hashers: Vec<SessionHasher>,
    forms: [CookieForm; SHARDS],
}

impl ApplicationCookie {
    pub(super) fn new(
        group: &str,
        cookie_name: &str,
        settings: &StickinessSettings,
        ring: Arc<Keyring>,
    ) -> Self {
        let attributes = &settings.attributes;
        let form = |shard: usize| {
            CookieForm::new(&format!("{}APP-{shard}", attributes.prefix), Audience::SameSite, attributes)
        };
        Self {
            window: Window::of_cookies(settings),
            duration: settings.duration_seconds,
            cookie_name: cookie_name.to_owned(),
            own: CookieScan::new(&format!("{}APP-", attributes.prefix)),
            application: CookieScan::new(cookie_name),
            group_ids: ring.keys().map(|key| key.group_id(group)).collect(),
            hashers: ring.keys().map(|key| key.session_hasher(group, cookie_name)).collect(),
            forms: [form(0), form(1), form(2), form(3)],
            ring,
        }
    }

    pub(super) fn decide<W: Deref<Target = [AtomicU64]>>(
        &self,
        head: &RequestHead<'_>,
        targets: &impl TargetLookup,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Decision {
        let mut memo = ApplicationMemo::default();
        let preflight = is_preflight(head);
        let from_map = self.session_in_map(head, &mut memo);
        // Both cookies have to come back (ALB): without the application's there is no session.
        let Some(value) = self.application.values(head).next() else {
            let outcome = if preflight { Outcome::Preflight } else { Outcome::Absent };
            return Self::decision(Verdict::none(outcome), preflight, memo);
        };
        memo.key = self.hashers.first().map(|hasher| hasher.key(value));
        let from_table = self.session_in_table(value, table);
        memo.known_since = from_table.map(|session| session.issued);
        let verdict = match from_map {
            Ok(session) => Verdict::on(session, &self.window, targets, now),
            Err(outcome) => Verdict::none(outcome),
        };
        memo.own_cookie = verdict.session.is_some();
        let verdict = match from_table {
            // Also when the map's target is gone and another request of the session has found it a new one.
            Some(session) if verdict.target.is_none() => {
                let found = Verdict::on(session, &self.window, targets, now);
                let better = found.target.is_some()
                    || (verdict.session.is_none()
                        && (found.session.is_some() || verdict.outcome == Outcome::Absent));
                if better {
                    memo.own_cookie = false;
                    found
                } else {
                    verdict
                }
            }
            _ => verdict,
        };
        Self::decision(verdict, preflight, memo)
    }

    fn decision(verdict: Verdict, preflight: bool, application: ApplicationMemo) -> Decision {
        Decision {
            target: verdict.target,
            outcome: verdict.outcome,
            preflight,
            session: verdict.session,
            application,
        }
    }

    /// The session that the client's map holds for this group; those of other groups go into `memo`.
    fn session_in_map(&self, head: &RequestHead<'_>, memo: &mut ApplicationMemo) -> Result<Session, Outcome> {
        let mut shards: [&[u8]; SHARDS] = [b""; SHARDS];
        for (number, value) in self.own.find(head) {
            let place = match number {
                b"0" => 0,
                b"1" => 1,
                b"2" => 2,
                b"3" => 3,
                _ => continue,
            };
            if let Some(shard) = shards.get_mut(place).filter(|shard| shard.is_empty())
                && value != REMOVED
            {
                *shard = value;
            }
        }
        let mut mine = None;
        let mut visit = |entry: MapEntry| {
            if self.group_ids.contains(&entry.group) {
                mine = mine.or(Some(entry.session));
            } else {
                memo.others.push(entry);
            }
        };
        let read = match shards {
            [b"", ..] => return Err(Outcome::Absent),
            [only, b"", b"", b""] => token::open_map(&self.ring, only, &mut visit),
            _ => token::open_map(&self.ring, &shards.concat(), &mut visit),
        };
        match read {
            Ok(()) => mine.ok_or(Outcome::Absent),
            Err(Flaw::Malformed) => Err(Outcome::Malformed),
            Err(Flaw::Forged) => Err(Outcome::Forged),
        }
    }

    fn session_in_table<W: Deref<Target = [AtomicU64]>>(
        &self,
        value: &[u8],
        table: &SessionTable<W>,
    ) -> Option<Session> {
        let found = self.hashers.iter().find_map(|hasher| table.lookup(hasher.key(value)));
        found.map(|(target, issued)| Session { target, issued })
    }

    /// Sets the cookies where they are due and keeps the table up; says whether cookies were set.
    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own about one response")]
    pub(super) fn respond<W: Deref<Target = [AtomicU64]>>(
        &self,
        decision: &Decision,
        chosen: TargetId,
        response: &ResponseHead<'_>,
        secure_transport: bool,
        table: &SessionTable<W>,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) -> bool {
        let issued_now = self.keep_table(decision, chosen, response, table, now);
        if decision.preflight {
            return false;
        }
        let memo = &decision.application;
        let live = issued_now || decision.session.is_some();
        let fresh_enough = |session: &Session| {
            session.target == chosen && !self.window.is_due(session.issued, now) && memo.own_cookie
        };
        if live && decision.session.as_ref().is_some_and(fresh_enough) {
            return false;
        }
        let mine = self
            .group_ids
            .first()
            .filter(|_| live)
            .map(|group| MapEntry { group: *group, session: Session { target: chosen, issued: now } });
        self.set_cookies(mine, &memo.others, secure_transport, now, edits);
        true
    }

    fn set_cookies(
        &self,
        mine: Option<MapEntry>,
        others: &[MapEntry],
        secure_transport: bool,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) {
        let mut text = Vec::new();
        if mine.is_some() || !others.is_empty() {
            let entries = mine.into_iter().chain(others.iter().copied()).take(MAP_ENTRIES_MAX);
            token::seal_map(self.ring.signing(), entries, &mut text);
        }
        let expires = ExpiryDate::of(now.plus(self.window.accepted));
        let mut shards = text.chunks(SHARD_LEN);
        for form in &self.forms {
            form.append(edits, shards.next().unwrap_or(REMOVED), &expires, secure_transport);
        }
    }

    /// Binds what the target issued, renews what is known, and moves what was bound to a target that is gone.
    /// Says whether the target issued the application's cookie.
    fn keep_table<W: Deref<Target = [AtomicU64]>>(
        &self,
        decision: &Decision,
        chosen: TargetId,
        response: &ResponseHead<'_>,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> bool {
        let mut issued = false;
        for line in response.values("set-cookie") {
            let Some((value, deleted)) = self.issued_value(line) else { continue };
            issued = true;
            if let (Some(hasher), false) = (self.hashers.first(), deleted || value.is_empty()) {
                table.insert(hasher.key(value.as_bytes()), chosen, now);
            }
        }
        if let (Some(key), Some(session)) = (decision.application.key, decision.session) {
            let due = (self.duration / TABLE_RENEWALS).max(1);
            let known = decision.application.known_since.is_some_and(|since| now.since(since) < due);
            // A response that comes late must not undo what another request of the session did meanwhile.
            let unmoved = table.lookup(key).is_none_or(|(target, _)| target == session.target);
            if (!known || session.target != chosen) && unmoved {
                table.insert(key, chosen, now);
            }
        }
        issued
    }

    /// The value that this Set-Cookie line gives to the application's cookie, and whether it ends it there and
    /// then (RFC 6265, section 5.2.2): such a value is nobody's session.
    fn issued_value(&self, line: &[u8]) -> Option<(String, bool)> {
        // Most lines are another cookie's: told by the name before anything is parsed.
        let name = self.cookie_name.as_bytes();
        if !line.trim_ascii_start().starts_with(name) {
            return None;
        }
        let text = std::str::from_utf8(line).ok()?;
        let cookie = cookie::Cookie::parse(text).ok()?;
        let deleted = cookie.max_age().is_some_and(|age| !age.is_positive());
        (cookie.name() == self.cookie_name).then(|| (cookie.value_trimmed().to_owned(), deleted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{CookieAttributes, CookieRenewal, HeaderField, StickinessKind, Version},
        stickiness::{GroupStickiness, Standing},
    };

    struct Fleet(Vec<(TargetId, Standing)>);

    impl TargetLookup for Fleet {
        fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
            let place = self.0.iter().position(|(known, _)| *known == id)?;
            Some((place, self.0[place].1))
        }
    }

    const A: TargetId = TargetId(11);
    const B: TargetId = TargetId(22);
    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn fleet(a: Standing) -> Fleet {
        Fleet(vec![(A, a), (B, Standing::Routable)])
    }

    fn group(name: &str, cookie: &str) -> GroupStickiness {
        let settings = StickinessSettings {
            kind: StickinessKind::ApplicationCookie { cookie_name: cookie.into() },
            duration_seconds: 1000,
            attributes: CookieAttributes { secure: false, http_only: false, prefix: "AWSALB".into() },
            renewal: CookieRenewal::Always,
        };
        GroupStickiness::compile(name, &settings, Arc::new(Keyring::from_bytes(&[7; 32]).unwrap()))
    }

    fn table() -> SessionTable<Vec<AtomicU64>> {
        SessionTable::new((0..1024).map(|_| AtomicU64::new(0)).collect())
    }

    type Table = SessionTable<Vec<AtomicU64>>;

    fn decide(
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
        let headers = [HeaderField { name: b"Set-Cookie", value: set_cookie.as_bytes() }];
        let headers = if set_cookie.is_empty() { &headers[..0] } else { &headers[..] };
        let response = ResponseHead { status: 200, headers };
        let mut edits = HeaderEdits::new();
        group.respond(decision, chosen, &response, false, table, now, &mut edits);
        edits
            .iter()
            .filter(|edit| edit.name == "Set-Cookie")
            .map(|edit| {
                let text = String::from_utf8(edit.value.to_vec()).unwrap();
                let (name, rest) = text.split_once('=').unwrap();
                (name.to_owned(), rest.split(';').next().unwrap().to_owned())
            })
            .collect()
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
    fn a_proved_session_comes_back_into_a_lost_table() {
        let (group, lost) = (group("app", "SID"), table());
        let own = log_in(&group, &table());
        let decision = decide(&group, &format!("SID=one; {own}"), &fleet(Standing::Routable), &lost, NOW);
        respond(&group, &decision, A, "", &lost, NOW);
        assert_eq!(decide(&group, "SID=one", &fleet(Standing::Routable), &lost, NOW).target, Some(0));
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
    fn a_value_that_ends_the_cookie_is_nobodys_session() {
        let (group, table) = (group("app", "SID"), table());
        let fleet = fleet(Standing::Routable);
        let decision = decide(&group, "", &fleet, &table, NOW);
        respond(&group, &decision, A, "SID=deleted; Max-Age=0", &table, NOW);
        assert_eq!(decide(&group, "SID=deleted", &fleet, &table, NOW).target, None);
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
}
