//! WebSockets over HTTP/2 (RFC 8441) before targets of HTTP/1.1: the CONNECT becomes an Upgrade whose key is
//! ours, and what the target answers is held to that key (RFC 6455, section 4.1).

use std::{future::poll_fn, pin::Pin, rc::Rc, task::Poll};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use h2::{Reason, SendStream};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::AsyncWrite as _;

use super::{
    download::{Download, DownloadError},
    stream::Stream,
    upload::{Upload, UploadError},
};
use crate::{
    panics,
    telemetry::counters::{OpenNow, Openable},
    upstream::Connection,
    wire::{
        buffer::Buffer,
        head::{Framing, Response},
    },
};

/// What RFC 6455, section 1.3, has both sides put behind the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for one handshake.
#[derive(Clone, Debug)]
pub(super) struct Key(String);

impl Key {
    /// A new one; none when the system has no random bytes.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
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

/// Moves bytes both ways until both directions have ended, one breaks, or nothing moved for the idle timeout.
pub(super) async fn tunnel(
    stream: &mut Stream,
    connection: &mut Connection,
    inbound: &mut Buffer,
    mut sink: SendStream<Bytes>,
) {
    let _open = OpenNow::begin(&stream.listener.runtime, stream.context.worker, Openable::Tunnel);
    panics::provoke(b"tunnel");
    stream.entry.tunnel();
    stream.began = None;
    let mut up = Upload::new(Vec::new(), Framing::UntilClose);
    let mut down = Download::new(Framing::UntilClose);
    let (mut up_over, mut down_over, mut up_shut) = (false, false, false);
    stream.arm_idle();
    let watch = Rc::clone(stream.watch());
    let both = poll_fn(|cx| {
        let before = up.moved() + down.moved();
        if !up_over {
            match up.poll(cx, &mut stream.body, connection) {
                Poll::Ready(Ok(())) => up_over = true,
                Poll::Ready(Err(UploadError::Client | UploadError::Target)) => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        if !down_over {
            match down.poll(cx, connection, inbound, &mut sink) {
                Poll::Ready(Ok(())) => down_over = true,
                Poll::Ready(Err(DownloadError::Client | DownloadError::Target(_))) => {
                    return Poll::Ready(false);
                }
                Poll::Pending if sink.poll_reset(cx).is_ready() => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        // Inside TLS the end is something to be written, too.
        if up_over && !up_shut {
            up_shut = Pin::new(&mut *connection).poll_shutdown(cx).is_ready();
        }
        if up.moved() + down.moved() != before {
            stream.arm_idle();
        }
        if up_shut && down_over { Poll::Ready(true) } else { Poll::Pending }
    });
    let ended = watch.within(both).await;
    if !matches!(ended, Ok(true)) {
        // A connection that broke is told as RFC 8441, section 5.2, has it.
        sink.send_reset(Reason::CANCEL);
    }
    stream.entry.received(up.taken());
    stream.entry.returned(down.moved());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_accepted_and_others_are_not() {
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".to_owned());
        let accepts = |fields: &str| {
            let text = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{fields}\r\n");
            let response = Response::parse(text.as_bytes(), false).unwrap().unwrap();
            key.is_accepted_by(&response)
        };
        assert!(accepts("Upgrade: WebSocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Upgrade: websocket\r\nSec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!accepts("Upgrade: websocket\r\n"));
        assert_ne!(Key::random().unwrap().0, Key::random().unwrap().0);
    }
}
