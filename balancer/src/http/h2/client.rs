//! The client of one request over HTTP/2: its state, and what it is sent that needs no target. Must not know: what is done
//! with the request.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};

use super::{body::Http2, head, session::LINGER, websocket_key::WebSocketKey};
use crate::{
    http::exchange::RequestState,
    response::answer::{Answer, AnswerKind},
    wire::meter::Meter,
};

/// How much of a body that nobody wants is taken.
const LINGER_BYTES: usize = 1 << 20;

/// One request.
pub(super) struct Http2Client {
    pub(super) http2: Http2,
    pub(super) state: RequestState,
    pub(super) respond: SendResponse<Bytes>,
    /// The key of the handshake, of a request for a WebSocket.
    pub(super) key: Option<WebSocketKey>,
    /// Whether it was asked for its body.
    pub(super) invited: bool,
    pub(super) meter: Rc<Meter>,
}

impl Http2Client {
    /// What there is of a response goes out, and then the client is told that this is not the whole of it: a reset would
    /// destroy what still waits to be written, the head along with it.
    pub(super) async fn break_off(&mut self) {
        self.state.arm(LINGER);
        let _ = self.state.watch().within(self.meter.written()).await;
        // Not by the code that the target gave: some of them have clients take what they have for the whole.
        self.reset(Reason::INTERNAL_ERROR);
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        if let Some(outgoing) = &mut self.http2.outgoing {
            outgoing.send_reset(reason);
        }
    }

    /// Takes what the client still sends of its body once it has its answer, for a while and up to a bound, as with
    /// HTTP/1.1. Then the stream is reset without an error (RFC 9113, section 8.1), which some clients take for a failure
    /// of what they have received whole.
    pub(super) async fn linger(&mut self) {
        let Some(body) = &mut self.http2.incoming else { return };
        self.state.arm(LINGER);
        let mut taken = 0;
        let drain = poll_fn(|cx| {
            loop {
                match ready!(body.poll_data(cx)) {
                    Some(Ok(data)) if taken < LINGER_BYTES => {
                        taken += data.len();
                        let _ = body.flow_control().release_capacity(data.len());
                    }
                    _ => return Poll::Ready(()),
                }
            }
        });
        let _ = self.state.watched.watch().within(drain).await;
    }

    /// Notes the size of a head that is sent, where that is logged.
    pub(super) fn count_head(&mut self, fields: &http::HeaderMap) {
        if self.state.entry.is_open() {
            self.state.entry.returned(head::response_size(fields));
        }
    }

    /// Sends the head of an interim response. Whether the client is there.
    pub(super) fn send_interim_head(&mut self, head: http::Response<()>) -> bool {
        self.count_head(head.headers());
        self.respond.send_informational(head).is_ok()
    }

    /// Sends an answer of the balancer's own and counts it. It is short: the engine holds it until the client
    /// takes it. To a stream that the engine has reset already nothing is sent.
    pub(super) fn answer(&mut self, answer: &Answer, to_head: bool) {
        let RequestState { context, listener, entry, .. } = &mut self.state;
        let to_head = to_head || answer.body.is_empty();
        let fields = &listener.response_fields;
        let (head, body) = context.clock.with_date(|date| head::own(answer, fields, date)).into_parts();
        let length = if to_head { 0 } else { body.len() as u64 };
        let size = head::response_size(&head.headers) + length;
        match self.respond.send_response(http::Response::from_parts(head, ()), to_head) {
            Ok(mut sending) => {
                context.count_answer(listener, answer);
                entry.own(answer);
                entry.returned(size);
                if !to_head {
                    let _ = sending.send_data(body, true);
                }
            }
            Err(_) => {
                if let AnswerKind::Error(cause) = answer.reason {
                    context.listener_shard(listener).errors.count(cause);
                    entry.failed(cause);
                }
            }
        }
    }
}
