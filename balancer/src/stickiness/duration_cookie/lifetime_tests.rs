//! Sessions that end some time after their start, however busy they are.

use super::*;
use crate::{
    id::TargetId,
    model::{CookieAttributes, CookieRenewal, HeaderField, StickinessExtras, StickinessKind, Version},
    stickiness::Standing,
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const HOME: TargetId = TargetId(7);
const OTHER: TargetId = TargetId(8);

struct Fleet;

impl TargetLookup for Fleet {
    fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
        [HOME, OTHER].iter().position(|known| *known == id).map(|index| (index, Standing::Routable))
    }
}

fn cookie(max_lifetime: Option<u32>) -> DurationCookie {
    let settings = StickinessSettings {
        kind: StickinessKind::LoadBalancerCookie,
        duration_seconds: 100,
        attributes: CookieAttributes::default(),
        renewal: CookieRenewal::Always,
        pick: Default::default(),
        extras: StickinessExtras { max_lifetime, ..StickinessExtras::default() },
    };
    DurationCookie::new(&settings, Arc::new(Keyring::from_bytes(&[7; 32]).unwrap()))
}

/// One request and its response from `chosen`: how it was decided, and the cookie and expiry that came back.
fn visit(
    cookie: &DurationCookie,
    value: &str,
    chosen: TargetId,
    now: UnixSeconds,
) -> (Outcome, String, String) {
    let line = format!("AWSALB={value}");
    let fields = [HeaderField { name: b"cookie", value: line.as_bytes() }];
    let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &fields };
    let decision = cookie.decide(&head, &Fleet, now);
    let mut edits = HeaderEdits::new();
    assert_eq!(
        cookie.respond(&decision, Answered::at_home(chosen), false, now, &mut edits),
        Renewal::Bound(chosen)
    );
    let line = String::from_utf8(edits.iter().next().unwrap().value.to_vec()).unwrap();
    let (pair, rest) = line.split_once("; ").unwrap();
    (decision.outcome, pair["AWSALB=".len()..].to_owned(), rest.to_owned())
}

fn expires(now: UnixSeconds, at: UnixSeconds) -> String {
    format!("Expires={}; Max-Age={}; Path=/", crate::clock::imf_date(at), at.since(now))
}

#[test]
fn a_busy_session_ends_when_its_lifetime_is_over_and_a_new_one_starts() {
    let cookie = cookie(Some(250));
    let (outcome, mut value, expiry) = visit(&cookie, "", HOME, NOW);
    assert_eq!((outcome, expiry), (Outcome::Malformed, expires(NOW, NOW.plus(100))));
    for age in [50, 100, 150, 200, 250] {
        let (outcome, next, expiry) = visit(&cookie, &value, HOME, NOW.plus(age));
        assert_eq!(outcome, Outcome::Pinned, "after {age} s");
        assert_eq!(expiry, expires(NOW.plus(age), NOW.plus((age + 100).min(250))), "after {age} s");
        value = next;
    }
    let (outcome, value, expiry) = visit(&cookie, &value, OTHER, NOW.plus(251));
    assert_eq!((outcome, expiry), (Outcome::Expired, expires(NOW.plus(251), NOW.plus(351))));
    assert_eq!(visit(&cookie, &value, OTHER, NOW.plus(300)).0, Outcome::Pinned);
}

#[test]
fn the_duration_still_ends_an_idle_session() {
    let cookie = cookie(Some(250));
    let (_, value, _) = visit(&cookie, "", HOME, NOW);
    assert_eq!(visit(&cookie, &value, HOME, NOW.plus(101)).0, Outcome::Expired);
}

#[test]
fn a_session_that_moves_goes_on_ageing() {
    let cookie = cookie(Some(250));
    let (_, value, _) = visit(&cookie, "", HOME, NOW);
    let (_, value, _) = visit(&cookie, &value, OTHER, NOW.plus(90));
    let (outcome, value, _) = visit(&cookie, &value, OTHER, NOW.plus(180));
    assert_eq!(outcome, Outcome::Pinned);
    let (_, value, _) = visit(&cookie, &value, OTHER, NOW.plus(250));
    assert_eq!(visit(&cookie, &value, OTHER, NOW.plus(260)).0, Outcome::Expired);
}

#[test]
fn cookies_of_before_and_after_keep_working_when_the_setting_changes() {
    let (without, with) = (cookie(None), cookie(Some(250)));
    let (_, old, _) = visit(&without, "", HOME, NOW);
    assert_eq!(old.len(), 40, "as ever");
    // Their start is not known: they age from the time they were last renewed.
    let (outcome, dated, _) = visit(&with, &old, HOME, NOW.plus(90));
    assert_eq!((outcome, dated.len()), (Outcome::Pinned, 46));
    let (_, dated, _) = visit(&with, &dated, HOME, NOW.plus(180));
    assert_eq!(visit(&with, &dated, HOME, NOW.plus(251)).0, Outcome::Expired);
    let (outcome, old, _) = visit(&without, &dated, HOME, NOW.plus(251));
    assert_eq!((outcome, old.len()), (Outcome::Pinned, 40), "switched off: no end but the duration");
}
