//! The tables that workers, processes and the kernel share, and the kernel programs that count connections.
//!
//! [`Kernel`] belongs to the control side: it opens the tables, gives slots to endpoints, and loads the kernel
//! programs where that can be had. [`Tables`] is what workers get of it: plain memory, read and written with
//! atomics, never a system call. Without the kernel side the same tables are mapped files and the workers
//! count connections themselves: nothing but speed and insight changes.
//! Must not know: requests, cookies, health, what a slot's figures are used for.

mod cleanup;
mod counters;
mod endpoint;
mod error;
mod events;
mod fallback;
mod file_lock;
mod generation;
mod instance;
mod outstanding;
mod slots;
mod words;

use std::{io, os::fd::BorrowedFd, path::PathBuf};

use balancer_common::{STICKY_BUCKET_WORDS, STICKY_ENTRIES_PER_BUCKET};

pub use self::{
    cleanup::{CleanupReport, cleanup},
    counters::{CounterValues, TargetCounters},
    error::KernelError,
    events::{EventSender, Events, TargetEvent, TargetEventKind},
    outstanding::{Outstanding, OutstandingView},
    words::Words,
};
use self::{generation::Generations, instance::InstanceFolder, slots::Slots};
use crate::{
    id::Slot,
    model::{Endpoint, KernelAssist},
};

/// What to open.
#[derive(Clone, Debug)]
pub struct KernelOptions {
    /// Names the tables, so that several balancers can live on one host: 1 to 32 of `[a-z0-9-]`.
    pub instance: String,
    /// Holds locks and, without the kernel side, the tables. Made where it is missing.
    pub runtime_dir: PathBuf,
    /// Whether the kernel side is wanted.
    pub assist: KernelAssist,
    /// How many sessions the session table has entries for; rounded up to a power of two, at least 1,024.
    pub session_table_size: u32,
}

/// Whether the kernel side counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assist {
    /// It does.
    Active,
    /// It does not.
    Off {
        /// Why not, for people.
        reason: String,
    },
}

/// The shared tables as workers see them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Requests in flight.
    pub outstanding: Outstanding,
    /// Connections.
    pub counters: TargetCounters,
    /// Sessions: buckets of [`balancer_common::STICKY_BUCKET_WORDS`] words, their number a power of two.
    pub sticky: Words,
}

impl Tables {
    /// Tables in the memory of this process alone, for tests and tools.
    ///
    /// # Errors
    /// The system's, when there is no memory.
    pub fn in_memory(session_table_size: u32) -> io::Result<Self> {
        Ok(Self {
            outstanding: Outstanding::in_memory()?,
            counters: TargetCounters::in_memory()?,
            sticky: Words::in_memory(sticky_words(session_table_size))?,
        })
    }
}

/// The memory behind [`Tables`], wherever it comes from.
struct TableWords {
    outstanding: Words,
    counters: Words,
    sticky: Words,
}

/// The control side's handle: one process, one thread.
#[derive(Debug)]
pub struct Kernel {
    tables: Tables,
    assist: Assist,
    slots: Slots,
    generations: Generations,
    events: Option<Events>,
    sender: EventSender,
    /// Held until everything above is gone.
    _folder: InstanceFolder,
}

impl Kernel {
    /// Takes the instance for this process, and opens or makes its tables. What an earlier process counted
    /// is still there.
    ///
    /// With [`KernelAssist::Auto`], a kernel side that cannot be had is told of once, as a warning.
    ///
    /// # Errors
    /// [`KernelError::Running`] when another process has the instance; [`KernelError::Required`] when the
    /// kernel side is required and cannot be had; others when the runtime folder or memory cannot be used.
    pub fn open(options: &KernelOptions) -> Result<Self, KernelError> {
        let folder = InstanceFolder::lock(&options.instance, &options.runtime_dir)?;
        let reason = "this version has no kernel programs".to_owned();
        if options.assist == KernelAssist::Required {
            return Err(KernelError::Required { reason });
        }
        let words = fallback::open(folder.path(), sticky_words(options.session_table_size))?;
        let generations = Generations::claim(folder.path(), words.outstanding)?;
        let tables = Tables {
            outstanding: generations.outstanding(),
            counters: TargetCounters::new(words.counters, false),
            sticky: words.sticky,
        };
        let slots = Slots::new(tables.counters.clone(), tables.outstanding.clone(), |_| true);
        let (sender, events) = events::channel(None);
        let assist = Assist::Off { reason };
        Ok(Self { tables, assist, slots, generations, events: Some(events), sender, _folder: folder })
    }

    /// The tables, for workers and everybody who reads figures.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.tables.clone()
    }

    /// Whether the kernel side counts.
    #[must_use]
    pub fn assist(&self) -> &Assist {
        &self.assist
    }

    /// The endpoint's slot: the one it has or had (also in an earlier process), with its counters, or else
    /// the lowest free one, zeroed. Claiming twice gives the same slot; one release ends both.
    ///
    /// # Errors
    /// [`KernelError::NoFreeSlot`]; [`KernelError::Target`] when the kernel refuses.
    pub fn claim_slot(&mut self, endpoint: &Endpoint) -> Result<Slot, KernelError> {
        self.slots.claim(endpoint).ok_or_else(|| KernelError::NoFreeSlot { endpoint: endpoint.clone() })
    }

    /// The endpoint of this slot is not used any more: its new connections are not counted from now on, those
    /// that are open still are. [`Self::reap`] frees the slot when nothing counts on it.
    pub fn release_slot(&mut self, slot: Slot) {
        self.slots.release(slot);
    }

    /// After a start, when all configured endpoints are claimed: releases the slots of all others.
    pub fn release_unclaimed(&mut self) {
        self.slots.release_left_over();
    }

    /// To be called about once a second: frees released slots on which nothing was counted at this call and
    /// the one before, and clears what processes that are gone had in flight.
    pub fn reap(&mut self) {
        self.generations.clear_dead();
        // Another process may have claimed what this one released.
        if !self.generations.others_live() {
            self.slots.reap();
        }
    }

    /// The stream of events; once.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// For workers: where to tell of connections that the kernel does not count.
    #[must_use]
    pub fn event_sender(&self) -> EventSender {
        self.sender.clone()
    }

    /// For health checks: exempts their sockets from being counted.
    #[must_use]
    pub fn probe_marker(&self) -> ProbeMarker {
        ProbeMarker {}
    }
}

/// Exempts sockets from being counted by the kernel. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProbeMarker {}

impl ProbeMarker {
    /// The connection that this socket is going to make is not counted and raises no events. To be called
    /// before connect(2). Without the kernel side there is nothing to do.
    ///
    /// # Errors
    /// The kernel's; the socket can be used all the same, and is then counted.
    pub fn exempt(&self, _socket: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Words of a session table with entries for this many sessions.
fn sticky_words(sessions: u32) -> usize {
    let buckets = sessions.max(1024).div_ceil(STICKY_ENTRIES_PER_BUCKET).next_power_of_two();
    STICKY_BUCKET_WORDS * usize::try_from(buckets).unwrap_or(usize::MAX / STICKY_BUCKET_WORDS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    fn options(runtime_dir: &std::path::Path) -> KernelOptions {
        KernelOptions {
            instance: "test".to_owned(),
            runtime_dir: runtime_dir.to_owned(),
            assist: KernelAssist::Off,
            session_table_size: 1024,
        }
    }

    fn tcp(port: u16) -> Endpoint {
        Endpoint::Tcp(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn session_tables_are_sized_for_the_sessions_asked_for() {
        for (sessions, buckets) in
            [(0, 128), (1024, 128), (1025, 256), (1 << 20, 1 << 17), (1 << 26, 1 << 23)]
        {
            assert_eq!(sticky_words(sessions), buckets * 32, "{sessions}");
        }
    }

    #[test]
    fn everything_works_without_the_kernel_side_and_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut kernel = Kernel::open(&options(dir.path())).unwrap();
        assert!(matches!(kernel.assist(), Assist::Off { .. }));
        let tables = kernel.tables();
        assert!(!tables.counters.kernel_counts());
        let gone = kernel.claim_slot(&tcp(1)).unwrap();
        let kept = kernel.claim_slot(&tcp(2)).unwrap();
        tables.counters.connecting(kept);
        tables.counters.opened(kept);
        tables.outstanding.begin(kept);
        tables.sticky[77].store(5, Relaxed);
        drop((kernel, tables));

        let mut kernel = Kernel::open(&options(dir.path())).unwrap();
        let tables = kernel.tables();
        assert_eq!(kernel.claim_slot(&tcp(2)).unwrap(), kept);
        kernel.release_unclaimed();
        let values = tables.counters.read(kept);
        assert_eq!((values.opened, values.open, values.closed), (1, 0, 1), "it closed with its process");
        assert_eq!(tables.outstanding.get(kept), 0);
        assert_eq!(tables.sticky[77].load(Relaxed), 5);
        kernel.reap();
        kernel.reap();
        assert_eq!(kernel.claim_slot(&tcp(3)).unwrap(), gone);
    }

    #[test]
    fn a_second_process_is_refused_and_so_is_cleanup_while_one_runs() {
        let dir = tempfile::tempdir().unwrap();
        let kernel = Kernel::open(&options(dir.path())).unwrap();
        let refused = Kernel::open(&options(dir.path())).unwrap_err();
        assert!(matches!(refused, KernelError::Running { .. }), "{refused}");
        assert!(matches!(cleanup("test", dir.path()), Err(KernelError::Running { .. })));
        drop(kernel);
        assert_eq!(cleanup("test", dir.path()).unwrap().removed, [dir.path().join("test")]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(cleanup("test", dir.path()).unwrap(), CleanupReport::default());
    }

    #[tokio::test]
    async fn events_of_workers_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let mut kernel = Kernel::open(&options(dir.path())).unwrap();
        let mut events = kernel.take_events().unwrap();
        assert!(kernel.take_events().is_none());
        let event = TargetEvent { slot: Slot(1), kind: TargetEventKind::ConnectFailed };
        kernel.event_sender().send(event);
        assert_eq!(events.next().await, Some(event));
    }
}
