//! The immutable picture that workers serve from, and what the control side tells a worker.
//! A request keeps the snapshot it started with.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use crate::{
    counters::ListenerRuntime,
    logs::access_log::AccessLog,
    model::{LoadBalancer, MutualAuthentication, TlsFields},
    response::listener_fields::ListenerFields,
    rules::RuleTable,
    target_group::GroupView,
    wire::trailers::TrailerFilter,
};

/// Names a listener for the life of the process: an address that is taken up again gets a new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u32);

/// Listeners that go on where another one has listened: from one address of its port to all of them, or back.
#[derive(Clone, Debug)]
pub struct Heirs(Arc<[(IpAddr, ListenerId)]>);

impl Heirs {
    /// These, by where they listen.
    #[must_use]
    pub fn new(heirs: impl IntoIterator<Item = (IpAddr, ListenerId)>) -> Self {
        Self(heirs.into_iter().collect())
    }

    /// Nobody in this process.
    #[must_use]
    pub fn elsewhere() -> Self {
        Self::new([])
    }

    /// The one that takes who has connected to `local`.
    #[must_use]
    pub fn of(&self, local: IpAddr) -> Option<ListenerId> {
        self.0.iter().find(|(ip, _)| takes(*ip, local)).map(|(_, id)| *id)
    }

    /// Whether there is none in this process.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether who listens at `ip` takes who has connected to `local`.
fn takes(ip: IpAddr, local: IpAddr) -> bool {
    ip.is_unspecified() || ip == local
}

/// One listener as workers see it.
#[derive(Debug)]
pub struct ListenerView {
    /// Its number.
    pub id: ListenerId,
    /// Its configured name.
    pub name: String,
    /// Port it was configured with: what X-Forwarded-Port says.
    pub port: u16,
    /// Where it listens.
    pub ip: IpAddr,
    /// Settings of its load balancer.
    pub load_balancer: Arc<LoadBalancer>,
    /// Whether clients may begin with HTTP/2 without TLS.
    pub http2_prior_knowledge: bool,
    /// TLS, when clients speak it.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What its clients are asked for.
    pub asked: Option<MutualAuthentication>,
    /// Fields that tell targets of clients' TLS.
    pub tls_fields: TlsFields,
    /// What clients may say in trailers.
    pub trailers: Arc<TrailerFilter>,
    /// What it puts into responses.
    pub response_fields: ListenerFields,
    /// Its figures.
    pub runtime: Arc<ListenerRuntime>,
    /// Where its requests are logged.
    pub access_log: Option<Arc<AccessLog>>,
    /// What to do with a request; a group index is one of [`Snapshot::groups`].
    pub rules: Arc<RuleTable>,
}

impl ListenerView {
    /// Whether it takes who has connected to `local`. It may have gone from all addresses to one since.
    #[must_use]
    pub fn takes(&self, local: IpAddr) -> bool {
        takes(self.ip, local)
    }
}

/// Everything a request needs to be decided.
#[derive(Debug)]
pub struct Snapshot {
    /// Listeners in use.
    pub listeners: Vec<Arc<ListenerView>>,
    /// Groups, in the order of the configuration.
    pub groups: Vec<Arc<GroupView>>,
}

impl Snapshot {
    /// The listener of that number, unless a reload removed it.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Arc<ListenerView>> {
        self.listeners.iter().find(|listener| listener.id == id)
    }
}

/// What the control side tells a worker. Sent to every worker, in order.
#[derive(Debug)]
pub enum WorkerMessage {
    /// Serve from this from now on.
    Snapshot(Arc<Snapshot>),
    /// Accept on this socket, for this listener.
    Listen(ListenerId, TcpListener),
    /// Serve who has connected to this listener from there, and waited for a worker that stands still.
    TakeOver(ListenerId, TcpStream, SocketAddr),
    /// Stop accepting for this listener, which is in the snapshot no more: who has connected is served as it was last. The second
    /// is held until its sockets are closed.
    Unlisten(ListenerId, Arc<()>),
    /// Others listen in the place of this listener, and nobody new comes to the sockets that it has had so far: take in who has
    /// connected there, and who is about to, for its heirs, and close them then.
    StepAside(ListenerId, Heirs),
    /// The deregistration delay of this registration is over: end what still runs on it.
    Cut(u64),
    /// The target of this registration takes no connections any more: requests that are not sent yet go elsewhere. Where it
    /// acknowledges nothing on those that are there either (`sent`), so do requests that do no harm twice.
    MoveAway {
        /// Whose.
        registration: u64,
        /// Whether requests that are sent go, too.
        sent: bool,
    },
    /// Stop accepting, finish what is in flight, close idle connections, end after at most this long.
    Drain(Duration),
    /// Another process goes on with these listeners and accepts at their sockets: let go of them, and finish what there is
    /// without haste, in at most this long. Other listeners are closed.
    HandOver(Arc<[ListenerId]>, Duration),
    /// End now.
    Stop,
}
