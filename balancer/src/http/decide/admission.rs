//! Whether a request is taken at all, whoever would get it, and what it has to leave behind.
//! Must not know: rules, groups, targets.

use std::{borrow::Cow, net::SocketAddr};

use super::{forward::Route, refusal::Refusal, request_traits::RequestTraits};
use crate::{
    counters::{Cause, ListenerShard},
    http::entry::AccessEntry,
    logs::quiet::LineKind,
    model::{Classification, DesyncMode, Version},
    wire::{
        chunked_body::can_begin_chunked,
        desync::{self, Reason},
        fields::{Kind, is_plain_name, list},
        head::{Framing, HeadError, Request},
        upgrade::admitted,
    },
};

/// Most addresses that X-Forwarded-For may come with (ALB: HTTP 463).
const MOST_ADDRESSES: usize = 30;

/// Takes the request in, without the fields that are dropped. Gives back what of it is needed until its end.
///
/// # Errors
/// What the client is to be told instead.
pub(crate) fn admit(
    shard: &ListenerShard,
    route: &Route<'_>,
    request: &mut Request<'_>,
    entry: &mut AccessEntry,
) -> Result<RequestTraits, Refusal> {
    if request.upgrade.is_some() {
        admit_upgrade(route, request)?;
    }
    let mut traits = RequestTraits::of(request);
    if let Some(reason) = desync::of_request(request) {
        note(shard, entry, route.connected.peer, reason);
        mitigate(route.load_balancer.desync_mitigation_mode, reason, &mut traits)?;
    }
    let refuse = |cause| Refusal::error(cause, traits);
    if matches!(request.method, b"TRACE" | b"CONNECT") {
        return Err(refuse(Cause::MethodNotAllowed));
    }
    if has_too_many_addresses(request) {
        return Err(refuse(Cause::TooManyForwardedAddresses));
    }
    // Where that is seen in time, not even a beginning of it gets any further.
    if request.framing == Framing::Chunked && !can_begin_chunked(route.body) {
        return Err(refuse(Cause::RequestBodyInvalid));
    }
    if !route.tls_fields.owned.is_empty() {
        // What the balancer says of its clients nobody else can say, not even to the rules.
        request.fields.drop_names(|name| route.tls_fields.own(name));
    }
    if request.fields.has_invalid_names() {
        if route.load_balancer.drop_invalid_header_fields {
            request.fields.drop_names(|name| !is_plain_name(name));
            shard.dropped_invalid_header_requests.inc();
        } else {
            shard.forwarded_invalid_header_requests.inc();
        }
    }
    Ok(traits)
}

/// Leaves of the protocols that the client offers those that it may change to: within any other it would pass by the
/// rules. Without one the request goes on as what it is (RFC 9110, section 7.8).
///
/// # Errors
/// In HTTP/2 it is a request of that protocol and no other (RFC 8441, section 4).
#[cold]
fn admit_upgrade(route: &Route<'_>, request: &mut Request<'_>) -> Result<(), Refusal> {
    let offered = request.upgrade.take().unwrap_or_default();
    request.upgrade = admitted(&offered, &route.load_balancer.upgrade_protocols).map(Cow::Owned);
    if request.upgrade.is_none() && request.version == Version::Http2 {
        return Err(HeadError::TransferCoding.into());
    }
    Ok(())
}

/// What is done with a request that is not compliant (ALB: desync mitigation mode).
///
/// # Errors
/// It is refused, and the connection closed.
fn mitigate(mode: DesyncMode, reason: Reason, traits: &mut RequestTraits) -> Result<(), Refusal> {
    match (mode, reason.class()) {
        (DesyncMode::Monitor, _) | (DesyncMode::Defensive, Classification::Acceptable) => {}
        (DesyncMode::Defensive, Classification::Ambiguous) => {
            (traits.keep_alive, traits.isolated) = (false, true)
        }
        (DesyncMode::Defensive, Classification::Severe) | (DesyncMode::Strictest, _) => {
            traits.keep_alive = false;
            return Err(Refusal::error(Cause::RequestNotCompliant, *traits));
        }
    }
    Ok(())
}

fn note(shard: &ListenerShard, entry: &mut AccessEntry, peer: SocketAddr, reason: Reason) {
    entry.classified(reason);
    shard.non_compliant_requests.count(reason.class());
    if tracing::enabled!(tracing::Level::DEBUG) && LineKind::ClientRequest.admits() {
        tell(peer, reason);
    }
}

#[cold]
fn tell(peer: SocketAddr, reason: Reason) {
    tracing::debug!(
        client = %peer,
        classification = reason.class().name(),
        reason = reason.name(),
        "a request is not compliant"
    );
}

/// A whole head that is none to go on with is refused in every mode, and counts as what it is.
pub(crate) fn unreadable(
    shard: &ListenerShard,
    peer: SocketAddr,
    head: &[u8],
    error: HeadError,
    entry: &mut AccessEntry,
) -> Refusal {
    if let Some(reason) = desync::of_head(head) {
        note(shard, entry, peer, reason);
    }
    error.into()
}

/// Whatever is then done to the field.
fn has_too_many_addresses(request: &Request<'_>) -> bool {
    request.fields.of(Kind::ForwardedFor).flat_map(list).nth(MOST_ADDRESSES).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_over_all_lines() {
        let too_many = |lines: &[usize]| {
            let fields: String = lines
                .iter()
                .map(|count| format!("X-Forwarded-For: {}\r\n", vec!["192.0.2.1"; *count].join(",")))
                .collect();
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            has_too_many_addresses(&Request::parse(text.as_bytes()).expect("valid"))
        };
        assert!(!too_many(&[]) && !too_many(&[0]) && !too_many(&[30]) && !too_many(&[10, 20]));
        assert!(too_many(&[31]) && too_many(&[15, 16]));
    }
}
