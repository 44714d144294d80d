//! The requests of one HTTP/1.1 connection, one after the other: reads heads, has each request carried out, and ends the
//! connection in a way that lets the client read what it was sent.

use std::{future::poll_fn, os::fd::AsRawFd as _, rc::Rc, task::Poll, time::Duration};

use tokio::io::AsyncWriteExt as _;

use super::client::{After, Http1Client};
use crate::{
    counters::{Cause, causes_of},
    http::{
        accepted::ClientConnection,
        context::Context,
        decide::{forward::Route, plan::Plan, refusal::Refusal},
        entry::AccessEntry,
        exchange::exchange,
    },
    internal_errors::Part as _,
    kernel::unacknowledged,
    response::answer::Answer,
    wire::{
        body::{Discard, Source as _, poll_move},
        buffer::BUFFER_SIZE,
        deadline::{Interrupt, Watch},
        head::{Framing, HeadError, HeadScanner, MAX_REQUEST_HEAD},
        http1::Http1,
    },
};

/// How long a connection that was ended after an answer may still send, so that the answer is not lost
/// (RFC 9112, section 9.6), and how much.
const LINGER: Duration = Duration::from_secs(2);
pub(super) const LINGER_BYTES: usize = 1 << 20;

/// Most that is read of a head, and with it.
const MOST_READ: usize = MAX_REQUEST_HEAD + BUFFER_SIZE;

/// What reading a head came to.
enum Reading {
    Head(usize),
    Nothing,
    Refused(Cause),
    /// Nothing has come for a while.
    Parks,
}

/// How serving a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Over,
    /// It has been idle for a while.
    Parks,
}

/// Serves the connection in `slot` to its end, or until it has been idle for a while: then it is there again.
pub(crate) async fn serve(context: &Rc<Context>, slot: &mut Option<ClientConnection>) {
    let Some(connection) = slot.take() else { return };
    let mut client = Http1Client::new(Rc::clone(context), connection);
    let ended = client.run().await;
    context.buffers.give(std::mem::take(&mut client.http1.buffer));
    if ended == Ended::Parks {
        *slot = Some(client.into_connection());
    }
}

impl Http1Client {
    async fn run(&mut self) -> Ended {
        loop {
            let length = match self.read_head().await {
                Reading::Head(length) => length,
                Reading::Nothing => {
                    self.state.entry.forget();
                    return Ended::Over;
                }
                Reading::Parks => {
                    // Of what began as a request nothing but an empty line came.
                    self.state.entry.forget();
                    return Ended::Parks;
                }
                Reading::Refused(cause) => {
                    self.count_received(self.http1.buffer.len() as u64);
                    self.answer(&Answer::error(cause), false, false).await;
                    self.state.end();
                    self.linger().await;
                    return Ended::Over;
                }
            };
            if let Some(view) = self.state.context.view(self.state.listener.id) {
                (self.snapshot, self.state.listener) = view;
            }
            // Who has not shown what is asked for now has to come again.
            if !self.connected.suits(&self.state.listener) {
                return Ended::Over;
            }
            // Stays where it was made: it is large.
            let after = match &mut self.plan(length) {
                Ok(plan) => self.carry_out(plan).await,
                Err(refusal) => self.refuse(refusal).await,
            };
            self.state.watch().set_registration(None);
            self.state.end();
            match after {
                After::Reuse => {}
                After::Unread if Box::pin(self.drop_rest()).await => {}
                After::Close if self.is_done().await => return Ended::Over,
                After::Unread | After::Close => {
                    self.linger().await;
                    return Ended::Over;
                }
                After::Gone => return Ended::Over,
            }
        }
    }

    fn plan(&mut self, length: usize) -> Result<Plan, Refusal> {
        let read = self.http1.buffer.bytes();
        let (bytes, body) = (read.part(..length), read.part(length..));
        let route = Route {
            load_balancer: &self.state.listener.load_balancer,
            port: self.state.listener.port,
            secure: self.state.secure,
            connected: &self.connected,
            tls_fields: &self.state.listener.tls_fields,
            body,
        };
        let memory = self.state.context.heads.take();
        let plan = Plan::make(
            &self.state.context,
            &self.snapshot,
            &self.state.listener,
            &route,
            bytes,
            memory,
            &mut self.state.entry,
        );
        self.http1.buffer.consume(length);
        self.count_received(length as u64);
        plan
    }

    async fn carry_out(&mut self, plan: &mut Plan) -> After {
        self.http1.start(plan.request.framing, &self.state.listener.trailers);
        if !self.bound.is_empty() {
            plan.prefer(|slot| self.bound.is_to(slot));
        }
        // One that may be misunderstood is not taken at its word.
        // Behind a body some send a line end that is none of it.
        let is_bare = plan.request.framing == Framing::Empty;
        self.is_last = is_bare && !plan.request.keep_alive && !plan.request.isolated;
        let after = exchange(self, plan).await;
        let heads = &self.state.context.heads;
        heads.give(std::mem::take(&mut plan.head));
        heads.give(self.http1.take_memory());
        after
    }

    async fn refuse(&mut self, refusal: &Refusal) -> After {
        let keep = refusal.traits.is_some_and(|traits| traits.keep_alive && traits.framing == Framing::Empty);
        let to_head = refusal.traits.is_some_and(|traits| traits.to_head);
        self.answer(&refusal.answer, keep && self.may_stay(), to_head).await
    }

    /// Reads until a whole head is buffered.
    async fn read_head(&mut self) -> Reading {
        let mut scanner = HeadScanner::default();
        let mut begun = false;
        let watch = Rc::clone(self.state.watch());
        if !std::mem::take(&mut self.armed) {
            self.state.arm_idle();
        }
        // What has come in the meantime was sent because the last response promised that more may; a first request may be under
        // way.
        let is_asked = self.may_stay() || watch.is_new() || !self.http1.buffer.is_empty();
        if !is_asked && !self.http1.stream.has_input_now() {
            return Reading::Nothing;
        }
        loop {
            self.skip_empty_lines();
            if self.http1.buffer.is_empty() {
                match self.wait_idle(&watch).await {
                    None => continue,
                    Some(ended) => return ended,
                }
            }
            watch.set_idle(false);
            if !std::mem::replace(&mut begun, true) {
                self.begin_entry();
            }
            match scanner.find_end(self.http1.buffer.bytes()) {
                Ok(Some(length)) => return Reading::Head(length),
                Ok(None) => {}
                // What a lone CR begins is not known yet.
                Err(HeadError::Malformed) if self.http1.buffer.bytes() == b"\r" => {}
                Err(error) => return Reading::Refused(causes_of(error).0),
            }
            self.state.has_waited();
            let Http1 { buffer, stream, .. } = &mut self.http1;
            match watch.within(poll_fn(|cx| buffer.poll_fill(cx, stream, MOST_READ))).await {
                Ok(Ok(1..)) => {}
                Err(Interrupt::TimedOut) => return Reading::Refused(Cause::RequestTimedOut),
                _ => return Reading::Nothing,
            }
        }
    }

    /// Waits for the first bytes of a head, without memory for them until they are there. Something: none came.
    async fn wait_idle(&mut self, watch: &Watch) -> Option<Reading> {
        loop {
            self.state.context.buffers.give(std::mem::take(&mut self.http1.buffer));
            watch.set_idle(true);
            let parks = self.can_park();
            let readable = poll_fn(|cx| self.http1.stream.poll_read_ready(cx));
            let readable = match parks {
                true => watch.within_or_park(readable).await,
                false => watch.within(readable).await,
            };
            match readable {
                Ok(Ok(())) => {}
                Err(Interrupt::Park) => return Some(Reading::Parks),
                // Its next request has come, of which the runtime has not heard yet.
                Err(Interrupt::Closing) if self.http1.stream.has_input_now() => {}
                _ => return Some(Reading::Nothing),
            }
            self.http1.buffer = self.state.context.buffers.take();
            let Http1 { buffer, stream, .. } = &mut self.http1;
            match poll_fn(|cx| Poll::Ready(buffer.poll_fill(cx, stream, MOST_READ))).await {
                Poll::Ready(Ok(1..)) => return None,
                Poll::Ready(_) => return Some(Reading::Nothing),
                // It was announced in error, or is not enough to be read.
                Poll::Pending => {}
            }
        }
    }

    /// A request begins, which is logged as the configuration of now has it.
    fn begin_entry(&mut self) {
        self.state.has_waited();
        let began = self.state.now();
        self.state.began = Some(began);
        let snapshot = self.state.context.snapshot();
        let listener = match snapshot.listener(self.state.listener.id) {
            Some(listener) => listener,
            None => {
                if let Some(view) = self.state.context.view(self.state.listener.id) {
                    (self.snapshot, self.state.listener) = view;
                }
                &self.state.listener
            }
        };
        self.state.entry = AccessEntry::begin(&self.state.context, listener, &self.connected, began);
    }

    /// Empty lines before a request line are ignored (RFC 9112, section 2.2).
    fn skip_empty_lines(&mut self) {
        while self.http1.buffer.bytes().starts_with(b"\r\n") {
            self.http1.buffer.consume(2);
        }
    }

    /// The whole response is out before the whole request has come, and says that the connection stays: what is left is taken
    /// and dropped, for the next request stands behind it. Whether there can be one.
    #[cold]
    async fn drop_rest(&mut self) -> bool {
        self.state.arm_idle();
        let watch = Rc::clone(self.state.watch());
        let (before, mut rest) = (self.http1.taken(), Discard::new(LINGER_BYTES));
        let dropped = watch.within(poll_fn(|cx| poll_move(cx, &mut self.http1, &mut rest))).await;
        self.count_moved(self.http1.taken() - before, 0);
        self.state.has_waited();
        matches!(dropped, Ok(Ok(())))
    }

    /// Whether nothing can destroy the answer on its way any more: it has arrived, and the client has sent all of its last request
    /// and nothing else. Whatever comes for a socket that is closed resets the connection, and what waits to be sent is gone.
    async fn is_done(&mut self) -> bool {
        if !self.is_last || self.state.secure || !self.http1.is_read() || !self.http1.buffer.is_empty() {
            return false;
        }
        let socket = self.http1.stream.socket().map(|socket| socket.as_raw_fd());
        if socket.and_then(unacknowledged) != Some(0) {
            return false;
        }
        // What the runtime has not heard of can still come: a request behind the last one, which nobody may send (RFC 9112, 9.6).
        let stream = &mut self.http1.stream;
        poll_fn(|cx| Poll::Ready(stream.poll_read_ready(cx).is_pending())).await
    }

    /// Says that nothing more comes, and reads what the client still sends, so that closing does not
    /// destroy the answer on its way.
    async fn linger(&mut self) {
        self.state.arm(LINGER);
        let watch = Rc::clone(self.state.watch());
        if !matches!(watch.within(self.http1.stream.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        let Http1 { buffer, stream, .. } = &mut self.http1;
        let mut read = 0;
        let drain = poll_fn(|cx| {
            loop {
                buffer.consume(usize::MAX);
                match buffer.poll_fill(cx, stream, BUFFER_SIZE) {
                    Poll::Ready(Ok(n @ 1..)) if read < LINGER_BYTES => read += n,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let _ = watch.within(drain).await;
    }
}
