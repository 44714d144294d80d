//! An flock(2): the system gives it up when its process is gone, however it went. It belongs to the open file, so that it can
//! be handed to another process along with that: two have it for a moment, and it is given up by the one whose it is.
//! Must not know: what it guards.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rustix::{
    fs::{FlockOperation, flock, fstat, major, minor},
    io::Errno,
};

/// A lock that is held for as long as the value lives.
#[derive(Debug)]
pub(super) struct FileLock {
    file: Arc<File>,
    /// Whether it is given up with the value. Of two processes that have it, this is so in one.
    is_own: AtomicBool,
}

impl FileLock {
    /// Takes the lock; none if somebody else holds it, be it in this process. Never waits.
    pub(super) fn try_take(file: &Arc<File>) -> io::Result<Option<Self>> {
        Self::try_lock(file, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes a lock that several may hold at once, none of which may hold it alone.
    pub(super) fn try_share(file: &Arc<File>) -> io::Result<Option<Self>> {
        Self::try_lock(file, FlockOperation::NonBlockingLockShared)
    }

    /// The lock that another process has on this open file, which it goes on having until [`Self::take_up`]; none if it
    /// has not.
    pub(super) fn inherit(file: &Arc<File>) -> io::Result<Option<Self>> {
        let lock = Self::try_take(file)?;
        if let Some(lock) = &lock {
            lock.give_up();
        }
        Ok(lock)
    }

    /// The open file, for another process.
    pub(super) fn lend(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// Another process has it from here on.
    pub(super) fn give_up(&self) {
        self.is_own.store(false, Relaxed);
    }

    /// It is this process's from here on.
    pub(super) fn take_up(&self) {
        self.is_own.store(true, Relaxed);
    }

    /// Whether it is this process's.
    pub(super) fn is_own(&self) -> bool {
        self.is_own.load(Relaxed)
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    fn try_lock(file: &Arc<File>, operation: FlockOperation) -> io::Result<Option<Self>> {
        loop {
            match flock(file, operation) {
                Ok(()) => {
                    return Ok(Some(Self { file: Arc::clone(file), is_own: AtomicBool::new(true) }));
                }
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing would not do: a child process between fork(2) and exec(2) has the file open too.
        if self.is_own() {
            let _ = flock(&*self.file, FlockOperation::Unlock);
        }
    }
}

/// The process that holds the lock on `file`, as proc/locks tells it (proc_locks(5)); none when nobody does, or it
/// cannot be seen from here.
pub(super) fn holder_by_system(file: &File) -> Option<u32> {
    let stat = fstat(file).ok()?;
    let file = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (kind, pid) = (fields.next()?, fields.nth(2)?);
        let found = fields.next()?;
        (kind == "FLOCK" && found == file).then(|| pid.parse().ok()).flatten()
    })
}

/// The process that holds the lock on `file`, if it can be seen from here, or else as it has said itself. The system goes on
/// telling the process that took a lock when that has handed it over.
pub(super) fn holder(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    let told = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    told.filter(|pid| has_open(*pid, file)).or_else(|| holder_by_system(file)).or(told)
}

/// Whether this process, which can be seen from here, has the file open.
fn has_open(pid: u32, file: &File) -> bool {
    let (Ok(files), Ok(wanted)) = (fs::read_dir(format!("/proc/{pid}/fd")), file.metadata()) else {
        return false;
    };
    let is_it = |found: &fs::Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
    files.flatten().any(|open| fs::metadata(open.path()).is_ok_and(|found| is_it(&found)))
}

/// Says who holds the lock.
pub(super) fn write_pid(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}
