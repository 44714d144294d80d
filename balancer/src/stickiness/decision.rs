//! The vocabulary of a decision: what is known of the targets, what came of a request's cookies, and for how
//! long a session counts. Must not know: how sessions are written down, HTTP beyond a request's kind.

use super::{application_memo::ApplicationMemo, token::Session};
use crate::{
    clock::{CLOCK_SKEW, UnixSeconds},
    counters::Outcome,
    id::TargetId,
    model::{CookieRenewal, RequestHead, StickinessSettings},
};

/// What a target is good for, as far as a session is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may get the request. So may an unhealthy target of a group that is failing open.
    Routable,
    /// It is deregistering: no new request goes to it, sticky or not (ALB: deregistration delay).
    Draining,
    /// It fails its health checks, and others do not.
    Unhealthy,
}

/// The targets of one group, by the ids that stickiness values name them by.
pub trait TargetLookup {
    /// The index of a target in its group, and its standing; `id` may be of any accepted key
    /// (see [`super::keyring::Keyring::target_ids`]).
    fn find(&self, id: TargetId) -> Option<(usize, Standing)>;
}

/// Where a request belongs. Borrows nothing: it is kept until the response is composed.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Index in its group of the target that the request must go to; none: balance.
    pub target: Option<usize>,
    /// Why.
    pub outcome: Outcome,
    /// Whether the request is a CORS preflight.
    pub(super) preflight: bool,
    /// The session that the request has proved, whether or not its target can take the request: one that
    /// verified, was renewed within its duration and has not outlived its lifetime.
    pub(super) session: Option<Session>,
    /// The session that its lifetime has ended and nothing else: the response begins the next one of the client.
    pub(super) ended: Option<Session>,
    /// Target and time of the cookie of a session that is over since it was not renewed.
    pub(super) lapsed: Option<(TargetId, UnixSeconds)>,
    /// What only application cookies need to remember.
    pub(super) application: ApplicationMemo,
}

/// What a response did to the session that its client has in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It set no cookies.
    Untouched,
    /// It set cookies that name no session here.
    Cleared,
    /// It set cookies of now that bind the client to this target.
    Bound(TargetId),
    /// The same, but the client has shown that it returns no such cookies, and what its session is known by stays as it was.
    Kept(TargetId),
}

/// Whom a response comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The target that made it.
    pub by: TargetId,
    /// The target that the session is bound to: another one where that was too busy and had `by` stand in for it.
    pub home: TargetId,
    /// Tells its cookies from those that other clients get in the same second: any number.
    pub nonce: u16,
    /// Whether the session may be one that nobody counts yet: its cookie is due, whenever it was set.
    pub uncounted: bool,
}

impl Answered {
    /// By the target that the session is bound to from now on, if there is a session.
    #[must_use]
    pub const fn at_home(by: TargetId) -> Self {
        Self { by, home: by, nonce: 0, uncounted: false }
    }
}

impl Decision {
    /// The target of the session that the request has proved, and when its cookie was set. Also of one that has just come
    /// to its end: until now it was bound there.
    #[must_use]
    pub fn proved(&self) -> Option<(TargetId, UnixSeconds)> {
        self.session.or(self.ended).map(|session| (session.target, session.issued))
    }

    /// The same of one that is over since it was not renewed, where the request has proved no other.
    #[must_use]
    pub fn lapsed(&self) -> Option<(TargetId, UnixSeconds)> {
        self.lapsed
    }
}

/// For how long a session counts, and when its cookie is due for renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Age in seconds up to which a session counts, and for which a cookie tells the client to keep it.
    pub(super) accepted: u32,
    /// Age in seconds from which a cookie is set anew; 0: always.
    pub(super) renewed_from: u32,
    /// Seconds after its start up to which a session counts, however often it was renewed.
    pub(super) max_lifetime: Option<u32>,
}

impl Window {
    /// The window of a group's cookies. Where renewal waits for a tenth of the duration, a value is accepted for
    /// a tenth longer, so that a client always has the whole duration after its last request.
    pub(super) fn of_cookies(settings: &StickinessSettings) -> Self {
        let renewed_from = match settings.renewal {
            CookieRenewal::Always => 0,
            CookieRenewal::WhenDue => settings.duration_seconds / 10,
        };
        Self {
            accepted: settings.duration_seconds.saturating_add(renewed_from),
            renewed_from,
            max_lifetime: settings.extras.max_lifetime,
        }
    }

    /// A window that is as long as it says, for values that are always set anew.
    pub(super) fn of_duration(seconds: u32) -> Self {
        Self { accepted: seconds, renewed_from: 0, max_lifetime: None }
    }

    /// Whether a session last renewed at `issued` counts at `now`. The duration is that of the settings now,
    /// not that of the time of issue (ALB: lowering it rebalances). Ages are whole seconds: an age equal to the
    /// limit still counts, so that no client gets less.
    pub(super) fn admits(&self, issued: UnixSeconds, now: UnixSeconds) -> bool {
        issued <= now.plus(CLOCK_SKEW) && now.since(issued) <= self.accepted
    }

    /// Whether a session that started at `started` has outlived its lifetime at `now`. An age equal to the limit still
    /// counts.
    pub(super) fn outlived(&self, started: UnixSeconds, now: UnixSeconds) -> bool {
        self.max_lifetime.is_some_and(|most| now.since(started) > most)
    }

    /// When a session that started at `started` and is renewed at `now` ends, unless it is renewed once more.
    pub(super) fn end(&self, started: UnixSeconds, now: UnixSeconds) -> UnixSeconds {
        let idle = now.plus(self.accepted);
        self.max_lifetime.map_or(idle, |most| idle.min(started.plus(most)))
    }

    /// Whether a cookie issued at `issued` is to be set anew.
    pub(super) fn is_due(&self, issued: UnixSeconds, now: UnixSeconds) -> bool {
        now.since(issued) >= self.renewed_from
    }
}

/// A session checked against time and targets: duration → lifetime → registered → not draining → healthy.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionVerdict {
    pub(super) outcome: Outcome,
    pub(super) target: Option<usize>,
    /// The session, when it still counts.
    pub(super) session: Option<Session>,
    /// The session, when its lifetime is over and nothing else.
    pub(super) ended: Option<Session>,
    /// Its target and the time of its cookie, when it was not renewed in time.
    pub(super) lapsed: Option<(TargetId, UnixSeconds)>,
}

impl SessionVerdict {
    /// On no session at all.
    pub(super) const fn none(outcome: Outcome) -> Self {
        Self { outcome, target: None, session: None, ended: None, lapsed: None }
    }

    /// On a session that verified.
    pub(super) fn on(
        session: Session,
        window: &Window,
        targets: &impl TargetLookup,
        now: UnixSeconds,
    ) -> Self {
        if !window.admits(session.issued, now) {
            let lapsed = Some((session.target, session.issued));
            return Self { lapsed, ..Self::none(Outcome::Expired) };
        }
        if window.outlived(session.started, now) {
            return Self { ended: Some(session), ..Self::none(Outcome::Expired) };
        }
        let (outcome, target) = match targets.find(session.target) {
            None => (Outcome::UnknownTarget, None),
            Some((_, Standing::Draining)) => (Outcome::Draining, None),
            Some((_, Standing::Unhealthy)) => (Outcome::Unhealthy, None),
            Some((index, Standing::Routable)) => (Outcome::Pinned, Some(index)),
        };
        Self { outcome, target, session: Some(session), ended: None, lapsed: None }
    }
}

/// Whether the request asks leave for another one (Fetch standard, "CORS-preflight request").
pub(super) fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == b"OPTIONS" && head.has("origin") && head.has("access-control-request-method")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CookieAttributes, StickinessKind};

    fn window(duration_seconds: u32, renewal: CookieRenewal) -> Window {
        Window::of_cookies(&StickinessSettings {
            kind: StickinessKind::LoadBalancerCookie,
            duration_seconds,
            attributes: CookieAttributes::default(),
            renewal,
            pick: Default::default(),
            extras: Default::default(),
        })
    }

    #[test]
    fn a_session_counts_for_its_duration_and_not_longer() {
        let (window, issued) = (window(100, CookieRenewal::Always), UnixSeconds(1_000));
        assert!(window.admits(issued, UnixSeconds(1_000)) && window.admits(issued, UnixSeconds(1_100)));
        assert!(!window.admits(issued, UnixSeconds(1_101)));
        assert!(window.is_due(issued, issued), "every response renews");
    }

    #[test]
    fn values_of_the_future_count_only_within_the_skew_of_clocks() {
        let window = window(100, CookieRenewal::Always);
        assert!(window.admits(UnixSeconds(1_060), UnixSeconds(1_000)));
        assert!(!window.admits(UnixSeconds(1_061), UnixSeconds(1_000)));
        assert!(!window.admits(UnixSeconds(u32::MAX), UnixSeconds(1_000)));
        assert!(window.admits(UnixSeconds(u32::MAX), UnixSeconds(u32::MAX)));
    }

    #[test]
    fn renewal_when_due_leaves_every_client_the_whole_duration() {
        for duration in [1, 9, 10, 11, 19, 100, 604_800] {
            let window = window(duration, CookieRenewal::WhenDue);
            // The last second at which a request does not renew a cookie issued at 0: its client must be let in
            // for the duration from there.
            let unrenewed =
                (0..=duration).rev().find(|&age| !window.is_due(UnixSeconds(0), UnixSeconds(age)));
            let last_request = unrenewed.unwrap_or(0);
            assert!(window.admits(UnixSeconds(0), UnixSeconds(last_request + duration)), "{duration}");
            assert!(window.accepted <= duration + duration / 10);
        }
        let expected = Window { accepted: 110, renewed_from: 10, max_lifetime: None };
        assert_eq!(window(100, CookieRenewal::WhenDue), expected);
    }

    #[test]
    fn a_lifetime_ends_a_session_however_lately_it_was_renewed() {
        struct One;
        impl TargetLookup for One {
            fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
                (id == TargetId(1)).then_some((0, Standing::Routable))
            }
        }
        let window = Window { accepted: 100, renewed_from: 0, max_lifetime: Some(250) };
        let at = |started, issued, now| {
            let session =
                Session { target: TargetId(1), issued: UnixSeconds(issued), started: UnixSeconds(started) };
            let verdict = SessionVerdict::on(session, &window, &One, UnixSeconds(now));
            (verdict.outcome, verdict.session.is_some(), verdict.ended.is_some())
        };
        assert_eq!(at(1_000, 1_250, 1_250), (Outcome::Pinned, true, false));
        assert_eq!(at(1_000, 1_250, 1_251), (Outcome::Expired, false, true));
        assert_eq!(at(1_000, 1_000, 1_101), (Outcome::Expired, false, false), "idle");
        assert_eq!(at(1_000, 1_100, 1_251), (Outcome::Expired, false, false), "idle, and over");
        assert_eq!(window.end(UnixSeconds(1_000), UnixSeconds(1_150)), UnixSeconds(1_250));
        assert_eq!(window.end(UnixSeconds(1_000), UnixSeconds(1_100)), UnixSeconds(1_200));
        let endless = Window { max_lifetime: None, ..window };
        assert!(!endless.outlived(UnixSeconds(0), UnixSeconds(u32::MAX)));
        assert_eq!(endless.end(UnixSeconds(0), UnixSeconds(1_000)), UnixSeconds(1_100));
    }
}
