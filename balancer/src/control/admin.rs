//! The admin endpoint: `GET /metrics`, `GET /status`, `GET /healthz` and the dashboard over HTTP/1.1, on the control thread.
//!
//! Bounded by construction: a number of connections, a time for the request head and one for the whole
//! connection, one request each; who looks at the dashboard has its connection for as long as it takes what it is told.
//! Must not know: where figures come from; workers, targets.

mod actions;
mod hosts;
mod page;
mod reply;
mod token;
mod viewers;

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::{Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

pub use self::{
    actions::{ActionTaker, AdminAction, AdminRequest},
    token::{AdminToken, TokenError},
};
use self::{
    actions::{Actions, is_from_elsewhere},
    hosts::Hosts,
    reply::{AdminReply, body, text},
    viewers::{MOST_VIEWERS, PACE, Viewers},
};
use crate::{
    listener::explain,
    logs::quiet::LineKind,
    telemetry::{arrivals::ArrivalsDocument, inspect::Inspector, metrics, status::Status, summary::Summary},
};

/// Connections served at a time; one more takes the place of one that asks for nothing.
const CONNECTIONS: usize = 64;
/// Time for a request head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Time for a connection, from its first byte to the last of the answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of a request head.
const HEAD_SIZE: usize = 16 * 1024;
/// Pause after accepting failed: file descriptors have run out, and they do not come back at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the endpoint gets what it tells.
pub trait Inspect: Send + Sync + 'static {
    /// Everything as it is now.
    fn status(&self) -> Status;
    /// The same for who looks on, every second.
    fn glance(&self) -> Status {
        self.status()
    }
    /// A sample of the requests of sticky groups.
    fn arrivals(&self) -> ArrivalsDocument {
        ArrivalsDocument::default()
    }
    /// Whether new work is still taken.
    fn serving(&self) -> bool;
}

impl Inspect for Inspector {
    fn status(&self) -> Status {
        Inspector::status(self)
    }

    fn glance(&self) -> Status {
        Inspector::glance(self)
    }

    fn arrivals(&self) -> ArrivalsDocument {
        Inspector::arrivals(self)
    }

    fn serving(&self) -> bool {
        !self.control.draining()
    }
}

/// The endpoint, bound and not served yet: made while the process may still bind any port.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
    hosts: Hosts,
    actions: Option<Actions>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    head: Duration,
    connection: Duration,
    /// How often the dashboard is told.
    pace: Duration,
}

/// A connection that is being served.
struct AdminConnection {
    task: AbortHandle,
    /// Whether it has asked for something.
    asked: Arc<AtomicBool>,
}

impl Admin {
    /// Binds `address`, to be asked by its own names and these.
    ///
    /// # Errors
    /// When the address is taken, is not of this host, or may not be bound.
    pub fn bind(address: SocketAddr, hosts: &[String]) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address).map_err(|error| explain(error, address))?;
        Self::inherit(listener, address, hosts)
    }

    /// The endpoint at a socket that is bound to `address` already.
    ///
    /// # Errors
    /// The system's.
    pub fn inherit(
        listener: std::net::TcpListener,
        address: SocketAddr,
        hosts: &[String],
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let limits =
            Limits { connections: CONNECTIONS, head: HEAD_LIMIT, connection: CONNECTION_LIMIT, pace: PACE };
        Ok(Self { listener, hosts: Hosts::new(address.ip(), hosts), actions: None, limits })
    }

    /// The same, where whoever has the token may have `act` do something.
    #[must_use]
    pub fn with_actions(self, token: AdminToken, act: ActionTaker) -> Self {
        Self { actions: Some(Actions { token, act }), ..self }
    }

    /// Its socket, for another process.
    ///
    /// # Errors
    /// The system's.
    pub fn lend(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// When the socket cannot be asked.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped; connections run as tasks of the current runtime.
    ///
    /// # Errors
    /// When the socket cannot be handed to the runtime; never once serving.
    pub async fn serve(self, inspect: Arc<dyn Inspect>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let (hosts, actions, viewers) = (self.hosts, self.actions, Viewers::new(self.limits.pace));
        let desk = Arc::new(Desk { inspect, hosts, actions, viewers });
        tokio::select! {
            () = accept(listener, &desk, self.limits) => {}
            () = desk.viewers.run(|| desk.summary()) => {}
        }
        Ok(())
    }
}

/// What all connections are answered from.
struct Desk {
    inspect: Arc<dyn Inspect>,
    hosts: Hosts,
    actions: Option<Actions>,
    viewers: Viewers,
}

impl Desk {
    fn summary(&self) -> Option<String> {
        serde_json::to_string(&Summary::of(&self.inspect.glance(), self.actions.is_some())).ok()
    }
}

async fn accept(listener: TcpListener, desk: &Arc<Desk>, limits: Limits) {
    let mut connections = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(&mut connections, limits.connections);
                let asked = Arc::new(AtomicBool::new(false));
                let serving = serve_connection(stream, Arc::clone(desk), Arc::clone(&asked), limits);
                connections.push_back(AdminConnection { task: tokio::spawn(serving).abort_handle(), asked });
            }
            Err(error) => {
                tracing::debug!(%error, "the admin endpoint cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Has fewer than `most` connections: the oldest that has asked for nothing goes, or else the oldest. So nobody is kept
/// waiting by who holds connections.
fn make_room(connections: &mut VecDeque<AdminConnection>, most: usize) {
    connections.retain(|connection| !connection.task.is_finished());
    while connections.len() >= most.max(1) {
        let idle = connections.iter().position(|connection| !connection.asked.load(Relaxed));
        if let Some(connection) = connections.remove(idle.unwrap_or(0)) {
            connection.task.abort();
        }
    }
}

async fn serve_connection(stream: TcpStream, desk: Arc<Desk>, asked: Arc<AtomicBool>, limits: Limits) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    // Who looks at the dashboard may vanish without a word.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(limits.connection));
    let looks = Arc::new(AtomicBool::new(false));
    let viewer = Arc::clone(&looks);
    let service = service_fn(move |request| {
        asked.store(true, Relaxed);
        let (desk, viewer) = (Arc::clone(&desk), Arc::clone(&viewer));
        async move { Ok::<_, std::convert::Infallible>(respond(request, &desk, &viewer, peer, local.ip()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_SIZE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Garbage, slowness and an early end concern the client alone.
    tokio::select! {
        _ = connection => {}
        () = time_is_up(limits.connection, &looks) => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    desk: &Desk,
    looks: &Arc<AtomicBool>,
    peer: SocketAddr,
    local: IpAddr,
) -> AdminReply {
    if let Some(host) = desk.hosts.refuses(&request, local) {
        if LineKind::Admin.admits() {
            tracing::warn!(client = %peer, host, "the admin endpoint is asked by a name that is not its own");
        }
        return misdirected().map(Either::Left);
    }
    if request.uri().path() == "/actions" && *request.method() == Method::POST {
        return actions::take(request, desk.actions.as_ref(), peer).await;
    }
    answer(&request, desk, looks)
}

/// Waits until a connection has had its time: more of it while somebody looks at the dashboard there.
async fn time_is_up(limit: Duration, looks: &AtomicBool) {
    loop {
        tokio::time::sleep(limit).await;
        if !looks.load(Relaxed) {
            return;
        }
    }
}

/// A page of another site that had its name resolve to this host must learn nothing (DNS rebinding).
fn misdirected() -> Response<Full<Bytes>> {
    text(
        StatusCode::MISDIRECTED_REQUEST,
        "the admin endpoint is not asked by this name: use localhost, a loopback address or its own address, \
         or list the name in admin_hosts\n",
    )
}

fn answer(request: &Request<Incoming>, desk: &Desk, looks: &Arc<AtomicBool>) -> AdminReply {
    let path = request.uri().path();
    let file = page::file(path);
    if file.is_none()
        && !matches!(path, "/metrics" | "/status" | "/arrivals" | "/healthz" | "/events" | "/actions")
    {
        let there = "not found: there are /, /metrics, /status and /healthz\n";
        return text(StatusCode::NOT_FOUND, there).map(Either::Left);
    }
    if path == "/actions" {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only POST is allowed\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refused.map(Either::Left);
    }
    // HEAD is answered like GET; the engine leaves the body out.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused.map(Either::Left);
    }
    match (file, path) {
        (Some(file), _) => file,
        (None, "/events") => events(request, desk, looks),
        (None, path) => page_of_figures(request, path, &*desk.inspect).map(Either::Left),
    }
}

fn page_of_figures(request: &Request<Incoming>, path: &str, inspect: &dyn Inspect) -> Response<Full<Bytes>> {
    match path {
        "/metrics" => metrics_page(request, &inspect.status()),
        "/status" => document(&inspect.status()),
        "/arrivals" => document(&inspect.arrivals()),
        _ if inspect.serving() => text(StatusCode::OK, "ok\n"),
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

fn document(document: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string(document) {
        Ok(document) => body(StatusCode::OK, "application/json", document + "\n"),
        Err(error) => {
            tracing::error!(%error, "a document cannot be written");
            text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        }
    }
}

/// What the dashboard shows, for as long as somebody looks.
fn events(request: &Request<Incoming>, desk: &Desk, looks: &Arc<AtomicBool>) -> AdminReply {
    if is_from_elsewhere(request) {
        let words = "what the dashboard shows is for the dashboard's own page\n";
        return text(StatusCode::FORBIDDEN, words).map(Either::Left);
    }
    if *request.method() == Method::HEAD {
        return body(StatusCode::OK, "text/event-stream", String::new()).map(Either::Left);
    }
    let Some(stream) = desk.viewers.add(looks) else {
        let words = format!("{MOST_VIEWERS} others look at the dashboard: close one of them, or wait\n");
        let plain = "text/plain; charset=utf-8";
        return body(StatusCode::SERVICE_UNAVAILABLE, plain, words).map(Either::Left);
    };
    let mut answer = body(StatusCode::OK, "text/event-stream", String::new()).map(|_| Either::Right(stream));
    page::protect(&mut answer);
    answer
}

/// In the format that is asked for.
fn metrics_page(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    let accepted: Vec<&str> =
        request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut page = if metrics::wants_openmetrics(&accepted.join(",")) {
        body(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(status))
    } else {
        body(StatusCode::OK, metrics::PLAIN_CONTENT_TYPE, metrics::render_plain(status))
    };
    page.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    page
}

#[cfg(test)]
mod tests;
