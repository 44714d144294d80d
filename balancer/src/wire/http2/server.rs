//! The core of a connection and its byte stream: what comes goes in, what it has to say goes out, all that streams said
//! meanwhile in one piece. Must not know: what is done with requests.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite as _;

use super::{
    block::Block,
    core::{Core, Leaving},
    fault::Violation,
    input::Input,
    resting::Resting,
    stream::Http2Stream,
};
use crate::wire::{
    buffer::{BUFFER_SIZE, Buffer, BufferStore},
    client_stream::ClientStream,
};

/// What happens on a connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Event {
    /// A request comes.
    Request(Http2Stream, Box<Block>),
    /// The client has violated HTTP/2. It is told; that goes out as the connection is polled on.
    Violated(Violation),
    /// The connection is over.
    Over,
}

/// The core. Once it is dropped, whoever has a stream of it sees that the connection is over.
#[derive(Debug)]
struct OwnCore(Rc<RefCell<Core>>);

impl OwnCore {
    fn new(core: Core) -> Self {
        Self(Rc::new(RefCell::new(core)))
    }
}

impl Drop for OwnCore {
    fn drop(&mut self) {
        self.0.borrow_mut().lose();
    }
}

/// A connection of a client.
#[derive(Debug)]
pub struct Server {
    stream: ClientStream,
    /// What has come and is not taken in.
    buffer: Buffer,
    input: Input,
    core: OwnCore,
    is_told: bool,
    /// Whether all that was written went out.
    is_flushed: bool,
    received: u64,
    sent: u64,
}

impl Server {
    /// `before` is what was already read of `stream`.
    #[must_use]
    pub fn new(stream: ClientStream, before: Buffer, now_millis: u64) -> Self {
        let core = OwnCore::new(Core::new(now_millis));
        let received = before.len() as u64;
        let input = Input::new();
        Self { stream, buffer: before, input, core, is_told: false, is_flushed: false, received, sent: 0 }
    }

    /// One that goes on as it was when it came to [`Self::rest`].
    #[must_use]
    pub fn resumed(stream: ClientStream, resting: Resting) -> Self {
        let core = OwnCore::new(Core::resumed(resting));
        Self {
            stream,
            buffer: Buffer::default(),
            input: Input::new(),
            core,
            is_told: false,
            is_flushed: true,
            received: 0,
            sent: 0,
        }
    }

    /// Whether nothing is under way, and all that there is to be known is what it would leave.
    #[must_use]
    pub fn may_rest(&mut self) -> bool {
        self.buffer.is_empty() && self.is_clean() && self.stream.is_still() && self.core.0.borrow().may_rest()
    }

    /// Leaves the stream, and what is to be remembered.
    #[must_use]
    pub fn rest(self) -> (ClientStream, Resting) {
        let resting = self.core.0.borrow_mut().take_rest();
        (self.stream, resting)
    }

    /// Whether the client has begun as it has to.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.core.0.borrow().has_begun()
    }

    /// Bytes read since the last call.
    pub fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Bytes written since the last call.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Whether nothing waits to be written.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_flushed && self.core.0.borrow().output().is_empty()
    }

    /// Whether the client is to be told to go, as one of those that hold much of what all connections may.
    #[must_use]
    pub fn has_to_go(&self) -> bool {
        let core = self.core.0.borrow();
        let has_to_go = core.has_to_go();
        if has_to_go {
            core.account.budget.count_sent_away();
        }
        has_to_go
    }

    /// Tells the client to open no more streams; those that it has opened are served.
    pub fn leave(&mut self) {
        self.core.0.borrow_mut().leave();
    }

    /// The same, once all that it has asked for is answered, or what it asks for next.
    pub fn leave_behind_answers(&mut self) {
        self.core.0.borrow_mut().leave_behind_answers();
    }

    /// Whether the client is told so.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.core.0.borrow().leaving == Leaving::Told
    }

    /// What streams say from here on goes out with the next [`Self::poll_event`], which nobody has to be woken for.
    pub fn wake_up(&mut self) {
        self.core.0.borrow_mut().wake_up();
    }

    /// The next thing that happens. `buffers` has memory for what comes: a connection at rest has none.
    pub fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &BufferStore,
        now_millis: u64,
    ) -> Poll<Event> {
        loop {
            let mut core = self.core.0.borrow_mut();
            core.credit.pass_time(now_millis);
            if !self.buffer.is_empty() {
                let length = core.receive(self.buffer.bytes());
                self.buffer.consume(length);
            }
            if let Some(accepted) = core.accepted.pop_front() {
                drop(core);
                let stream = Http2Stream::new(&self.core.0, accepted.place);
                return Poll::Ready(Event::Request(stream, accepted.head));
            }
            if let (Some(violation), false) = (core.violation, self.is_told) {
                self.is_told = true;
                return Poll::Ready(Event::Violated(violation));
            }
            let may_read = core.may_read();
            drop(core);
            if may_read {
                match self.poll_fill(cx, buffers) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(_) => {
                        self.core.0.borrow_mut().lose();
                        return Poll::Ready(Event::Over);
                    }
                    Poll::Pending => {}
                }
            }
            return self.poll_write_all(cx, buffers);
        }
    }

    /// Reads once. A connection without anything to be read has no memory for it.
    fn poll_fill(&mut self, cx: &Context<'_>, buffers: &BufferStore) -> Poll<io::Result<usize>> {
        let Self { stream, buffer, input, received, .. } = self;
        let polled = input.poll(cx, |cx, has_called| {
            // Memory is taken for what is there, and where the socket has called it is.
            if buffer.is_empty() && !has_called {
                ready!(stream.poll_read_ready(cx))?;
            }
            if !buffer.has_memory() {
                *buffer = buffers.take();
            }
            buffer.poll_fill(cx, stream, BUFFER_SIZE)
        });
        match &polled {
            Poll::Ready(Ok(read)) => *received += *read as u64,
            Poll::Pending if buffer.is_empty() && buffer.has_memory() => {
                buffers.give(std::mem::take(buffer));
            }
            _ => {}
        }
        polled
    }

    /// Writes all that there is. Ready when that is the end of the connection.
    fn poll_write_all(&mut self, cx: &mut Context<'_>, buffers: &BufferStore) -> Poll<Event> {
        let mut core = self.core.0.borrow_mut();
        core.leave_if_due();
        let could_not_read = !core.may_read();
        drop(core);
        if let Poll::Ready(Err(_)) = self.poll_write(cx) {
            self.core.0.borrow_mut().lose();
            return Poll::Ready(Event::Over);
        }
        let mut core = self.core.0.borrow_mut();
        core.settle();
        core.sleep(cx);
        if core.wake_waiting() {
            cx.waker().wake_by_ref();
        }
        if could_not_read && core.may_read() {
            // What comes is looked at again.
            cx.waker().wake_by_ref();
        }
        let is_over = core.is_done() && core.output().is_empty() && self.is_flushed;
        if is_over && core.says_farewell() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        drop(core);
        if !is_over {
            return Poll::Pending;
        }
        let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        buffers.give(std::mem::take(&mut self.buffer));
        self.core.0.borrow_mut().lose();
        Poll::Ready(Event::Over)
    }

    /// Writes what there is.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut core = self.core.0.borrow_mut();
        while !core.output().is_empty() {
            self.is_flushed = false;
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, core.output()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written as u64;
            core.wrote(written);
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
