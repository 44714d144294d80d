//! Signals to processes that a test has started.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// Sends a process a signal. One that is to stop has stopped when this returns: the kernel only asks for it, and on a busy machine
/// threads of it answer for a while.
///
/// # Panics
/// When there is no such process, or it does not stop.
pub fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    if signal == Signal::STOP {
        until("it stands still", 20.0, || stands_still(pid).then_some(()));
    }
}

/// Whether no thread of a process is left that runs (`proc_pid_stat(5)`: `T`).
#[must_use]
pub fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        // One that has ended meanwhile does not run either.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    })
}
