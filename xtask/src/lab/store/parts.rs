//! The store, two applications, and balancers with one worker each. Must not know: what is measured.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{STORE_CORE, clients::Took, streams};
use crate::{
    bench::{
        PROXY_CORE,
        process::{self, Process, free_address},
    },
    lab::bed::Bed,
    shell,
};

/// How long a part may take to start; under callgrind it takes long.
const START: Duration = Duration::from_secs(120);
pub(super) const BODY: &str = "hello";

/// Applications that are alike, and the version that they are spoken to in.
struct Applications {
    at: Vec<SocketAddr>,
    version: &'static str,
}

impl Applications {
    fn start(version: &'static str, one: impl Fn() -> Result<SocketAddr>) -> Result<Self> {
        Ok(Self { at: (0..2).map(|_| one()).collect::<Result<_>>()?, version })
    }
}

/// What all balancers of the scenario share; ended when dropped.
pub(super) struct Parts {
    folder: PathBuf,
    balancer: PathBuf,
    store: Mutex<Option<Process>>,
    pub(super) store_at: SocketAddr,
    targets: Applications,
    /// On the store's core.
    far_targets: Applications,
    /// On the store's core, over HTTP/2.
    streams: Applications,
    made: AtomicUsize,
}

impl Parts {
    pub(super) fn start(bed: &Bed) -> Result<Self> {
        let folder = bed.folder("store")?;
        let key = folder.join("key");
        let secret: Vec<u8> = (0_u8..32).map(|at| at.wrapping_mul(at).wrapping_mul(37) ^ 91).collect();
        fs::write(&key, secret)?;
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let parts = Self {
            folder,
            balancer: bed.balancer.clone(),
            store: Mutex::new(None),
            store_at: free_address()?,
            targets: Applications::start("HTTP1", || application(PROXY_CORE))?,
            far_targets: Applications::start("HTTP1", || application(STORE_CORE))?,
            streams: Applications::start("HTTP2", || streams::application(STORE_CORE))?,
            made: AtomicUsize::new(0),
        };
        parts.start_store()?;
        Ok(parts)
    }

    pub(super) fn start_store(&self) -> Result<()> {
        let program = ["valkey-server", "redis-server"].into_iter().find_map(shell::find_program);
        let program = program.context("neither valkey-server nor redis-server is there")?;
        let mut command = process::pinned(STORE_CORE, &program);
        command.args(["--port", &self.store_at.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]).current_dir(&self.folder);
        let store = Process::start_within("store", &self.folder, command, self.store_at, START)?;
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(store);
        Ok(())
    }

    pub(super) fn end_store(&self) {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the store says to this, as one line.
    pub(super) fn say(&self, words: &[&str]) -> Result<String> {
        let mut stream = TcpStream::connect(self.store_at)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&command(words))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    pub(super) fn empty_store(&self) -> Result<()> {
        self.say(&["FLUSHALL"]).map(drop)
    }

    /// How many sessions the store has.
    pub(super) fn sessions(&self) -> Result<usize> {
        let said = self.say(&["DBSIZE"])?;
        said.trim_start_matches(':').parse().with_context(|| said.clone())
    }

    /// Waits until the store has so many sessions.
    pub(super) fn wait_sessions(&self, count: usize) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let there = self.sessions()?;
            if there >= count {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the store has {there} of {count} sessions");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How long the store takes for a question over this address.
    pub(super) fn round_trips(&self, at: SocketAddr, count: usize) -> Result<Took> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let question = command(&["GET", "balancer:s:nobody"]);
        let mut buffer = [0; 64];
        Took::of((0..count).map(|_| {
            let began = Instant::now();
            stream.write_all(&question)?;
            anyhow::ensure!(stream.read(&mut buffer)? > 0, "the store has ended the connection");
            Ok(began.elapsed())
        }))
    }
}

/// A command of the store's protocol.
pub(super) fn command(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let out = std::iter::once(format!("*{}\r\n", words.len())).chain(words);
    out.collect::<String>().into_bytes()
}

/// A balancer.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    admin: SocketAddr,
    pub(super) process: Process,
}

impl Node {
    /// One with this store, or with none.
    pub(super) fn start(parts: &Parts, name: &str, store: Option<SocketAddr>) -> Result<Self> {
        let command = process::pinned(PROXY_CORE, &parts.balancer);
        Self::begin(parts, name, command, (store, &parts.targets))
    }

    /// The same on the store's core, as its applications are.
    pub(super) fn start_beside_the_store(parts: &Parts, store: SocketAddr) -> Result<Self> {
        let command = process::pinned(STORE_CORE, &parts.balancer);
        Self::begin(parts, "flooded", command, (Some(store), &parts.far_targets))
    }

    /// One before applications that speak HTTP/2, alone on its core or on that of all else.
    pub(super) fn start_for_streams(parts: &Parts, core: usize) -> Result<Self> {
        let command = process::pinned(core, &parts.balancer);
        Self::begin(parts, "streams", command, (Some(parts.store_at), &parts.streams))
    }

    /// Under callgrind, which writes what it counts there, a file a thread.
    pub(super) fn under(
        valgrind: &Path,
        parts: &Parts,
        store: Option<SocketAddr>,
        counts: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(valgrind);
        command.args(["--tool=callgrind", "--separate-threads=yes"]);
        command.arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(&parts.balancer);
        Self::begin(parts, "counted", command, (store, &parts.targets))
    }

    fn begin(
        parts: &Parts,
        name: &str,
        mut command: Command,
        (store, targets): (Option<SocketAddr>, &Applications),
    ) -> Result<Self> {
        let number = parts.made.fetch_add(1, Relaxed);
        let folder = parts.folder.join(format!("{name}-{number}"));
        fs::create_dir_all(&folder)?;
        let (address, admin) = (free_address()?, free_address()?);
        let file = folder.join("balancer.hcl");
        fs::write(
            &file,
            configuration(&parts.folder.join("key"), &folder, (address, admin), (store, targets)),
        )?;
        command.args(["run", "--config"]).arg(&file);
        let process = Process::start_within(name, &folder, command, address, START)?;
        let node = Self { address, admin, process };
        let until = Instant::now() + START;
        // It may serve before it can be asked.
        while store.is_some() && node.figure("balancer_session_store_up").unwrap_or(0.0) < 1.0 {
            if Instant::now() > until {
                bail!("{name} does not reach the store: {}", node.process.said());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(node)
    }

    /// Processor time that it has used, in seconds.
    pub(super) fn cpu(&self) -> Result<f64> {
        // In nanoseconds: ticks are too coarse.
        Ok(self.process.run_time()?.as_secs_f64())
    }

    /// A figure of its metrics; 0 where it is not told.
    pub(super) fn figure(&self, name: &str) -> Result<f64> {
        let page = process::get_page(self.admin, "/metrics", "")?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(Ok(0.0), |value| value.trim().parse().with_context(|| value.to_owned()))
    }
}

fn configuration(
    key: &Path,
    folder: &Path,
    (address, admin): (SocketAddr, SocketAddr),
    (store, targets): (Option<SocketAddr>, &Applications),
) -> String {
    let folder = folder.display();
    let store = store.map_or_else(String::new, |at| {
        format!("session_store {{\n  url = \"redis://{at}\"\n  lookup_timeout = 1000\n}}\n")
    });
    let version = targets.version;
    let targets: Vec<_> = targets.at.iter().map(|target| format!("\"{target}\"")).collect();
    format!(
        "balancer {{\n  instance = \"lab-store-{}\"\n  state_dir = \"{folder}/state\"\n  runtime_dir = \"{folder}/run\"\n  \
         key_file = \"{}\"\n  admin_address = \"{admin}\"\n  kernel_assist = \"off\"\n  workers = 1\n}}\n{store}listener \"web\" \
         {{\n  address = \"{}\"\n  port = {}\n  \
         http2_prior_knowledge = true\n  default_action {{\n    type = \"forward\"\n    target_group_arn = \
         target_group.app.arn\n  }}\n}}\ntarget_group \"app\" {{\n  port = 80\n  \
         protocol_version = \"{version}\"\n  stickiness {{\n    type = \"app_cookie\"\n    \
         cookie_name = \"SESSIONID\"\n  }}\n  health_check {{\n    enabled = false\n  }}\n  targets = [{}]\n}}\n",
        address.port(),
        key.display(),
        address.ip(),
        address.port(),
        targets.join(", ")
    )
}

/// An application that takes any session for its own, and sets its cookie in every answer.
fn application(core: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        process::stay_on(core)?;
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
        Ok(())
    });
    Ok(address)
}

fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&request);
        let id =
            text.split("SESSIONID=").nth(1).and_then(|rest| rest.split(['\r', ';']).next()).unwrap_or("none");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: SESSIONID={id}; Path=/\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        request.clear();
    }
}
