//! After a change of protocol (RFC 9110, section 7.8; RFC 8441): bytes both ways, each direction ended on its own.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use super::sides::{ClientSide, TargetSide};
use crate::{
    counters::{OpenNow, Openable},
    panics,
    wire::{
        body::{Sink, Source, poll_move},
        deadline::Interrupt,
        observed::{Last, Observed},
        websocket::{Frames, going_away},
    },
};

/// One direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// All has moved, and the other side is to be told.
    Over,
    Shut,
}

/// How far both directions are, where they are known to be of frames.
struct Followed {
    up: Frames,
    down: Frames,
}

/// Tunnels until both directions have ended, one breaks, or nothing moved for the idle timeout. What the client is told of
/// the change goes first.
pub(super) async fn tunnel<C: ClientSide, T: TargetSide<C>>(
    client: &mut C,
    target: &mut T,
    is_websocket: bool,
) {
    let state = client.state_mut();
    let _open = OpenNow::begin(&state.listener.runtime, state.context.worker, Openable::Tunnel);
    panics::provoke(b"tunnel");
    state.entry.tunnel();
    state.began = None;
    state.arm_idle();
    let watch = Rc::clone(state.watch());
    watch.set_tunnel();
    let mut followed = Followed { up: Frames::new(is_websocket), down: Frames::new(is_websocket) };
    client.body().switch();
    target.body().switch();
    let (mut up, mut down) = (Direction::Open, Direction::Open);
    let mut both = |cx: &mut TaskContext<'_>, client: &mut C, target: &mut T| {
        let before = client.body().progress() + target.body().progress();
        if up == Direction::Open {
            let mut source = Observed { source: client.body(), frames: &mut followed.up };
            match poll_move(cx, &mut source, target.body()) {
                Poll::Ready(Ok(())) => up = Direction::Over,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {}
            }
        }
        if down == Direction::Open {
            let mut source = Observed { source: target.body(), frames: &mut followed.down };
            match poll_move(cx, &mut source, client.body()) {
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
    };
    let ended = loop {
        let ended = watch.within(poll_fn(|cx| both(cx, client, target))).await;
        let goes_on =
            ended == Err(Interrupt::TimedOut) && client.state().goes_on([client.socket(), target.socket()]);
        if !goes_on {
            break ended;
        }
    };
    if ended == Err(Interrupt::Closing) {
        say_farewell(client, target, &followed).await;
    }
    client.settle_returned();
    client.end_tunnel(matches!(ended, Ok(true)));
}

/// How long both ends are waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// The time of the process is over. Both ends of a WebSocket are told that it goes away (RFC 6455, section 7.4.1), where that can
/// be put between two frames.
#[cold]
async fn say_farewell<C: ClientSide, T: TargetSide<C>>(client: &mut C, target: &mut T, followed: &Followed) {
    let state = client.state();
    let watch = Rc::clone(state.watch());
    watch.arm(state.context.clock.millis(), FAREWELL);
    let is_clear = |frames: &Frames, source: bool, sink: bool| frames.are_whole() && !source && sink;
    let down = is_clear(&followed.down, target.body().is_held_up(), client.body().is_clear());
    let up = is_clear(&followed.up, client.body().is_held_up(), target.body().is_clear());
    let (mut to_client, mut to_target) = (Last::new(going_away(false)), Last::new(going_away(true)));
    let told = async {
        if down {
            poll_fn(|cx| poll_say(cx, &mut to_client, client.body())).await;
        }
        if up {
            poll_fn(|cx| poll_say(cx, &mut to_target, target.body())).await;
        }
        if down || up {
            // What the client sends meanwhile must not take from it what it was told.
            poll_fn(|cx| client.poll_gone(cx, true)).await;
        }
    };
    let _ = watch.within(told).await;
}

/// Ready when it is said and nothing more comes, or cannot be said.
fn poll_say(cx: &mut TaskContext<'_>, what: &mut Last, to: &mut impl Sink) -> Poll<()> {
    let is_said = match poll_move(cx, what, to) {
        Poll::Ready(said) => said.is_ok(),
        Poll::Pending => return Poll::Pending,
    };
    if is_said { to.poll_shutdown(cx) } else { Poll::Ready(()) }
}
