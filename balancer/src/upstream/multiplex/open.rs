//! Opening a connection that requests share, and those who wait for it. Must not know: what is asked.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::{Rc, Weak},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, client};
use tokio::{
    sync::Notify,
    task::spawn_local,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::shared::{Room, Shared};
use crate::{
    counters::{Cause, Failure},
    panics,
    upstream::http2_failure::is_closed,
    upstream::{Connection, Counting, Destination},
    wire::screen::Screened,
};

/// What a response may be ahead of its client; and as much for each at once.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;
/// What a request's body may be ahead of the target's connection.
const SEND_BUFFER: usize = 64 * 1024;
/// Largest response head as the engine counts it: more than [`Screened`] gives it of any. The exact limit is for who reads it.
const HEAD_LIST: u32 = 192 * 1024;

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
struct EndsConnection(Weak<Shared>);

impl Drop for EndsConnection {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.end();
        }
    }
}

/// The target does not speak HTTP/2, by an error or by closing the connection, which is a broken pipe to the engine at
/// times.
#[cold]
fn unspoken(error: Option<&h2::Error>) -> Failure {
    match error {
        Some(error) if !error.get_io().is_some_and(is_closed) => {
            Failure::with(Cause::TargetHttp2Failed, error)
        }
        _ => Failure::with(Cause::TargetHttp2Failed, &"it closed the connection"),
    }
}

/// Streams that were reset here and are kept in mind, for as long as something of them may be on its way.
const MOST_RESET_STREAMS: usize = 8192;

/// What small DATA frames may cost that nobody has looked at yet, as the engine reckons: up to 256 bytes each.
const SMALL_FRAMES: usize = 16 << 20;

/// Begins with HTTP/2 on a connection. It is there when the target has told its settings and answered a PING: it
/// speaks HTTP/2, and its limit is known before the first request. Runs in tasks of its own from then on.
async fn begin(stream: Connection, room: &Rc<Room>) -> Result<OpenedConnection, Failure> {
    stream.probe_when_silent();
    let resumed = stream.is_resumed();
    let (sender, mut connection) = client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEAD_LIST)
        // What was sent for a stream before its reset was heard of is no fault of anybody's, however many were reset.
        .max_concurrent_reset_streams(MOST_RESET_STREAMS)
        .max_local_error_reset_streams(None)
        .data_frame_budget(SMALL_FRAMES)
        .handshake::<_, Bytes>(Screened::of_target(stream))
        .await
        .map_err(|error| unspoken(Some(&error)))?;
    let mut pings = connection.ping_pong().ok_or(Cause::TargetHttp2Failed)?;
    {
        let pong = pin!(pings.ping(Ping::opaque()));
        tokio::select! {
            biased;
            answered = pong => {
                answered.map_err(|error| unspoken(Some(&error)))?;
            }
            ended = &mut connection => {
                return Err(unspoken(ended.err().as_ref()));
            }
        }
    }
    let shared = Rc::new(Shared::new(sender, Rc::clone(room)));
    let (ending, room) = (EndsConnection(Rc::downgrade(&shared)), Rc::clone(room));
    spawn_local(async move {
        let mut connection = pin!(connection);
        let _ = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            // The target may allow more than it did.
            if room.is_awaited()
                && let Some(shared) = ending.0.upgrade()
            {
                shared.look_for_room();
            }
            polled
        })
        .await;
    });
    Ok(OpenedConnection { shared, resumed })
}

/// How long opening a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For connecting; without TLS HTTP/2 has to begin in this time, too.
    pub connect: Duration,
    /// For the TLS handshake and, as long again, for the beginning of HTTP/2.
    pub handshake: Duration,
}

/// Opens a connection for `opener`, by `connector` where the destination has TLS.
///
/// # Errors
/// It cannot be had.
pub async fn open(
    patience: Patience,
    destination: &Destination,
    connector: Option<TlsConnector>,
    counting: &Counting,
    opener: &Opener,
    connected: impl FnOnce(),
) -> Result<OpenedConnection, Failure> {
    panics::provoke(b"open-http2");
    let mut end = Instant::now() + patience.connect;
    let mut connection = timeout_at(end, Connection::open(destination, counting))
        .await
        .map_err(|_| Cause::TargetConnectionTimedOut)?
        .map_err(|error| Failure::of_connect(&error.0))?;
    connected();
    if let Some(connector) = connector {
        end = Instant::now() + patience.handshake;
        connection = timeout_at(end, connection.secure(destination, connector, counting))
            .await
            .map_err(|_| Cause::TargetTlsTimedOut)?
            .map_err(|error| Failure::with(Cause::TargetTlsFailed, &error))?;
        end = Instant::now() + patience.handshake;
    }
    timeout_at(end, begin(connection, &opener.room)).await.map_err(|_| Cause::TargetHttp2TimedOut)?
}
