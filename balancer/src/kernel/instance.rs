//! The folder of an instance under the runtime folder, and the locks that let one process run it: one in the folder,
//! and one of the host, which does not depend on where the folder is.
//!
//! Must not know: what else lies in the folder.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::MetadataExt as _, net::UnixListener},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    KernelError,
    file_lock::{FileLock, holder, write_pid},
    host_lock::{HostLock, say_pid},
};
use crate::safe_file::{Folder, Outlook};

pub(super) const LOCK: &str = "lock";
/// Where the process that runs the instance is spoken to.
const SOCKET: &str = "socket";
/// Names the cgroup that was made for the instance.
pub(super) const CGROUP: &str = "cgroup";

/// The folder of one instance, locked by this process for as long as the value lives. It belongs to the user that the
/// process starts as, and nobody else can look into it.
#[derive(Debug)]
pub struct InstanceFolder {
    folder: Folder,
    /// Nothing once another process has it. What this one has open would lock the folder even when that one is gone.
    lock: Option<FileLock>,
    host: HostLock,
    /// What locks the kernel's tables, where they are another process's still.
    tables: Option<File>,
    inherited: bool,
}

/// The locks of an instance on their way from the process that has them to its successor.
#[derive(Debug)]
pub struct Locks {
    /// That of its folder.
    pub folder: OwnedFd,
    /// That of its host, where there is one.
    pub host: Option<OwnedFd>,
    /// Its name on the host, where it has one.
    pub name: Option<OwnedFd>,
    /// That of the kernel's tables, with the kernel side.
    pub tables: Option<OwnedFd>,
}

impl InstanceFolder {
    /// Makes the folder where it is missing, and locks it. Nothing is made or changed when another process has the
    /// instance, wherever its folder is.
    ///
    /// # Errors
    /// [`KernelError::Running`]; [`KernelError::InstanceName`]; [`KernelError::RuntimeDir`] when the folder cannot be
    /// used.
    pub fn lock(instance: &str, runtime_dir: &Path) -> Result<Self, KernelError> {
        check_name(instance)?;
        Self::lock_held(HostLock::take(instance)?, instance, runtime_dir)
    }

    /// The same with the host's lock in hand.
    pub(super) fn lock_held(host: HostLock, instance: &str, runtime_dir: &Path) -> Result<Self, KernelError> {
        let path = runtime_dir.join(instance);
        // A lock file may be removed, by a cleanup, between its opening and its locking: then again.
        loop {
            let (mut folder, made) = Folder::make(&path, 0o700).map_err(|source| failed(&path, source))?;
            // Held until the folder is locked by what may be another file: a process of another user that starts
            // meanwhile finds it locked, and not its folder taken.
            let unused = if made { None } else { demand_unused(&folder, instance)? };
            // One that was another user's may hold anything; from now on that user changes nothing in it.
            if made || folder.can_be_taken() {
                folder.take().map_err(|source| failed(&path, source))?;
            }
            let lock_path = path.join(LOCK);
            let file = match folder.private_file(LOCK) {
                Ok(file) => Arc::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(failed(&lock_path, source)),
            };
            let taken = match unused {
                // Of an open file, so that another opening of the same one has to do without.
                Some((held, lock))
                    if is_same(&held, &file).map_err(|source| failed(&lock_path, source))? =>
                {
                    Some(lock)
                }
                _ => FileLock::try_take(&file).map_err(|source| failed(&lock_path, source))?,
            };
            let Some(lock) = taken else {
                return Err(KernelError::Running { instance: instance.to_owned(), pid: holder(&file) });
            };
            if folder.holds(LOCK, &file).map_err(|source| failed(&lock_path, source))? {
                write_pid(&file).map_err(|source| failed(&lock_path, source))?;
                let lock = Some(lock);
                return Ok(Self { folder, lock, host, tables: None, inherited: false });
            }
        }
    }

    /// The folder of an instance that another process has, by its locks. They are that process's until
    /// `take_up`.
    ///
    /// # Errors
    /// [`KernelError::InstanceName`]; [`KernelError::RuntimeDir`] where the locks are not those of the folder.
    pub fn inherit(instance: &str, runtime_dir: &Path, locks: Locks) -> Result<Self, KernelError> {
        check_name(instance)?;
        let path = runtime_dir.join(instance);
        let refused = |source| failed(&path, source);
        let foreign = || refused(io::Error::other("what was handed over is not its lock"));
        let folder = Folder::open(&path).map_err(refused)?;
        let file = Arc::new(File::from(locks.folder));
        if !folder.holds(LOCK, &file).map_err(refused)? {
            return Err(foreign());
        }
        let lock = Some(FileLock::inherit(&file).map_err(refused)?.ok_or_else(foreign)?);
        let host = HostLock::inherit(instance, locks.host.map(File::from), locks.name).map_err(refused)?;
        Ok(Self { folder, lock, host, tables: locks.tables.map(File::from), inherited: true })
    }

    /// What another process inherits the folder by.
    pub(super) fn lend(&self, tables: Option<OwnedFd>) -> io::Result<Locks> {
        let (host, name) = self.host.lend()?;
        let given_up = || io::Error::other("another process has the instance");
        let lock = self.lock.as_ref().ok_or_else(given_up)?;
        Ok(Locks { folder: lock.lend()?, host, name, tables })
    }

    /// Whether it is another process's still, or was.
    pub(super) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// What locks the kernel's tables, where they are another process's still.
    pub(super) fn take_tables(&mut self) -> Option<File> {
        self.tables.take()
    }

    /// Another process has the instance from here on. When that one is gone it is free, whether or not this one is there still.
    pub(super) fn give_up(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.give_up();
        }
        self.host.give_up();
    }

    /// This process has the instance from here on.
    pub(super) fn take_up(&self) {
        if let Some(lock) = &self.lock {
            lock.take_up();
            say_pid(lock.file());
        }
        self.host.take_up();
    }

    /// Looks whether [`Self::lock`] would be refused for what is in the folder's place, and makes and changes nothing. A
    /// process that runs the instance is no matter: it is to be reloaded. The folder, there or not.
    ///
    /// # Errors
    /// [`KernelError::InstanceName`]; [`KernelError::RuntimeDir`] when the folder cannot be used.
    pub fn look(instance: &str, runtime_dir: &Path) -> Result<Outlook, KernelError> {
        check_name(instance)?;
        let path = runtime_dir.join(instance);
        let refused = |source| failed(&path, source);
        let folder = Outlook::of(&path).map_err(refused)?;
        if let Some(found) = folder.found() {
            demand_own(found)?;
        }
        match folder.demand_writable() {
            Err(error)
                if error.kind() != io::ErrorKind::PermissionDenied
                    || !folder.found().is_some_and(Folder::can_be_taken) =>
            {
                Err(refused(error))
            }
            _ => Ok(folder),
        }
    }

    /// Name of the socket that is in it.
    pub const SOCKET: &str = SOCKET;

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the instance's own socket. What a process before left of one is removed.
    ///
    /// # Errors
    /// The system's.
    pub fn listen(&self) -> io::Result<UnixListener> {
        match self.folder.remove(SOCKET) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A path through the open folder: there is a bound on the length of those of sockets.
        UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET}", self.folder.as_fd().as_raw_fd()))
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Removes the folder with all that is in it; the locks are given up with it.
    pub(super) fn remove(self) -> Result<PathBuf, KernelError> {
        let path = self.folder.path().to_owned();
        let folder = self.folder;
        // The lock goes last: whoever waits for it must find nothing.
        let removed =
            folder.clear(Some(LOCK)).and_then(|()| folder.remove(LOCK)).and_then(|()| folder.remove_itself());
        removed.map_err(|source| KernelError::Remove { path: path.clone(), source })?;
        Ok(path)
    }
}

/// That a folder which was there before is of an instance, and that nobody runs it: before it is touched. The lock, if it
/// can be had.
fn demand_unused(folder: &Folder, instance: &str) -> Result<Option<(Arc<File>, FileLock)>, KernelError> {
    demand_own(folder)?;
    let refused = |source| failed(folder.path(), source);
    let found = match folder.look_at(LOCK).map_err(refused)? {
        Some(file) => file,
        // What lies in its place and is no file of ours stays there.
        None => match folder.create_new(LOCK) {
            Ok(file) => file,
            Err(_) => return Ok(None),
        },
    };
    let file = Arc::new(found);
    match FileLock::try_take(&file).map_err(refused)? {
        Some(lock) => Ok(Some((file, lock))),
        None => Err(KernelError::Running { instance: instance.to_owned(), pid: holder(&file) }),
    }
}

/// That what is in a folder is of an instance.
fn demand_own(folder: &Folder) -> Result<(), KernelError> {
    let refused = |source| failed(folder.path(), source);
    let names = match folder.names() {
        Ok(names) => names,
        // Another user's: it stays so.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    // Links are what somebody may have laid there; they lead nowhere, and go with the folder.
    if let Some(foreign) = names.iter().find(|name| !is_own(name) && !folder.has_link(name)) {
        return Err(refused(io::Error::other(format!(
            "it holds {}, which is not of an instance: nothing was touched",
            foreign.display()
        ))));
    }
    Ok(())
}

/// Whether two openings are of one file.
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Whether a balancer makes something of this name in the folder of an instance.
fn is_own(name: &OsStr) -> bool {
    let is_numbered = |name: &str, before: &str| {
        name.strip_prefix(before)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.to_str().is_some_and(|name| {
        [LOCK, SOCKET, CGROUP].contains(&name) || is_numbered(name, "generation-") || is_numbered(name, "v")
    })
}

/// Refuses names that are not one harmless path component.
///
/// # Errors
/// [`KernelError::InstanceName`].
pub fn check_name(instance: &str) -> Result<(), KernelError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&instance.len()) && instance.bytes().all(allowed) {
        Ok(())
    } else {
        Err(KernelError::InstanceName(instance.to_owned()))
    }
}

fn failed(path: &Path, source: io::Error) -> KernelError {
    KernelError::RuntimeDir { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    };

    use super::*;
    use crate::clock::test_support::eventually;

    /// Names are the host's: every test has its own.
    fn name(test: &str) -> String {
        format!("unit-{test}-{}", std::process::id())
    }

    #[test]
    fn a_second_one_is_refused_with_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (name("one"), name("two"));
        let first = InstanceFolder::lock(&one, dir.path()).unwrap();
        let refused = InstanceFolder::lock(&one, dir.path()).unwrap_err();
        assert!(
            matches!(&refused, KernelError::Running { pid: Some(pid), .. } if *pid == std::process::id()),
            "{refused}"
        );
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())));
        InstanceFolder::lock(&two, dir.path()).expect("instances do not know each other").remove().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let refused = InstanceFolder::lock(&one, elsewhere.path()).unwrap_err();
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing is made");
        drop(first);
        eventually(|| InstanceFolder::lock(&one, dir.path())).remove().unwrap();
    }

    #[test]
    fn removal_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = InstanceFolder::lock(&name("gone"), dir.path()).unwrap();
        let path = folder.folder().path().to_owned();
        fs::create_dir(path.join("v1")).unwrap();
        fs::write(path.join("v1/table"), "x").unwrap();
        fs::write(path.join("generation-0"), "").unwrap();
        folder.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_of_something_else_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for foreign in ["syslog", "stickiness.key", "v", "v1x", "generation-"] {
            let name = name("foreign");
            let path = dir.path().join(&name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(path.join(foreign), "x").unwrap();
            symlink("/", path.join("0")).unwrap();
            // The name is the same each time, and may be a moment longer in the hands of another test's child.
            let error = eventually(|| match InstanceFolder::lock(&name, dir.path()) {
                Err(running @ KernelError::Running { .. }) => Err(running),
                locked => Ok(locked.unwrap_err()),
            });
            assert!(error.to_string().contains(&format!("it holds {foreign}")), "{error}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
            assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
            fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn a_folder_that_another_runs_in_stays_whose_it_is() {
        if rustix::process::geteuid().as_raw() != 0 {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let name = name("whose");
        let path = dir.path().join(&name);
        let runs = InstanceFolder::lock(&name, dir.path()).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        // What another user's process holds is not held by the host's lock of this one.
        let InstanceFolder { folder: _folder, lock: _lock, host, .. } = runs;
        let error = InstanceFolder::lock_held(host, &name, dir.path()).unwrap_err();
        assert!(matches!(error, KernelError::Running { .. }), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().uid(), 65534);
    }

    #[test]
    fn a_folder_that_was_looked_at_is_locked_until_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let name = name("looked-at");
        let path = dir.path().join(&name);
        for has_lock in [false, true] {
            fs::create_dir(&path).unwrap();
            if has_lock {
                fs::write(path.join(LOCK), "").unwrap();
            }
            let folder = Folder::open(&path).unwrap();
            let held = demand_unused(&folder, &name).unwrap().expect("it can be locked");
            // Neither one that looks at it as well, nor one that has looked before.
            for refused in
                [demand_unused(&folder, &name).err(), InstanceFolder::lock(&name, dir.path()).err()]
            {
                assert!(matches!(refused, Some(KernelError::Running { .. })), "{refused:?}");
            }
            drop(held);
            let runs = eventually(|| InstanceFolder::lock(&name, dir.path()));
            assert!(matches!(demand_unused(&folder, &name), Err(KernelError::Running { .. })));
            let pid = fs::read_to_string(path.join(LOCK)).unwrap();
            assert_eq!(pid.trim(), std::process::id().to_string());
            runs.remove().unwrap();
        }
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
        let error = InstanceFolder::lock(&name("bad"), &file).unwrap_err();
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }
}
