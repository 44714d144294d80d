//! What stands between an accepted socket and the engine: on an HTTPS listener the TLS handshake, bounded in
//! time. The protocol that it settles decides which engine serves the connection.

use std::{fmt::Display, future::poll_fn, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use rustls::{HandshakeKind, ServerConfig};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::spawn_local};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    clock::unix_now,
    counters::{Cause, ClientCertRefusal, OpenNow, Openable},
    http::{Accepted, ClientAuthentication, Context, Present, log_unread, spawn},
    logs::quiet::LineKind,
    model::MutualAuthentication,
    response::answer::Answer,
    snapshot::{ListenerId, ListenerView},
    tls::{ClientCertificate, refusal, take_chosen},
    wire::{
        client_stream::{ClientStream, TlsSocket},
        deadline::{Interrupt, Watched},
    },
};

/// Longest time from the connection to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves an accepted socket to its end, in a task of its own. From here on the worker has the connection, also while that task
/// waits for its turn.
/// `local`: the address that it connected to, where that is known without asking for it.
pub(super) fn admit(
    context: &Rc<Context>,
    socket: TcpStream,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    listener: ListenerId,
) {
    let present = Present::new(context);
    let Some((_, view)) = context.view(listener) else { return };
    // Kept apart: the settings of the view do not have to last as long as the connection.
    let open = OpenNow::begin(&view.runtime, context.worker, Openable::Connection);
    let (certificate, authentication) = (None, None);
    match view.tls.clone() {
        None => {
            let stream = ClientStream::Plain(socket);
            spawn(present, open, Accepted { stream, peer, local, listener, certificate, authentication });
        }
        Some(config) => {
            let connecting = Connecting { socket, peer, local, listener: view };
            // In a box: a task moves its future several times, and this one is large. The memory is there first, so that it is
            // made in its place and not copied there.
            let memory = Box::new_uninit();
            spawn_local(Box::into_pin(Box::write(memory, shake_hands(present, open, connecting, config))));
        }
    }
}

/// An accepted socket whose handshake is under way.
struct Connecting {
    socket: TcpStream,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    listener: Arc<ListenerView>,
}

/// Has the connection served once hands are shaken.
async fn shake_hands(present: Present, open: OpenNow, connecting: Connecting, config: Arc<ServerConfig>) {
    let Connecting { socket, peer, local, listener } = connecting;
    let secured = secure(present.context(), socket, config, peer, &listener).await;
    if let Some(Secured { stream, certificate, identity }) = secured {
        let stream = ClientStream::Tls(Box::new(stream));
        let authentication = authentication(identity, listener.asked.as_ref());
        let listener = listener.id;
        spawn(present, open, Accepted { stream, peer, local, listener, certificate, authentication });
    }
}

/// What a client was asked for and has shown; nothing where it was neither.
fn authentication(
    certificate: Option<ClientCertificate>,
    asked: Option<&MutualAuthentication>,
) -> Option<Box<ClientAuthentication>> {
    let is_any = certificate.is_some() || asked.is_some();
    is_any.then(|| Box::new(ClientAuthentication { certificate, asked: asked.cloned() }))
}

/// What came of a handshake.
struct Secured {
    stream: TlsStream<TlsSocket>,
    /// The name of the certificate that the client was shown.
    certificate: Option<Arc<str>>,
    /// The certificate that it has shown.
    identity: Option<ClientCertificate>,
}

/// Whether a session was taken up whose certificate has expired since it was begun: taking one up verifies nothing
/// anew.
fn is_outlived(
    stream: &TlsStream<TlsSocket>,
    identity: Option<&ClientCertificate>,
    asked: Option<&MutualAuthentication>,
) -> bool {
    let verifies = matches!(asked, Some(MutualAuthentication::Verify { ignore_expiry: false, .. }));
    verifies
        && stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
        && identity.is_none_or(|certificate| certificate.not_after() < i64::from(unix_now().0))
}

/// Shakes hands. Nothing: the connection is over, which is counted.
async fn secure(
    context: &Rc<Context>,
    socket: TcpStream,
    config: Arc<ServerConfig>,
    peer: SocketAddr,
    listener: &ListenerView,
) -> Option<Secured> {
    let shard = context.listener_shard(listener);
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
            shard.client_tls_negotiation_errors.inc();
            tell(listener, peer, &"it speaks HTTP without TLS");
            answer_plain(context, listener, socket, peer, &watched).await;
            return None;
        }
        Ok(Ok(_)) => {}
        // The process ends, or the listener does: that is no failure of the client's.
        Err(Interrupt::Closing) => return None,
        _ => {
            shard.client_tls_negotiation_errors.inc();
            return None;
        }
    }
    let mut certificate = None;
    let mut accepting = pin!(TlsAcceptor::from(config).accept(TlsSocket::Served(socket)).into_fallible());
    let accepted = poll_fn(|cx| {
        let step = accepting.as_mut().poll(cx);
        certificate = take_chosen().or_else(|| certificate.take());
        step
    });
    match watch.within(accepted).await {
        Ok(Ok(stream)) => {
            let identity = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::of);
            if is_outlived(&stream, identity.as_ref(), listener.asked.as_ref()) {
                shard.client_tls_negotiation_errors.inc();
                shard.client_certificate_refusals.count(ClientCertRefusal::Expired);
                return None;
            }
            shard.client_tls_handshakes.inc();
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                shard.client_tls_resumptions.inc();
            }
            Some(Secured { stream, certificate, identity })
        }
        Err(Interrupt::Closing) => None,
        // The socket comes back along with the error: closed is what has been counted.
        Ok(Err((error, _socket))) => {
            shard.client_tls_negotiation_errors.inc();
            if let Some(refusal) = refusal(&error) {
                shard.client_certificate_refusals.count(refusal);
            }
            tell(listener, peer, &error);
            None
        }
        Err(interrupt) => {
            shard.client_tls_negotiation_errors.inc();
            if interrupt == Interrupt::TimedOut {
                tell(listener, peer, &"it was not over in time");
            }
            None
        }
    }
}

#[cold]
fn tell(listener: &ListenerView, peer: SocketAddr, error: &dyn Display) {
    if LineKind::ClientTls.admits() {
        tracing::info!(listener = listener.name, client = %peer, %error, "a TLS handshake with a client failed");
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
    context.listener_shard(listener).own(Cause::HttpToHttps);
    let page =
        Answer::error(Cause::HttpToHttps).render(&listener.response_fields, &context.clock, false, false);
    // What it sent is taken, so that closing does not destroy the answer on its way.
    // On the heap: every handshake would carry it.
    let mut taken = vec![0; 4096];
    let here = (0..16).map_while(|_| socket.try_read(&mut taken).ok().filter(|length| *length > 0));
    let received = here.sum::<usize>() as u64;
    if let Ok(local) = socket.local_addr() {
        log_unread(context, listener, [peer, local], Cause::HttpToHttps, [received, page.len() as u64]);
    }
    let watch = watched.watch();
    let told = async {
        socket.write_all(&page).await?;
        socket.shutdown().await?;
        for _ in 0..16 {
            if tokio::io::AsyncReadExt::read(&mut socket, &mut taken).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _ = watch.within(told).await;
}
