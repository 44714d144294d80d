//! The folder of an instance under the runtime folder, and the lock that lets one process run it.
//!
//! Must not know: what else lies in the folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{KernelError, file_lock::FileLock};

const LOCK: &str = "lock";

/// The folder of one instance, locked by this process for as long as the value lives.
#[derive(Debug)]
pub(super) struct InstanceFolder {
    path: PathBuf,
    _lock: FileLock,
}

impl InstanceFolder {
    /// Makes the folder where it is missing, and locks it.
    pub(super) fn lock(instance: &str, runtime_dir: &Path) -> Result<Self, KernelError> {
        check_name(instance)?;
        let path = runtime_dir.join(instance);
        // A lock file may be removed, by a cleanup, between its opening and its locking: then again.
        loop {
            create_private(&path).map_err(|source| failed(&path, source))?;
            let lock_path = path.join(LOCK);
            let file = match open_private(&lock_path) {
                Ok(file) => Arc::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(failed(&lock_path, source)),
            };
            let taken = FileLock::try_take(&file).map_err(|source| failed(&lock_path, source))?;
            let Some(lock) = taken else {
                return Err(KernelError::Running { instance: instance.to_owned(), pid: read_pid(&file) });
            };
            if is_at(&file, &lock_path).map_err(|source| failed(&lock_path, source))? {
                write_pid(&file).map_err(|source| failed(&lock_path, source))?;
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder with all that is in it; the lock is given up with it.
    pub(super) fn remove(self) -> Result<PathBuf, KernelError> {
        let remove = |path: &Path| {
            // The lock goes last: whoever waits for it must find nothing.
            for entry in fs::read_dir(path)?.flatten().filter(|entry| entry.file_name() != LOCK) {
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            fs::remove_file(path.join(LOCK))?;
            fs::remove_dir(path)
        };
        remove(&self.path).map_err(|source| KernelError::Remove { path: self.path.clone(), source })?;
        Ok(self.path)
    }
}

/// Refuses names that are not one harmless path component.
pub(super) fn check_name(instance: &str) -> Result<(), KernelError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&instance.len()) && instance.bytes().all(allowed) {
        Ok(())
    } else {
        Err(KernelError::InstanceName(instance.to_owned()))
    }
}

/// Makes a folder that only its owner can look into, and the folders above it.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Opens a file that only its owner can read, and makes it where it is missing.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((held.dev(), held.ino()) == (found.dev(), found.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_pid(mut lock: &File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

fn failed(path: &Path, source: io::Error) -> KernelError {
    KernelError::RuntimeDir { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_with_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = InstanceFolder::lock("one", dir.path()).unwrap();
        let refused = InstanceFolder::lock("one", dir.path()).unwrap_err();
        assert!(
            matches!(&refused, KernelError::Running { pid: Some(pid), .. } if *pid == std::process::id()),
            "{refused}"
        );
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())));
        assert!(InstanceFolder::lock("two", dir.path()).is_ok(), "instances do not know each other");
        drop(first);
        assert!(InstanceFolder::lock("one", dir.path()).is_ok());
    }

    #[test]
    fn removal_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = InstanceFolder::lock("one", dir.path()).unwrap();
        fs::create_dir(folder.path().join("v1")).unwrap();
        fs::write(folder.path().join("v1/table"), "x").unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        folder.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_are_no_path_component_are_refused() {
        for name in ["", "..", "a/b", "A", "a_b", &"a".repeat(33), "a\0"] {
            let refused = InstanceFolder::lock(name, Path::new("/nowhere"));
            assert!(matches!(refused, Err(KernelError::InstanceName(_))), "{name:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = InstanceFolder::lock("one", &file).unwrap_err();
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }
}
