//! The folder of pinned tables of one instance, and what may be kept of it.
//! Must not know: what is in the tables, how they are loaded.

use std::{
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use aya::maps::{MapInfo, MapType};
use balancer_common::{
    ABI_VERSION, CountedBytes, EVENTS_BYTES, LOAD_ROWS, ListenerKey, ListenerSockets, MAX_LISTENERS,
    MAX_SLOTS, MAX_SOCKETS, OUTSTANDING_WORDS, STICKY_BUCKET_WORDS, SocketRecord, StickyBucket,
    TargetCounters, TargetKey, WorkerLoad, map,
};
use rustix::{
    io::Errno,
    thread::{CapabilitySet, capabilities},
};

use super::error::BpfError;
use crate::{
    kernel::{file_lock, file_lock::FileLock, sys},
    safe_file::{Folder, Outlook},
};

/// Where file systems of this kind are mounted, by convention and by systemd.
const BPF_FS: &str = "/sys/fs/bpf";
/// From linux/magic.h.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// The tables that are pinned.
pub(super) const MAPS: [&str; 11] = [
    map::TARGETS,
    map::TARGET_COUNTERS,
    map::OUTSTANDING,
    map::STICKY,
    map::EVENTS,
    map::SOCKETS,
    map::PROBES,
    map::COUNTED,
    map::LISTENERS,
    map::WORKERS,
    map::WORKER_LOAD,
];

/// Those that versions before this one do not pin: their successor makes them.
const LATER: [&str; 3] = [map::LISTENERS, map::WORKERS, map::WORKER_LOAD];

/// The shape of a table: type, bytes of a key, bytes of a value, entries.
type Shape = (MapType, usize, usize, u32);

fn shape(name: &str, buckets: u32) -> Option<Shape> {
    let word = size_of::<u32>();
    Some(match name {
        map::TARGETS => (MapType::Hash, size_of::<TargetKey>(), word, MAX_SLOTS),
        map::TARGET_COUNTERS => (MapType::Array, word, size_of::<TargetCounters>(), MAX_SLOTS),
        map::OUTSTANDING => (MapType::Array, word, size_of::<u64>(), OUTSTANDING_WORDS),
        map::STICKY => (MapType::Array, word, size_of::<StickyBucket>(), buckets),
        map::EVENTS => (MapType::RingBuf, 0, 0, EVENTS_BYTES),
        map::SOCKETS => (MapType::SkStorage, word, size_of::<SocketRecord>(), 0),
        map::PROBES => (MapType::SkStorage, word, word, 0),
        map::COUNTED => (MapType::SkStorage, word, size_of::<CountedBytes>(), 0),
        map::LISTENERS => {
            (MapType::Hash, size_of::<ListenerKey>(), size_of::<ListenerSockets>(), MAX_LISTENERS)
        }
        map::WORKERS => (MapType::ReuseportSockArray, word, size_of::<u64>(), MAX_SOCKETS),
        map::WORKER_LOAD => (MapType::Array, word, size_of::<WorkerLoad>(), LOAD_ROWS),
        _ => return None,
    })
}

/// Everything that is pinned for an instance, of all versions.
pub(in crate::kernel) fn root(instance: &str) -> PathBuf {
    Path::new(BPF_FS).join("balancer").join(instance)
}

/// Removes everything that is pinned for an instance; true if there was anything. Nothing is removed while a process
/// counts in it.
pub(in crate::kernel) fn remove(instance: &str) -> Result<bool, BpfError> {
    let path = root(instance);
    let failed = |source| BpfError::Path { path: path.clone(), source };
    let (root, _lock) = match lock(&path, Folder::open) {
        Ok(locked) => locked,
        Err(BpfError::Path { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    root.clear(None).map_err(failed)?;
    root.remove_itself().map_err(failed)?;
    // Other instances may be there.
    let _ = path.parent().map(fs::remove_dir);
    Ok(true)
}

/// The session table of so many words that is pinned for an instance, if it can be had.
pub(in crate::kernel) fn pinned_sessions(instance: &str, words: usize) -> Option<OwnedFd> {
    let buckets = u32::try_from(words / STICKY_BUCKET_WORDS).ok()?;
    let root = Folder::open(&root(instance)).ok()?;
    root.demand_private(None).ok()?;
    let path = root.path_of(&format!("v{ABI_VERSION}")).join(map::STICKY);
    let info = MapInfo::from_pin(&path).ok()?;
    let is_fitting = shape_of(&info, map::STICKY).ok() == shape(map::STICKY, buckets);
    is_fitting.then(|| sys::pinned_object(&path).ok()).flatten()
}

/// Whether [`PinFolder::open`] would have its folder, which may be another process's for now. Makes nothing.
pub(super) fn look(instance: &str) -> Result<(), BpfError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| BpfError::Path { path, source }
    };
    let mount_point = Path::new(BPF_FS);
    if !is_bpf_fs(mount_point).map_err(failed(mount_point))? {
        // It would be mounted.
        let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        let denied = || failed(mount_point)(Errno::PERM.into());
        return if may { Ok(()) } else { Err(denied()) };
    }
    let path = root(instance);
    let folder = Outlook::of(&path).map_err(failed(&path))?;
    folder.demand_private(None).map_err(failed(&path))?;
    folder.demand_writable().map_err(failed(&path))
}

/// The folder of all versions of an instance, with a lock that every process takes that the folder can be seen by,
/// wherever its other folders are.
fn lock(path: &Path, open: impl Fn(&Path) -> io::Result<Folder>) -> Result<(Folder, FileLock), BpfError> {
    let failed = |source| BpfError::Path { path: path.to_owned(), source };
    loop {
        let folder = open(path).map_err(failed)?;
        // Everybody may make folders where this file system is mounted.
        folder.demand_private(None).map_err(failed)?;
        let file = Arc::new(folder.lockable().map_err(failed)?);
        let Some(lock) = FileLock::try_take(&file).map_err(failed)? else {
            return Err(BpfError::Running { pid: file_lock::holder(&file) });
        };
        // A cleanup may have removed it meanwhile.
        if folder.is_in_place().map_err(failed)? {
            return Ok((folder, lock));
        }
    }
}

/// The folder of this version's tables.
#[derive(Debug)]
pub(super) struct PinFolder {
    path: PathBuf,
    lock: FileLock,
}

impl PinFolder {
    /// Makes the folder where it is missing, and mounts the file system where that is missing. Tables of other
    /// versions are removed: no process uses them, for the instance is this process's.
    pub(super) fn open(instance: &str) -> Result<Self, BpfError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| BpfError::Path { path, source }
        };
        let mount_point = Path::new(BPF_FS);
        if !is_bpf_fs(mount_point).map_err(failed(mount_point))? {
            sys::mount(c"bpf", mount_point).map_err(failed(mount_point))?;
        }
        let (root, lock) = lock(&root(instance), |path| Ok(Folder::make(path, 0o700)?.0))?;
        let version = format!("v{ABI_VERSION}");
        let folder = root.child(&version, 0o700).map_err(failed(&root.path_of(&version)))?;
        for other in root.names().map_err(failed(root.path()))?.into_iter().filter(|name| *name != *version) {
            let path = root.path().join(&other);
            tracing::warn!(path = %path.display(), "pinned tables are of another version: removing them");
            let other = Folder::open(&path).map_err(failed(&path))?;
            other.clear(None).and_then(|()| other.remove_itself()).map_err(failed(&path))?;
        }
        Ok(Self { path: folder.path().to_owned(), lock })
    }

    /// The folder that another process has, by its lock on it.
    pub(super) fn inherit(instance: &str, lock: File) -> Result<Self, BpfError> {
        let root = root(instance);
        let failed = |source| BpfError::Path { path: root.clone(), source };
        let folder = Folder::open(&root).map_err(failed)?;
        folder.demand_private(None).map_err(failed)?;
        let foreign = || failed(io::Error::other("what was handed over is not its lock"));
        let is_same = {
            let (one, other) =
                (lock.metadata().map_err(failed)?, folder.lockable().and_then(|it| it.metadata()));
            let other = other.map_err(failed)?;
            (one.dev(), one.ino()) == (other.dev(), other.ino())
        };
        if !is_same {
            return Err(foreign());
        }
        let lock = FileLock::inherit(&Arc::new(lock)).map_err(failed)?.ok_or_else(foreign)?;
        Ok(Self { path: root.join(format!("v{ABI_VERSION}")), lock })
    }

    /// Where the object of this name is pinned.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What keeps other processes from it.
    pub(super) fn into_lock(self) -> FileLock {
        self.lock
    }

    /// That all tables are there, but for later ones, and have the wanted shape. Always true.
    pub(super) fn demand_fitting(&self, buckets: u32) -> Result<bool, BpfError> {
        for name in MAPS {
            if LATER.contains(&name) && !self.path(name).exists() {
                continue;
            }
            let info = MapInfo::from_pin(self.path(name)).map_err(|source| BpfError::Map { name, source })?;
            if Some(shape_of(&info, name)?) != shape(name, buckets) {
                return Err(BpfError::OtherSize { name });
            }
        }
        Ok(true)
    }

    /// Removes pinned tables that do not have the wanted shape. True if those that connections are counted in
    /// are there and stay.
    pub(super) fn keep_fitting(&self, buckets: u32) -> Result<bool, BpfError> {
        let mut counting = 0;
        for name in MAPS {
            let path = self.path(name);
            if !path.exists() {
                continue;
            }
            let info = MapInfo::from_pin(&path).map_err(|source| BpfError::Map { name, source })?;
            if Some(shape_of(&info, name)?) == shape(name, buckets) {
                counting += usize::from([map::SOCKETS, map::TARGET_COUNTERS].contains(&name));
                continue;
            }
            tracing::warn!(
                table = name,
                found = info.max_entries(),
                "pinned table is of another size: starting with an empty one"
            );
            fs::remove_file(&path).map_err(|source| BpfError::Path { path, source })?;
        }
        Ok(counting == 2)
    }
}

fn shape_of(info: &MapInfo, name: &'static str) -> Result<Shape, BpfError> {
    let kind = info.map_type().map_err(|source| BpfError::Map { name, source })?;
    let bytes = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    Ok((kind, bytes(info.key_size()), bytes(info.value_size()), info.max_entries()))
}

fn is_bpf_fs(path: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(path)?.f_type == BPF_FS_MAGIC)
}
