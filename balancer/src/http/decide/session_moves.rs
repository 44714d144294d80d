//! Sessions that move in the ledgers of their targets: which do, whose they are, and where they are counted.
//! Must not know: how a session was found.

use std::net::IpAddr;

use crate::{
    clock::UnixSeconds,
    model::{StickinessKind, StickinessSettings},
    stickiness::{Before, Decision, Done},
    target_group::{GroupView, TargetView},
};

/// Whether the request's session moves in the ledger of its target, as far as is known before it is sent.
pub(crate) fn moves(group: &GroupView, decision: Option<&Decision>, now: UnixSeconds) -> bool {
    decision.is_some_and(|decision| {
        decision.proved().map_or(decision.lapsed().is_some(), |(id, issued)| {
            let target = group.find(id);
            decision.target.is_none()
                || target.is_some_and(|(_, target)| target.runtime.sessions.is_due(issued, now))
        })
    })
}

/// What tells the client of a session from others whose cookies were set in the same second: the cookies that its session
/// is known by, what it calls itself, and its address. Its other cookies may change from one request to the next. Never 0.
/// Worked out only where a session moves in the ledger of its target, which is seldom.
#[cold]
pub(crate) fn client_mark(group: &GroupView, head: &[u8], peer: IpAddr) -> u64 {
    let cookies = values_of(head, b"cookie:").flat_map(|value| value.split(|byte| *byte == b';'));
    let cookies = cookies.map(<[u8]>::trim_ascii).filter(|cookie| {
        let sticky = group.settings.stickiness.as_ref();
        sticky.is_some_and(|sticky| is_of_a_session(cookie, sticky))
    });
    let telling = cookies.chain(values_of(head, b"user-agent:"));
    let address = match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    group.runtime.mark(telling.chain([&address.octets()[..]])) | 1
}

/// The values of the fields of a head whose line starts so, as they are.
fn values_of<'h>(head: &'h [u8], name: &'static [u8]) -> impl Iterator<Item = &'h [u8]> {
    let mut rest = head;
    let lines = std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
        rest = after;
        Some(line)
    });
    lines.filter_map(move |line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Whether sessions of a group are known by this cookie: one that the balancer sets, or the application's.
fn is_of_a_session(cookie: &[u8], sticky: &StickinessSettings) -> bool {
    let name = cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
    name.starts_with(sticky.attributes.prefix.as_bytes())
        || matches!(&sticky.kind, StickinessKind::ApplicationCookie { cookie_name } if name == cookie_name.as_bytes())
}

/// Counts a client that was bound to `chosen` just now, where it is bound and where it was before.
pub(crate) fn count_session(
    group: &GroupView,
    chosen: &TargetView,
    decision: &Decision,
    (now, client): (UnixSeconds, u64),
) {
    let Some((id, issued)) = decision.proved().or(decision.lapsed()) else {
        return chosen.runtime.sessions.begin(now);
    };
    let mark = group.runtime.marks().of(client, id);
    let is_first = match group.find(id) {
        Some((_, old)) if decision.proved().is_none() => old.runtime.sessions.replace(issued, now, mark),
        Some((_, old)) if old.id == chosen.id => {
            return old.runtime.sessions.renew(issued, now, (client != 0).then_some(mark));
        }
        Some((_, old)) => old.runtime.sessions.leave(issued, now, mark),
        None => mark.leave(issued, Done::Stranded, now, u32::MAX) != Before::Same,
    };
    if is_first {
        chosen.runtime.sessions.begin(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CookieAttributes, CookieRenewal};

    fn sticky(kind: StickinessKind) -> StickinessSettings {
        StickinessSettings {
            kind,
            duration_seconds: 60,
            attributes: CookieAttributes::default(),
            renewal: CookieRenewal::Always,
            pick: Default::default(),
            extras: Default::default(),
        }
    }

    #[test]
    fn a_session_is_known_by_these_cookies() {
        let (own, application) = (
            sticky(StickinessKind::LoadBalancerCookie),
            sticky(StickinessKind::ApplicationCookie { cookie_name: "SID".into() }),
        );
        for cookie in ["AWSALB=a", "AWSALBCORS =a=b", "AWSALBAPP-0=x"] {
            assert!(
                is_of_a_session(cookie.as_bytes(), &own) && is_of_a_session(cookie.as_bytes(), &application)
            );
        }
        for cookie in ["", "=", "a=AWSALB", "sid=1", "SIDE=1", "AWSAL=1", "\u{e9}=1"] {
            assert!(!is_of_a_session(cookie.as_bytes(), &own), "{cookie}");
            assert!(!is_of_a_session(cookie.as_bytes(), &application), "{cookie}");
        }
        assert!(is_of_a_session(b"SID=1", &application) && !is_of_a_session(b"SID=1", &own));
    }

    #[test]
    fn fields_of_a_name_are_found_line_by_line() {
        let head =
            b"GET /cookie: HTTP/1.1\r\nCOOKIE:a=1\r\nX: cookie: b\r\ncookie: c\r\nuser-agent: d\r\ncookie";
        let values: Vec<_> = values_of(head, b"cookie:").map(<[u8]>::trim_ascii).collect();
        assert_eq!(values, [&b"a=1"[..], b"c"]);
        assert_eq!(values_of(b"", b"cookie:").count(), 0);
    }
}
