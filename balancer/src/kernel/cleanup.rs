//! Removes what outlives the process: pinned tables and links, the cgroup, the instance's folder.
//! Must not know: what is in the tables.

use std::{
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::{KernelError, bpf, cgroup, instance, instance::InstanceFolder};

/// The file in the instance's folder that names the cgroup made for it.
const CGROUP: &str = "cgroup";

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
    if !had_folder && !left_cgroup && !pins.exists() {
        return Ok(report);
    }
    let folder = InstanceFolder::lock(instance, runtime_dir)?;
    // A process that ran the instance and goes on, as the demo does, is still in its cgroup. If it cannot leave,
    // removing the cgroup says so.
    let _ = cgroup::leave(instance);
    if bpf::remove_pins(instance).map_err(failed(&pins))? {
        report.removed.push(pins);
    }
    let mut cgroups = vec![];
    cgroups.extend(remembered_cgroup(folder.path()));
    cgroups.extend(cgroup::expected(instance).filter(|path| !cgroups.contains(path)));
    for path in cgroups {
        match fs::remove_dir(&path) {
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
pub(super) fn remember_cgroup(folder: &Path, cgroup: &Path) -> Result<(), KernelError> {
    let path = folder.join(CGROUP);
    fs::write(&path, cgroup.as_os_str().as_bytes())
        .map_err(|source| KernelError::RuntimeDir { path: path.clone(), source })
}

fn remembered_cgroup(folder: &Path) -> Option<PathBuf> {
    let bytes = fs::read(folder.join(CGROUP)).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.to_owned();
    |source| KernelError::Remove { path, source }
}
