//! Opens what is pinned for an instance and looks at it. Makes nothing, and changes nothing. Must not know: what is in the tables.

use std::{os::fd::AsFd as _, path::Path};

use aya::maps::{HashMap, Map, MapData, MapInfo};
use balancer_common::{ABI_VERSION, ListenerKey, ListenerSockets, STICKY_BUCKET_WORDS, TargetKey, map};

use super::{
    error::BpfError,
    pins,
    tables::{PodListenerSockets, PodTargetKey, bad},
};
use crate::{
    kernel::{Words, counters, load, outstanding, sys},
    safe_file::Folder,
};

/// What is pinned.
pub(in crate::kernel) struct PinnedMaps {
    pub(in crate::kernel) words: PinnedWords,
    /// Versions before do not have it.
    pub(in crate::kernel) loads: Option<Words>,
    pub(in crate::kernel) targets: Vec<(TargetKey, u32)>,
    pub(in crate::kernel) listeners: Vec<(ListenerKey, ListenerSockets)>,
}

/// Those that are mapped.
pub(in crate::kernel) struct PinnedWords {
    pub(in crate::kernel) counters: Words,
    pub(in crate::kernel) outstanding: Words,
    pub(in crate::kernel) sticky: Words,
}

/// What is pinned for an instance; none where nothing is.
pub(in crate::kernel) fn pinned_maps(instance: &str) -> Result<Option<PinnedMaps>, BpfError> {
    let root = pins::root(instance);
    let folder = match Folder::open(&root) {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BpfError::Path { path: root, source }),
    };
    // Everybody may make folders where this file system is mounted.
    folder.demand_private(None).map_err(|source| BpfError::Path { path: root.clone(), source })?;
    let folder = folder.path_of(&format!("v{ABI_VERSION}"));
    if !folder.exists() {
        return Ok(None);
    }
    let info = MapInfo::from_pin(folder.join(map::STICKY)).map_err(bad(map::STICKY))?;
    let sticky = usize::try_from(info.max_entries()).unwrap_or(0) * STICKY_BUCKET_WORDS;
    let words = PinnedWords {
        counters: mapped(&folder, map::TARGET_COUNTERS, counters::WORDS)?,
        outstanding: mapped(&folder, map::OUTSTANDING, outstanding::WORDS)?,
        sticky: mapped(&folder, map::STICKY, sticky)?,
    };
    let has = |name: &str| folder.join(name).exists();
    let loads = has(map::WORKER_LOAD).then(|| mapped(&folder, map::WORKER_LOAD, load::WORDS)).transpose()?;
    let targets: HashMap<_, PodTargetKey, u32> = hash(&folder, map::TARGETS)?;
    let targets = targets.iter().flatten().map(|(PodTargetKey(key), slot)| (key, slot)).collect();
    let listeners = if has(map::LISTENERS) {
        let listeners: HashMap<_, PodTargetKey, PodListenerSockets> = hash(&folder, map::LISTENERS)?;
        let entries = listeners.iter().flatten();
        entries.map(|(PodTargetKey(key), PodListenerSockets(sockets))| (key, sockets)).collect()
    } else {
        Vec::new()
    };
    Ok(Some(PinnedMaps { words, loads, targets, listeners }))
}

fn hash<K: aya::Pod, V: aya::Pod>(
    folder: &Path,
    name: &'static str,
) -> Result<HashMap<MapData, K, V>, BpfError> {
    let data = MapData::from_pin(folder.join(name)).map_err(bad(name))?;
    HashMap::try_from(Map::HashMap(data)).map_err(bad(name))
}

fn mapped(folder: &Path, name: &'static str, len: usize) -> Result<Words, BpfError> {
    let failed = |source| BpfError::Mapping { name, source };
    let map = sys::pinned_object(&folder.join(name)).map_err(failed)?;
    Words::of_fd(map.as_fd(), len).map_err(failed)
}
