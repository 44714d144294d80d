//! Removes what outlives the process: pinned tables and links, the cgroup, the instance's folder.
//! Must not know: what is in the tables.

use std::path::{Path, PathBuf};

use super::{KernelError, instance, instance::InstanceFolder};

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
    // Without the folder there is no lock, and whoever starts now makes one and finds nothing.
    if runtime_dir.join(instance).exists() {
        let folder = InstanceFolder::lock(instance, runtime_dir)?;
        report.removed.push(folder.remove()?);
    }
    Ok(report)
}
