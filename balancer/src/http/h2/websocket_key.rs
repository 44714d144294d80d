//! The key of a WebSocket handshake with a target (RFC 6455, section 4.1): of our own, and what the target answers is held
//! to it. Must not know: who asked for the WebSocket.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::wire::head::Response;

/// What RFC 6455, section 1.3, has both sides put behind the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for one handshake.
#[derive(Clone, Debug)]
pub(super) struct WebSocketKey(String);

impl WebSocketKey {
    /// A new one; none when the system has no random bytes.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        crate::random::fill(&mut bytes).ok()?;
        Some(Self(STANDARD.encode(bytes)))
    }

    /// What the target is sent.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether `response` (101) takes up this handshake and no other.
    pub(super) fn is_accepted_by(&self, response: &Response<'_>) -> bool {
        let wanted =
            STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{}{GUID}", self.0).as_bytes()));
        let view = response.view();
        let mut accepted = view.values("sec-websocket-accept");
        let mut upgrades = view.values("upgrade");
        accepted.next() == Some(wanted.as_bytes())
            && accepted.next().is_none()
            && upgrades.next().is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_accepted_and_others_are_not() {
        let key = WebSocketKey("dGhlIHNhbXBsZSBub25jZQ==".to_owned());
        let accepts = |fields: &str| {
            let text = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{fields}\r\n");
            let response = Response::parse(text.as_bytes(), false).unwrap().unwrap();
            key.is_accepted_by(&response)
        };
        assert!(accepts("Upgrade: WebSocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Upgrade: websocket\r\nSec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Upgrade: websocket\r\n"));
        assert_ne!(WebSocketKey::random().unwrap().0, WebSocketKey::random().unwrap().0);
    }
}
