//! An flock(2): the system gives it up when its process is gone, however it went.
//! Must not know: what it guards.

use std::{fs::File, io, sync::Arc};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// A lock that is held for as long as the value lives.
#[derive(Debug)]
pub(super) struct FileLock(Arc<File>);

impl FileLock {
    /// Takes the lock; none if somebody else holds it, be it in this process. Never waits.
    pub(super) fn try_take(file: &Arc<File>) -> io::Result<Option<Self>> {
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
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
