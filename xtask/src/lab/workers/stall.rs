//! One worker of a proxy stands still, in the midst of work: its thread is stopped (ptrace(2)), as one is that waits for a page from a
//! slow disk, or for a processor. How long those wait who connect meanwhile. Must not know: how they are kept from waiting.

use std::{
    fs, io,
    net::SocketAddr,
    ptr, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    clients::Held,
    proxies::{Kind, Proxy},
};

/// Who is not answered in this time is given up.
pub(super) const MOST: Duration = Duration::from_secs(1);
/// Newcomers of a stall, one after the other from its first moment on.
const NEWCOMERS: usize = 20;
/// How often it is tried to find the thread at work.
const TRIES: usize = 5000;
/// Between two tries.
const PAUSE: Duration = Duration::from_micros(300);
/// Numbers of the calls in which a thread waits for something to do: epoll_wait, epoll_pwait, epoll_pwait2.
#[cfg(target_arch = "x86_64")]
const WAITING: [&str; 3] = ["232", "281", "441"];
#[cfg(not(target_arch = "x86_64"))]
const WAITING: [&str; 3] = ["", "22", "441"];

/// Stops the worker of this number while it works, and tells how long newcomers took.
pub(super) fn newcomers(kind: Kind, proxy: &Proxy, number: usize) -> Result<Vec<Duration>> {
    let threads = threads(kind, proxy)?;
    let thread = *threads.get(number % threads.len().max(1)).context("it has no workers")?;
    let stopped = Stopped::at_work(proxy.pid(), thread)?;
    let took = (0..NEWCOMERS).map(|_| one(proxy.http)).collect();
    drop(stopped);
    Ok(took)
}

fn one(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let answered = Held::open_within(address, MOST).and_then(|mut newcomer| newcomer.ask());
    if answered.is_ok() { began.elapsed() } else { MOST }
}

/// The threads that serve: nginx's are processes.
fn threads(kind: Kind, proxy: &Proxy) -> Result<Vec<i32>> {
    if kind == Kind::Nginx {
        return Ok(super::proxies::children(proxy.pid()).into_iter().map(u32::cast_signed).collect());
    }
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/task", proxy.pid()))? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if kind == Kind::Haproxy || name.starts_with("worker-") {
            threads.push(entry.file_name().to_string_lossy().parse()?);
        }
    }
    threads.sort_unstable();
    Ok(threads)
}

/// A thread that is stopped; it goes on when this is dropped, which has to be in the thread that has made it.
struct Stopped(i32);

impl Stopped {
    /// Stops `thread`, which is often at work, when it is.
    fn at_work(process: u32, thread: i32) -> Result<Self> {
        trace(libc::PTRACE_SEIZE, thread).context("ptrace")?;
        let stopped = Self(thread);
        for _ in 0..TRIES {
            stopped.interrupt()?;
            // The call that it is within, or "running" for none that is there any more; a process of nginx is its own thread.
            let call = fs::read_to_string(format!("/proc/{thread}/syscall"))
                .or_else(|_| fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall")))?;
            let call = call.split_whitespace().next().unwrap_or_default();
            if !WAITING.contains(&call) {
                return Ok(stopped);
            }
            trace(libc::PTRACE_CONT, thread)?;
            thread::sleep(PAUSE);
        }
        stopped.interrupt()?;
        bail!("thread {thread} was never found at work")
    }

    fn interrupt(&self) -> Result<()> {
        trace(libc::PTRACE_INTERRUPT, self.0)?;
        let mut status = 0;
        // SAFETY: the place for the answer is ours.
        if unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) } != self.0 {
            return Err(io::Error::last_os_error()).context("waitpid");
        }
        Ok(())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It fails where the thread is gone.
        trace(libc::PTRACE_DETACH, self.0).unwrap_or_default();
    }
}

fn trace(request: libc::c_uint, thread: i32) -> io::Result<()> {
    // SAFETY: these requests take no pointers.
    let result = unsafe { libc::ptrace(request, thread, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
