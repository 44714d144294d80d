//! Which processes have an instance, for who only looks. Must not know: why it is asked.

use std::{io, path::Path};

use super::{file_lock::holder_by_system, host_lock, host_name, instance};
use crate::safe_file::Folder;

/// The processes that have the instance by its name or one of its locks, as far as they can be seen from here. Nothing is
/// taken or made.
#[must_use]
pub fn owners(name: &str, runtime_dir: &Path) -> Vec<u32> {
    let by_name = host_name::holder(name).ok().flatten().and_then(|holder| holder.pid);
    let of_host = host_lock::folders().map(|folder| (folder, host_lock::file_name(name)));
    let by_lock = of_host.into_iter().filter_map(|(folder, lock)| holder(&folder, &lock));
    by_name.into_iter().chain(by_lock).chain(owner_here(name, runtime_dir).ok().flatten()).collect()
}

/// The process that has the instance's folder in `runtime_dir`, if one has it.
///
/// # Errors
/// The system's: it cannot be seen, since the folder is another user's, say.
pub fn owner_here(name: &str, runtime_dir: &Path) -> io::Result<Option<u32>> {
    let folder = match Folder::open(&runtime_dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match folder.look_at(instance::LOCK)? {
        Some(file) => Ok(holder_by_system(&file)),
        // What may not be looked for is there or not; and what is there may not be another user's to open.
        None if folder.names()?.iter().any(|name| name == instance::LOCK) => {
            Err(rustix::io::Errno::ACCESS.into())
        }
        None => Ok(None),
    }
}

fn holder(folder: &Path, lock: &str) -> Option<u32> {
    let file = Folder::open(folder).ok()?.look_at(lock).ok()??;
    holder_by_system(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::InstanceFolder;

    #[test]
    fn who_has_an_instance_is_seen_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("unit-owners-{}", std::process::id());
        assert_eq!(owners(&name, folder.path()), [0; 0]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let held = InstanceFolder::lock(&name, folder.path()).unwrap();
        let found = owners(&name, folder.path());
        assert!(!found.is_empty() && found.iter().all(|pid| *pid == std::process::id()), "{found:?}");
        assert_eq!(owner_here(&name, folder.path()).unwrap(), Some(std::process::id()));
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(owner_here(&name, elsewhere.path()).unwrap(), None);
        held.remove().unwrap();
    }
}
