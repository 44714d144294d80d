//! Which sockets listen where, as the kernel's program that chooses among them knows it. The tables are pinned: a process
//! that takes another's place finds there which of the sockets that it was handed stands where, and puts its own workers behind
//! them. Must not know: what a worker has to do, who listens why.

use std::{
    collections::HashSet,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::AsFd as _,
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
    programs::{Program, SkReuseport},
};
use balancer_common::{ListenerKey, ListenerSockets, MAX_SOCKETS, MAX_WORKERS, map, program};

use super::{
    error::BpfError,
    tables::{PodListenerSockets, PodTargetKey, bad, take},
};
use crate::kernel::{endpoint, sys};

const NAME: &str = program::WORKER_SELECT;

/// The tables. The program is held with the others.
#[derive(Debug)]
pub(super) struct Steering {
    listeners: HashMap<MapData, PodTargetKey, PodListenerSockets>,
    /// All sockets. (There is no handle for values of this size.)
    sockets: MapData,
    /// What this process has put there.
    own: HashSet<ListenerKey>,
}

/// Loads the program that chooses.
pub(super) fn load(program: Option<&mut Program>) -> Result<(), BpfError> {
    let failed = |source| BpfError::Program { name: NAME, source };
    let select: &mut SkReuseport =
        program.ok_or(BpfError::Missing { name: NAME })?.try_into().map_err(failed)?;
    select.load().map_err(failed)
}

impl Steering {
    /// Of programs that are loaded. `inherited`: another process steers by the tables, which stay.
    pub(super) fn new(programs: &mut Ebpf, inherited: bool) -> Result<Self, BpfError> {
        let listeners = take(programs, map::LISTENERS)?;
        let listeners = HashMap::try_from(listeners).map_err(bad(map::LISTENERS))?;
        let aya::maps::Map::ReusePortSockArray(sockets) = take(programs, map::WORKERS)? else {
            return Err(BpfError::Missing { name: map::WORKERS });
        };
        let mut steering = Self { listeners, sockets, own: HashSet::new() };
        if !inherited {
            steering.forget_others();
        }
        Ok(steering)
    }

    /// New connections to these sockets, which listen at one address, go to the worker with least to do: worker `n` of
    /// `workers`, whose loads begin at `first_load`, accepts at socket `n` and each `workers` after it. Where that is not so,
    /// or there is nothing to choose, the kernel chooses.
    pub(super) fn steer(
        &mut self,
        programs: &Ebpf,
        sockets: &[TcpListener],
        first_load: u32,
        workers: usize,
    ) -> Result<(), BpfError> {
        let Some(key) = sockets.first().and_then(key) else { return Ok(()) };
        self.forget_key(key);
        if workers < 2 || sockets.len() < workers || workers > MAX_WORKERS as usize {
            return Ok(());
        }
        let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
        let first_socket = self.room_for(count)?;
        let place = ListenerSockets {
            first_socket,
            sockets: count,
            first_load,
            workers: u32::try_from(workers).unwrap_or(MAX_WORKERS),
        };
        let steered = self.fill(place, sockets).and_then(|()| {
            self.listeners
                .insert(PodTargetKey(key), PodListenerSockets(place), 0)
                .map_err(bad(map::LISTENERS))?;
            attach(programs, sockets)
        });
        if steered.is_err() {
            self.clear(place);
            let _ = self.listeners.remove(&PodTargetKey(key));
        } else {
            self.own.insert(key);
        }
        steered
    }

    /// The kernel chooses among the sockets that listen there, from now on.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        if let Some(key) = listener_key(address) {
            self.forget_key(key);
        }
    }

    /// And among all others than those that this process has put there.
    pub(super) fn forget_others(&mut self) {
        let others: Vec<ListenerKey> = self.listeners.keys().flatten().map(|PodTargetKey(key)| key).collect();
        for key in others {
            if !self.own.contains(&key) {
                self.forget_key(key);
            }
        }
    }

    fn forget_key(&mut self, key: ListenerKey) {
        if let Ok(PodListenerSockets(place)) = self.listeners.get(&PodTargetKey(key), 0) {
            let _ = self.listeners.remove(&PodTargetKey(key));
            self.clear(place);
        }
        self.own.remove(&key);
    }

    fn fill(&self, place: ListenerSockets, sockets: &[TcpListener]) -> Result<(), BpfError> {
        let indices = place.first_socket..MAX_SOCKETS;
        for (index, socket) in indices.zip(sockets) {
            sys::set_socket(self.sockets.fd().as_fd(), index, socket.as_fd())
                .map_err(|source| BpfError::Sockets { source })?;
        }
        Ok(())
    }

    fn clear(&self, place: ListenerSockets) {
        for index in place.first_socket..place.first_socket.saturating_add(place.sockets).min(MAX_SOCKETS) {
            // One that is closed is gone already.
            let _ = sys::clear_socket(self.sockets.fd().as_fd(), index);
        }
    }

    /// Where there is room for so many sockets in a row.
    fn room_for(&self, count: u32) -> Result<u32, BpfError> {
        let mut taken: Vec<(u32, u32)> = self
            .listeners
            .iter()
            .flatten()
            .map(|(_, PodListenerSockets(place))| (place.first_socket, place.sockets))
            .collect();
        taken.sort_unstable();
        gap(&taken, count).ok_or(BpfError::Sockets { source: io::Error::other("there are too many sockets") })
    }
}

/// Whoever is in the group of these sockets is chosen by the program.
fn attach(programs: &Ebpf, sockets: &[TcpListener]) -> Result<(), BpfError> {
    let failed = |source| BpfError::Program { name: NAME, source };
    let select = programs.program(NAME).ok_or(BpfError::Missing { name: NAME })?;
    let select: &SkReuseport = select.try_into().map_err(failed)?;
    sockets.first().map_or(Ok(()), |socket| select.attach(socket.as_fd()).map_err(failed))
}

/// The first gap between what is taken, sorted, that is wide enough.
fn gap(taken: &[(u32, u32)], count: u32) -> Option<u32> {
    let mut free = 0;
    for (first, len) in taken {
        if first.saturating_sub(free) >= count {
            break;
        }
        free = free.max(first.saturating_add(*len));
    }
    (free.checked_add(count)? <= MAX_SOCKETS).then_some(free)
}

fn key(socket: &TcpListener) -> Option<ListenerKey> {
    listener_key(socket.local_addr().ok()?)
}

fn listener_key(address: SocketAddr) -> Option<ListenerKey> {
    endpoint::target_key(&crate::model::Endpoint::Tcp(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_stand_in_the_first_gap_that_is_wide_enough() {
        for (taken, count, expected) in [
            (&[][..], 4, Some(0)),
            (&[(0, 4)], 4, Some(4)),
            (&[(4, 4)], 4, Some(0)),
            (&[(4, 4)], 5, Some(8)),
            (&[(0, 2), (4, 2), (9, 1)], 3, Some(6)),
            (&[(0, 2), (4, 2), (9, 1)], 4, Some(10)),
            (&[(0, MAX_SOCKETS - 1)], 1, Some(MAX_SOCKETS - 1)),
            (&[(0, MAX_SOCKETS - 1)], 2, None),
            // What somebody else has written there.
            (&[(0, u32::MAX)], 1, None),
        ] {
            assert_eq!(gap(taken, count), expected, "{taken:?} {count}");
        }
    }
}
