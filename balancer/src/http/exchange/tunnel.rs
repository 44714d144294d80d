//! After a change of protocol (RFC 9110, section 7.8; RFC 8441): bytes both ways, each direction ended on its own.

use std::{future::poll_fn, rc::Rc, task::Poll};

use super::sides::{ClientSide, TargetSide};
use crate::{
    counters::{OpenNow, Openable},
    panics,
    wire::body::{Sink as _, Source as _, poll_move},
};

/// One direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// All has moved, and the other side is to be told.
    Over,
    Shut,
}

/// Tunnels until both directions have ended, one breaks, or nothing moved for the idle timeout. What the client is told of
/// the change goes first.
pub(super) async fn tunnel<C: ClientSide, T: TargetSide<C>>(client: &mut C, target: &mut T) {
    let state = client.state_mut();
    let _open = OpenNow::begin(&state.listener.runtime, state.context.worker, Openable::Tunnel);
    panics::provoke(b"tunnel");
    state.entry.tunnel();
    state.began = None;
    state.arm_idle();
    let watch = Rc::clone(state.watch());
    client.body().switch();
    target.body().switch();
    let (mut up, mut down) = (Direction::Open, Direction::Open);
    let both = poll_fn(|cx| {
        let before = client.body().progress() + target.body().progress();
        if up == Direction::Open {
            match poll_move(cx, client.body(), target.body()) {
                Poll::Ready(Ok(())) => up = Direction::Over,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        if down == Direction::Open {
            match poll_move(cx, target.body(), client.body()) {
                Poll::Ready(Ok(())) => down = Direction::Over,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending if client.poll_gone(cx, true).is_ready() => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        // Inside TLS the end is something to be written, too.
        if up == Direction::Over && target.body().poll_shutdown(cx).is_ready() {
            up = Direction::Shut;
        }
        if down == Direction::Over && client.body().poll_shutdown(cx).is_ready() {
            down = Direction::Shut;
        }
        if client.body().progress() + target.body().progress() != before {
            client.progressed();
        }
        if (up, down) == (Direction::Shut, Direction::Shut) { Poll::Ready(true) } else { Poll::Pending }
    });
    let ended = watch.within(both).await;
    client.settle_returned();
    client.end_tunnel(matches!(ended, Ok(true)));
}
