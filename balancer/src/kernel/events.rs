//! What happens to connections to endpoints, as it happens: from the kernel's ring buffer and from workers.
//! Must not know: what anybody does about it.

use std::{io, os::fd::AsRawFd};

use aya::maps::{Map, MapData, RingBuf};
use aya_log::EbpfLogger;
use balancer_common::{EVENT_CONNECT_FAILED, EVENT_CONNECT_UNANSWERED, EVENT_DATA_UNANSWERED, EVENT_RESET};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
};

use crate::id::Slot;

/// Events that wait for [`Events::next`] at most; further ones are dropped. One of an endpoint is as good as many.
const QUEUE: usize = 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetEventKind {
    /// A connection attempt failed.
    ConnectFailed,
    /// An established connection was reset by the endpoint.
    Reset,
    /// What it was sent on an established connection is not answered, by any sign of life.
    DataUnanswered,
    /// An attempt to connect is not answered.
    ConnectUnanswered,
}

/// Something happened to a connection to the endpoint of this slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetEvent {
    /// Whose.
    pub slot: Slot,
    /// What.
    pub kind: TargetEventKind,
}

/// For workers: tells of connections that the kernel does not count (see [`super::TargetCounters::kernel_counts`]).
#[derive(Clone, Debug)]
pub struct EventSender(mpsc::Sender<TargetEvent>);

impl EventSender {
    /// A sender that nobody hears: for tests and tools.
    #[must_use]
    pub fn unheard() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// Tells of an event; never waits. When nobody keeps up, the event is dropped.
    pub fn send(&self, event: TargetEvent) {
        let _ = self.0.try_send(event);
    }
}

/// The kernel's end of it: the ring of events, and the lines that kernel programs log.
pub(super) struct KernelSources {
    /// Not taken up before it is read: until then another process may read it, and how far that came is looked up once.
    pub(super) ring: Map,
    pub(super) log: Option<EbpfLogger<&'static dyn log::Log>>,
}

/// The stream of events. One reader.
pub struct Events {
    from_workers: mpsc::Receiver<TargetEvent>,
    waiting: Option<KernelSources>,
    ring: Option<AsyncFd<RingBuf<MapData>>>,
    log: Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>,
}

/// A stream of what workers send and of what comes from `kernel`, and its sender.
pub(super) fn channel(kernel: Option<KernelSources>) -> (EventSender, Events) {
    let (sender, from_workers) = mpsc::channel(QUEUE);
    (EventSender(sender), Events { from_workers, waiting: kernel, ring: None, log: None })
}

impl Events {
    /// The next event; none when nothing can come any more (all senders and the kernel's ring are gone).
    /// Lines logged by kernel programs are passed on to the log meanwhile.
    ///
    /// Needs a tokio runtime with I/O. Cancel safe: an event is lost only with the value that holds it.
    pub async fn next(&mut self) -> Option<TargetEvent> {
        self.register();
        loop {
            let Self { from_workers, ring, log, .. } = self;
            let (has_ring, has_log) = (ring.is_some(), log.is_some());
            tokio::select! {
                event = from_kernel(ring), if has_ring => match event {
                    Ok(event) => return Some(event),
                    Err(error) => {
                        tracing::warn!(%error, "reading kernel events failed: going on without them");
                        self.ring = None;
                    }
                },
                result = pass_on_log(log), if has_log => {
                    if let Err(error) = result {
                        tracing::warn!(%error, "reading the kernel programs' log failed: going on without it");
                        self.log = None;
                    }
                }
                Some(event) = from_workers.recv() => return Some(event),
                else => return None,
            }
        }
    }

    /// Reads what the kernel tells no more, as another process does; what workers send goes on.
    pub fn leave_to_another(&mut self) {
        (self.waiting, self.ring, self.log) = (None, None, None);
    }

    /// Hands the kernel's ends to the runtime, which must be there by now.
    fn register(&mut self) {
        let Some(sources) = self.waiting.take() else { return };
        self.ring = match RingBuf::try_from(sources.ring) {
            Ok(ring) => register(ring),
            Err(error) => {
                tracing::warn!(%error, "there are no kernel events: going on without them");
                None
            }
        };
        self.log = sources.log.and_then(register);
    }
}

pub(super) fn register<T: AsRawFd>(source: T) -> Option<AsyncFd<T>> {
    // SAFETY: both sources own their map's descriptor: it is the same, and open, for as long as they live.
    match unsafe { AsyncFd::register_with_interest(source, Interest::READABLE) } {
        Ok(source) => Some(source),
        Err(error) => {
            tracing::warn!(%error, "waiting for the kernel programs failed: going on without what they tell");
            None
        }
    }
}

async fn from_kernel(ring: &mut Option<AsyncFd<RingBuf<MapData>>>) -> io::Result<TargetEvent> {
    let Some(ring) = ring else { return std::future::pending().await };
    loop {
        // First look, then wait: what was left when the last event was returned must not wait for a new one.
        while let Some(item) = ring.get_mut().next() {
            if let Some(event) = decode(&item) {
                return Ok(event);
            }
        }
        ring.readable_mut().await?.clear_ready();
    }
}

async fn pass_on_log(log: &mut Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>) -> io::Result<()> {
    let Some(log) = log else { return std::future::pending().await };
    loop {
        log.get_mut().flush();
        log.readable_mut().await?.clear_ready();
    }
}

/// An [`balancer_common::Event`] as the kernel program wrote it; none if it is of a kind unknown here.
fn decode(record: &[u8]) -> Option<TargetEvent> {
    let (slot, rest) = record.split_first_chunk::<4>()?;
    let (kind, _) = rest.split_first_chunk::<4>()?;
    let kind = match u32::from_ne_bytes(*kind) {
        EVENT_CONNECT_FAILED => TargetEventKind::ConnectFailed,
        EVENT_RESET => TargetEventKind::Reset,
        EVENT_DATA_UNANSWERED => TargetEventKind::DataUnanswered,
        EVENT_CONNECT_UNANSWERED => TargetEventKind::ConnectUnanswered,
        _ => return None,
    };
    Some(TargetEvent { slot: Slot(u16::try_from(u32::from_ne_bytes(*slot)).ok()?), kind })
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: TargetEvent = TargetEvent { slot: Slot(7), kind: TargetEventKind::Reset };

    #[tokio::test]
    async fn events_of_workers_come_in_order_and_then_the_stream_ends() {
        let (sender, mut events) = channel(None);
        let failed = TargetEvent { slot: Slot(1), kind: TargetEventKind::ConnectFailed };
        sender.send(failed);
        sender.clone().send(RESET);
        drop(sender);
        assert_eq!(events.next().await, Some(failed));
        assert_eq!(events.next().await, Some(RESET));
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn what_workers_send_is_heard_where_another_process_reads_what_the_kernel_tells() {
        let (sender, mut events) = channel(None);
        events.leave_to_another();
        sender.send(RESET);
        assert_eq!(events.next().await, Some(RESET));
    }

    #[tokio::test]
    async fn a_flood_is_dropped_and_does_not_block() {
        let (sender, mut events) = channel(None);
        for _ in 0..3 * QUEUE {
            sender.send(RESET);
        }
        drop(sender);
        let mut count = 0;
        while events.next().await.is_some() {
            count += 1;
        }
        assert_eq!(count, QUEUE);
    }

    #[test]
    fn records_are_read_as_the_kernel_writes_them() {
        let record = |slot: u32, kind: u32| [slot.to_ne_bytes(), kind.to_ne_bytes()].concat();
        assert_eq!(decode(&record(7, EVENT_RESET)), Some(RESET));
        assert_eq!(decode(&record(70_000, EVENT_RESET)), None);
        assert_eq!(decode(&record(7, 99)), None);
        assert_eq!(decode(&[1, 2, 3]), None);
    }
}
