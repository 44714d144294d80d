//! The head of a request of HTTP/2 in the form that the deciding rooms see.

use super::websocket_key::WebSocketKey;
use crate::{
    model::HeaderField,
    wire::{
        head::{HeadError, MAX_LINE, Request},
        http2::Block,
    },
};

/// What has to be held while a request is looked at.
#[derive(Debug)]
pub(super) struct Head {
    block: Box<Block>,
    bodiless: bool,
    size: u64,
    protocol: Option<Result<WebSocketKey, HeadError>>,
}

impl Head {
    /// `bodiless`: the head was all of it. `is_counted`: somebody may ask for its size.
    pub(super) fn new(mut block: Box<Block>, bodiless: bool, is_counted: bool) -> Self {
        // Before cookies are made one.
        let size = if is_counted { block.length() } else { 0 };
        block.join_cookies();
        let protocol = block.protocol().map(|protocol| {
            let key = (protocol == b"websocket").then(WebSocketKey::random).flatten();
            key.ok_or(HeadError::TransferCoding)
        });
        Self { block, bodiless, size, protocol }
    }

    /// The memory of it.
    pub(super) fn into_block(self) -> Box<Block> {
        self.block
    }

    /// Bytes of what the head says; how few of them it took to say it, it does not tell.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is no request at all (RFC 9113, section 8.1.1).
    pub(super) fn is_malformed(&self) -> bool {
        self.block.is_malformed()
    }

    /// The key of the handshake, when the request is for a WebSocket (RFC 8441).
    pub(super) fn key(&self) -> Option<WebSocketKey> {
        self.protocol.as_ref()?.as_ref().ok().cloned()
    }

    /// Makes `request` the request as the deciding rooms see it, where it stands: it is too large to be moved about.
    ///
    /// # Errors
    /// Why it is none that can be forwarded.
    pub(super) fn read<'h>(&'h self, request: &mut Request<'h>) -> Result<(), HeadError> {
        let block = &self.block;
        if block.is_malformed() {
            return Err(HeadError::Malformed);
        }
        // A CONNECT names no path (RFC 9113, section 8.5); it is refused whatever it names.
        let target = block.path().unwrap_or(b"/");
        if block.left_out() > 0 {
            let is_line = target.len() > MAX_LINE;
            return Err(if is_line { HeadError::LineTooLong } else { HeadError::TooLarge });
        }
        let method = block.method();
        if !target.starts_with(b"/") && (target != b"*" || method != b"OPTIONS") {
            return Err(HeadError::Malformed);
        }
        let (authority, lines) = (block.authority(), block.lines());
        let Some(protocol) = &self.protocol else {
            let lines = (lines, block.source());
            return request.take_fields(method, target, authority, lines, self.bodiless);
        };
        let key = protocol.as_ref().map_err(|error| *error)?;
        let handshake = HeaderField { name: &b"Sec-WebSocket-Key"[..], value: key.as_bytes() };
        let lines = lines.filter(|field| field.name != b"sec-websocket-key").chain([handshake]);
        // What follows is no body of the request but what the other protocol says.
        request.take_fields(b"GET", target, authority, (lines, block.source()), true)?;
        request.upgrade = Some(b"websocket".into());
        Ok(())
    }
}
