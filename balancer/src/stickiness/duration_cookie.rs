//! `lb_cookie` stickiness (ALB: duration-based stickiness): one value in two cookies, `<prefix>` for the host's own
//! pages and `<prefix>CORS` with `SameSite=None` for requests from other sites. The twin wins when both
//! come. Must not know: application cookies, the session table.

use std::sync::Arc;

use super::{
    cookie_scan::CookieScan,
    decision::{Answered, Decision, Renewal, SessionVerdict, TargetLookup, Window, is_preflight},
    keyring::Keyring,
    token::{self, Flaw, Session},
};
use crate::{
    clock::UnixSeconds,
    counters::Outcome,
    model::{HeaderEdits, RequestHead, StickinessSettings},
    response::cookies::{Audience, CookieEnd, CookieForm},
};

/// What is added to the prefix for the twin that other sites' pages send.
const CORS: &str = "CORS";

pub(super) struct DurationCookie {
    ring: Arc<Keyring>,
    window: Window,
    scan: CookieScan,
    plain: CookieForm,
    twin: CookieForm,
}

impl DurationCookie {
    pub(super) fn new(settings: &StickinessSettings, ring: Arc<Keyring>) -> Self {
        let (prefix, attributes) = (&settings.attributes.prefix, &settings.attributes);
        Self {
            ring,
            window: Window::of_cookies(settings),
            scan: CookieScan::new(prefix),
            plain: CookieForm::new(prefix, Audience::SameSite, attributes),
            twin: CookieForm::new(&format!("{prefix}{CORS}"), Audience::AnySite, attributes),
        }
    }

    /// For how many seconds a cookie counts.
    pub(super) fn accepted(&self) -> u32 {
        self.window.accepted
    }

    pub(super) fn decide(
        &self,
        head: &RequestHead<'_>,
        targets: &impl TargetLookup,
        now: UnixSeconds,
    ) -> Decision {
        let preflight = is_preflight(head);
        let verdict = match self.session(head) {
            Ok(session) => SessionVerdict::on(session, &self.window, targets, now),
            Err(Outcome::Absent) if preflight => SessionVerdict::none(Outcome::Preflight),
            Err(outcome) => SessionVerdict::none(outcome),
        };
        Decision {
            target: verdict.target,
            outcome: verdict.outcome,
            preflight,
            session: verdict.session,
            ended: verdict.ended,
            lapsed: verdict.lapsed,
            application: Default::default(),
        }
    }

    /// The session of the first twin that verifies, or else of the first plain cookie that does.
    fn session(&self, head: &RequestHead<'_>) -> Result<Session, Outcome> {
        let mut outcome = Outcome::Absent;
        let mut open = |value| {
            token::open_either(&self.ring, value)
                .inspect_err(|flaw| match flaw {
                    Flaw::Forged => outcome = Outcome::Forged,
                    Flaw::Malformed if outcome == Outcome::Absent => outcome = Outcome::Malformed,
                    Flaw::Malformed => {}
                })
                .ok()
        };
        // Browsers send both, the plain one first: it is looked at only when no twin will do.
        let (mut plain, mut plains) = (None, 0_usize);
        let twin = self.scan.find(head).find_map(|(rest_of_name, value)| {
            if rest_of_name.is_empty() {
                plain = plain.or(Some(value));
                plains += 1;
            }
            if rest_of_name == CORS.as_bytes() { open(value) } else { None }
        });
        let session = match twin {
            None if plains > 1 => self.scan.values(head).find_map(open),
            None => plain.and_then(open),
            found => found,
        };
        session.ok_or(outcome)
    }

    /// Sets both cookies where they are due.
    pub(super) fn respond(
        &self,
        decision: &Decision,
        answered: Answered,
        secure_transport: bool,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) -> Renewal {
        let chosen = answered.home;
        let is_due = |session: &Session| answered.uncounted || self.window.is_due(session.issued, now);
        let stays = |session: &Session| session.target == chosen && !is_due(session);
        if decision.preflight || decision.session.as_ref().is_some_and(stays) {
            return Renewal::Untouched;
        }
        // A session that moves is the same session.
        let started = decision.session.map_or(now, |session| session.started);
        let session = Session { target: chosen, issued: now, started };
        let key = self.ring.signing();
        let end = CookieEnd::of(self.window.end(started, now), now);
        let mut set = |value: &[u8]| {
            self.plain.append(edits, value, &end, secure_transport);
            self.twin.append(edits, value, &end, secure_transport);
        };
        match self.window.max_lifetime {
            None => set(&token::seal(key, session, answered.nonce)),
            Some(_) => set(&token::seal_dated(key, session, answered.nonce)),
        }
        Renewal::Bound(chosen)
    }
}

#[cfg(test)]
mod lifetime_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::TargetId,
        model::{CookieAttributes, CookieRenewal, HeaderField, StickinessKind, Version},
        stickiness::Standing,
    };

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const A: TargetId = TargetId(11);
    const B: TargetId = TargetId(22);

    struct Fleet;

    impl TargetLookup for Fleet {
        fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
            match id {
                A => Some((0, Standing::Routable)),
                B => Some((1, Standing::Routable)),
                _ => None,
            }
        }
    }

    fn cookie(renewal: CookieRenewal) -> DurationCookie {
        let settings = StickinessSettings {
            kind: StickinessKind::LoadBalancerCookie,
            duration_seconds: 1000,
            attributes: CookieAttributes::default(),
            renewal,
            pick: Default::default(),
            extras: Default::default(),
        };
        DurationCookie::new(&settings, Arc::new(Keyring::from_bytes(&[7; 32]).unwrap()))
    }

    fn value(cookie: &DurationCookie, target: TargetId) -> String {
        let sealed = token::seal(cookie.ring.signing(), Session { target, issued: NOW, started: NOW }, 7);
        String::from_utf8(AsRef::<[u8]>::as_ref(&sealed).to_vec()).unwrap()
    }

    fn decide(
        cookie: &DurationCookie,
        method: &[u8],
        fields: &[(&[u8], &str)],
        now: UnixSeconds,
    ) -> Decision {
        let headers: Vec<_> =
            fields.iter().map(|(name, value)| HeaderField { name, value: value.as_bytes() }).collect();
        let head = RequestHead { method, target: b"/", version: Version::Http11, headers: &headers };
        cookie.decide(&head, &Fleet, now)
    }

    fn of(cookie: &DurationCookie, cookies: &str) -> (Option<usize>, Outcome) {
        let decision = decide(cookie, b"GET", &[(b"Cookie", cookies)], NOW);
        (decision.target, decision.outcome)
    }

    fn set_cookies(
        cookie: &DurationCookie,
        decision: &Decision,
        chosen: TargetId,
        now: UnixSeconds,
    ) -> Vec<String> {
        let mut edits = HeaderEdits::new();
        let set = cookie.respond(decision, Answered::at_home(chosen), false, now, &mut edits);
        let lines: Vec<_> =
            edits.iter().map(|edit| String::from_utf8(edit.value.to_vec()).unwrap()).collect();
        assert_eq!(set == Renewal::Bound(chosen), !lines.is_empty());
        lines
    }

    #[test]
    fn the_twin_wins_and_the_plain_one_serves_where_no_twin_verifies() {
        let cookie = cookie(CookieRenewal::Always);
        let (a, b) = (value(&cookie, A), value(&cookie, B));
        assert_eq!(of(&cookie, &format!("AWSALB={a}; AWSALBCORS={b}")), (Some(1), Outcome::Pinned));
        assert_eq!(of(&cookie, &format!("AWSALBCORS=garbage; AWSALB={a}")), (Some(0), Outcome::Pinned));
        assert_eq!(of(&cookie, &format!("AWSALB=garbage; AWSALB={b}")), (Some(1), Outcome::Pinned));
        assert_eq!(of(&cookie, &format!("AWSALBX={a}")), (None, Outcome::Absent));
    }

    #[test]
    fn what_does_not_verify_counts_as_absent_with_its_reason() {
        let cookie = cookie(CookieRenewal::Always);
        let a = value(&cookie, A);
        let last = a.len() - 4;
        let flipped =
            format!("{}{}{}", &a[..last], if &a[last..=last] == "A" { "B" } else { "A" }, &a[last + 1..]);
        assert_eq!(of(&cookie, "AWSALB="), (None, Outcome::Malformed));
        assert_eq!(of(&cookie, &format!("AWSALB={}", a.replace('A', "%41") + "%")).0, None);
        assert_eq!(of(&cookie, &format!("AWSALB={flipped}")), (None, Outcome::Forged));
        assert_eq!(of(&cookie, &format!("AWSALB={flipped}; AWSALB=x")), (None, Outcome::Forged));
        assert_eq!(
            of(&cookie, &format!("AWSALB={}", value(&cookie, TargetId(9)))),
            (None, Outcome::UnknownTarget)
        );
        let late = decide(&cookie, b"GET", &[(b"Cookie", &format!("AWSALB={a}"))], NOW.plus(1001));
        assert_eq!((late.target, late.outcome), (None, Outcome::Expired));
    }

    #[test]
    fn every_response_sets_both_cookies_anew() {
        let cookie = cookie(CookieRenewal::Always);
        let a = value(&cookie, A);
        let decision = decide(&cookie, b"GET", &[(b"Cookie", &format!("AWSALB={a}"))], NOW);
        let lines = set_cookies(&cookie, &decision, A, NOW);
        assert_eq!(lines.len(), 2);
        let start = |line: &str| line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
        assert_eq!(start(&lines[0]), start(&lines[1]), "one value in both");
        assert!(lines[0].starts_with("AWSALB=") && !lines[0].contains("SameSite"), "{}", lines[0]);
        assert!(lines[1].starts_with("AWSALBCORS=") && lines[1].contains("SameSite=None"), "{}", lines[1]);
        assert!(lines.iter().all(|line| line.contains("Path=/") && line.contains("Expires=")));
    }

    #[test]
    fn when_due_sets_them_at_the_start_on_a_move_and_after_a_tenth() {
        let cookie = cookie(CookieRenewal::WhenDue);
        let a = format!("AWSALB={}", value(&cookie, A));
        let first = decide(&cookie, b"GET", &[], NOW);
        assert_eq!(set_cookies(&cookie, &first, A, NOW).len(), 2, "a session starts");
        let again = |later: u32, chosen| {
            let now = NOW.plus(later);
            let decision = decide(&cookie, b"GET", &[(b"Cookie", &a)], now);
            set_cookies(&cookie, &decision, chosen, now).len()
        };
        assert_eq!((again(99, A), again(99, B), again(100, A)), (0, 2, 2));
    }

    #[test]
    fn a_preflight_starts_no_session() {
        let cookie = cookie(CookieRenewal::Always);
        let fields: [(&[u8], &str); 2] =
            [(b"Origin", "http://a.example"), (b"Access-Control-Request-Method", "POST")];
        let decision = decide(&cookie, b"OPTIONS", &fields, NOW);
        assert_eq!(decision.outcome, Outcome::Preflight);
        assert!(set_cookies(&cookie, &decision, A, NOW).is_empty());
        let plain = decide(&cookie, b"OPTIONS", &fields[..1], NOW);
        assert_eq!((plain.outcome, set_cookies(&cookie, &plain, A, NOW).len()), (Outcome::Absent, 2));
    }
}
