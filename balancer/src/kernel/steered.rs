//! Listening sockets as the control side tells of them, so that workers can be chosen for who connects there. Must not know: how they
//! are chosen.

use std::net::{SocketAddr, TcpListener};

use super::{Kernel, bpf::Programs};

impl Kernel {
    /// Whether the kernel side chooses workers for new connections.
    #[must_use]
    pub fn selects_workers(&self) -> bool {
        self.side.as_ref().is_some_and(Programs::steers)
    }

    /// New connections to these sockets, which listen at one address, go to the worker of this process that has least to do,
    /// where the kernel side can see to that: of `workers` workers, number `n` accepts at socket `n` and each `workers` after
    /// it.
    pub fn steer(&mut self, sockets: &[TcpListener], workers: usize) {
        let first = self.tables.loads.first();
        if let Some(side) = &mut self.side
            && let Err(error) = side.steer(sockets, first, workers)
        {
            let address = sockets.first().and_then(|socket| socket.local_addr().ok());
            tracing::warn!(
                address = address.map(tracing::field::display),
                reason = error.reason(),
                "new connections to a listener are spread over the workers by their addresses"
            );
        }
    }

    /// Nobody listens there any more.
    pub fn unsteer(&mut self, address: SocketAddr) {
        if let Some(side) = &mut self.side {
            side.unsteer(address);
        }
    }

    /// Of what processes before this one have listened at, nothing is left but what this one has [steered](Self::steer).
    pub fn unsteer_others(&mut self) {
        if let Some(side) = &mut self.side {
            side.unsteer_others();
        }
    }
}
