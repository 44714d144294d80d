//! `app_cookie` stickiness (ALB: application-based stickiness), bound to the life of the application's own cookie, and
//! `app_header`, the same by a header field that the application gives out. `<prefix>APP-0` to `-3` carry one map of group → session for all such groups of a host; where a
//! client returns the application's cookie alone, its hashed value is looked up in the session table.
//! Into the table get the values that targets issue and no others: what a client makes up, with a valid map or
//! without, binds nothing and pushes nobody out.
//! Must not know: duration cookies.

use std::{ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use arrayvec::ArrayVec;

use super::{
    application_memo::ApplicationMemo,
    cookie_scan::CookieScan,
    decision::{Answered, Decision, Renewal, SessionVerdict, TargetLookup, Window, is_preflight},
    issued_cookie::PathMark,
    keyring::{Keyring, SessionHasher},
    session_id::SessionId,
    session_start,
    session_table::{Class, Expected, KnownSession, SessionTable},
    shared_session::SharedSessions,
    token::{self, Flaw, MapEntry, Session},
};
use crate::{
    clock::UnixSeconds,
    counters::Outcome,
    model::{
        CookiePick, CookieRenewal, HeaderEdits, MAX_COOKIE_DURATION, RequestHead, ResponseHead,
        StickinessSettings,
    },
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

/// Longest time in seconds for which a session of another group may count: seven days, and a tenth where renewal waits for
/// that (see [`Window::of_cookies`]).
const LONGEST: u32 = MAX_COOKIE_DURATION + MAX_COOKIE_DURATION / 10;

/// What has to be in the table still for a response to write over it: what was there when the request came.
fn seen(decision: &Decision) -> Expected {
    match (decision.application.known, decision.ended) {
        (None, _) => Expected::Anything,
        (Some(known), None) => Expected::Target(known.target),
        (Some(known), Some(_)) => Expected::Exactly(known.target, known.issued),
    }
}

/// What a response does with the application's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Issued {
    /// It does not set it.
    Nothing,
    /// It sets it to the value that the request came with, or to none.
    SameValue,
    /// It gives it another value.
    OtherValue,
}

pub(super) struct ApplicationCookie {
    ring: Arc<Keyring>,
    window: Window,
    duration: u32,
    /// Whether cookies are set where they are due and nowhere else.
    waits: bool,
    own: CookieScan,
    id: SessionId,
    pick: CookiePick,
    /// The group's id under every accepted key, the signing one first.
    group_ids: Vec<u64>,
    /// One for every accepted key, the signing one first.
    hashers: Vec<SessionHasher>,
    forms: [CookieForm; SHARDS],
    /// Where its sessions are shared with other balancers.
    shared: Option<SharedSessions>,
}

impl ApplicationCookie {
    pub(super) fn new(group: &str, id: SessionId, settings: &StickinessSettings, ring: Arc<Keyring>) -> Self {
        let attributes = &settings.attributes;
        let name = id.hashed_name();
        let form = |shard: usize| {
            CookieForm::new(&format!("{}APP-{shard}", attributes.prefix), Audience::SameSite, attributes)
        };
        Self {
            window: Window::of_cookies(settings),
            duration: settings.duration_seconds,
            waits: settings.renewal == CookieRenewal::WhenDue,
            own: CookieScan::new(&format!("{}APP-", attributes.prefix)),
            id,
            pick: settings.pick,
            group_ids: ring.keys().map(|key| key.group_id(group)).collect(),
            hashers: ring.keys().map(|key| key.session_hasher(group, &name)).collect(),
            forms: [form(0), form(1), form(2), form(3)],
            shared: None,
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
        memo.removable = from_map.err() != Some(Outcome::Absent);
        // Both cookies have to come back (ALB): without the application's there is no session.
        let values = self.candidates(head);
        let Some(first) = values.first().copied() else {
            let outcome = if preflight { Outcome::Preflight } else { Outcome::Absent };
            return Self::decision(SessionVerdict::none(outcome), preflight, memo);
        };
        // What a jar says may be of another session of its client.
        let of_client = from_map.ok().filter(|_| !self.id.goes_before_cookies());
        // A browser sends a cookie of one name twice when it was set for two paths: the one that is known counts.
        let mut all = values.iter().copied();
        let known = all.find_map(|value| Some((value, self.session_in_table(value, of_client, table, now)?)));
        let (value, from_table) = known.map_or((first, None), |(value, (session, class))| {
            memo.class = class;
            (value, Some(session))
        });
        memo.key = self.hashers.first().map(|hasher| hasher.key(value));
        memo.known = from_table;
        let from_map = match (from_table, from_map) {
            (Some(known), Ok(mapped)) if self.id.goes_before_cookies() => {
                memo.fresh_cookie = mapped.target == known.target && !self.window.is_due(mapped.issued, now);
                Err(Outcome::Absent)
            }
            _ => from_map,
        };
        let verdict = match from_map {
            Ok(session) => SessionVerdict::on(session, &self.window, targets, now),
            Err(outcome) => SessionVerdict::none(outcome),
        };
        memo.own_cookie = verdict.session.is_some();
        let verdict = match from_table {
            // Also when the map's target is gone and another request of the session has found it a new one.
            Some(session) if verdict.target.is_none() => {
                let others = all
                    .filter_map(|value| Some((value, self.session_in_table(value, of_client, table, now)?)));
                let session = self.one_that_goes_on(session, others, &mut memo, now);
                let found = SessionVerdict::on(session, &self.window, targets, now);
                let has_ended = found.ended.is_some() && verdict.ended.is_none();
                let says_more = found.session.is_some() || has_ended || verdict.outcome == Outcome::Absent;
                let found = SessionVerdict { lapsed: found.lapsed.or(verdict.lapsed), ..found };
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

    /// Whether the table has a session that goes on under a value which the request comes with.
    pub(super) fn knows<W: Deref<Target = [AtomicU64]>>(
        &self,
        head: &RequestHead<'_>,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> bool {
        let known = |value: &&[u8]| {
            let session = self.session_in_table(value, None, table, now);
            session.is_some_and(|(session, _)| self.window.admits(session.issued, now))
        };
        self.candidates(head).iter().any(known)
    }

    /// Of several sessions that the table knows a request by, one that is over must not stand before one that goes on: the
    /// first such, if `first` does not.
    fn one_that_goes_on<'h>(
        &self,
        first: Session,
        mut others: impl Iterator<Item = (&'h [u8], (Session, Class))>,
        memo: &mut ApplicationMemo,
        now: UnixSeconds,
    ) -> Session {
        let goes_on = |session: &Session| {
            self.window.admits(session.issued, now) && !self.window.outlived(session.started, now)
        };
        if goes_on(&first) {
            return first;
        }
        let Some((value, (session, class))) = others.find(|(_, (session, _))| goes_on(session)) else {
            return first;
        };
        memo.key = self.hashers.first().map(|hasher| hasher.key(value));
        (memo.known, memo.class) = (Some(session), class);
        session
    }

    /// The values of the application's cookie that are looked at, in the order in which they are preferred.
    fn candidates<'h>(&'h self, head: &RequestHead<'h>) -> ArrayVec<&'h [u8], CANDIDATES> {
        let mut values = self.id.values(head);
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

    fn decision(verdict: SessionVerdict, preflight: bool, application: ApplicationMemo) -> Decision {
        Decision {
            target: verdict.target,
            outcome: verdict.outcome,
            preflight,
            session: verdict.session,
            ended: verdict.ended,
            lapsed: verdict.lapsed,
            application,
        }
    }

    /// The session that the client's map holds for this group; those of other groups go into `memo`.
    fn session_in_map(&self, head: &RequestHead<'_>, memo: &mut ApplicationMemo) -> Result<Session, Outcome> {
        let mut shards: [ArrayVec<&[u8], CANDIDATES>; SHARDS] = Default::default();
        for (number, value) in self.own.find(head) {
            let index = match number {
                b"0" => 0,
                b"1" => 1,
                b"2" => 2,
                b"3" => 3,
                _ => continue,
            };
            if let Some(candidates) = shards.get_mut(index).filter(|_| value != REMOVED && !value.is_empty())
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
    ) -> Option<(Session, Class)> {
        self.hashers.iter().find_map(|hasher| {
            let key = hasher.key(value);
            let KnownSession { target, issued, class } = table.lookup(key, now)?;
            let started = self.window.max_lifetime.and_then(|_| {
                session_start::find(table, key, issued, now).or_else(|| {
                    from_map.filter(|session| session.target == target).map(|session| session.started)
                })
            });
            Some((Session { target, issued, started: started.unwrap_or(issued) }, class))
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
        let issued = self.bind_issued(&mut mine, decision, answered, response, table);
        let renewed = self.renew_known(Session { target: answered.home, ..mine }, decision, issued, table);
        if decision.preflight {
            return Renewal::Untouched;
        }
        let memo = &decision.application;
        let live = issued != Issued::Nothing || decision.session.is_some() || decision.ended.is_some();
        let fresh_enough = |session: &Session| {
            let is_fresh = match memo.own_cookie {
                true => !self.window.is_due(session.issued, now),
                // What the table is told anew is counted with the cookies that say so.
                false => memo.fresh_cookie && !renewed,
            };
            is_fresh && session.target == mine.target && !answered.uncounted
        };
        let is_due = match live {
            true => !decision.session.as_ref().is_some_and(fresh_enough),
            // Other groups' sessions are renewed by their own responses.
            false => !self.waits || memo.removable,
        };
        if !is_due {
            return Renewal::Untouched;
        }
        let entry =
            self.group_ids.first().filter(|_| live).map(|group| MapEntry { group: *group, session: mine });
        self.set_cookies(entry, &memo.others, secure_transport, now, edits);
        let stays = !renewed && issued == Issued::Nothing && decision.session.is_some() && !memo.own_cookie;
        match entry {
            None => Renewal::Cleared,
            Some(_) if stays => Renewal::Kept(mine.target),
            Some(_) => Renewal::Bound(mine.target),
        }
    }

    fn set_cookies(
        &self,
        mine: Option<MapEntry>,
        others: &[MapEntry],
        secure_transport: bool,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) {
        let is_over = |other: &MapEntry| now.since(other.session.issued) > LONGEST;
        let others = others.iter().copied().filter(|other| !is_over(other));
        let entries = mine.into_iter().chain(others.clone());
        let mut text = Vec::new();
        if entries.clone().next().is_some() {
            token::seal_map(self.ring.signing(), entries, &mut text);
        }
        // The end of one session must not be that of those of other groups, whose durations are not known here.
        let ends = others.map(|other| other.session.issued.plus(LONGEST));
        let end = ends.chain(mine.map(|mine| self.window.end(mine.session.started, now))).max();
        let end = CookieEnd::of(end.unwrap_or(now.plus(self.window.accepted)), now);
        let mut shards = text.chunks(SHARD_LEN);
        for form in &self.forms {
            form.append(edits, shards.next().unwrap_or(REMOVED), &end, secure_transport);
        }
    }

    /// Binds what the target issued, to the target that issued it.
    /// A target that stands in for the home of the session and gives the cookie another value has made a session of its
    /// own: `mine` is that from now on. A value that came with the request stays at home.
    fn bind_issued<W: Deref<Target = [AtomicU64]>>(
        &self,
        mine: &mut Session,
        decision: &Decision,
        answered: Answered,
        response: &ResponseHead<'_>,
        table: &SessionTable<W>,
    ) -> Issued {
        let memo = &decision.application;
        let mut issued = Issued::Nothing;
        for value in self.id.live_values(response, decision.application.path, mine.issued) {
            issued = issued.max(Issued::SameValue);
            let Some(hasher) = self.hashers.first().filter(|_| !value.is_empty()) else { continue };
            let key = hasher.key(value);
            if memo.key == Some(key) {
                // One that came to its end on the way: the next one may have begun.
                if !self.window.outlived(mine.started, mine.issued) {
                    // A value that nobody has heard of has come back to nobody.
                    let class = memo.known.map_or(Class::New, |_| Class::Returned);
                    let home = Session { target: answered.home, ..*mine };
                    self.bind(home, key, (memo.known, seen(decision)), class, table);
                }
            } else {
                issued = Issued::OtherValue;
                mine.target = answered.by;
                // Who comes back and is given another value has come back, but each value gives that over once.
                let class = match (memo.known, memo.class) {
                    (Some(_), Class::New | Class::Returned) => Class::Returned,
                    (Some(_), Class::Spent) | (None, _) => Class::New,
                };
                self.bind(*mine, key, (None, Expected::Anything), class, table);
            }
        }
        issued
    }

    /// Of what the table knows already: renews it, notes that its client has come back, moves what was bound to a target
    /// that is gone, and begins anew what its lifetime has ended. Says whether there was anything to do.
    fn renew_known<W: Deref<Target = [AtomicU64]>>(
        &self,
        session: Session,
        decision: &Decision,
        issued: Issued,
        table: &SessionTable<W>,
    ) -> bool {
        let memo = &decision.application;
        let (Some(key), Some(known)) = (memo.key, memo.known) else { return false };
        let now = session.issued;
        let is_other = issued == Issued::OtherValue;
        // A response that comes late must not undo what another request of the session did meanwhile.
        let (due, expected) = match (decision.session, decision.ended) {
            (Some(before), _) => {
                let stale = now.since(known.issued) >= (self.duration / TABLE_RENEWALS).max(1)
                    || table.is_inherited(known.issued);
                let unmarked = memo.class != Class::Returned && !is_other;
                (stale || unmarked || before.target != session.target, Expected::Target(before.target))
            }
            (None, Some(_)) => (true, Expected::Exactly(known.target, known.issued)),
            (None, None) => return false,
        };
        let due = due && !self.window.outlived(session.started, now);
        if due {
            let class = if is_other { Class::New } else { Class::Returned };
            self.bind(session, key, (Some(known), expected), class, table);
        }
        if is_other {
            self.spend(key, now, table);
        }
        due
    }

    /// Writes the session into the table, if what is there is as expected, and first its start where sessions have a
    /// lifetime. `known`: what the table knew when the request came. Other balancers hear of it behind the request's back.
    fn bind<W: Deref<Target = [AtomicU64]>>(
        &self,
        session: Session,
        key: u128,
        (known, expected): (Option<Session>, Expected),
        class: Class,
        table: &SessionTable<W>,
    ) {
        let Session { target, issued, started } = session;
        if self.window.max_lifetime.is_some() {
            // The start of what is there now stays with it.
            if table.lookup(key, issued).is_some_and(|held| !expected.admits(&held)) {
                return;
            }
            session_start::keep(table, key, started, issued, class);
        }
        table.put(key, expected, KnownSession { target, issued, class });
        // Last: what others say of it may be here before the next line is.
        if let Some(shared) = &self.shared {
            shared.tell(session, key, (known, expected));
        }
    }

    fn spend<W: Deref<Target = [AtomicU64]>>(&self, key: u128, now: UnixSeconds, table: &SessionTable<W>) {
        table.spend(key, now);
        if self.window.max_lifetime.is_some() {
            session_start::spend(table, key, now);
        }
    }
}

mod sharing;

#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod lifetime_tests;
#[cfg(test)]
mod renewal_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod spill_tests;
#[cfg(test)]
mod tests;
