//! A target of HTTP/1.1: on a connection kept or a new one. Must not know: which version of HTTP the client speaks.

use std::{
    os::fd::RawFd,
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

use super::{
    connect::{open, pooled},
    retries::Retries,
    sides::{ClientSide, TargetSide, unless_gone},
};
use crate::{
    counters::{Cause, Failure, Retry, causes_of},
    http::decide::plan::Plan,
    upstream::{Connection, Destination},
    wire::{
        authentication::is_challenge,
        buffer::{BUFFER_SIZE, Buffer},
        chunked_body::has_bare_line_end,
        head::{Framing, MAX_RESPONSE_HEAD, Response},
        head_in_pieces::HeadInPieces,
        http1::{Http1, LEAST_READ},
        splice::Bare as _,
    },
};

/// One request on a connection to a target.
#[derive(Debug)]
pub(crate) struct Http1Target {
    http1: Http1<Connection>,
    pieces: HeadInPieces,
    /// Whether the connection was kept.
    reused: bool,
    /// Whether nobody else may use it.
    private: bool,
    /// Whether the request can be sent once more where nothing came back.
    repeatable: bool,
    /// Whether a byte came back.
    heard: bool,
    /// Whether the target keeps the connection.
    keep_alive: bool,
    /// Whether it was waited for: then something has come, most likely, and asking for that first costs more than trying.
    waited: bool,
}

impl Http1Target {
    /// On a connection that was kept or not, and is the client's alone or not.
    #[inline]
    fn new(connection: Connection, plan: &Plan, (reused, is_bound): (bool, bool)) -> Self {
        Self {
            http1: Http1::new(connection, Buffer::default()),
            pieces: HeadInPieces::default(),
            reused,
            private: is_bound || plan.request.authenticates,
            repeatable: plan.request.is_repeatable(),
            heard: false,
            keep_alive: false,
            waited: false,
        }
    }
}

/// A new connection. In a box, as that is seldom, so that requests do not carry its room.
#[cold]
async fn connect<C: ClientSide>(client: &mut C, destination: &Destination) -> Result<Connection, Failure> {
    client.state_mut().has_waited();
    let state = client.state();
    let (context, watch) = (Rc::clone(&state.context), Rc::clone(state.watch()));
    let timeout = state.listener.load_balancer.connect_timeout;
    match unless_gone(client, open(&context, &watch, timeout, destination)).await {
        None => Err(client.gone()),
        Some(connected) => connected.map_err(|failure| failure.retried(Retry::Elsewhere)),
    }
}

impl<C: ClientSide> TargetSide<C> for Http1Target {
    type Body = Http1<Connection>;

    fn at_hand(client: &mut C, plan: &Plan, destination: &Destination, tries: &Retries) -> Option<Self> {
        let ask = !plan.request.is_repeatable();
        // One that is bound goes where it is not to be used: it may be as dead as the one that failed.
        let bound = client.bound(destination, ask).filter(|_| !tries.is_fresh());
        let is_bound = bound.is_some();
        let connection = match bound {
            None if tries.is_fresh() => None,
            None => pooled(&client.state().context, destination, ask),
            bound => bound,
        }?;
        Some(Self::new(connection, plan, (true, is_bound)))
    }

    async fn reach(
        client: &mut C,
        plan: &Plan,
        destination: &Destination,
        _: &Retries,
    ) -> Result<Self, Failure> {
        let connection = Box::pin(connect(client, destination)).await?;
        Ok(Self::new(connection, plan, (false, false)))
    }

    fn send(&mut self, _: &C, plan: &mut Plan, _: &Destination) -> Result<(), Failure> {
        self.http1.begin(std::mem::take(&mut plan.head), plan.request.framing == Framing::Chunked);
        Ok(())
    }

    fn socket(&self) -> Option<RawFd> {
        Some(self.http1.stream.socket())
    }

    fn body(&mut self) -> &mut Http1<Connection> {
        &mut self.http1
    }

    fn poll_heard(&mut self, cx: &mut TaskContext<'_>, room: usize) -> Poll<Result<(), Failure>> {
        let Http1 { buffer, stream, .. } = &mut self.http1;
        // Who waits for an answer needs no room for it before it comes.
        if !buffer.has_memory()
            && !std::mem::replace(&mut self.waited, true)
            && let Some(socket) = stream.bare()
            && socket.poll_read_ready(cx).is_pending()
        {
            return Poll::Pending;
        }
        let (limit, most) = (MAX_RESPONSE_HEAD + BUFFER_SIZE, room.max(LEAST_READ));
        match buffer.poll_fill_part(cx, stream, limit, most) {
            Poll::Pending => {
                buffer.let_go();
                Poll::Pending
            }
            Poll::Ready(Ok(1..)) => {
                self.heard = true;
                Poll::Ready(Ok(()))
            }
            // The connection is over (RFC 9110, section 9.2.2; RFC 9112, section 9.3.1).
            Poll::Ready(ended) => {
                let failure = Failure::of_ended(ended.err().as_ref(), !self.http1.buffer.is_empty());
                let harmless = self.repeatable && !self.heard;
                let retry = if harmless { Retry::Ended { reused: self.reused } } else { Retry::Never };
                Poll::Ready(Err(failure.retried(retry)))
            }
        }
    }

    fn take_head<R>(
        &mut self,
        plan: &Plan,
        look: impl FnOnce(&Response<'_>) -> Result<R, Failure>,
    ) -> Result<Option<R>, Failure> {
        let bytes = self.http1.buffer.bytes();
        if !self.pieces.is_worth_parsing(bytes) {
            return Ok(None);
        }
        let (looked, length, framing) = {
            let mut response = Response::default();
            match response.read(bytes, plan.request.to_head) {
                Ok(true) => {}
                Ok(false) => {
                    self.pieces.are_not_all(bytes.len());
                    return Ok(None);
                }
                Err(error) => return Err(causes_of(error).1.into()),
            }
            if has_bare_line_end(&response, bytes) {
                return Err(Cause::TargetLineEndInvalid.into());
            }
            let looked = look(&response)?;
            self.keep_alive = response.keep_alive;
            // Who shares this client's connection would share its identity.
            self.private |= is_challenge(&response);
            (looked, response.length, response.framing)
        };
        self.http1.buffer.consume(length);
        self.http1.expect(framing, None);
        self.pieces = HeadInPieces::default();
        Ok(Some(looked))
    }

    fn body_failed(&self, error: std::io::Error) -> Failure {
        Failure::of_read(&error)
    }

    fn finish(self, client: &mut C, plan: &mut Plan, destination: &Destination, is_whole: bool) {
        let Self { mut http1, private, keep_alive, .. } = self;
        let context = &client.state().context;
        plan.head = http1.take_memory();
        let is_clean = http1.buffer.is_empty();
        http1.buffer.discard();
        if is_whole && is_clean && keep_alive && !plan.request.isolated && !context.draining.get() {
            if private {
                client.bind(destination, http1.stream);
            } else {
                context.pool.borrow_mut().give(destination, http1.stream, context.clock.millis());
            }
        }
    }
}
