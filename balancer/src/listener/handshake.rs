//! What stands between an accepted socket and the engine: on an HTTPS listener the TLS handshake, bounded in
//! time. The protocol that it settles decides which engine serves the connection.

use std::{future::poll_fn, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use rustls::{HandshakeKind, ServerConfig};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    http::{Accepted, Context, log_unread, serve},
    response::answer::Answer,
    snapshot::{ListenerId, ListenerView},
    telemetry::counters::OwnStatus,
    tls::take_chosen,
    wire::{client_stream::ClientStream, deadline::Watched},
};

/// Longest time from the connection to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves an accepted socket to its end.
pub(super) async fn begin(context: Rc<Context>, socket: TcpStream, peer: SocketAddr, listener: ListenerId) {
    context.counters.connections_accepted.inc();
    let view = context.snapshot().listener(listener).cloned();
    let runtime = view.as_ref().map(|view| Arc::clone(&view.runtime));
    let shard = runtime.as_ref().and_then(|runtime| runtime.shard(context.worker));
    shard.inspect(|shard| shard.connections_accepted.inc());
    let tls = view.as_ref().and_then(|view| view.tls.clone().map(|tls| (Arc::clone(view), tls)));
    let stream = match tls {
        None => Some((ClientStream::Plain(socket), None)),
        // Apart, so that plain connections do not carry its state.
        Some((view, config)) => Box::pin(secure(&context, socket, config, peer, &view)).await,
    };
    if let Some((stream, certificate)) = stream {
        serve(Rc::clone(&context), Accepted { stream, peer, listener, certificate }).await;
    }
    shard.inspect(|shard| shard.connections_closed.inc());
    context.counters.connections_closed.inc();
}

/// Shakes hands: the stream, and the name of the certificate that the client was shown. Nothing: the connection is
/// over, which is counted.
async fn secure(
    context: &Rc<Context>,
    socket: TcpStream,
    config: Arc<ServerConfig>,
    peer: SocketAddr,
    listener: &ListenerView,
) -> Option<(ClientStream, Option<Arc<str>>)> {
    socket.set_nodelay(true).ok()?;
    let watched = context.watches.register();
    let watch = watched.watch();
    watch.set_listener(listener.id.0);
    // Nothing is lost when a connection without a request is closed because the process ends.
    watch.set_idle(true);
    watch.arm(context.clock.millis(), HANDSHAKE);
    let mut first = [0];
    match watch.within(socket.peek(&mut first)).await {
        // Whoever connects and goes has not failed a handshake.
        Ok(Ok(0)) => return None,
        Ok(Ok(_)) if first[0].is_ascii_uppercase() => {
            context.counters.client_tls_errors.inc();
            answer_plain(context, listener, socket, peer, &watched).await;
            return None;
        }
        Ok(Ok(_)) => {}
        _ => {
            context.counters.client_tls_errors.inc();
            return None;
        }
    }
    let mut certificate = None;
    let mut accepting = pin!(TlsAcceptor::from(config).accept(socket));
    let accepted = poll_fn(|cx| {
        let step = accepting.as_mut().poll(cx);
        certificate = take_chosen().or_else(|| certificate.take());
        step
    });
    match watch.within(accepted).await {
        Ok(Ok(stream)) => {
            context.counters.client_tls_handshakes.inc();
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                context.counters.client_tls_resumptions.inc();
            }
            Some((ClientStream::Tls(Box::new(stream)), certificate))
        }
        failed => {
            context.counters.client_tls_errors.inc();
            if let Ok(Err(error)) = failed {
                tracing::debug!(%error, "a TLS handshake failed");
            }
            None
        }
    }
}

/// A client that speaks plain HTTP to a TLS port is told so, as other servers do.
async fn answer_plain(
    context: &Rc<Context>,
    listener: &ListenerView,
    mut socket: TcpStream,
    peer: SocketAddr,
    watched: &Watched,
) {
    context.counters.own(OwnStatus::BadRequest);
    let page =
        Answer::error(OwnStatus::BadRequest).render(&listener.response_fields, &context.clock, false, false);
    if let Ok(local) = socket.local_addr() {
        log_unread(context, listener, [peer, local], OwnStatus::BadRequest, page.len() as u64);
    }
    let watch = watched.watch();
    let told = async {
        socket.write_all(&page).await?;
        socket.shutdown().await?;
        // What it sent is taken, so that closing does not destroy the answer on its way.
        let mut rest = [0; 4096];
        for _ in 0..16 {
            if tokio::io::AsyncReadExt::read(&mut socket, &mut rest).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _ = watch.within(told).await;
}
