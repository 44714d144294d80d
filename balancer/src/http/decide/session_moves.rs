//! Sessions that move in the ledgers of their targets: which do, whose they are, and where they are counted.
//! Must not know: how a session was found.

use std::net::IpAddr;

use crate::{
    clock::UnixSeconds,
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

/// What tells the client of a session from others whose cookies were set in the same second: its cookies, what it calls
/// itself, and its address. Never 0. Worked out only where a session moves in the ledger of its target, which is seldom.
#[cold]
pub(crate) fn client_mark(group: &GroupView, head: &[u8], peer: IpAddr) -> u64 {
    let mut rest = head;
    let lines = std::iter::from_fn(|| {
        let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
        rest = after;
        Some(line)
    });
    let telling = lines.filter(|line| {
        let name: &[u8] = match line.first() {
            Some(b'c' | b'C') => b"cookie:",
            Some(b'u' | b'U') => b"user-agent:",
            _ => return false,
        };
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    });
    let address = match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    group.runtime.mark(telling.chain([&address.octets()[..]])) | 1
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
