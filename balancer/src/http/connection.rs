//! The one door for connections of clients: which version of HTTP a connection speaks, and who serves it then.
//! Must not know: requests.

use std::{
    future::{pending, poll_fn},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use tokio::task::spawn_local;

use super::{
    accepted::{Accepted, ClientConnection},
    context::Context,
    h1, h2,
    presence::Present,
};
use crate::{
    counters::OpenNow,
    wire::{buffer::BUFFER_SIZE, deadline::Interrupt, http2::PREFACE},
};

/// What a connection begins with.
enum Begins {
    Http1,
    Http2,
    /// Nothing came, or the client is gone.
    Nothing,
    /// Nothing has come for a while.
    Parks,
}

/// Serves the connection to its end, or until it is parked, in a task of its own.
pub fn spawn(present: Present, open: OpenNow, accepted: Accepted) {
    if let Some(connection) = ClientConnection::new(present.context(), accepted) {
        spawn_apart(present, open, connection);
    }
}

/// In a box: a task moves its future several times, and this one is large. The memory is there first, so that it is made in its
/// place and not copied there.
fn spawn_apart(present: Present, open: OpenNow, connection: ClientConnection) {
    let memory = Box::new_uninit();
    spawn_local(Box::into_pin(Box::write(memory, go_on(present, open, Some(connection)))));
}

/// Has connections that are parked go on when something comes. Never ends.
pub async fn wake_parked(context: Rc<Context>) {
    let alarm = match context.parked.lot.open() {
        Ok(alarm) => alarm,
        Err(error) => {
            tracing::warn!(%error, "idle connections cost more memory than they have to");
            return pending().await;
        }
    };
    let mut woken = Vec::new();
    loop {
        context.parked.woken(&alarm, &mut woken).await;
        for parked in woken.drain(..) {
            let present = Present::again(&context);
            if let Some((connection, open)) = ClientConnection::unpark(&context, parked) {
                spawn_apart(present, open, connection);
            }
        }
    }
}

/// Serves the connection to its end, or until it has been idle for a while and is parked. It is large, and goes from hand to hand
/// in its place.
async fn go_on(present: Present, mut open: OpenNow, mut slot: Option<ClientConnection>) {
    loop {
        let Some(connection) = &mut slot else { return };
        let begins = match known(connection) {
            Some(begins) => begins,
            None => begins(present.context(), connection).await,
        };
        match begins {
            Begins::Http1 => h1::serve(present.context(), &mut slot).await,
            // Apart, so that connections of HTTP/1.1 do not carry its state.
            Begins::Http2 => Box::pin(h2::serve(present.context(), &mut slot)).await,
            Begins::Nothing => {
                slot.take().into_iter().for_each(|it| present.context().buffers.give(it.buffer))
            }
            Begins::Parks => {}
        }
        let Some(parked) = slot.take().and_then(|idle| idle.park(open)) else { return };
        let Err(parked) = present.context().parked.park(parked) else { return present.park() };
        let Some((back, counted)) = ClientConnection::unpark(present.context(), parked) else { return };
        (slot, open) = (Some(back), counted);
    }
}

/// What a connection begins with, where its first bytes need not be seen for that.
fn known(connection: &ClientConnection) -> Option<Begins> {
    if connection.http2.is_some() || connection.stream.is_http2() {
        return Some(Begins::Http2);
    }
    let may_be_http2 = !connection.stream.is_secure()
        && connection.listener.http2_prior_knowledge
        && connection.listener.load_balancer.enable_http2
        && connection.watch().is_new();
    (!may_be_http2).then_some(Begins::Http1)
}

/// Looks whether the first bytes are those that HTTP/2 begins with (RFC 9113, section 3.3). The time for them is part
/// of that for a first head of HTTP/1.1.
async fn begins(context: &Context, connection: &mut ClientConnection) -> Begins {
    let watch = Rc::clone(connection.watch());
    if !std::mem::replace(&mut connection.armed, true) {
        watch.arm(context.clock.millis(), connection.listener.load_balancer.idle_timeout);
    }
    let ClientConnection { stream, buffer, .. } = connection;
    loop {
        context.buffers.give(std::mem::take(buffer));
        watch.set_idle(true);
        let readable = poll_fn(|cx| stream.poll_read_ready(cx));
        let readable = match context.parked.lot.is_open() {
            true => watch.within_or_park(readable).await,
            false => watch.within(readable).await,
        };
        match readable {
            Ok(Ok(())) => {}
            Err(Interrupt::Park) => return Begins::Parks,
            // Its first bytes have come, of which the runtime has not heard yet.
            Err(Interrupt::Closing) if stream.has_input_now() => {}
            _ => return Begins::Nothing,
        }
        *buffer = context.buffers.take();
        match poll_fn(|cx| Poll::Ready(buffer.poll_fill(cx, stream, BUFFER_SIZE))).await {
            Poll::Ready(Ok(1..)) => break,
            Poll::Ready(_) => return Begins::Nothing,
            // It was announced in error.
            Poll::Pending => {}
        }
    }
    watch.set_idle(false);
    loop {
        let bytes = buffer.bytes();
        if bytes.starts_with(PREFACE) {
            return Begins::Http2;
        }
        if !PREFACE.starts_with(bytes) {
            return Begins::Http1;
        }
        match watch.within(poll_fn(|cx| buffer.poll_fill(cx, stream, BUFFER_SIZE))).await {
            Ok(Ok(1..)) => {}
            // What there is may be the beginning of a head of HTTP/1.1, which has taken its time.
            Err(Interrupt::TimedOut) => {
                watch.arm(context.clock.millis(), Duration::ZERO);
                return Begins::Http1;
            }
            _ => return Begins::Http1,
        }
    }
}
