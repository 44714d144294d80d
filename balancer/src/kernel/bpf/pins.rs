//! The folder of pinned tables of one instance, and what may be kept of it.
//! Must not know: what is in the tables, how they are loaded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::maps::{MapInfo, MapType};
use balancer_common::{
    ABI_VERSION, EVENTS_BYTES, MAX_SLOTS, OUTSTANDING_WORDS, SocketRecord, StickyBucket, TargetCounters,
    TargetKey, map,
};

use super::BpfError;
use crate::kernel::{instance, sys};

/// Where file systems of this kind are mounted, by convention and by systemd.
const BPF_FS: &str = "/sys/fs/bpf";
/// From linux/magic.h.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// The tables that are pinned.
pub(super) const MAPS: [&str; 7] = [
    map::TARGETS,
    map::TARGET_COUNTERS,
    map::OUTSTANDING,
    map::STICKY,
    map::EVENTS,
    map::SOCKETS,
    map::PROBES,
];

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
        _ => return None,
    })
}

/// Everything that is pinned for an instance, of all versions.
pub(in crate::kernel) fn root(instance: &str) -> PathBuf {
    Path::new(BPF_FS).join("balancer").join(instance)
}

/// Removes everything that is pinned for an instance; true if there was anything.
pub(in crate::kernel) fn remove(instance: &str) -> io::Result<bool> {
    let root = root(instance);
    if !root.exists() {
        return Ok(false);
    }
    for version in fs::read_dir(&root)? {
        remove_version(&version?.path())?;
    }
    fs::remove_dir(&root)?;
    // Other instances may be there.
    let _ = root.parent().map(fs::remove_dir);
    Ok(true)
}

fn remove_version(folder: &Path) -> io::Result<()> {
    for pin in fs::read_dir(folder)? {
        fs::remove_file(pin?.path())?;
    }
    fs::remove_dir(folder)
}

/// The folder of this version's tables.
#[derive(Debug)]
pub(super) struct PinFolder(PathBuf);

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
        let root = root(instance);
        let folder = root.join(format!("v{ABI_VERSION}"));
        instance::create_private(&folder).map_err(failed(&folder))?;
        for other in fs::read_dir(&root).map_err(failed(&root))?.flatten().map(|entry| entry.path()) {
            if other != folder {
                tracing::warn!(path = %other.display(), "pinned tables are of another version: removing them");
                remove_version(&other).map_err(failed(&other))?;
            }
        }
        Ok(Self(folder))
    }

    /// Where the object of this name is pinned.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
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
