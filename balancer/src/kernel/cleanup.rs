//! Removes what outlives the process: pinned tables and links, the cgroup, the instance's folder.
//! Must not know: what is in the tables.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::{
    KernelError, bpf, cgroup,
    generation::Generations,
    host_lock::HostLock,
    instance,
    instance::{CGROUP, InstanceFolder},
};
use crate::safe_file::Folder;

/// `PATH_MAX` of linux/limits.h.
const LONGEST_PATH: u64 = 4096;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// Folders, in the order they went.
    pub removed: Vec<PathBuf>,
}

/// Removes everything that a balancer of this instance left behind. Nothing left is no error.
///
/// # Errors
/// [`KernelError::Running`] while the instance runs; [`KernelError::Remove`] for what cannot be removed.
pub fn cleanup(instance: &str, runtime_dir: &Path) -> Result<CleanupReport, KernelError> {
    instance::check_name(instance)?;
    let mut report = CleanupReport::default();
    let pins = bpf::pin_root(instance);
    let had_folder = runtime_dir.join(instance).exists();
    let left_cgroup = cgroup::expected(instance).is_some_and(|path| path.exists());
    // It may run with another runtime folder.
    let host = HostLock::take(instance)?;
    if !had_folder && !left_cgroup && !pins.exists() {
        return Ok(report);
    }
    let folder = InstanceFolder::lock_held(host, instance, runtime_dir)?;
    // One that was succeeded may go on ending when its successor is gone.
    Generations::demand_none(folder.folder(), instance)?;
    let removed_pins = bpf::remove_pins(instance).map_err(|error| error.of_removal(instance, &pins))?;
    // A process that ran the instance and goes on, as the demo does, is still in its cgroup. If it cannot leave,
    // removing the cgroup says so.
    let _ = cgroup::leave(instance);
    if removed_pins {
        report.removed.push(pins);
    }
    let mut cgroups = vec![];
    cgroups.extend(remembered_cgroup(folder.folder()));
    cgroups.extend(cgroup::expected(instance).filter(|path| !cgroups.contains(path)));
    for path in cgroups {
        match cgroup::remove(instance, &path) {
            Ok(()) => report.removed.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path)(error)),
        }
    }
    let path = folder.remove()?;
    if had_folder {
        report.removed.push(path);
    }
    Ok(report)
}

/// Notes, for a later cleanup, that this cgroup was made for the instance.
pub(super) fn remember_cgroup(folder: &Folder, cgroup: &Path) -> Result<(), KernelError> {
    let write = || {
        let mut file = folder.private_file(CGROUP)?;
        file.set_len(0)?;
        file.write_all(cgroup.as_os_str().as_bytes())
    };
    write().map_err(|source| KernelError::RuntimeDir { path: folder.path_of(CGROUP), source })
}

/// What was noted. Others may have had the folder: [`cgroup::remove`] removes nothing but cgroups of the instance.
fn remembered_cgroup(folder: &Folder) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    folder.private_file(CGROUP).ok()?.take(LONGEST_PATH).read_to_end(&mut bytes).ok()?;
    (!bytes.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.to_owned();
    |source| KernelError::Remove { path, source }
}
