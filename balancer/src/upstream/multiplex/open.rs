//! Opening a connection that requests share, and those who wait for it. Must not know: what is asked.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::shared::{Room, Shared};
use crate::{
    clock::monotonic_now,
    counters::{Cause, Failure},
    kernel::Timers,
    panics,
    upstream::{Connection, Counting, Destination},
    wire::{
        buffer::BufferStore,
        http2::{Client, StreamEnd},
    },
};

/// A connection that is being opened, awaited by all requests that need it.
#[derive(Debug, Default)]
pub struct Opening {
    done: Notify,
    failed: RefCell<Option<Failure>>,
    over: Cell<bool>,
    /// Whether a request has told of its failure.
    told: Cell<bool>,
}

impl Opening {
    /// Waits until it is open.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn wait(&self) -> Result<(), Failure> {
        let done = self.done.notified();
        if !self.over.get() {
            done.await;
        }
        let failed = self.failed.borrow().clone();
        failed.map_or(Ok(()), |failure| Err(self.of_all(failure)))
    }

    /// How it failed all who waited for it: it is one failure of the target, which the first of them tells of.
    #[cold]
    pub fn of_all(&self, failure: Failure) -> Failure {
        Failure { is_told: self.told.replace(true), ..failure }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }
}

/// The side that opens the connection. Whatever becomes of it, those who wait are told: dropped without a word,
/// as a panic drops it, the connection has failed.
#[derive(Debug)]
pub struct Opener {
    opening: Rc<Opening>,
    pub(super) room: Rc<Room>,
}

impl Opener {
    pub(super) fn new(room: &Rc<Room>) -> (Self, Rc<Opening>) {
        let opening = Rc::new(Opening::default());
        (Self { opening: Rc::clone(&opening), room: Rc::clone(room) }, opening)
    }

    pub(super) fn end(self, failed: Option<Failure>) {
        self.opening.failed.replace(failed);
        self.tell();
    }

    fn tell(&self) {
        if !self.opening.over.replace(true) {
            self.opening.done.notify_waiters();
            // Without it, who waits for room has to see for itself.
            if self.opening.failed.borrow().is_some() {
                self.room.tell(usize::MAX);
            }
        }
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        if !self.opening.over.get() {
            self.opening.failed.replace(Some(Cause::TargetHttp2Failed.into()));
        }
        self.tell();
    }
}

/// An opened connection that no request has yet.
#[derive(Debug)]
pub struct OpenedConnection {
    pub(super) shared: Rc<Shared>,
    /// Whether its TLS handshake took up an earlier session.
    pub resumed: bool,
}

/// Has a connection end for those who use it however its task does. The task does not keep it: a connection that
/// nobody holds is closed.
#[derive(Debug)]
struct EndsConnection(Weak<Shared>);

impl Drop for EndsConnection {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.end();
        }
    }
}

/// What an opened connection is driven by: it has to be polled for anything to move.
#[derive(Debug)]
pub struct Driver {
    client: Client<Connection>,
    ending: EndsConnection,
    room: Rc<Room>,
}

impl Driver {
    /// Moves what there is. Ready when the connection is over.
    pub fn poll(&mut self, cx: &mut Context<'_>, buffers: &BufferStore, now_millis: u64) -> Poll<()> {
        let polled = self.client.poll(cx, buffers, now_millis);
        // The target may allow more than it did.
        if self.room.is_awaited()
            && let Some(shared) = self.ending.0.upgrade()
        {
            shared.look_for_room();
        }
        polled
    }
}

/// The target does not speak HTTP/2, by an error or by closing the connection.
#[cold]
fn unspoken(ending: &StreamEnd) -> Failure {
    match ending {
        StreamEnd::Closed => Failure::with(Cause::TargetHttp2Failed, &"it closed the connection"),
        other => Failure::with(Cause::TargetHttp2Failed, other),
    }
}

/// Begins with HTTP/2 on a connection. It is there when the target has told its settings and answered a PING: it
/// speaks HTTP/2, and its limit is known before the first request.
async fn begin(
    stream: Connection,
    room: &Rc<Room>,
    buffers: &BufferStore,
    now_millis: u64,
) -> Result<(OpenedConnection, Driver), Failure> {
    stream.probe_when_silent();
    let (resumed, socket) = (stream.is_resumed(), stream.socket());
    let (mut client, requester) = Client::new(stream, now_millis);
    poll_fn(|cx| match client.poll(cx, buffers, now_millis) {
        Poll::Ready(()) => Poll::Ready(Err(unspoken(&client.ending()))),
        Poll::Pending if client.is_greeted() => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    let shared = Rc::new(Shared::new(requester, Rc::clone(room), socket));
    let ending = EndsConnection(Rc::downgrade(&shared));
    Ok((OpenedConnection { shared, resumed }, Driver { client, ending, room: Rc::clone(room) }))
}

/// How long opening a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For connecting; without TLS HTTP/2 has to begin in this time, too.
    pub connect: Duration,
    /// For the TLS handshake and, as long again, for the beginning of HTTP/2.
    pub handshake: Duration,
}

/// Opens a connection for `opener`, by `connector` where the destination has TLS. `buffers` has memory for what comes, `timers`
/// those who wait, and `now` tells the time.
///
/// # Errors
/// It cannot be had.
pub async fn open(
    patience: Patience,
    destination: &Destination,
    connector: Option<TlsConnector>,
    counting: &Counting,
    opener: &Opener,
    (buffers, timers, now): (&BufferStore, &Timers, impl Fn() -> u64),
    connected: impl FnOnce(),
) -> Result<(OpenedConnection, Driver), Failure> {
    panics::provoke(b"open-http2");
    let mut end = monotonic_now() + patience.connect;
    let mut connection = timers
        .within(end, Connection::open(destination, counting))
        .await
        .ok_or(Cause::TargetConnectionTimedOut)?
        .map_err(|error| Failure::of_connect(&error.0))?;
    connected();
    if let Some(connector) = connector {
        end = monotonic_now() + patience.handshake;
        connection = timers
            .within(end, connection.secure(destination, connector, counting))
            .await
            .ok_or(Cause::TargetTlsTimedOut)?
            .map_err(|error| Failure::with(Cause::TargetTlsFailed, &error))?;
        end = monotonic_now() + patience.handshake;
    }
    timers
        .within(end, begin(connection, &opener.room, buffers, now()))
        .await
        .ok_or(Cause::TargetHttp2TimedOut)?
}
