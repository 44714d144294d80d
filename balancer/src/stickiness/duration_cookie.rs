//! `lb_cookie` stickiness (ALB: duration-based stickiness): one value in two cookies, `<prefix>` for the host's own
//! pages and `<prefix>CORS` with `SameSite=None` for requests from other sites. The twin wins when both
//! come. Must not know: application cookies, the session table.

use std::sync::Arc;

use super::{
    cookie_scan::CookieScan,
    decision::{Decision, Outcome, TargetLookup, Verdict, Window, is_preflight},
    keyring::Keyring,
    token::{self, Flaw, Session},
};
use crate::{
    clock::UnixSeconds,
    id::TargetId,
    model::{HeaderEdits, RequestHead, StickinessSettings},
    response::cookies::{Audience, CookieForm, ExpiryDate},
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

    pub(super) fn decide(
        &self,
        head: &RequestHead<'_>,
        targets: &impl TargetLookup,
        now: UnixSeconds,
    ) -> Decision {
        let preflight = is_preflight(head);
        let verdict = match self.session(head) {
            Ok(session) => Verdict::on(session, &self.window, targets, now),
            Err(Outcome::Absent) if preflight => Verdict::none(Outcome::Preflight),
            Err(outcome) => Verdict::none(outcome),
        };
        Decision {
            target: verdict.target,
            outcome: verdict.outcome,
            preflight,
            session: verdict.session,
            application: Default::default(),
        }
    }

    /// The session of the first twin that verifies, or else of the first plain cookie that does.
    fn session(&self, head: &RequestHead<'_>) -> Result<Session, Outcome> {
        let mut outcome = Outcome::Absent;
        let mut open = |value| {
            token::open(&self.ring, value)
                .inspect_err(|flaw| match flaw {
                    Flaw::Forged => outcome = Outcome::Forged,
                    Flaw::Malformed if outcome == Outcome::Absent => outcome = Outcome::Malformed,
                    Flaw::Malformed => {}
                })
                .ok()
        };
        // Browsers send both, the plain one first: it is looked at only when no twin will do.
        let mut plain_came = false;
        let twin = self.scan.find(head).find_map(|(rest_of_name, value)| {
            plain_came |= rest_of_name.is_empty();
            if rest_of_name == CORS.as_bytes() { open(value) } else { None }
        });
        let session = match twin {
            None if plain_came => self.scan.values(head).find_map(open),
            found => found,
        };
        session.ok_or(outcome)
    }

    /// Sets both cookies where they are due; says whether it did.
    pub(super) fn respond(
        &self,
        decision: &Decision,
        chosen: TargetId,
        secure_transport: bool,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) -> bool {
        let stays = |session: &Session| session.target == chosen && !self.window.is_due(session.issued, now);
        if decision.preflight || decision.session.as_ref().is_some_and(stays) {
            return false;
        }
        let value = token::seal(self.ring.signing(), Session { target: chosen, issued: now });
        let expires = ExpiryDate::of(now.plus(self.window.accepted));
        self.plain.append(edits, &value, &expires, secure_transport);
        self.twin.append(edits, &value, &expires, secure_transport);
        true
    }
}
