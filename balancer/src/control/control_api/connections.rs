//! Connections to the endpoint: accepting, TLS, the heads and bodies of requests, and how many of each there may be.
//! Must not know: signatures, what is asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{desk::ApiDesk, reply, waiting::ApiWaiting};
use crate::logs::quiet::LineKind;

/// Pause after accepting failed: file descriptors have run out, and they do not come back at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of a request head: a presigned request has its parameters there.
const HEAD_SIZE: usize = 64 * 1024;

/// How many and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiLimits {
    /// ApiConnections at a time; one more takes the place of one that waits for nothing.
    pub(super) connections: usize,
    /// Time for a TLS handshake.
    pub(super) handshake: Duration,
    /// Time for a request head, and for which a connection may be idle.
    pub(super) head: Duration,
    /// Time for a body.
    pub(super) body: Duration,
    /// Time for which a client that takes nothing keeps its connection.
    pub(super) answer: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(30),
        }
    }
}

/// All of them, until the endpoint ends.
struct ApiConnections {
    open: VecDeque<ApiConnection>,
    desk: Arc<ApiDesk>,
}

impl Drop for ApiConnections {
    fn drop(&mut self) {
        self.desk.is_leaving.store(true, Relaxed);
        let idle = self.open.iter().filter(|connection| !connection.waits.load(Relaxed));
        idle.for_each(|connection| connection.task.abort());
    }
}

/// A connection that is being served.
struct ApiConnection {
    task: AbortHandle,
    /// Whether who is there has shown a signature, and waits for an answer.
    waits: Arc<AtomicBool>,
}

pub(super) async fn accept(listener: TcpListener, desk: &Arc<ApiDesk>, limits: ApiLimits) {
    // When this future is dropped nobody is heard any more, and who waits gets an answer.
    let mut connections = ApiConnections { open: VecDeque::new(), desk: Arc::clone(desk) };
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                if !make_room(&mut connections.open, limits.connections) {
                    if LineKind::ControlApi.admits() {
                        tracing::warn!(%client, "as many clients of the ELBv2 API as may be wait for their answers: one more is not heard");
                    }
                    continue;
                }
                let waits = Arc::new(AtomicBool::new(false));
                let serving = begin(stream, client, Arc::clone(desk), Arc::clone(&waits), limits);
                connections
                    .open
                    .push_back(ApiConnection { task: tokio::spawn(serving).abort_handle(), waits });
            }
            Err(error) => {
                tracing::debug!(%error, "the ELBv2 API cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether there is room for one more: the oldest that waits for no answer goes where there is none.
fn make_room(connections: &mut VecDeque<ApiConnection>, most: usize) -> bool {
    connections.retain(|connection| !connection.task.is_finished());
    while connections.len() >= most.max(1) {
        let idle = connections.iter().position(|connection| !connection.waits.load(Relaxed));
        let Some(connection) = idle.and_then(|index| connections.remove(index)) else { return false };
        connection.task.abort();
    }
    true
}

async fn begin(
    stream: TcpStream,
    client: SocketAddr,
    desk: Arc<ApiDesk>,
    waits: Arc<AtomicBool>,
    limits: ApiLimits,
) {
    let socket = SockRef::from(&stream);
    // Who takes no answer may not keep it for ever; and answers are small and whole.
    let _ = socket.set_tcp_user_timeout(Some(limits.answer)).and_then(|()| socket.set_tcp_nodelay(true));
    match desk.access.now().tls.clone() {
        None => serve(stream, client, desk, waits, limits).await,
        Some(config) => match timeout(limits.handshake, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, client, desk, waits, limits).await,
            Ok(Err(error)) => {
                if LineKind::ControlApi.admits() {
                    tracing::warn!(%client, %error, "a TLS handshake with a client of the ELBv2 API failed");
                }
            }
            Err(_) => {}
        },
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: SocketAddr,
    desk: Arc<ApiDesk>,
    waits: Arc<AtomicBool>,
    limits: ApiLimits,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, waits) = (Arc::clone(&desk), ApiWaiting::of(&waits));
        async move {
            let (head, body) = request.into_parts();
            let response = reply::of(&desk, client, &head, body, &waits, limits.body).await;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    // Garbage, slowness and an early end concern the client alone.
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(waits: bool) -> ApiConnection {
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        ApiConnection { task, waits: Arc::new(AtomicBool::new(waits)) }
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_keeps_its_connection() {
        let mut connections: VecDeque<_> = [true, false, true].map(connection).into();
        assert!(make_room(&mut connections, 4));
        assert_eq!(connections.len(), 3);
        assert!(make_room(&mut connections, 3), "the second goes");
        assert!(connections.iter().all(|connection| connection.waits.load(Relaxed)));
        assert!(make_room(&mut connections, 3));
        assert!(!make_room(&mut connections, 2), "nobody goes");
        assert_eq!(connections.len(), 2);
    }
}
