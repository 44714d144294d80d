//! What of a request is still needed once its head is gone. Must not know: where it goes.

use crate::{
    model::Version,
    wire::{
        authentication::is_of_connection,
        fields::Kind,
        head::{Framing, Request},
    },
};

/// What of the request is still needed once its head is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestTraits {
    /// Version.
    pub(crate) version: Version,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// Whether the client wants the connection kept.
    pub(crate) keep_alive: bool,
    /// Whether the method is HEAD.
    pub(crate) to_head: bool,
    /// Whether doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
    pub(crate) idempotent: bool,
    /// Whether the client waits for a 100.
    pub(crate) expects_continue: bool,
    /// Whether the client asks for another protocol that it may have.
    pub(crate) upgrade: bool,
    /// Whether the connection to the target is closed after it (ALB: desync mitigation).
    pub(crate) isolated: bool,
    /// Whether the client authenticates itself in a way that may hold for all that follows on the target's connection.
    pub(crate) authenticates: bool,
}

impl RequestTraits {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            version: request.version,
            framing: request.framing,
            keep_alive: request.keep_alive,
            to_head: request.method == b"HEAD",
            idempotent: matches!(request.method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"),
            expects_continue: request.expects_continue && request.framing != Framing::Empty,
            upgrade: request.upgrade.is_some(),
            isolated: false,
            authenticates: is_of_connection(request.fields.of(Kind::Credentials)),
        }
    }

    /// Whether it may be sent once more where nothing came back: that does no harm, and nothing of it is consumed.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotent && self.framing == Framing::Empty
    }
}
