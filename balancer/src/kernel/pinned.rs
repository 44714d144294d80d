//! What a process that runs, or has run, keeps pinned, for those who look at it from outside: read alone, whoever writes there.
//! Must not know: what figures are for, how they are shown.

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

use balancer_common::{LIVE_GENERATIONS, ListenerKey, MAX_WORKERS};

use super::{
    KernelError, LoadValues, TargetCounters, Words, WorkerLoads, bpf, bpf::PinnedMaps, instance, outstanding,
};
use crate::id::Slot;

/// The tables of an instance.
#[derive(Debug)]
pub struct PinnedTables {
    /// Figures of targets.
    pub counters: TargetCounters,
    /// Sessions, as in [`super::Tables`].
    pub sticky: Words,
    /// Where connections are counted, and in which slot.
    pub targets: Vec<(SocketAddr, Slot)>,
    /// Where connections are given to workers by choice.
    pub listeners: Vec<PinnedListener>,
    outstanding: Words,
    loads: Option<Words>,
}

/// An address at which workers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedListener {
    /// The address.
    pub address: SocketAddr,
    /// How many sockets listen there.
    pub sockets: u32,
    /// How many workers accept at them.
    pub workers: u32,
}

impl PinnedTables {
    /// The tables of `instance`; none where nothing is pinned for it.
    ///
    /// # Errors
    /// [`KernelError::InstanceName`]; [`KernelError::Pinned`] when they cannot be read.
    pub fn open(instance: &str) -> Result<Option<Self>, KernelError> {
        instance::check_name(instance)?;
        let failed = |error: bpf::BpfError| KernelError::Pinned { reason: error.reason() };
        let Some(PinnedMaps { words, loads, targets, listeners }) =
            bpf::pinned_maps(instance).map_err(failed)?
        else {
            return Ok(None);
        };
        let address = |key: ListenerKey| {
            let ip = std::net::Ipv6Addr::from(key.address);
            match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddr::from((ip, key.port)),
                None => std::net::SocketAddrV6::new(ip, key.port, 0, key.interface).into(),
            }
        };
        let mut tables = Self {
            counters: TargetCounters::new(words.counters, None),
            sticky: words.sticky,
            outstanding: words.outstanding,
            loads,
            targets: targets
                .into_iter()
                .filter_map(|(key, slot)| Some((address(key), Slot(u16::try_from(slot).ok()?))))
                .collect(),
            listeners: listeners
                .into_iter()
                .map(|(key, at)| PinnedListener {
                    address: address(key),
                    sockets: at.sockets,
                    workers: at.workers,
                })
                .collect(),
        };
        tables.targets.sort_unstable();
        tables.listeners.sort_unstable_by_key(|listener| listener.address);
        Ok(Some(tables))
    }

    /// The slots that belong to an endpoint.
    pub fn used(&self) -> impl Iterator<Item = Slot> {
        let all = 0..u16::try_from(balancer_common::MAX_SLOTS).unwrap_or(u16::MAX);
        all.map(Slot).filter(|slot| self.counters.owner(*slot) != 0)
    }

    /// Requests in flight to a slot, of all processes.
    #[must_use]
    pub fn outstanding(&self, slot: Slot) -> u64 {
        let rows =
            self.live().filter_map(|row| outstanding::row_of(&self.outstanding, row).get(slot.index()));
        rows.fold(0, |sum, word| sum.wrapping_add(word.load(Relaxed)))
    }

    /// Workers that have accepted anything, of processes that count: number of the process's row, of the worker, and what it
    /// has to do.
    #[must_use]
    pub fn workers(&self) -> Vec<(usize, usize, LoadValues)> {
        let Some(words) = &self.loads else { return Vec::new() };
        let each = |row| {
            let loads = WorkerLoads::look_at(words.clone(), row);
            (0..MAX_WORKERS as usize).map(move |worker| (row, worker, loads.read(worker)))
        };
        self.live().flat_map(each).filter(|(_, _, load)| load.accepted > 0 || load.connections > 0).collect()
    }

    /// Rows of processes that count.
    fn live(&self) -> impl Iterator<Item = usize> {
        let word = self.outstanding.get(LIVE_GENERATIONS as usize).map_or(0, |word| word.load(Relaxed));
        (0..outstanding::ROWS).filter(move |row| word & (1 << row) != 0)
    }
}
