//! Some of the packets that the shield dropped, as the kernel tells of them. Must not know: what anybody does about it.

use std::net::IpAddr;

use aya::maps::{Map, MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::view::action_name;
use crate::kernel::events;

/// A packet that was dropped, or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShieldSample {
    /// Where it came from.
    pub source: IpAddr,
    /// The port that it was for; 0: it did not say.
    pub port: u16,
    /// The name of what became of it.
    pub action: &'static str,
    /// The interface that it came in at, by its index.
    pub interface: u32,
}

/// The stream of samples. One reader.
pub struct ShieldSamples {
    waiting: Option<Map>,
    ring: Option<AsyncFd<RingBuf<MapData>>>,
}

impl std::fmt::Debug for ShieldSamples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShieldSamples").finish_non_exhaustive()
    }
}

impl ShieldSamples {
    pub(super) fn new(ring: Map) -> Self {
        Self { waiting: Some(ring), ring: None }
    }

    /// The next sample; waits for ever where nothing can come any more. Needs a tokio runtime with I/O. Cancel safe.
    pub async fn next(&mut self) -> ShieldSample {
        if let Some(ring) = self.waiting.take() {
            self.ring = RingBuf::try_from(ring).ok().and_then(events::register);
        }
        while let Some(ring) = &mut self.ring {
            // First look, then wait.
            while let Some(item) = ring.get_mut().next() {
                if let Some(sample) = decode(&item) {
                    return sample;
                }
            }
            match ring.readable_mut().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(error) => {
                    tracing::warn!(%error, "reading the shield's samples failed: going on without them");
                    self.ring = None;
                }
            }
        }
        std::future::pending().await
    }
}

/// A [`balancer_common::shield::Sample`].
fn decode(record: &[u8]) -> Option<ShieldSample> {
    let (source, rest) = record.split_first_chunk::<16>()?;
    let (port, rest) = rest.split_first_chunk()?;
    let (action, rest) = rest.split_first_chunk()?;
    let interface = u32::from_ne_bytes(*rest.first_chunk()?);
    Some(ShieldSample {
        source: IpAddr::from(*source).to_canonical(),
        port: u16::from_ne_bytes(*port),
        action: action_name(u16::from_ne_bytes(*action).into()),
        interface,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_the_kernel_writes_them() {
        let source = std::net::Ipv4Addr::new(192, 0, 2, 7);
        let mut record = source.to_ipv6_mapped().octets().to_vec();
        record.extend(8080_u16.to_ne_bytes());
        record.extend(3_u16.to_ne_bytes());
        record.extend(9_u32.to_ne_bytes());
        let sample = ShieldSample { source: source.into(), port: 8080, action: "rate_limited", interface: 9 };
        assert_eq!(decode(&record), Some(sample));
        for length in 0..record.len() {
            assert_eq!(decode(&record[..length]), None);
        }
    }
}
