//! A connection to a target that requests share: who drives it, and who opens streams on it. Must not know: who asks, and what.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{answers::StreamEnd, core::Core, fault::StreamFault, stream::Http2Stream, transport::Transport};
use crate::wire::buffer::BufferStore;

/// What drives the connection: it has to be polled for anything to move. Once it is dropped, the connection is over.
#[derive(Debug)]
pub struct Client<S> {
    core: Rc<RefCell<Core>>,
    transport: Transport<S>,
}

/// What opens streams. Once it is dropped, the connection ends with those that are open.
#[derive(Debug)]
pub struct Requester {
    core: Rc<RefCell<Core>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Begins with HTTP/2 on `stream`.
    #[must_use]
    pub fn new(stream: S, now_millis: u64) -> (Self, Requester) {
        let mut core = Core::to_target(now_millis);
        core.greet();
        let core = Rc::new(RefCell::new(core));
        (Self { core: Rc::clone(&core), transport: Transport::new(stream) }, Requester { core })
    }

    /// Moves what there is. Ready when the connection is over.
    pub fn poll(&mut self, cx: &mut Context<'_>, buffers: &BufferStore, now_millis: u64) -> Poll<()> {
        self.transport.poll(cx, &mut self.core.borrow_mut(), buffers, now_millis)
    }

    /// Whether the target speaks HTTP/2: it has told its settings and answered.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.core.borrow().is_greeted()
    }

    /// Why the connection is over.
    #[must_use]
    pub fn ending(&self) -> StreamEnd {
        self.core.borrow().ending(StreamFault::Lost)
    }
}

impl<S> Drop for Client<S> {
    fn drop(&mut self) {
        self.core.borrow_mut().lose();
    }
}

impl Requester {
    /// Whether the connection may take more requests.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.core.borrow().is_open()
    }

    /// How many requests the connection takes at a time.
    #[must_use]
    pub fn most_requests(&self) -> usize {
        self.core.borrow().most_requests()
    }

    /// It is not used now: memory that many requests took is let go.
    pub fn rest(&self) {
        self.core.borrow_mut().shrink();
    }

    /// A stream for a request, which is nothing to the target until it is sent.
    #[must_use]
    pub fn reserve(&self) -> Http2Stream {
        let place = self.core.borrow_mut().reserve();
        Http2Stream::new(&self.core, place)
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.core.borrow_mut().let_go();
    }
}
