//! `app_cookie` stickiness (ALB: application-based stickiness): bound to the life of the application's own
//! cookie. `<prefix>APP-0` to `-3` carry one map of group → session for all such groups of a host; where a
//! client returns the application's cookie alone, its hashed value is looked up in the session table.
//! Into the table get the values that targets issue and no others: what a client makes up, with a valid map or
//! without, binds nothing and pushes nobody out.
//! Must not know: duration cookies.

use std::{ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use arrayvec::ArrayVec;

use super::{
    cookie_scan::CookieScan,
    decision::{Answered, Decision, Outcome, Renewal, TargetLookup, Verdict, Window, is_preflight},
    issued_cookie::{IssuedCookie, PathMark},
    keyring::{Keyring, SessionHasher},
    session_start,
    session_table::SessionTable,
    token::{self, Flaw, MapEntry, Session},
};
use crate::{
    clock::UnixSeconds,
    model::{CookiePick, HeaderEdits, RequestHead, ResponseHead, StickinessSettings},
    response::cookies::{Audience, CookieEnd, CookieForm},
};

/// Shards that a map may take (ALB: at most four cookies of 4 K).
const SHARDS: usize = 4;

/// Most characters of one shard: with its name and attributes it stays below the 4,096 bytes that browsers keep.
const SHARD_LEN: usize = 4_000;

/// How many cookies of one name are looked at.
const CANDIDATES: usize = 4;

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
    /// What the table knew of it.
    known: Option<Session>,
    /// The path of cookies that a response sets without one.
    path: PathMark,
    /// Sessions in other groups that the client's map holds.
    others: Vec<MapEntry>,
}

pub(super) struct ApplicationCookie {
    ring: Arc<Keyring>,
    window: Window,
    duration: u32,
    issued: IssuedCookie,
    own: CookieScan,
    application: CookieScan,
    pick: CookiePick,
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
            issued: IssuedCookie::new(cookie_name),
            own: CookieScan::new(&format!("{}APP-", attributes.prefix)),
            application: CookieScan::new(cookie_name),
            pick: settings.pick,
            group_ids: ring.keys().map(|key| key.group_id(group)).collect(),
            hashers: ring.keys().map(|key| key.session_hasher(group, cookie_name)).collect(),
            forms: [form(0), form(1), form(2), form(3)],
            ring,
        }
    }

    /// For how many seconds a cookie counts.
    pub(super) fn accepted(&self) -> u32 {
        self.window.accepted
    }

    pub(super) fn decide<W: Deref<Target = [AtomicU64]>>(
        &self,
        head: &RequestHead<'_>,
        targets: &impl TargetLookup,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Decision {
        let mut memo = ApplicationMemo { path: PathMark::of_default(head.target), ..Default::default() };
        let preflight = is_preflight(head);
        let from_map = self.session_in_map(head, &mut memo);
        // Both cookies have to come back (ALB): without the application's there is no session.
        let values = self.candidates(head);
        let Some(first) = values.first().copied() else {
            let outcome = if preflight { Outcome::Preflight } else { Outcome::Absent };
            return Self::decision(Verdict::none(outcome), preflight, memo);
        };
        // A browser sends a cookie of one name twice when it was set for two paths: the one that is known counts.
        let known = values
            .into_iter()
            .find_map(|value| Some((value, self.session_in_table(value, from_map.ok(), table, now)?)));
        let (value, from_table) = known.map_or((first, None), |(value, session)| (value, Some(session)));
        memo.key = self.hashers.first().map(|hasher| hasher.key(value));
        memo.known = from_table;
        let verdict = match from_map {
            Ok(session) => Verdict::on(session, &self.window, targets, now),
            Err(outcome) => Verdict::none(outcome),
        };
        memo.own_cookie = verdict.session.is_some();
        let verdict = match from_table {
            // Also when the map's target is gone and another request of the session has found it a new one.
            Some(session) if verdict.target.is_none() => {
                let found = Verdict::on(session, &self.window, targets, now);
                let says_more =
                    found.session.is_some() || found.ended.is_some() || verdict.outcome == Outcome::Absent;
                if found.target.is_some() || (verdict.session.is_none() && says_more) {
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

    /// The values of the application's cookie that are looked at, in the order in which they are preferred.
    fn candidates<'h>(&'h self, head: &RequestHead<'h>) -> ArrayVec<&'h [u8], CANDIDATES> {
        let mut values = self.application.values(head);
        let mut candidates: ArrayVec<_, CANDIDATES> = values.by_ref().take(CANDIDATES).collect();
        if self.pick == CookiePick::Last {
            for value in values {
                candidates.rotate_left(1);
                candidates.pop();
                candidates.push(value);
            }
            candidates.reverse();
        }
        candidates
    }

    fn decision(verdict: Verdict, preflight: bool, application: ApplicationMemo) -> Decision {
        Decision {
            target: verdict.target,
            outcome: verdict.outcome,
            preflight,
            session: verdict.session,
            ended: verdict.ended,
            application,
        }
    }

    /// The session that the client's map holds for this group; those of other groups go into `memo`.
    fn session_in_map(&self, head: &RequestHead<'_>, memo: &mut ApplicationMemo) -> Result<Session, Outcome> {
        let mut shards: [ArrayVec<&[u8], CANDIDATES>; SHARDS] = Default::default();
        for (number, value) in self.own.find(head) {
            let place = match number {
                b"0" => 0,
                b"1" => 1,
                b"2" => 2,
                b"3" => 3,
                _ => continue,
            };
            if let Some(candidates) = shards.get_mut(place).filter(|_| value != REMOVED && !value.is_empty())
            {
                let _ = candidates.try_push(value);
            }
        }
        let [first, rest @ ..] = &shards;
        let mut outcome = Outcome::Absent;
        for candidate in first {
            let flaw = if rest.iter().all(|shard| shard.is_empty()) {
                self.open_map(candidate, memo)
            } else {
                let rest = rest.iter().filter_map(|shard| shard.first().copied());
                let whole: Vec<&[u8]> = std::iter::once(*candidate).chain(rest).collect();
                self.open_map(&whole.concat(), memo)
            };
            match flaw {
                Ok(mine) => return mine.ok_or(Outcome::Absent),
                Err(Flaw::Malformed) if outcome == Outcome::Absent => outcome = Outcome::Malformed,
                Err(Flaw::Malformed) => {}
                Err(Flaw::Forged) => outcome = Outcome::Forged,
            }
        }
        Err(outcome)
    }

    /// The session that a map's text holds for this group; those of other groups go into `memo`.
    fn open_map(&self, text: &[u8], memo: &mut ApplicationMemo) -> Result<Option<Session>, Flaw> {
        let mut mine = None;
        memo.others.clear();
        token::open_map(&self.ring, text, &mut |entry: MapEntry| {
            if self.group_ids.contains(&entry.group) {
                mine = mine.or(Some(entry.session));
            } else {
                memo.others.push(entry);
            }
        })?;
        Ok(mine)
    }

    /// The session that the table knows of the cookie with this value. When it started may have been forgotten, or
    /// never noted: then the client's own cookie knows better, if it is of the session.
    fn session_in_table<W: Deref<Target = [AtomicU64]>>(
        &self,
        value: &[u8],
        from_map: Option<Session>,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Option<Session> {
        self.hashers.iter().find_map(|hasher| {
            let key = hasher.key(value);
            let (target, issued) = table.lookup(key, now)?;
            let started = self.window.max_lifetime.and_then(|_| {
                session_start::find(table, key, issued, now).or_else(|| {
                    from_map.filter(|session| session.target == target).map(|session| session.started)
                })
            });
            Some(Session { target, issued, started: started.unwrap_or(issued) })
        })
    }

    /// Sets the cookies where they are due and keeps the table up; says what became of the client's session.
    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own about one response")]
    pub(super) fn respond<W: Deref<Target = [AtomicU64]>>(
        &self,
        decision: &Decision,
        answered: Answered,
        response: &ResponseHead<'_>,
        secure_transport: bool,
        table: &SessionTable<W>,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) -> Renewal {
        // A session that moves, or whose cookie gets another value, is the same session.
        let started = decision.session.filter(|_| self.window.max_lifetime.is_some());
        let started = started.map_or(now, |session| session.started);
        let mut mine = Session { target: answered.home, issued: now, started };
        let issued_now = self.bind_issued(&mut mine, decision, answered, response, table);
        self.renew_known(Session { target: answered.home, ..mine }, decision, table);
        if decision.preflight {
            return Renewal::Untouched;
        }
        let memo = &decision.application;
        let live = issued_now || decision.session.is_some() || decision.ended.is_some();
        let fresh_enough = |session: &Session| {
            session.target == mine.target && !self.window.is_due(session.issued, now) && memo.own_cookie
        };
        if live && decision.session.as_ref().is_some_and(fresh_enough) {
            return Renewal::Untouched;
        }
        let entry =
            self.group_ids.first().filter(|_| live).map(|group| MapEntry { group: *group, session: mine });
        self.set_cookies(entry, &memo.others, secure_transport, now, edits);
        entry.map_or(Renewal::Cleared, |_| Renewal::Bound(mine.target))
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
            let entries = mine.into_iter().chain(others.iter().copied());
            token::seal_map(self.ring.signing(), entries, &mut text);
        }
        let end = match mine {
            Some(mine) if others.is_empty() => self.window.end(mine.session.started, now),
            // The end of one session must not be that of those of other groups.
            _ => now.plus(self.window.accepted),
        };
        let end = CookieEnd::of(end, now);
        let mut shards = text.chunks(SHARD_LEN);
        for form in &self.forms {
            form.append(edits, shards.next().unwrap_or(REMOVED), &end, secure_transport);
        }
    }

    /// Binds what the target issued, to the target that issued it; says whether it issued the application's cookie.
    /// A target that stands in for the home of the session and gives the cookie another value has made a session of its
    /// own: `mine` is that from now on. A value that came with the request stays at home.
    fn bind_issued<W: Deref<Target = [AtomicU64]>>(
        &self,
        mine: &mut Session,
        decision: &Decision,
        answered: Answered,
        response: &ResponseHead<'_>,
        table: &SessionTable<W>,
    ) -> bool {
        let mut issued = false;
        for value in self.issued.live_values(response, decision.application.path, mine.issued) {
            issued = true;
            let Some(hasher) = self.hashers.first().filter(|_| !value.is_empty()) else { continue };
            let key = hasher.key(value);
            if decision.application.key == Some(key) {
                // One that came to its end on the way: the next one may have begun.
                if !self.window.outlived(mine.started, mine.issued) {
                    self.bind(Session { target: answered.home, ..*mine }, key, table);
                }
            } else {
                mine.target = answered.by;
                self.bind(*mine, key, table);
            }
        }
        issued
    }

    /// Of what the table knows already: renews it, moves what was bound to a target that is gone, and begins anew what
    /// its lifetime has ended.
    fn renew_known<W: Deref<Target = [AtomicU64]>>(
        &self,
        session: Session,
        decision: &Decision,
        table: &SessionTable<W>,
    ) {
        let memo = &decision.application;
        let (Some(key), Some(known)) = (memo.key, memo.known) else { return };
        let (now, held) = (session.issued, table.lookup(key, session.issued));
        // A response that comes late must not undo what another request of the session did meanwhile.
        let (due, unmoved) = match (decision.session, decision.ended) {
            (Some(before), _) => {
                let due = now.since(known.issued) >= (self.duration / TABLE_RENEWALS).max(1);
                (
                    due || before.target != session.target,
                    held.is_none_or(|(target, _)| target == before.target),
                )
            }
            (None, Some(_)) => (true, held.is_none_or(|held| held == (known.target, known.issued))),
            (None, None) => return,
        };
        if due && unmoved && !self.window.outlived(session.started, now) {
            self.bind(session, key, table);
        }
    }

    /// Writes the session into the table, and first its start where sessions have a lifetime.
    fn bind<W: Deref<Target = [AtomicU64]>>(&self, session: Session, key: u128, table: &SessionTable<W>) {
        if self.window.max_lifetime.is_some() {
            session_start::keep(table, key, session.started, session.issued);
        }
        table.insert(key, session.target, session.issued);
    }
}

#[cfg(test)]
mod lifetime_tests;
#[cfg(test)]
mod spill_tests;
#[cfg(test)]
mod tests;
