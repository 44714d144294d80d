//! The one door for connections of clients: which version of HTTP a connection speaks, and who serves it then.
//! Must not know: requests.

use std::{future::poll_fn, rc::Rc, time::Duration};

use super::{
    accepted::{Accepted, ClientConnection},
    context::Context,
    h1, h2,
};
use crate::wire::{buffer::BUFFER_SIZE, deadline::Interrupt, http2::PREFACE};

/// What a connection begins with.
enum Begins {
    Http1,
    Http2,
    /// Nothing came, or the client is gone.
    Nothing,
}

/// Serves the connection to its end.
pub async fn serve(context: Rc<Context>, accepted: Accepted) {
    let Some(mut connection) = ClientConnection::new(&context, accepted) else { return };
    let may_be_http2 = !connection.stream.is_secure()
        && connection.listener.http2_prior_knowledge
        && connection.listener.load_balancer.enable_http2;
    let begins = match (connection.stream.is_http2(), may_be_http2) {
        (true, _) => Begins::Http2,
        (false, true) => begins(&context, &mut connection).await,
        (false, false) => Begins::Http1,
    };
    match begins {
        Begins::Http1 => h1::serve(context, connection).await,
        // Apart, so that connections of HTTP/1.1 do not carry its state.
        Begins::Http2 => Box::pin(h2::serve(context, connection)).await,
        Begins::Nothing => context.buffers.give(connection.buffer),
    }
}

/// Looks whether the first bytes are those that HTTP/2 begins with (RFC 9113, section 3.3). The time for them is part
/// of that for a first head of HTTP/1.1.
async fn begins(context: &Context, connection: &mut ClientConnection) -> Begins {
    let watch = Rc::clone(connection.watch());
    watch.arm(context.clock.millis(), connection.listener.load_balancer.idle_timeout);
    connection.armed = true;
    let ClientConnection { stream, buffer, .. } = connection;
    watch.set_idle(true);
    let readable = watch.within(poll_fn(|cx| stream.poll_read_ready(cx))).await;
    match readable {
        Ok(Ok(())) => {}
        // Its first bytes have come, of which the runtime has not heard yet.
        Err(Interrupt::Closing) if stream.has_input_now() => {}
        _ => return Begins::Nothing,
    }
    *buffer = context.buffers.take();
    loop {
        // Readiness can be announced in error: idle is who has sent nothing.
        watch.set_idle(buffer.is_empty());
        let filled = watch.within(poll_fn(|cx| buffer.poll_fill(cx, stream, BUFFER_SIZE))).await;
        if buffer.is_empty() && matches!(filled, Err(Interrupt::Closing)) && stream.has_input_now() {
            continue;
        }
        watch.set_idle(false);
        let bytes = buffer.bytes();
        match filled {
            Ok(Ok(1..)) if bytes.starts_with(PREFACE) => return Begins::Http2,
            Ok(Ok(1..)) if PREFACE.starts_with(bytes) => {}
            Ok(Ok(1..)) => return Begins::Http1,
            _ if bytes.is_empty() => return Begins::Nothing,
            // What there is may be the beginning of a head of HTTP/1.1, which has taken its time.
            Err(Interrupt::TimedOut) => {
                watch.arm(context.clock.millis(), Duration::ZERO);
                return Begins::Http1;
            }
            _ => return Begins::Http1,
        }
    }
}
