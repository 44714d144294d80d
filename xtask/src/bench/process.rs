//! Child processes that are pinned to a core, end with us, and whose processor time can be read.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// A process of ours; ended when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Those whose place it has taken.
    before: Vec<Child>,
    log: std::path::PathBuf,
}

/// Processor time used so far, seconds.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// `command` on `core` alone.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let mut command = alone(core);
    command.arg(program);
    command
}

/// What comes before a command that is to be on `core` alone, and to end when we do, however that is.
pub(crate) fn alone(core: usize) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &core.to_string()]);
    command
}

/// Keeps this thread, and those that it starts from now on, on `core`.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    // SAFETY: an all-zero set is a valid one: an empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is below the size of the set, which is checked within.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is ours, and as long as is said.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } != 0 {
        return Err(std::io::Error::last_os_error()).context("sched_setaffinity");
    }
    Ok(())
}

/// As many descriptors as this process may have, for itself and those that it starts.
pub(crate) fn raise_limit_of_descriptors() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is ours for the length of the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(std::io::Error::last_os_error()).context("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max.min(65_536);
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(std::io::Error::last_os_error()).context("setrlimit");
    }
    Ok(())
}

impl Process {
    /// Starts `command` and waits until `address` accepts connections.
    pub(crate) fn start(name: &str, folder: &Path, command: Command, address: SocketAddr) -> Result<Self> {
        Self::start_within(name, folder, command, address, Duration::from_secs(10))
    }

    /// The same for one that may take so long.
    pub(crate) fn start_within(
        name: &str,
        folder: &Path,
        mut command: Command,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run `{}`", shell::show(&command)))?;
        let mut process = Self { name: name.to_owned(), child, before: Vec::new(), log };
        let deadline = Instant::now() + limit;
        while TcpStream::connect(address).is_err() {
            if process.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{} did not start; it said:\n{}", process.name, process.said());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SAFETY: the pid is our own child's, and it has not been waited for.
            unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) };
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // An error here means that it has ended already.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
        for child in &mut self.before {
            child.kill().unwrap_or_default();
            drop(child.wait());
        }
    }

    /// Whether it has ended, by itself or by somebody else.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal that it lives with.
    pub(crate) fn tell(&mut self, signal: i32) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            bail!("{} has ended; it said:\n{}", self.name, self.said());
        }
        // SAFETY: the pid is our own child's, and it has not been waited for.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        Ok(())
    }

    /// Starts the process that takes the place of this one, and makes this one end by itself.
    pub(crate) fn succeed(&mut self, mut command: Command) -> Result<()> {
        let file = fs::OpenOptions::new().append(true).open(&self.log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot run `{}`", shell::show(&command)))?;
        self.before.push(std::mem::replace(&mut self.child, child));
        Ok(())
    }

    /// Bytes of memory that it and its children have.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut pages = 0;
        for pid in family(self.child.id()) {
            let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
            let resident = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
            pages += resident.context("/proc/PID/statm")?;
        }
        // SAFETY: sysconf has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Ok(pages * u64::try_from(page).unwrap_or(4096))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: the pid is our own child's, which is waited for when this is dropped and not before.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How long the threads that it has were running, by the scheduler's count in nanoseconds.
    pub(crate) fn run_time(&self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let run = text.split(' ').next().and_then(|run| run.parse().ok()).context("schedstat")?;
            sum += Duration::from_nanos(run);
        }
        Ok(sum)
    }

    /// Processor time of the whole process, all its threads, and of its children.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        let mut sum = CpuTime { user: 0.0, system: 0.0 };
        for pid in family(self.child.id()) {
            let CpuTime { user, system } =
                cpu_time(pid).with_context(|| format!("{} has ended", self.name))?;
            sum = CpuTime { user: sum.user + user, system: sum.system + system };
        }
        Ok(sum)
    }
}

/// A process and those that it and they have started.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    all
}

fn cpu_time(pid: u32) -> Result<CpuTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets and may hold anything; fields 14 and 15 are user and system ticks.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<f64>);
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let mut next = || ticks.next().context("/proc/PID/stat is short")?.context("/proc/PID/stat");
    Ok(CpuTime { user: next()? / per_second, system: next()? / per_second })
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A loopback port that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Sends one GET and gives back the head of the response and its body, once it has ended.
pub(crate) fn get(address: SocketAddr, cookie: &str) -> Result<String> {
    get_page(address, "/", cookie)
}

/// The same of this page.
pub(crate) fn get_page(address: SocketAddr, path: &str, cookie: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}Connection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
