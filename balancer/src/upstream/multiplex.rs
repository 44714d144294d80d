//! Connections of one worker to targets that speak HTTP/2: each carries many requests at once, as many as
//! the target allows; when all are full another is opened. Must not know: what is asked.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping,
    client::{self, SendRequest},
};
use tokio::{
    sync::Notify,
    task::spawn_local,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{Connection, Counting, Destination};
use crate::{
    id::Slot,
    telemetry::counters::{Cause, Fault},
};

/// Most requests at a time on one connection, whatever the target allows.
const MOST_STREAMS: usize = 128;
/// What a response may be ahead of its client; and as much for each at once.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;
/// What a request's body may be ahead of the target's connection.
const SEND_BUFFER: usize = 64 * 1024;
/// Largest response head as the engine counts it; the exact limit is for who reads it.
const HEAD_LIST: u32 = 64 * 1024;

/// One connection.
#[derive(Debug)]
struct Shared {
    sender: SendRequest<Bytes>,
    active: Cell<usize>,
    over: Rc<Cell<bool>>,
    idle_since: Cell<u64>,
}

impl Shared {
    fn has_room(&self) -> bool {
        let most = self.sender.current_max_send_streams().min(MOST_STREAMS);
        !self.over.get() && self.active.get() < most
    }
}

/// A place on a connection for one request.
#[derive(Debug)]
pub struct Lease {
    shared: Rc<Shared>,
    /// Whether the connection carried requests before.
    pub reused: bool,
}

impl Lease {
    fn new(shared: &Rc<Shared>, reused: bool) -> Self {
        shared.active.set(shared.active.get() + 1);
        Self { shared: Rc::clone(shared), reused }
    }

    /// What requests are sent with.
    #[must_use]
    pub fn sender(&self) -> SendRequest<Bytes> {
        self.shared.sender.clone()
    }

    /// Nothing more is to be sent on the connection.
    pub fn retire(&self) {
        self.shared.over.set(true);
    }

    /// Notes when the connection was last used.
    pub fn touch(&self, now_millis: u64) {
        self.shared.idle_since.set(now_millis);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.active.set(self.shared.active.get().saturating_sub(1));
    }
}

/// A connection that is being opened, awaited by all requests that need it.
#[derive(Debug, Default)]
pub struct Opening {
    done: Notify,
    failed: RefCell<Option<Fault>>,
    over: Cell<bool>,
}

impl Opening {
    /// Waits until it is open.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn wait(&self) -> Result<(), Fault> {
        let done = self.done.notified();
        if !self.over.get() {
            done.await;
        }
        self.failed.borrow().clone().map_or(Ok(()), Err)
    }
}

/// An opened connection that no request has yet.
#[derive(Debug)]
pub struct Opened {
    shared: Rc<Shared>,
    /// Whether its TLS handshake took up an earlier session.
    pub resumed: bool,
}

/// Begins with HTTP/2 on a connection. It is there when the target has told its settings and answered a PING: it
/// speaks HTTP/2, and its limit is known before the first request. Runs in tasks of its own from then on.
async fn begin(stream: Connection) -> Result<Opened, Fault> {
    stream.probe_when_silent();
    let resumed = stream.is_resumed();
    let (sender, mut connection) = client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEAD_LIST)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| Fault::with(Cause::TargetHttp2Failed, &error))?;
    let mut pings = connection.ping_pong().ok_or(Cause::TargetHttp2Failed)?;
    {
        let pong = std::pin::pin!(pings.ping(Ping::opaque()));
        tokio::select! {
            biased;
            answered = pong => {
                answered.map_err(|error| Fault::with(Cause::TargetHttp2Failed, &error))?;
            }
            ended = &mut connection => {
                return Err(ended.map_or_else(
                    |error| Fault::with(Cause::TargetHttp2Failed, &error),
                    |()| Cause::TargetHttp2Failed.into(),
                ));
            }
        }
    }
    let over = Rc::new(Cell::new(false));
    let ended = Rc::clone(&over);
    spawn_local(async move {
        let _ = connection.await;
        ended.set(true);
    });
    let shared = Shared { sender, active: Cell::new(0), over, idle_since: Cell::new(0) };
    Ok(Opened { shared: Rc::new(shared), resumed })
}

/// How long opening a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For connecting; without TLS HTTP/2 has to begin in this time, too.
    pub connect: Duration,
    /// For the TLS handshake and, as long again, for the beginning of HTTP/2.
    pub handshake: Duration,
}

/// Opens a connection, by `connector` where the destination has TLS.
///
/// # Errors
/// It cannot be had.
pub async fn open(
    patience: Patience,
    destination: &Destination,
    connector: Option<TlsConnector>,
    counting: &Counting,
) -> Result<Opened, Fault> {
    let mut end = Instant::now() + patience.connect;
    let mut connection = timeout_at(end, Connection::open(destination, counting))
        .await
        .map_err(|_| Cause::TargetConnectionTimedOut)?
        .map_err(|error| Fault::of_connect(&error.0))?;
    if let Some(connector) = connector {
        end = Instant::now() + patience.handshake;
        connection = timeout_at(end, connection.secure(destination, connector, counting))
            .await
            .map_err(|_| Cause::TargetTlsTimedOut)?
            .map_err(|error| Fault::with(Cause::TargetTlsFailed, &error))?;
        end = Instant::now() + patience.handshake;
    }
    timeout_at(end, begin(connection)).await.map_err(|_| Cause::TargetHttp2TimedOut)?
}

#[derive(Debug)]
struct Shelf {
    destination: Destination,
    connections: Vec<Rc<Shared>>,
    opening: Option<Rc<Opening>>,
}

/// The connections.
#[derive(Debug, Default)]
pub struct Multiplexed {
    shelves: HashMap<Slot, Shelf>,
}

impl Multiplexed {
    fn shelf(&mut self, destination: &Destination) -> &mut Shelf {
        let empty = || Shelf { destination: destination.clone(), connections: Vec::new(), opening: None };
        let shelf = self.shelves.entry(destination.slot).or_insert_with(empty);
        if !shelf.destination.does_for(destination) {
            *shelf = empty();
        }
        shelf
    }

    /// A place on a connection that is there.
    pub fn lease(&mut self, destination: &Destination) -> Option<Lease> {
        let shelf = self.shelf(destination);
        shelf.connections.iter().find(|shared| shared.has_room()).map(|shared| Lease::new(shared, true))
    }

    /// The connection that is being opened; when there is none, `begin` is to open one.
    pub fn opening(&mut self, destination: &Destination, begin: impl FnOnce(Rc<Opening>)) -> Rc<Opening> {
        let shelf = self.shelf(destination);
        let opening = shelf.opening.get_or_insert_with(|| {
            let opening = Rc::new(Opening::default());
            begin(Rc::clone(&opening));
            opening
        });
        Rc::clone(opening)
    }

    /// Takes note of what came of `opening`.
    pub fn opened(
        &mut self,
        destination: &Destination,
        opening: &Rc<Opening>,
        outcome: Result<Opened, Fault>,
        now_millis: u64,
    ) {
        let shelf = self.shelf(destination);
        if shelf.opening.as_ref().is_some_and(|current| Rc::ptr_eq(current, opening)) {
            shelf.opening = None;
        }
        match outcome {
            Ok(Opened { shared, .. }) => {
                shared.idle_since.set(now_millis);
                shelf.connections.push(shared);
            }
            Err(fault) => *opening.failed.borrow_mut() = Some(fault),
        }
        opening.over.set(true);
        opening.done.notify_waiters();
    }

    /// Drops connections that are over or were idle for `most`.
    pub fn sweep(&mut self, now_millis: u64, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        for shelf in self.shelves.values_mut() {
            shelf.connections.retain(|shared| {
                let idle =
                    shared.active.get() == 0 && now_millis.saturating_sub(shared.idle_since.get()) >= most;
                !shared.over.get() && !idle
            });
        }
    }

    /// Drops connections to targets that are not in `used`; what is under way on them goes on.
    pub fn keep_only(&mut self, used: &HashSet<Slot>) {
        self.shelves.retain(|slot, _| used.contains(slot));
    }
}
