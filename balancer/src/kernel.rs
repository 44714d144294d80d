//! The tables that workers, processes and the kernel share, and the kernel programs that count connections.
//!
//! [`Kernel`] belongs to the control side: it opens the tables, gives slots to endpoints, and loads the kernel
//! programs where that can be had. [`Tables`] is what workers get of it: plain memory, read and written with
//! atomics, never a system call. Without the kernel side the same tables are mapped files and the workers
//! count connections themselves: nothing but speed and insight changes.
//! Must not know: requests, cookies, health, what a slot's figures are used for.

mod bpf;
mod cgroup;
mod cleanup;
mod counters;
mod delivery;
mod endpoint;
mod error;
mod events;
mod fallback;
mod file_lock;
mod generation;
mod hand_over;
mod heap;
mod host_lock;
mod host_name;
mod instance;
mod late_words;
mod load;
mod open_bytes;
mod outstanding;
mod owners;
mod passed;
mod passed_over;
mod pinned;
mod shield;
mod slots;
mod steered;
mod sys;
mod timers;
mod truncation;
mod words;

use std::{
    fmt, io,
    os::fd::BorrowedFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use aya::maps::{MapData, MapError, SkStorage};
pub use balancer_common::GENERATIONS;
use balancer_common::{STICKY_BUCKET_WORDS, STICKY_ENTRIES_PER_BUCKET};

use self::{
    bpf::{BpfError, OpenedSide, Programs, Wanted},
    late_words::TableWords,
    open_bytes::OpenBytes,
    slots::Slots,
};
pub use self::{
    cleanup::{CleanupReport, cleanup},
    counters::{Attempt, CounterValues, OpenConnection, TargetCounters},
    delivery::{Delivery, SeenDelivery},
    error::KernelError,
    events::{EventSender, Events, TargetEvent, TargetEventKind},
    generation::Generations,
    heap::give_back,
    instance::{InstanceFolder, Locks, check_name},
    late_words::LateWords,
    load::{LoadValues, WorkerLoad, WorkerLoads},
    open_bytes::ReportedBytes,
    outstanding::{InFlight, Outstanding, OutstandingView},
    owners::{owner_here, owners},
    passed::take_passed,
    passed_over::pass_over,
    pinned::{PinnedListener, PinnedTables},
    shield::{
        DenyError, InterfaceReport, Shield, ShieldLink, ShieldReport, ShieldSample, ShieldSamples, ShieldView,
    },
    sys::{Timer, readable, unacknowledged},
    timers::{Sleep, Timers},
    words::Words,
};
use crate::{
    id::Slot,
    model::{Endpoint, KernelAssist, ShieldSettings},
    safe_file::Folder,
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
    /// The shield, where one is configured.
    pub shield: Option<ShieldSettings>,
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
    pub sticky: LateWords,
    /// What workers have to do.
    pub loads: WorkerLoads,
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
            sticky: Words::in_memory(sticky_words(session_table_size))?.into(),
            loads: WorkerLoads::in_memory()?,
        })
    }
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
    side: Option<Programs>,
    /// Of the tables, without the kernel side.
    files: Option<fallback::TableFiles>,
    /// Whether another process has the instance.
    given_up: bool,
    marker: ProbeMarker,
    shield: Shield,
    /// Held until everything above is gone.
    folder: InstanceFolder,
}

impl Kernel {
    /// Takes the instance for this process, and opens or makes its tables. What an earlier process counted
    /// is still there. With the kernel side the process may move to a cgroup of its own; sockets that were
    /// opened before are not counted.
    ///
    /// With [`KernelAssist::Auto`], a kernel side that cannot be had is told of once, as a warning.
    /// Afterwards root may be given up; CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON must then be kept.
    ///
    /// # Errors
    /// [`KernelError::Running`] when another process has the instance; [`KernelError::Required`] when the
    /// kernel side is required and cannot be had; others when the runtime folder or memory cannot be used.
    pub fn open(options: &KernelOptions) -> Result<Self, KernelError> {
        Self::open_in(InstanceFolder::lock(&options.instance, &options.runtime_dir)?, options)
    }

    /// Looks whether [`Self::open`] would be refused for want of the kernel side: loads what it would, for a moment, and changes
    /// nothing.
    ///
    /// # Errors
    /// [`KernelError::Required`].
    pub fn look(instance: &str, assist: KernelAssist) -> Result<(), KernelError> {
        if assist != KernelAssist::Required {
            return Ok(());
        }
        Programs::look(instance).map_err(|error| KernelError::Required { reason: error.reason() })
    }

    /// [`Self::open`] with the folder of the instance in hand.
    ///
    /// # Errors
    /// As there.
    pub fn open_in(mut folder: InstanceFolder, options: &KernelOptions) -> Result<Self, KernelError> {
        let sticky_words = sticky_words(options.session_table_size);
        match open_kernel_side(&mut folder, options, sticky_words)? {
            Ok(opened) => Self::with_kernel_side(folder, options, opened),
            Err(reason) => Self::without_kernel_side(folder, options, reason),
        }
    }

    fn with_kernel_side(
        folder: InstanceFolder,
        options: &KernelOptions,
        opened: OpenedSide,
    ) -> Result<Self, KernelError> {
        let OpenedSide { side, words, sources, probes, open_bytes, unbroken, cgroup } = opened;
        if let Some(cgroup) = cgroup {
            cleanup::remember_cgroup(folder.folder(), &cgroup)?;
        }
        if !folder.is_inherited() {
            hand_over::to_kernel_side(folder.folder(), &words.sticky)?;
        }
        let settle = |fingerprint| !unbroken || endpoint::counted_by_workers(fingerprint);
        let parts = assemble(folder.folder(), words, Some(open_bytes), settle)?;
        let shield = Shield::open(&options.instance, options.shield.as_ref(), folder.is_inherited());
        let mut kernel = Self::of(folder, parts, Assist::Active, Some(sources), shield);
        kernel.side = Some(side);
        kernel.marker = ProbeMarker(Some(Arc::new(Mutex::new(probes))));
        Ok(kernel)
    }

    fn without_kernel_side(
        folder: InstanceFolder,
        options: &KernelOptions,
        reason: String,
    ) -> Result<Self, KernelError> {
        let sticky_words = sticky_words(options.session_table_size);
        let (words, files) = fallback::open(folder.folder(), sticky_words, folder.is_inherited())?;
        if !folder.is_inherited() {
            hand_over::from_kernel_side(folder.folder(), &options.instance, &words.sticky)?;
        }
        let parts = assemble(folder.folder(), words, None, |_| true)?;
        let shield = Shield::without(options.shield.as_ref(), &reason);
        let mut kernel = Self::of(folder, parts, Assist::Off { reason }, None, shield);
        kernel.files = Some(files);
        Ok(kernel)
    }

    /// What both have; the rest is not there.
    fn of(
        folder: InstanceFolder,
        (tables, generations, slots): (Tables, Generations, Slots),
        assist: Assist,
        sources: Option<events::KernelSources>,
        shield: Shield,
    ) -> Self {
        let (sender, events) = events::channel(sources);
        Self {
            tables,
            assist,
            slots,
            generations,
            events: Some(events),
            sender,
            side: None,
            files: None,
            given_up: false,
            marker: ProbeMarker(None),
            shield,
            folder,
        }
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
    /// the lowest free one, zeroed. Claiming twice gives the same slot, which is to be released twice.
    ///
    /// # Errors
    /// [`KernelError::NoFreeSlot`]; [`KernelError::Target`] when the kernel refuses.
    pub fn claim_slot(&mut self, endpoint: &Endpoint) -> Result<Slot, KernelError> {
        let full = || KernelError::NoFreeSlot { endpoint: endpoint.clone() };
        let slot = self.slots.claim(endpoint).ok_or_else(full)?;
        if let (Some(side), Some(key)) = (&mut self.side, endpoint::target_key(endpoint))
            && let Err(source) = side.count(key, slot)
        {
            self.slots.release(slot);
            return Err(KernelError::Target { endpoint: endpoint.clone(), source });
        }
        Ok(slot)
    }

    /// One user of this slot's endpoint less. After the last its new connections are not counted from now on, those
    /// that are open still are. [`Self::reap`] frees the slot when nothing counts on it.
    pub fn release_slot(&mut self, slot: Slot) {
        if self.slots.release(slot)
            && let Some(side) = &mut self.side
        {
            side.forget(slot);
        }
    }

    /// After a start, when all configured endpoints are claimed: releases the slots of all others.
    pub fn release_unclaimed(&mut self) {
        self.slots.release_left_over();
        if let Some(side) = &mut self.side {
            side.forget_all_but(|slot| self.slots.is_claimed(slot));
        }
    }

    /// To be called about once a second: frees released slots on which nothing was counted at this call and
    /// the one before, and clears what processes that are gone had in flight. Mends tables that somebody spoilt.
    pub fn reap(&mut self) {
        if self.side.is_some() {
            self.tables.loads.settle();
        }
        self.shield.tend();
        let torn = self.files.as_mut().is_some_and(fallback::TableFiles::repair);
        // What was begun before goes on ending for a while.
        if torn || truncation::happened() {
            self.slots.mend();
        }
        self.generations.clear_dead();
        // Another process may have claimed what this one released.
        if !self.given_up && !self.generations.others_live() {
            let kernel_counts = self.tables.counters.kernel_counts();
            self.slots.write_off(|owner| !kernel_counts || endpoint::counted_by_workers(owner));
            self.slots.reap();
        }
    }

    /// Why there is no kernel side, where another process has said so.
    pub fn explain(&mut self, reason: String) {
        if let Assist::Off { reason: said } = &mut self.assist {
            *said = reason;
        }
    }

    /// How many processes of the instance count, this one included, of [`GENERATIONS`] that can.
    #[must_use]
    pub fn live_generations(&self) -> usize {
        self.generations.live()
    }

    /// The processes of the instance.
    #[must_use]
    pub fn generations(&self) -> Generations {
        self.generations.clone()
    }

    /// The locks, for a process that is to succeed this one.
    ///
    /// # Errors
    /// The system's.
    pub fn lend(&self) -> io::Result<Locks> {
        self.folder.lend(self.side.as_ref().map(Programs::lend).transpose()?)
    }

    /// Another process has the instance from here on. What is in flight here is still counted; slots and the kernel's
    /// programs are that one's.
    pub fn give_up(&mut self) {
        self.given_up = true;
        self.folder.give_up();
        self.shield.give_up();
        if let Some(side) = self.side.take() {
            side.give_up();
        }
    }

    /// This process, which has inherited the instance, has it from here on.
    pub fn take_up(&mut self) {
        self.folder.take_up();
        if let Some(side) = &mut self.side {
            side.take_up();
        }
        self.shield.begin();
    }

    /// The shield.
    pub fn shield(&mut self) -> &mut Shield {
        &mut self.shield
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
        self.marker.clone()
    }
}

/// Tries the kernel side. The inner error says why it is done without; the outer one, that it must not be.
fn open_kernel_side(
    folder: &mut InstanceFolder,
    options: &KernelOptions,
    sticky_words: usize,
) -> Result<Result<OpenedSide, String>, KernelError> {
    if options.assist == KernelAssist::Off {
        return Ok(Err("switched off by kernel_assist".to_owned()));
    }
    let wanted = Wanted {
        instance: &options.instance,
        sticky_words,
        inherited: folder.is_inherited(),
        lock: folder.take_tables(),
    };
    Programs::open(wanted).map_or_else(
        |error| match (options.assist, error.reason()) {
            _ if let BpfError::OtherSize { .. } = error => {
                Err(KernelError::Changed { setting: "session_table_size" })
            }
            _ if let BpfError::Running { pid } = error => {
                Err(KernelError::Running { instance: options.instance.clone(), pid })
            }
            (KernelAssist::Required, reason) => Err(KernelError::Required { reason }),
            (_, reason) => {
                tracing::warn!(
                    reason,
                    "going on without the kernel side: connections are counted by the workers"
                );
                Ok(Err(reason))
            }
        },
        |opened| Ok(Ok(opened)),
    )
}

fn assemble(
    folder: &Folder,
    words: TableWords,
    open_bytes: Option<OpenBytes>,
    settle: impl Fn(u64) -> bool,
) -> Result<(Tables, Generations, Slots), KernelError> {
    let generations = Generations::claim(folder, words.outstanding)?;
    let tables = Tables {
        outstanding: generations.outstanding(),
        counters: TargetCounters::new(words.counters, open_bytes),
        sticky: words.sticky,
        loads: WorkerLoads::of_generation(words.loads, generations.own()),
    };
    // Connections of another process that lives are open.
    let alone = !generations.others_live();
    let settle = |fingerprint| alone && settle(fingerprint);
    let slots = Slots::new(tables.counters.clone(), tables.outstanding.clone(), settle);
    Ok((tables, generations, slots))
}

/// Exempts sockets from being counted by the kernel. Cheap to clone.
#[derive(Clone)]
pub struct ProbeMarker(Option<Arc<Mutex<SkStorage<MapData, u32>>>>);

impl ProbeMarker {
    /// The connection that this socket is going to make is not counted and raises no events. To be called
    /// before connect(2). Without the kernel side there is nothing to do.
    ///
    /// # Errors
    /// The kernel's; the socket can be used all the same, and is then counted.
    pub fn exempt(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let Some(probes) = &self.0 else { return Ok(()) };
        let mut probes = probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.insert(&socket, 1, 0).map_err(|error| match error {
            MapError::SyscallError(error) => error.io_error,
            error => io::Error::other(error),
        })
    }
}

impl fmt::Debug for ProbeMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProbeMarker({})", if self.0.is_some() { "kernel" } else { "none" })
    }
}

/// Words of a session table with entries for this many sessions.
fn sticky_words(sessions: u32) -> usize {
    let buckets = sessions.max(1024).div_ceil(STICKY_ENTRIES_PER_BUCKET).next_power_of_two();
    STICKY_BUCKET_WORDS * usize::try_from(buckets).unwrap_or(usize::MAX / STICKY_BUCKET_WORDS)
}
#[cfg(test)]
mod tests;
