//! Group stickiness of a `forward` action (ALB: target group stickiness): one value in two cookies, `<prefix>TG` and
//! `<prefix>TGCORS`, that names the group which was drawn for a client. The twin wins when both come.
//! Must not know: targets, weights, how a group is drawn.

use std::sync::Arc;

use super::{
    cookie_scan::CookieScan,
    decision::{Window, is_preflight},
    keyring::Keyring,
    token::{self, Flaw, GroupSession},
};
use crate::{
    clock::UnixSeconds,
    counters::GroupOutcome,
    model::{GroupStickinessSettings, HeaderEdits, RequestHead, ResponseHead},
    response::cookies::{Audience, CookieEnd, CookieForm, keep_private},
};

/// What is added to the prefix for the cookie, and to that for its twin.
const NAME: &str = "TG";
const CORS: &str = "CORS";

/// Which group a request belongs to. Borrows nothing: it is kept until the response is composed.
#[derive(Clone, Copy, Debug)]
pub struct GroupDecision {
    /// Index in its action of the group that the request must go to; none: draw one.
    pub index: Option<usize>,
    /// Why.
    pub outcome: GroupOutcome,
    /// When the cookie that names it was issued.
    issued: Option<UnixSeconds>,
    preflight: bool,
}

/// The group cookies of one action.
pub struct GroupCookie {
    ring: Arc<Keyring>,
    window: Window,
    sliding: bool,
    scan: CookieScan,
    plain: CookieForm,
    twin: CookieForm,
    /// The ids of each group under every accepted key, that of the signing one first.
    ids: Vec<Vec<u64>>,
}

impl std::fmt::Debug for GroupCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupCookie").field("groups", &self.ids.len()).finish_non_exhaustive()
    }
}

impl GroupCookie {
    /// Cookies for an action over the groups of these names; values are made and read with `ring`.
    #[must_use]
    pub fn new<'n>(
        settings: &GroupStickinessSettings,
        groups: impl Iterator<Item = &'n str>,
        ring: Arc<Keyring>,
    ) -> Self {
        let name = format!("{}{NAME}", settings.attributes.prefix);
        Self {
            window: Window::of_duration(settings.duration_seconds),
            sliding: settings.sliding,
            scan: CookieScan::new(&name),
            plain: CookieForm::new(&name, Audience::SameSite, &settings.attributes),
            twin: CookieForm::new(&format!("{name}{CORS}"), Audience::AnySite, &settings.attributes),
            ids: groups.map(|group| ring.keys().map(|key| key.group_id(group)).collect()).collect(),
            ring,
        }
    }

    /// Which group the request belongs to.
    #[must_use]
    pub fn decide(&self, head: &RequestHead<'_>, now: UnixSeconds) -> GroupDecision {
        let preflight = is_preflight(head);
        let none = |outcome| GroupDecision { index: None, outcome, issued: None, preflight };
        match self.session(head) {
            Err(GroupOutcome::Absent) if preflight => none(GroupOutcome::Preflight),
            Err(outcome) => none(outcome),
            Ok(session) if !self.window.admits(session.issued, now) => none(GroupOutcome::Expired),
            Ok(session) => match self.ids.iter().position(|ids| ids.contains(&session.group)) {
                None => none(GroupOutcome::UnknownGroup),
                index => GroupDecision {
                    index,
                    outcome: GroupOutcome::Pinned,
                    issued: Some(session.issued),
                    preflight,
                },
            },
        }
    }

    /// The session of the first twin that verifies, or else of the first plain cookie that does.
    fn session(&self, head: &RequestHead<'_>) -> Result<GroupSession, GroupOutcome> {
        let mut outcome = GroupOutcome::Absent;
        let mut open = |value| {
            token::open_group(&self.ring, value)
                .inspect_err(|flaw| match flaw {
                    Flaw::Forged => outcome = GroupOutcome::Forged,
                    Flaw::Malformed if outcome == GroupOutcome::Absent => outcome = GroupOutcome::Malformed,
                    Flaw::Malformed => {}
                })
                .ok()
        };
        let mut of_name = |wanted: &str| {
            self.scan.find(head).find_map(|(rest_of_name, value)| {
                (rest_of_name == wanted.as_bytes()).then(|| open(value)).flatten()
            })
        };
        let session = of_name(CORS).or_else(|| of_name(""));
        session.ok_or(outcome)
    }

    /// Sets both cookies where they are due: the group at `chosen` of the action answered. A duration that runs once
    /// is begun when a group is drawn and told by one response.
    pub fn respond(
        &self,
        decision: &GroupDecision,
        chosen: usize,
        response: &ResponseHead<'_>,
        secure_transport: bool,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) {
        let Some(id) = self.ids.get(chosen).and_then(|ids| ids.first()) else { return };
        let is_bound = decision.index == Some(chosen) && decision.issued.is_some();
        if decision.preflight || (is_bound && !self.sliding) {
            return;
        }
        let value = token::seal_group(self.ring.signing(), GroupSession { group: *id, issued: now });
        let end = CookieEnd::of(now.plus(self.window.accepted), now);
        self.plain.append(edits, &value, &end, secure_transport);
        self.twin.append(edits, &value, &end, secure_transport);
        keep_private(response, edits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CookieAttributes, HeaderField, Version};

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn cookie(sliding: bool, groups: &[&str], secret: u8) -> GroupCookie {
        let settings = GroupStickinessSettings {
            duration_seconds: 100,
            sliding,
            attributes: CookieAttributes::default(),
        };
        let ring = Arc::new(Keyring::from_bytes(&[secret; 32]).unwrap());
        GroupCookie::new(&settings, groups.iter().copied(), ring)
    }

    fn decide(
        cookie: &GroupCookie,
        method: &[u8],
        fields: &[(&[u8], &str)],
        now: UnixSeconds,
    ) -> GroupDecision {
        let headers: Vec<_> =
            fields.iter().map(|(name, value)| HeaderField { name, value: value.as_bytes() }).collect();
        let head = RequestHead { method, target: b"/", version: Version::Http11, headers: &headers };
        cookie.decide(&head, now)
    }

    fn of(cookie: &GroupCookie, cookies: &str, now: UnixSeconds) -> (Option<usize>, GroupOutcome) {
        let decision = decide(cookie, b"GET", &[(b"Cookie", cookies)], now);
        (decision.index, decision.outcome)
    }

    fn lines(cookie: &GroupCookie, decision: &GroupDecision, chosen: usize, now: UnixSeconds) -> Vec<String> {
        let mut edits = HeaderEdits::new();
        let response = ResponseHead { status: 200, headers: &[] };
        cookie.respond(decision, chosen, &response, false, now, &mut edits);
        let set = edits.iter().filter(|edit| edit.name == "Set-Cookie");
        set.map(|edit| String::from_utf8(edit.value.to_vec()).unwrap()).collect()
    }

    fn value(cookie: &GroupCookie, chosen: usize) -> String {
        let first = decide(cookie, b"GET", &[], NOW);
        let lines = lines(cookie, &first, chosen, NOW);
        lines[0].split_once('=').unwrap().1.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_client_comes_back_to_its_group_wherever_that_stands() {
        let cookie_ab = cookie(true, &["a", "b"], 7);
        let b = value(&cookie_ab, 1);
        assert_eq!(of(&cookie_ab, &format!("AWSALBTG={b}"), NOW), (Some(1), GroupOutcome::Pinned));
        let other = cookie(true, &["b", "c"], 7);
        assert_eq!(of(&other, &format!("AWSALBTG={b}"), NOW), (Some(0), GroupOutcome::Pinned));
        let gone = cookie(true, &["a", "c"], 7);
        assert_eq!(of(&gone, &format!("AWSALBTG={b}"), NOW), (None, GroupOutcome::UnknownGroup));
    }

    #[test]
    fn the_twin_wins_and_the_plain_one_serves_where_no_twin_verifies() {
        let cookie = cookie(true, &["a", "b"], 7);
        let (a, b) = (value(&cookie, 0), value(&cookie, 1));
        assert_eq!(of(&cookie, &format!("AWSALBTG={a}; AWSALBTGCORS={b}"), NOW).0, Some(1));
        assert_eq!(of(&cookie, &format!("AWSALBTGCORS=x; AWSALBTG={a}"), NOW).0, Some(0));
    }

    #[test]
    fn what_does_not_verify_counts_with_its_reason() {
        let cookie_ab = cookie(true, &["a", "b"], 7);
        let foreign = value(&cookie(true, &["a", "b"], 8), 0);
        let own = value(&cookie_ab, 0);
        assert_eq!(of(&cookie_ab, "AWSALB=x", NOW), (None, GroupOutcome::Absent));
        assert_eq!(of(&cookie_ab, "AWSALBTG=x", NOW), (None, GroupOutcome::Malformed));
        let forged = of(&cookie_ab, &format!("AWSALBTG={foreign}"), NOW).1;
        assert_eq!(forged, GroupOutcome::Forged);
        let text = format!("AWSALBTG={own}");
        assert_eq!(of(&cookie_ab, &text, NOW.plus(100)).1, GroupOutcome::Pinned);
        assert_eq!(of(&cookie_ab, &text, NOW.plus(101)), (None, GroupOutcome::Expired));
    }

    #[test]
    fn both_cookies_are_set_anew_by_every_response_unless_the_duration_runs_once() {
        for sliding in [true, false] {
            let cookie = cookie(sliding, &["a", "b"], 7);
            let first = decide(&cookie, b"GET", &[], NOW);
            let set = lines(&cookie, &first, 1, NOW);
            assert!(set[0].starts_with("AWSALBTG=") && set[0].ends_with("; Path=/"), "{set:?}");
            assert!(set[1].starts_with("AWSALBTGCORS=") && set[1].contains("SameSite=None"), "{set:?}");
            let again = format!("AWSALBTG={}", value(&cookie, 1));
            let later = decide(&cookie, b"GET", &[(b"Cookie", &again)], NOW.plus(50));
            assert_eq!(lines(&cookie, &later, 1, NOW.plus(50)).len(), if sliding { 2 } else { 0 });
            let late = decide(&cookie, b"GET", &[(b"Cookie", &again)], NOW.plus(150));
            assert_eq!(lines(&cookie, &late, 0, NOW.plus(150)).len(), 2, "drawn anew");
        }
    }

    #[test]
    fn a_preflight_is_bound_to_nothing() {
        let cookie = cookie(true, &["a", "b"], 7);
        let fields: [(&[u8], &str); 2] =
            [(b"Origin", "http://a.example"), (b"Access-Control-Request-Method", "POST")];
        let decision = decide(&cookie, b"OPTIONS", &fields, NOW);
        assert_eq!(decision.outcome, GroupOutcome::Preflight);
        assert!(lines(&cookie, &decision, 0, NOW).is_empty());
    }
}
