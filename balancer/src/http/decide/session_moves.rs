//! Sessions that move in the ledgers of their targets: which do, whose they are, and where they are counted.
//! Must not know: how a session was found.

use std::net::IpAddr;

use crate::{
    clock::UnixSeconds,
    model::{HeaderField, StickinessKind, StickinessSettings},
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
/// Worked out only where a session moves in the ledger of its target: for clients that keep cookies that is seldom, for one that
/// sends the same cookie for ever it is at each request.
pub(crate) fn client_mark<'h>(
    group: &GroupView,
    fields: impl Iterator<Item = HeaderField<'h>>,
    peer: IpAddr,
) -> u64 {
    let mut mark = group.runtime.keyed_hash();
    let sticky = group.settings.stickiness.as_ref();
    let by_header = sticky.and_then(|sticky| match &sticky.kind {
        StickinessKind::ApplicationHeader { header_name } => Some(header_name.as_bytes()),
        _ => None,
    });
    for field in fields {
        if by_header.is_some_and(|name| field.name.eq_ignore_ascii_case(name)) {
            mark.add(field.value);
        }
        match field.name.len() {
            // What stands in a jar beside such a field changes with the jar's other sessions.
            6 if by_header.is_none() && field.is(b"cookie") => {
                cookies_of(field.value)
                    .filter(|cookie| sticky.is_some_and(|sticky| is_of_a_session(cookie, sticky)))
                    .for_each(|cookie| mark.add(cookie));
            }
            10 if field.is(b"user-agent") => mark.add(field.value),
            _ => {}
        }
    }
    let address = match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    mark.add(&address.octets());
    mark.value() | 1
}

/// The cookies of a `Cookie` field.
fn cookies_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.and_then(|end| line.get(end + 1..));
        Some(line.get(..end.unwrap_or(line.len())).unwrap_or_default().trim_ascii())
    })
}

/// The fields of a head that is ready to be sent, as [`client_mark`] takes them.
pub(crate) fn fields_of(head: &[u8]) -> impl Iterator<Item = HeaderField<'_>> {
    let mut rest = head;
    let lines = std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
        rest = after;
        Some(line)
    });
    lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some(HeaderField { name, value: value.get(1..)?.trim_ascii() })
    })
}

/// Whether sessions of a group are known by this cookie: one that the balancer sets, or the application's.
fn is_of_a_session(cookie: &[u8], sticky: &StickinessSettings) -> bool {
    let is_own = cookie.starts_with(sticky.attributes.prefix.as_bytes());
    is_own
        || matches!(&sticky.kind, StickinessKind::ApplicationCookie { cookie_name }
            if cookie.strip_prefix(cookie_name.as_bytes()).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"=")))
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
        for cookie in ["", "=", "a=AWSALB", "sid=1", "SIDE=1", "AWSAL=1", "\u{e9}=1", "SID", "SID;"] {
            assert!(!is_of_a_session(cookie.as_bytes(), &own), "{cookie}");
            assert!(!is_of_a_session(cookie.as_bytes(), &application), "{cookie}");
        }
        for cookie in [&b"SID=1"[..], b"SID = 1", b"SID="] {
            assert!(is_of_a_session(cookie, &application) && !is_of_a_session(cookie, &own));
        }
    }

    #[test]
    fn fields_and_cookies_are_found_one_by_one() {
        let head =
            b"GET /cookie HTTP/1.1\r\nCOOKIE:a=1\r\nX: cookie: b\r\ncookie: c; d=1 ;;e\r\nuser-agent: d\r\ncookie";
        let fields: Vec<_> = fields_of(head).map(|field| (field.name, field.value)).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"COOKIE", b"a=1"), (b"X", b"cookie: b"), (b"cookie", b"c; d=1 ;;e"), (b"user-agent", b"d")];
        assert_eq!(fields, expected);
        assert_eq!(fields_of(b"").count(), 0);
        let cookies: Vec<_> = cookies_of(b"c; d=1 ;;e").collect();
        assert_eq!(cookies, [&b"c"[..], b"d=1", b"", b"e"]);
    }
}
