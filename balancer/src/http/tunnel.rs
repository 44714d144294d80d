//! After 101 (RFC 9110, section 7.8): bytes both ways, each direction ended on its own.

use std::{future::poll_fn, pin::Pin, rc::Rc, task::Poll};

use tokio::io::AsyncWrite as _;

use super::client::Client;
use crate::{
    panics,
    telemetry::counters::{OpenNow, Openable},
    upstream::Connection,
    wire::{
        buffer::Buffer,
        head::Framing,
        pump::{Delivery, Pump},
    },
};

/// Tunnels until both directions have ended, one breaks, or nothing moved for the idle timeout.
/// `head` is the 101 that goes to the client first.
pub(super) async fn tunnel(
    client: &mut Client,
    connection: &mut Connection,
    inbound: &mut Buffer,
    head: Pump,
) {
    let _open = OpenNow::begin(&client.listener.runtime, client.context.worker, Openable::Tunnel);
    panics::provoke(b"tunnel");
    client.entry.tunnel();
    client.began = None;
    let mut down = Pump::new(head.into_memory(), Framing::UntilClose, Delivery::AsIs);
    let mut up = Pump::new(Vec::new(), Framing::UntilClose, Delivery::AsIs);
    let (mut down_over, mut up_over, mut down_shut, mut up_shut) = (false, false, false, false);
    client.arm_idle();
    let watch = Rc::clone(client.watch());
    let both = poll_fn(|cx| {
        let before = down.moved() + up.moved();
        if !up_over {
            match up.poll(cx, &mut client.stream, &mut client.buffer, connection) {
                Poll::Ready(Ok(())) => {
                    up_over = true;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        if !down_over {
            match down.poll(cx, connection, inbound, &mut client.stream) {
                Poll::Ready(Ok(())) => {
                    down_over = true;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        // Inside TLS the end is something to be written, too.
        if up_over && !up_shut {
            up_shut = Pin::new(&mut *connection).poll_shutdown(cx).is_ready();
        }
        if down_over && !down_shut {
            down_shut = Pin::new(&mut client.stream).poll_shutdown(cx).is_ready();
        }
        if down.moved() + up.moved() != before {
            client.arm_idle();
            client.watch().received().show(up.moved());
            client.watch().sent().show(down.moved());
        }
        if up_shut && down_shut { Poll::Ready(()) } else { Poll::Pending }
    });
    let _ = watch.within(both).await;
    client.settle_received(up.moved());
    client.settle_returned(down.moved());
}
