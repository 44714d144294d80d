//! A client's connection before anybody knows which version of HTTP it speaks. Must not know: requests.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use super::{
    connected::{ClientAuthentication, Connected},
    context::{Context, WorkerSnapshot},
    parked::{ParkedClient, RestingHttp2},
};
use crate::{
    counters::{OpenNow, Openable},
    snapshot::{ListenerId, ListenerView},
    wire::{
        buffer::Buffer,
        client_stream::ClientStream,
        deadline::{Watch, Watched},
    },
};

/// A connection as accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, past its handshake.
    pub stream: ClientStream,
    /// The client.
    pub peer: SocketAddr,
    /// The address that it connected to, where that is known without asking for it.
    pub local: Option<SocketAddr>,
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// The certificate that the client was shown.
    pub certificate: Option<Arc<str>>,
    /// What it was asked for and has shown, if it was asked for anything.
    pub authentication: Option<Box<ClientAuthentication>>,
}

/// A connection that is served.
#[derive(Debug)]
pub(super) struct ClientConnection {
    /// The byte stream.
    pub(super) stream: ClientStream,
    /// What was read of it already.
    pub(super) buffer: Buffer,
    /// What all its requests have in common.
    pub(super) connected: Rc<Connected>,
    /// The snapshot that the listener is of.
    pub(super) snapshot: Rc<WorkerSnapshot>,
    /// The listener that accepted it.
    pub(super) listener: Arc<ListenerView>,
    /// Its deadlines.
    pub(super) watched: Watched,
    /// When it was accepted, by the worker's clock.
    pub(super) born_millis: u64,
    /// Whether the time for the first head runs already.
    pub(super) armed: bool,
    /// Of one that speaks HTTP/2 and rests.
    pub(super) http2: Option<Box<RestingHttp2>>,
}

impl ClientConnection {
    /// None: its listener is gone, or the client.
    pub(super) fn new(context: &Context, accepted: Accepted) -> Option<Self> {
        let (snapshot, listener) = context.view(accepted.listener)?;
        let local = match accepted.local {
            Some(local) => local,
            None => accepted.stream.socket()?.local_addr().ok()?.as_socket()?,
        };
        let connected = Connected::new(
            &accepted.stream,
            accepted.peer,
            local,
            accepted.certificate,
            accepted.authentication,
        );
        let watched = watched(context, accepted.listener, &connected);
        Some(Self {
            stream: accepted.stream,
            buffer: Buffer::default(),
            connected: Rc::new(connected),
            snapshot,
            listener,
            watched,
            born_millis: context.clock.millis(),
            armed: false,
            http2: None,
        })
    }

    /// One that was parked and goes on. None: its listener is gone, or it is lost.
    pub(super) fn unpark(context: &Context, parked: ParkedClient) -> Option<(Self, OpenNow)> {
        let ParkedClient { stream, connected, open, listener: id, born_millis, wait, http2, .. } = parked;
        let (snapshot, listener) = context.view(id)?;
        let stream = stream.unpark().ok()?;
        let watched = watched(context, id, &connected);
        watched.watch().resume(wait);
        let (buffer, armed) = (Buffer::default(), true);
        let connection =
            Self { stream, buffer, connected, snapshot, listener, watched, born_millis, armed, http2 };
        Some((connection, open))
    }

    /// What is left of it when it is parked. None: it is lost.
    pub(super) fn park(self, open: OpenNow) -> Option<ParkedClient> {
        let Self { stream, mut connected, listener, watched, born_millis, http2, .. } = self;
        // Nobody else has it between requests.
        if let Some(connected) = Rc::get_mut(&mut connected) {
            connected.forget_origin();
        }
        let (listener, wait) = (listener.id, watched.watch().wait());
        let (stream, _parked) = (stream.park().ok()?, open.along(Openable::Parked));
        Some(ParkedClient { stream, connected, open, _parked, listener, born_millis, wait, http2 })
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        self.watched.watch()
    }
}

/// A watch of a connection of this listener.
fn watched(context: &Context, listener: ListenerId, connected: &Connected) -> Watched {
    let watched = context.watches.register();
    watched.watch().set_listener(listener.0);
    watched.watch().set_ipv6(connected.is_ipv6());
    watched
}

/// Whether a connection of `listener`, accepted at `born_millis`, may serve another request: its age allows it (ALB: client
/// keep-alive duration), its listener is there, asks for nothing else and takes who connects to its address, and the process is not ending.
pub(super) fn may_stay(
    context: &Context,
    listener: &ListenerView,
    connected: &Connected,
    born_millis: u64,
) -> bool {
    let age = context.clock.millis().saturating_sub(born_millis);
    u128::from(age) < listener.load_balancer.client_keep_alive.as_millis()
        && !context.draining.get()
        && context.snapshot().listener(listener.id).is_some_and(|now| connected.may_stay(now))
}
