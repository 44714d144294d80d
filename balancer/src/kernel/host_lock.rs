//! The lock that an instance has on its host: by its name alone, wherever its runtime folder is, whatever user it is started by.
//!
//! The name as [`super::host_name`] has it, which all users see, and a file in a folder of the system's, or of the user's where that cannot be had. The system gives the lock up when its
//! process is gone, however it went. What has folders of its own (a container) has locks of its own; what it may share
//! all the same, the kernel's tables, has a lock where it lies. Must not know: what an instance is.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    KernelError,
    file_lock::{FileLock, holder, write_pid},
    host_name::HostName,
};
use crate::safe_file::Folder;

/// Root's, and of whom a service manager gives it to.
const SYSTEM: &str = "/run/balancer";
/// How often what is removed at the same time is made again.
const TURNS: usize = 16;

/// A lock that is held for as long as the value lives.
#[derive(Debug)]
pub(super) struct HostLock {
    /// Nothing where there is no folder for one.
    held: Option<HeldLock>,
    /// Nothing where it cannot be had.
    name: Option<HostName>,
}

#[derive(Debug)]
struct HeldLock {
    name: String,
    folder: Folder,
    lock: FileLock,
    /// What tidies folders for temporary files up leaves those alone that are locked.
    _shared: Option<FileLock>,
}

impl HostLock {
    /// Takes the lock of this instance. Where there is no folder for it, that is told, and there is none.
    ///
    /// # Errors
    /// [`KernelError::Running`], or [`KernelError::RunningOfAnother`], when another process has it.
    pub(super) fn take(instance: &str) -> Result<Self, KernelError> {
        // First: to be refused by it leaves no trace.
        let host_name = match HostName::take(instance) {
            Ok(Ok(name)) => Some(name),
            Ok(Err(holder)) => return Err(holder.refuses(instance)),
            Err(error) => {
                tracing::debug!(%error, "a balancer of another user is not noticed");
                None
            }
        };
        let name = file_name(instance);
        for path in folders() {
            match lock_in(&path, &name) {
                Ok(Ok(held)) => return Ok(Self { held: Some(held), name: host_name }),
                Ok(Err(pid)) => return Err(KernelError::Running { instance: instance.to_owned(), pid }),
                Err(error) => tracing::debug!(folder = %path.display(), %error, "no place for a lock"),
            }
        }
        tracing::warn!(
            instance,
            "there is no folder for the lock of the instance: another balancer of it is noticed only if it has the same runtime_dir"
        );
        Ok(Self { held: None, name: host_name })
    }

    /// What another process of this instance has, and has until [`Self::take_up`]: a lock on `file`, and `name`.
    pub(super) fn inherit(instance: &str, file: Option<File>, name: Option<OwnedFd>) -> io::Result<Self> {
        let held = file.map(|file| inherit_lock(instance, file)).transpose()?;
        Ok(Self { held, name: name.map(HostName::inherit) })
    }

    /// What another process inherits it by: the lock and the name, where there are.
    pub(super) fn lend(&self) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
        let lock = self.held.as_ref().map(|held| held.lock.lend()).transpose()?;
        Ok((lock, self.name.as_ref().map(HostName::lend).transpose()?))
    }

    /// Another process has it from here on.
    pub(super) fn give_up(&mut self) {
        self.name = None;
        if let Some(held) = self.held.take() {
            held.lock.give_up();
        }
    }

    /// It is this process's from here on.
    pub(super) fn take_up(&self) {
        if let Some(held) = &self.held {
            held.lock.take_up();
            say_pid(held.lock.file());
        }
        if let Some(name) = &self.name {
            name.take_up();
        }
    }
}

fn inherit_lock(instance: &str, file: File) -> io::Result<HeldLock> {
    let name = file_name(instance);
    let file = Arc::new(file);
    for path in folders() {
        let Ok(folder) = Folder::open(&path) else { continue };
        if !folder.holds(&name, &file).unwrap_or(false) {
            continue;
        }
        let Some(lock) = FileLock::inherit(&file)? else { break };
        let _shared = FileLock::try_share(&Arc::new(folder.lockable()?))?;
        return Ok(HeldLock { name, folder, lock, _shared });
    }
    Err(io::Error::other("what was handed over is not the lock of the instance"))
}

/// Who asks is told an earlier process where this fails.
pub(super) fn say_pid(file: &File) {
    if let Err(error) = write_pid(file) {
        tracing::debug!(%error, "a lock goes on telling another process");
    }
}

/// Of the lock of an instance.
pub(super) fn file_name(instance: &str) -> String {
    format!("{instance}.lock")
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if !self.lock.is_own() {
            return;
        }
        // While the lock is held still. Who is not root any more cannot, and a file that stays locks nobody out.
        let _ = self.folder.remove(&self.name);
    }
}

/// Where locks are looked for.
pub(super) fn folders() -> [PathBuf; 2] {
    let user = rustix::process::geteuid().as_raw();
    [SYSTEM.into(), format!("/tmp/balancer-{user}").into()]
}

/// The lock, or the process that holds it.
fn lock_in(path: &Path, name: &str) -> io::Result<Result<HeldLock, Option<u32>>> {
    let mut error = io::ErrorKind::ResourceBusy.into();
    // A lock file may be removed, by a cleanup, between its opening and its locking: then again.
    for _ in 0..TURNS {
        let (folder, _) = Folder::make(path, 0o755)?;
        folder.demand_private(None)?;
        let file: Arc<File> = match folder.private_file(name) {
            Ok(file) => Arc::new(file),
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                error = gone;
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(lock) = FileLock::try_take(&file)? else { return Ok(Err(holder(&file))) };
        if folder.holds(name, &file)? {
            write_pid(&file)?;
            let shared = FileLock::try_share(&Arc::new(folder.lockable()?))?;
            return Ok(Ok(HeldLock { name: name.to_owned(), folder, lock, _shared: shared }));
        }
    }
    Err(error)
}
