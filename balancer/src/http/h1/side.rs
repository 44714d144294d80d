//! A client of HTTP/1.1 as one side of an exchange. Must not know: which version of HTTP the target speaks.

use std::{
    io,
    os::fd::{AsRawFd as _, RawFd},
    task::{Context as TaskContext, Poll},
};

use super::{
    client::{After, Http1Client},
    requests::LINGER_BYTES,
};
use crate::{
    counters::{Cause, Failure},
    http::{
        decide::plan::Plan,
        exchange::{ClientSide, Http1Target, RequestState, Retries, attempt},
    },
    model::{HeaderEdits, Version},
    response::{
        answer::Answer,
        compose::{self, Receiver},
    },
    upstream::{Connection, Destination},
    wire::{
        body::{BodyError, Source as _},
        buffer::BUFFER_SIZE,
        client_stream::ClientStream,
        head::Response,
        http1::Http1,
    },
};

/// Has a client go on that waits with its body for a word.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl ClientSide for Http1Client {
    type After = After;
    const OVER: After = After::Gone;
    type Body = Http1<ClientStream>;

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut RequestState {
        &mut self.state
    }

    fn body(&mut self) -> &mut Http1<ClientStream> {
        &mut self.http1
    }

    fn socket(&self) -> Option<RawFd> {
        self.http1.stream.socket().map(|socket| socket.as_raw_fd())
    }

    async fn attempt(&mut self, plan: &mut Plan, tries: &Retries) -> Result<After, Failure> {
        attempt::<Self, Http1Target>(self, plan, tries).await
    }

    /// Whether the client closed its connection. What it sends early (pipelining) is buffered up to a bound.
    fn poll_gone(&mut self, cx: &mut TaskContext<'_>, uploading: bool) -> Poll<()> {
        if uploading {
            return Poll::Pending;
        }
        let Http1 { stream, buffer, .. } = &mut self.http1;
        loop {
            match buffer.poll_fill(cx, stream, BUFFER_SIZE) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    #[cold]
    fn body_failed(error: &BodyError<io::Error>) -> Failure {
        match error {
            BodyError::Source(_) | BodyError::Truncated => Failure::gone(false),
            _ => Cause::RequestBodyInvalid.into(),
        }
    }

    async fn invite(&mut self, _: &Plan) -> bool {
        if !self.http1.buffer.is_empty() {
            return true;
        }
        let sent = matches!(self.send(CONTINUE).await, Ok(Ok(())));
        if sent {
            self.count_returned(CONTINUE.len() as u64);
        }
        sent
    }

    /// Until the request is there whole it is HTTP that is spoken (RFC 9110, section 7.8).
    fn check(&self, plan: &Plan, response: &Response<'_>, uploaded: bool) -> Result<(), Cause> {
        if response.status == 101 && !(uploaded && plan.is_switched_by(response)) {
            return Err(Cause::TargetUpgradeInvalid);
        }
        Ok(())
    }

    /// Nothing of a 100, which was said already, and nothing in HTTP/1.0.
    fn interim(&mut self, plan: &Plan, response: &Response<'_>) -> Result<Vec<u8>, Failure> {
        let mut interim = Vec::new();
        if response.status != 100 && plan.request.version == Version::Http11 {
            let receiver = Receiver { version: Version::Http11, keep_alive: true };
            compose::head(response, &HeaderEdits::new(), receiver, &self.state.context.clock, &mut interim);
        }
        Ok(interim)
    }

    async fn send_interim(&mut self, interim: Vec<u8>) -> bool {
        let sent = matches!(self.send(&interim).await, Ok(Ok(())));
        if sent {
            self.count_returned(interim.len() as u64);
        }
        sent
    }

    fn respond(&mut self, plan: &Plan, response: &Response<'_>, edits: &HeaderEdits) -> Result<(), Failure> {
        let version = plan.request.version;
        // Who is refused may stop sending what is not wanted, and is told so; so is who would have much to send.
        let is_refusal = response.status >= 400 || self.http1.lacks_more_than(LINGER_BYTES);
        let early_refusal = is_refusal && !self.http1.is_read();
        self.stays = plan.request.keep_alive
            && compose::is_delimited(response.framing, version)
            && !early_refusal
            && self.may_stay();
        let mut head = self.state.context.heads.take();
        let receiver = Receiver { version, keep_alive: self.stays };
        compose::head(response, edits, receiver, &self.state.context.clock, &mut head);
        self.state.entry.responding(response.status);
        self.http1.begin(head, compose::is_chunked(response.framing, version));
        Ok(())
    }

    fn bound(&mut self, destination: &Destination, ask: bool) -> Option<Connection> {
        self.bound.take(destination, ask)
    }

    fn bind(&mut self, destination: &Destination, connection: Connection) {
        if self.stays {
            self.bound.give(destination, connection);
        }
    }

    fn progressed(&mut self) {
        self.state.arm_moving();
        let watch = self.state.watch();
        watch.received().show(self.http1.taken());
        watch.sent().show(self.http1.moved());
    }

    fn settle_received(&mut self) {
        let total = self.http1.taken();
        self.count_moved(self.state.watch().received().settle(Some(total)), 0);
        self.state.entry.received(total);
    }

    fn settle_returned(&mut self) {
        let total = self.http1.moved();
        self.count_moved(0, self.state.watch().sent().settle(Some(total)));
        self.state.entry.returned(total);
    }

    fn after(&self, uploaded: bool) -> After {
        match self.stays {
            true if uploaded => After::Reuse,
            true => After::Unread,
            false => After::Close,
        }
    }

    async fn cut_short(&mut self, _: &Plan, _: &Failure) {
        self.http1.stream.reset_on_close();
    }

    fn end_tunnel(&mut self, _: bool) {}

    async fn answer_error(&mut self, plan: &Plan, failure: &Failure) -> After {
        let is_read = self.http1.is_read() && self.http1.given().is_empty();
        let keep = plan.request.keep_alive && is_read && self.may_stay();
        self.answer(&Answer::error(failure.cause), keep, plan.request.to_head).await
    }
}
