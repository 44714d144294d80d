//! An flock(2): the system gives it up when its process is gone, however it went.
//! Must not know: what it guards.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    sync::Arc,
};

use rustix::{
    fs::{FlockOperation, flock, fstat, major, minor},
    io::Errno,
};

/// A lock that is held for as long as the value lives.
#[derive(Debug)]
pub(super) struct FileLock(Arc<File>);

impl FileLock {
    /// Takes the lock; none if somebody else holds it, be it in this process. Never waits.
    pub(super) fn try_take(file: &Arc<File>) -> io::Result<Option<Self>> {
        Self::try_lock(file, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes a lock that several may hold at once, none of which may hold it alone.
    pub(super) fn try_share(file: &Arc<File>) -> io::Result<Option<Self>> {
        Self::try_lock(file, FlockOperation::NonBlockingLockShared)
    }

    fn try_lock(file: &Arc<File>, operation: FlockOperation) -> io::Result<Option<Self>> {
        loop {
            match flock(file, operation) {
                Ok(()) => return Ok(Some(Self(Arc::clone(file)))),
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
        let _ = flock(&*self.0, FlockOperation::Unlock);
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

/// The process that holds the lock on `file`, if it can be seen from here, or else as it has said itself.
pub(super) fn holder(mut file: &File) -> Option<u32> {
    holder_by_system(file).or_else(|| {
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    })
}

/// Says who holds the lock.
pub(super) fn write_pid(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}
