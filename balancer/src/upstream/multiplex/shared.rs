//! One connection that requests share, and the leases of it. Must not know: how it was opened, where it leads.

use std::{cell::Cell, os::fd::RawFd, rc::Rc};

use tokio::sync::Notify;

use crate::wire::http2::{Http2Stream, Requester};

/// Where requests wait for a lease at a target whose connections are all full. First come is first told.
#[derive(Debug, Default)]
pub struct Room {
    freed: Notify,
    waiting: Cell<usize>,
}

impl Room {
    /// Waits until there may be a lease to be had; who was told looks for it at once, or waits again. Dropping the future
    /// passes the word on to the next.
    pub async fn wait(&self) {
        struct Waiting<'a>(&'a Cell<usize>);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get().saturating_sub(1));
            }
        }
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(&self.waiting);
        self.freed.notified().await;
    }

    /// Tells as many as there is room for that there is some.
    pub(super) fn tell(&self, streams: usize) {
        for _ in 0..streams.min(self.waiting.get()) {
            self.freed.notify_one();
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.get() > 0
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Shared {
    requester: Requester,
    active: Cell<usize>,
    over: Cell<bool>,
    /// Whether it takes no more requests once those that are on it are over.
    private: Cell<bool>,
    idle_since: Cell<u64>,
    /// The how manieth of its worker it is.
    number: Cell<u64>,
    room: Rc<Room>,
    /// The socket underneath, for as long as the connection is there.
    socket: RawFd,
}

impl Shared {
    pub(super) fn new(requester: Requester, room: Rc<Room>, socket: RawFd) -> Self {
        Self {
            requester,
            active: Cell::new(0),
            over: Cell::new(false),
            private: Cell::new(false),
            idle_since: Cell::new(0),
            number: Cell::new(0),
            room,
            socket,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number.get()
    }

    pub(super) fn take_number(&self, number: u64) {
        self.number.set(number);
    }

    fn free(&self) -> usize {
        if self.over.get() || self.private.get() {
            return 0;
        }
        self.requester.most_requests().saturating_sub(self.active.get())
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get() || !self.requester.is_open()
    }

    /// Whether no request is on it.
    pub(super) fn is_unused(&self) -> bool {
        self.active.get() == 0
    }

    /// What many requests took is let go, where none is on it.
    pub(super) fn rest(&self) {
        if self.is_unused() {
            self.requester.rest();
        }
    }

    pub(super) fn idle_since(&self) -> u64 {
        self.idle_since.get()
    }

    pub(super) fn touch(&self, now_millis: u64) {
        self.idle_since.set(now_millis);
    }

    /// Takes no more requests. Who waits for room may have another connection now.
    pub(super) fn end(&self) {
        if !self.over.replace(true) {
            self.room.tell(usize::MAX);
        }
    }

    /// Looks whether the target allows more than it did, where anybody waits for that.
    pub(super) fn look_for_room(&self) {
        if !self.room.is_awaited() {
            return;
        }
        if self.requester.is_open() {
            self.room.tell(self.free());
        } else {
            self.end();
        }
    }

    /// A lease, if there is room for a stream and the target has not said that it ends it.
    pub(super) fn lease(self: &Rc<Self>) -> Option<Lease> {
        if self.free() == 0 {
            if !self.requester.is_open() {
                self.end();
            }
            return None;
        }
        self.active.set(self.active.get() + 1);
        Some(Lease { stream: self.requester.reserve(), shared: Rc::clone(self), reused: true })
    }
}

/// A stream's place on a connection, for one request.
#[derive(Debug)]
pub struct Lease {
    /// The stream, on which nothing was sent yet.
    pub stream: Http2Stream,
    shared: Rc<Shared>,
    /// Whether the connection was there before the request.
    pub reused: bool,
}

impl Lease {
    /// Nothing more is to be sent on the connection.
    pub fn retire(&self) {
        self.shared.end();
    }

    /// Nobody else is to have a lease of the connection any more; it ends with what is on it.
    pub fn close_to_others(&self) {
        self.shared.private.set(true);
    }

    /// The socket of the connection, for as long as that is there.
    #[must_use]
    pub fn socket(&self) -> RawFd {
        self.shared.socket
    }

    /// Notes when the connection was last used.
    pub fn touch(&self, now_millis: u64) {
        self.shared.touch(now_millis);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.active.set(self.shared.active.get().saturating_sub(1));
        if self.shared.private.get() {
            self.shared.end();
        }
        self.shared.look_for_room();
    }
}
