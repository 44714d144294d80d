//! The kernel side: the kernel programs and their tables, loaded, pinned and attached.
//!
//! Tables and the link to the cgroup are pinned under `/sys/fs/bpf/balancer/<instance>/v<version>/`, so that they go
//! on counting while no process is there: a process that is killed leaves connections that are still closing. The next
//! one takes the pinned tables, and puts its own program in the place of the one that the pinned link runs, in one
//! step: at every moment there is one program that counts. Must not know: slots, requests.

mod error;
mod loader;
mod look;
mod pins;
mod steering;
mod tables;
mod types;

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use aya::{
    Btf, BtfError, Ebpf, include_bytes_aligned,
    maps::{HashMap, Map, MapData, MapError, SkStorage},
    programs::{BtfTracePoint, CgroupAttachMode, Program, ProgramError, SockOps, links::FdLink},
};
use aya_log::EbpfLogger;
use balancer_common::{COUNTER_WORDS, STICKY_BUCKET_WORDS, TargetKey, map, program};
use rustix::thread::{CapabilitySet, capabilities};

pub(super) use self::{error::BpfError, loader::loader};
use self::{
    pins::PinFolder,
    steering::Steering,
    tables::{PodTargetKey, bad, take},
};
use super::{
    LateWords, Words, cgroup, cgroup::Cgroup, counters, events::KernelSources, file_lock::FileLock,
    late_words::TableWords, load, open_bytes::OpenBytes, outstanding, sys,
};

use crate::id::Slot;

pub(super) use self::{
    look::{PinnedMaps, pinned_maps},
    pins::{pinned_sessions, remove as remove_pins, root as pin_root},
};

/// The kernel programs, as `cargo xtask build-ebpf` made them (see the build script).
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/balancer-kernel.o"));

const LINK: &str = "target_counters_link";
const LOG: &str = "AYA_LOGS";

/// The loaded kernel side. It goes on counting when this is dropped.
#[derive(Debug)]
pub(super) struct Programs {
    targets: HashMap<MapData, PodTargetKey, u32>,
    /// What this process put into `targets`.
    keys: std::collections::HashMap<Slot, TargetKey>,
    /// Holds the programs that are not pinned.
    programs: Ebpf,
    /// Chooses workers for new connections, where that can be had.
    steering: Option<Steering>,
    /// Keeps other processes from the pinned tables.
    lock: FileLock,
}

/// What to open.
pub(super) struct Wanted<'a> {
    pub(super) instance: &'a str,
    pub(super) sticky_words: usize,
    /// Whether another process counts in the tables: then nothing of them may change.
    pub(super) inherited: bool,
    /// What that one locks them by.
    pub(super) lock: Option<fs::File>,
}

/// What [`Programs::open`] gives.
pub(super) struct OpenedSide {
    pub(super) side: Programs,
    pub(super) words: TableWords,
    pub(super) sources: KernelSources,
    pub(super) probes: SkStorage<MapData, u32>,
    pub(super) open_bytes: OpenBytes,
    /// Whether every connection since the tables were made has been counted to its end, or still is.
    pub(super) unbroken: bool,
    /// The cgroup made for the instance.
    pub(super) cgroup: Option<PathBuf>,
}

impl Programs {
    /// Loads the programs over the pinned tables, or new ones, and starts to count the connections of this process.
    pub(super) fn open(wanted: Wanted<'_>) -> Result<OpenedSide, BpfError> {
        let Wanted { instance, sticky_words, inherited, lock } = wanted;
        let buckets = u32::try_from(sticky_words / STICKY_BUCKET_WORDS)
            .map_err(|error| BpfError::Link(error.to_string()))?;
        let pins = match lock {
            Some(lock) => PinFolder::inherit(instance, lock)?,
            None => PinFolder::open(instance)?,
        };
        let kept = if inherited { pins.demand_fitting(buckets)? } else { pins.keep_fitting(buckets)? };
        // Who moves waits until each processor has noticed, for some milliseconds: as long as tables take to be made.
        let link = pins.path(LINK);
        let enter = {
            let (instance, link) = (instance.to_owned(), link.clone());
            move || cgroup::enter(&instance, linked_cgroup(&link))
        };
        let entering = may_load().then(|| beside(enter.clone())).flatten();
        let types = beside(|| types::of_tracepoint(TRACEPOINT));
        let mut loader = loader();
        loader.map_max_entries(map::STICKY, buckets);
        // What is below the log's level costs the programs nothing: the kernel leaves it out.
        let level = log::max_level() as u8;
        loader.override_global(aya_log::LEVEL, &level, false);
        for name in pins::MAPS {
            loader.map_pin_path(name, pins.path(name));
        }
        let mut programs = loader.load(OBJECT)?;
        let types = || joined(types, || types::of_tracepoint(TRACEPOINT));
        let Verifications { counter, resets, select } = verified(&mut programs, types);
        counter?;
        // With the rights that a start has. Counting begins when nobody else does it any more.
        if let Err(error) = resets {
            tell_uncounted_resets(&error);
        } else if !inherited {
            count_resets(&mut programs);
        }
        let steering = select
            .and_then(|()| Steering::new(&mut programs, inherited))
            .map_err(|error| {
                tracing::warn!(
                    reason = error.reason(),
                    "new connections are spread over the workers by their addresses, not by what workers have to do"
                );
            })
            .ok();
        let cgroup = attach(&mut programs, joined(entering, enter)?, &link)?;
        let log = programs.map(LOG).is_some().then(|| EbpfLogger::init(&mut programs));
        let log = log.transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "what kernel programs log is not shown");
            None
        });
        let words = TableWords {
            loads: mapped(&mut programs, map::WORKER_LOAD, load::WORDS)?,
            outstanding: mapped(&mut programs, map::OUTSTANDING, outstanding::WORDS)?,
            counters: mapped(&mut programs, map::TARGET_COUNTERS, counters::WORDS)?,
            sticky: mapped_late(&mut programs, map::STICKY, sticky_words)?,
        };
        let ring = take(&mut programs, map::EVENTS)?;
        let probes = SkStorage::try_from(take(&mut programs, map::PROBES)?).map_err(bad(map::PROBES))?;
        let counted = SkStorage::try_from(take(&mut programs, map::COUNTED)?).map_err(bad(map::COUNTED))?;
        let targets = HashMap::try_from(take(&mut programs, map::TARGETS)?).map_err(bad(map::TARGETS))?;
        Ok(OpenedSide {
            side: Self {
                targets,
                keys: std::collections::HashMap::new(),
                programs,
                steering,
                lock: pins.into_lock(),
            },
            words,
            sources: KernelSources { ring, log },
            probes,
            open_bytes: OpenBytes::new(counted),
            unbroken: kept && cgroup.same_link,
            cgroup: cgroup.made,
        })
    }

    /// Looks whether [`Self::open`] would find what it needs, and may use it: loads programs and tables, which are gone
    /// afterwards, and makes nothing.
    pub(super) fn look(instance: &str) -> Result<(), BpfError> {
        pins::look(instance)?;
        let mut loader = loader();
        loader.map_max_entries(map::STICKY, 1);
        load_counter(loader.load(OBJECT)?.program_mut(program::TARGET_COUNTERS))?;
        Ok(cgroup::look(instance)?)
    }

    /// What another process inherits the tables by.
    pub(super) fn lend(&self) -> io::Result<OwnedFd> {
        self.lock.lend()
    }

    /// Another process has the tables from here on; this one counts what they hold no more.
    pub(super) fn give_up(self) {
        self.lock.give_up();
    }

    /// This process has the tables from here on.
    pub(super) fn take_up(&mut self) {
        self.lock.take_up();
        count_resets(&mut self.programs);
    }

    /// Whether workers are chosen for new connections by what they have to do.
    pub(super) fn steers(&self) -> bool {
        self.steering.is_some()
    }

    /// See [`Steering::steer`].
    pub(super) fn steer(
        &mut self,
        sockets: &[TcpListener],
        first_load: u32,
        workers: usize,
    ) -> Result<(), BpfError> {
        let Some(steering) = &mut self.steering else { return Ok(()) };
        steering.steer(&self.programs, sockets, first_load, workers)
    }

    /// Nobody listens there any more.
    pub(super) fn unsteer(&mut self, address: SocketAddr) {
        if let Some(steering) = &mut self.steering {
            steering.forget(address);
        }
    }

    /// Nobody listens but where this process has said so.
    pub(super) fn unsteer_others(&mut self) {
        if let Some(steering) = &mut self.steering {
            steering.forget_others();
        }
    }

    /// Connections to `key` are counted on `slot` from now on.
    pub(super) fn count(&mut self, key: TargetKey, slot: Slot) -> Result<(), MapError> {
        self.targets.insert(PodTargetKey(key), u32::from(slot.0), 0)?;
        self.keys.insert(slot, key);
        Ok(())
    }

    /// New connections to what is counted on `slot` are not counted any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        if let Some(key) = self.keys.remove(&slot) {
            self.remove(key);
        }
    }

    /// New connections to anything but what `is_wanted` wants are not counted any more.
    pub(super) fn forget_all_but(&mut self, is_wanted: impl Fn(Slot) -> bool) {
        let wanted = |slot: u32| u16::try_from(slot).is_ok_and(|slot| is_wanted(Slot(slot)));
        let unwanted: Vec<PodTargetKey> =
            self.targets.iter().flatten().filter(|&(_, slot)| !wanted(slot)).map(|(key, _)| key).collect();
        for PodTargetKey(key) in unwanted {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: TargetKey) {
        match self.targets.remove(&PodTargetKey(key)) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(error) => {
                tracing::warn!(%error, "an endpoint that is not used any more cannot be taken from the kernel");
            }
        }
    }
}

struct Attached {
    same_link: bool,
    made: Option<PathBuf>,
}

/// What takes a while and waits for nothing here, by a thread of its own; none where there can be no more.
fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    thread::Builder::new().spawn(work).ok()
}

/// What [`beside`] came to, or what `work` does.
fn joined<T>(begun: Option<JoinHandle<T>>, work: impl FnOnce() -> T) -> T {
    begun.and_then(|thread| thread.join().ok()).unwrap_or_else(work)
}

/// Whether this process is one that the kernel takes programs from: nothing is made for one that it is not.
fn may_load() -> bool {
    let any = CapabilitySet::BPF | CapabilitySet::SYS_ADMIN;
    capabilities(None).is_ok_and(|sets| sets.effective.intersects(any))
}

/// What the kernel said of each program.
struct Verifications {
    counter: Result<(), BpfError>,
    resets: Result<(), BpfError>,
    select: Result<(), BpfError>,
}

/// Has the kernel look the programs over and take them, two at a time: it takes some milliseconds for each. `types` are wanted
/// last.
fn verified(programs: &mut Ebpf, types: impl FnOnce() -> Result<Btf, BtfError>) -> Verifications {
    let [mut counter, mut resets, mut select] = [None, None, None];
    for (name, program) in programs.programs_mut() {
        match name {
            program::TARGET_COUNTERS => counter = Some(program),
            program::RESET_COUNTER => resets = Some(program),
            program::WORKER_SELECT => select = Some(program),
            _ => {}
        }
    }
    let mut of_select = None;
    let (of_counter, of_resets) = thread::scope(|scope| {
        let ask = || of_select = Some(steering::load(select.as_deref_mut()));
        // Where there can be no more threads it is asked about afterwards.
        let _ = thread::Builder::new().spawn_scoped(scope, ask);
        (load_counter(counter), load_reset_counter(resets, types))
    });
    let select = of_select.unwrap_or_else(|| steering::load(select));
    Verifications { counter: of_counter, resets: of_resets, select }
}

fn of_counter(source: ProgramError) -> BpfError {
    BpfError::Program { name: program::TARGET_COUNTERS, source }
}

/// The program that counts.
fn counter_in(program: Option<&mut Program>) -> Result<&mut SockOps, BpfError> {
    const NAME: &str = program::TARGET_COUNTERS;
    program.ok_or(BpfError::Missing { name: NAME })?.try_into().map_err(of_counter)
}

fn load_counter(program: Option<&mut Program>) -> Result<(), BpfError> {
    counter_in(program)?.load().map_err(of_counter)
}

/// Has the program count the connections of this process, by the link at `path`.
fn attach(programs: &mut Ebpf, cgroup: Cgroup, path: &Path) -> Result<Attached, BpfError> {
    let counter = counter_in(programs.program_mut(program::TARGET_COUNTERS))?;
    let Cgroup { folder, id, made } = cgroup;
    if path.exists() {
        match take_over(path, id, counter) {
            Ok(()) => return Ok(Attached { same_link: true, made }),
            Err(reason) => {
                tracing::info!(reason, "the pinned link is not used again: connections are counted anew");
                fs::remove_file(path).map_err(|source| BpfError::Path { path: path.to_owned(), source })?;
            }
        }
    }
    let link = counter.attach(folder, CgroupAttachMode::Single).map_err(of_counter)?;
    let link = counter.take_link(link).map_err(of_counter)?;
    let link: FdLink = link
        .try_into()
        .map_err(|error: aya::programs::links::LinkError| BpfError::Link(error.to_string()))?;
    link.pin(path).map_err(|error| BpfError::Link(error.to_string()))?;
    Ok(Attached { same_link: false, made })
}

/// The cgroup that the link at `path` is attached to.
fn linked_cgroup(path: &Path) -> Option<u64> {
    let link = sys::pinned_object(path).ok()?;
    sys::link_cgroup(link.as_fd()).ok().flatten()
}

/// Makes the link at `path` run `counter`, if it is attached to the cgroup; else says why not.
fn take_over(path: &Path, cgroup: u64, counter: &SockOps) -> Result<(), String> {
    let link = sys::pinned_object(path).map_err(|error| error.to_string())?;
    match sys::link_cgroup(link.as_fd()) {
        Ok(Some(found)) if found == cgroup => {}
        Ok(_) => return Err("it is of another cgroup".to_owned()),
        Err(error) => return Err(error.to_string()),
    }
    let program = counter.fd().map_err(|error| error.to_string())?;
    sys::replace_program(link.as_fd(), program.as_fd()).map_err(|error| error.to_string())
}

const RESETS: &str = program::RESET_COUNTER;
const TRACEPOINT: &str = "tcp_receive_reset";

fn of_resets(source: ProgramError) -> BpfError {
    BpfError::Program { name: RESETS, source }
}

fn reset_counter(program: Option<&mut Program>) -> Result<&mut BtfTracePoint, BpfError> {
    program.ok_or(BpfError::Missing { name: RESETS })?.try_into().map_err(of_resets)
}

fn load_reset_counter(
    program: Option<&mut Program>,
    types: impl FnOnce() -> Result<Btf, BtfError>,
) -> Result<(), BpfError> {
    let types = types().map_err(|error| BpfError::Load(error.into()))?;
    reset_counter(program)?.load(TRACEPOINT, &types).map_err(of_resets)
}

/// Not pinned: what happens between two processes is not counted, and nothing is counted twice.
fn count_resets(programs: &mut Ebpf) {
    let attached =
        reset_counter(programs.program_mut(RESETS)).and_then(|counter| counter.attach().map_err(of_resets));
    if let Err(error) = attached {
        tell_uncounted_resets(&error);
    }
}

fn tell_uncounted_resets(error: &BpfError) {
    tracing::warn!(reason = error.reason(), "resets of connections to targets are not counted");
}

/// The memory of an array. It stays after the descriptor is closed.
fn mapped(programs: &mut Ebpf, name: &'static str, len: usize) -> Result<Words, BpfError> {
    const { assert!(COUNTER_WORDS == 16, "rows of arrays are multiples of a word, without padding between them") };
    let Map::Array(array) = take(programs, name)? else { return Err(BpfError::Missing { name }) };
    Words::of_fd(array.fd().as_fd(), len).map_err(|source| BpfError::Mapping { name, source })
}

/// The same, mapped when it is needed: the kernel has all of its pages in the process at once.
fn mapped_late(programs: &mut Ebpf, name: &'static str, len: usize) -> Result<LateWords, BpfError> {
    let Map::Array(array) = take(programs, name)? else { return Err(BpfError::Missing { name }) };
    let array = array.fd().as_fd().try_clone_to_owned();
    Ok(LateWords::of_fd(array.map_err(|source| BpfError::Mapping { name, source })?, len))
}
