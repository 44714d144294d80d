//! Bytes of TCP connections that are open. The kernel programs count a connection's bytes when it closes; what is
//! counted before, they are told. Must not know: who counts, which endpoint it is.

use std::{fmt, os::fd::RawFd, sync::Mutex};

use aya::maps::{MapData, SkStorage};
use balancer_common::CountedBytes;

use super::sys::{self, ESTABLISHED, TcpInfo};

/// Flag of an update: what it changes has to be there (linux/bpf.h).
const BPF_EXIST: u64 = 2;

#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub(super) struct PodCountedBytes(CountedBytes);

// SAFETY: two words without padding, each bit pattern of which is a value.
unsafe impl aya::Pod for PodCountedBytes {}

/// What the kernel programs have been told of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedBytes {
    received: u64,
    acknowledged: u64,
}

impl ReportedBytes {
    /// Bytes received and acknowledged since `before`.
    pub(super) fn since(self, before: Self) -> (u64, u64) {
        (self.received.saturating_sub(before.received), self.acknowledged.saturating_sub(before.acknowledged))
    }
}

/// Tells the kernel programs.
pub(super) struct OpenBytes(Mutex<SkStorage<MapData, PodCountedBytes>>);

impl OpenBytes {
    pub(super) fn new(table: SkStorage<MapData, PodCountedBytes>) -> Self {
        Self(Mutex::new(table))
    }

    /// What has moved on a connection, once its end will find that it was counted; nothing when nothing has moved since
    /// `before`, or the connection is ending. What cannot be told is counted at the end.
    pub(super) fn tell(&self, socket: RawFd, before: ReportedBytes) -> Option<ReportedBytes> {
        let now = moved(socket)?;
        if now == before {
            return None;
        }
        // Another worker is at it: the next time is soon enough.
        let mut table = self.0.try_lock().ok()?;
        if before == ReportedBytes::default() {
            table.insert(&socket, PodCountedBytes(CountedBytes::default()), 0).ok()?;
            // From now on the end of the connection takes it away. One that was over before does not.
            moved(socket)?;
        }
        let value = CountedBytes { received: now.received, acknowledged: now.acknowledged };
        table.insert(&socket, PodCountedBytes(value), BPF_EXIST).ok()?;
        Some(now)
    }
}

/// What has moved on a connection that neither side has begun to close.
fn moved(socket: RawFd) -> Option<ReportedBytes> {
    let info = sys::tcp_info(socket).filter(|info| info.state == ESTABLISHED)?;
    let TcpInfo { received, acknowledged, .. } = info;
    // The SYN takes a number as if it were a byte (RFC 9293, section 3.4).
    Some(ReportedBytes { received, acknowledged: acknowledged.saturating_sub(1) })
}

impl fmt::Debug for OpenBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenBytes")
    }
}
