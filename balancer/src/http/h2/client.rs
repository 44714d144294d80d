//! The client of one request over HTTP/2: its state, and what it is sent that needs no target. Must not know: what is done
//! with the request.

use std::{future::poll_fn, os::fd::RawFd};

use super::{session::LINGER, websocket_key::WebSocketKey};
use crate::{
    counters::{Cause, Failure},
    http::{
        decide::{head_notes::HeadNotes, plan::Plan},
        exchange::RequestState,
    },
    response::answer::{Answer, AnswerKind},
    wire::http2::{ErrorCode, Http2Stream},
};

/// How much of a body that nobody wants is taken.
const LINGER_BYTES: usize = 1 << 20;

/// One request.
pub(super) struct Http2Client {
    pub(super) stream: Http2Stream,
    pub(super) state: RequestState,
    /// The socket of its connection.
    pub(super) socket: RawFd,
    /// The key of the handshake, of a request for a WebSocket.
    pub(super) key: Option<WebSocketKey>,
    /// Whether it was asked for its body.
    pub(super) invited: bool,
    /// What is where in the head for its target.
    pub(super) notes: HeadNotes,
}

impl Http2Client {
    /// The client is told that what it has got is not the whole response, behind all of it that there is.
    pub(super) fn break_off(&mut self, plan: &Plan, failure: &Failure) {
        // Not by the code that the target gave, unless the group has it so: some of them have clients take what they have
        // for the whole.
        let code = plan.forwarded_reset(failure);
        self.stream.reset(code.unwrap_or(ErrorCode::Internal.into()));
    }

    /// The client is told by which code its target reset the request, and gets no answer besides.
    #[cold]
    pub(super) fn forward_reset(&mut self, cause: Cause, code: u32) {
        let RequestState { context, listener, entry, .. } = &mut self.state;
        context.listener_shard(listener).errors.count(cause);
        entry.failed(cause);
        self.stream.reset(code);
    }

    /// Takes what the client still sends of its body once it has its answer, for a while and up to a bound, as with
    /// HTTP/1.1. Then the stream is reset without an error (RFC 9113, section 8.1), which some clients take for a failure
    /// of what they have received whole.
    pub(super) async fn linger(&mut self) {
        self.state.arm(LINGER);
        let Self { stream, state, .. } = self;
        let mut most = LINGER_BYTES;
        let _ = state.watched.watch().within(poll_fn(|cx| stream.poll_drop_content(cx, &mut most))).await;
    }

    /// Sends the head of an interim response that has no fields. Whether the client is there.
    pub(super) fn send_interim_head(&mut self, status: u16) -> bool {
        let sent = self.stream.send_head(status, false, |_| {});
        self.state.entry.returned(sent.unwrap_or_default());
        sent.is_ok()
    }

    /// Sends an answer of the balancer's own and counts it. On a stream that has been reset already nothing is sent.
    pub(super) async fn answer(&mut self, answer: &Answer, to_head: bool) {
        let to_head = to_head || answer.body.is_empty();
        if !self.send_answer_head(answer, to_head) || to_head {
            return;
        }
        self.state.entry.returned(answer.body.len() as u64);
        // The client may have left no room for it.
        self.state.arm_idle();
        let Self { stream, state, .. } = self;
        let mut rest = answer.body.as_bytes();
        let _ = state.watched.watch().within(poll_fn(|cx| stream.poll_send_rest(cx, &mut rest))).await;
    }

    /// Resets the stream of what is no request, as has to be done (RFC 9113, section 8.1.1), behind an answer for whoever reads that
    /// far: proxies pass it on to their own clients.
    pub(super) fn refuse(&mut self, answer: &Answer) {
        // The end of a body would be that of the stream.
        self.send_answer_head(&answer.clone().without_body(), false);
        self.stream.reset(ErrorCode::Protocol);
    }

    /// Whether it was sent; `ends`: nothing comes after it.
    fn send_answer_head(&mut self, answer: &Answer, ends: bool) -> bool {
        let RequestState { context, listener, entry, .. } = &mut self.state;
        let fields = &listener.response_fields;
        let sent = context.clock.with_date(|date| {
            self.stream.send_head(answer.status, ends, |head| {
                answer.fields(fields, date, |name, value| head.field(name.as_bytes(), value));
            })
        });
        let Ok(size) = sent else {
            if let AnswerKind::Error(cause) = answer.reason {
                context.listener_shard(listener).errors.count(cause);
                entry.failed(cause);
            }
            return false;
        };
        context.count_answer(listener, answer);
        entry.own(answer);
        entry.returned(size);
        true
    }
}
