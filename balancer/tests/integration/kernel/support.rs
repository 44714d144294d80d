//! What the tests of the kernel side share: processes of their own, servers that end connections in known ways.

use std::{
    fmt::Debug,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use balancer::{
    id::Slot,
    kernel::{Assist, Kernel, KernelOptions, ProbeMarker, cleanup},
    model::{Endpoint, KernelAssist},
};
use socket2::{Domain, SockRef, Socket, Type};

const TEST: &str = "BALANCER_TEST_IN_PROCESS";
const INSTANCE: &str = "BALANCER_TEST_INSTANCE";
const DIR: &str = "BALANCER_TEST_RUNTIME_DIR";
const ROLE: &str = "BALANCER_TEST_ROLE";
const ADDRESS: &str = "BALANCER_TEST_ADDRESS";
const DEADLINE: Duration = Duration::from_secs(20);

/// Tries until it succeeds, and fails with the last error after a while.
pub(crate) fn eventually<T, E: Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if Instant::now() > end => panic!("not in {DEADLINE:?}: {error:?}"),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// A balancer of the test's own.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) runtime_dir: PathBuf,
}

impl Instance {
    fn of_environment() -> Option<Self> {
        Some(Self { name: std::env::var(INSTANCE).ok()?, runtime_dir: std::env::var_os(DIR)?.into() })
    }

    pub(crate) fn options(&self, assist: KernelAssist) -> KernelOptions {
        let (instance, runtime_dir) = (self.name.clone(), self.runtime_dir.clone());
        KernelOptions { instance, runtime_dir, assist, session_table_size: 1024, shield: None }
    }

    pub(crate) fn open(&self) -> Kernel {
        Kernel::open(&self.options(KernelAssist::Required)).unwrap()
    }
}

fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("kernel::{name}"), "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Runs `body` in a process of its own, then cleans up, and checks that nothing is left.
pub(crate) fn isolated(test: &str, body: impl FnOnce(&Instance)) {
    if let (Ok(here), Some(instance)) = (std::env::var(TEST), Instance::of_environment()) {
        assert_eq!(here, test);
        return body(&instance);
    }
    if let Some(reason) = unusable() {
        return ::support::skip(&reason);
    }
    let dir = tempfile::tempdir().unwrap();
    let name = format!("test-{}-{:x}", std::process::id(), fold(test));
    let output = this_test(test).env(TEST, test).env(INSTANCE, &name).env(DIR, dir.path()).output().unwrap();
    let report = eventually(|| cleanup(&name, dir.path()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!report.removed.is_empty());
    assert!(!Path::new("/sys/fs/bpf/balancer").join(&name).exists(), "pins are left");
    assert!(!cgroup_of(&name).exists(), "the cgroup is left");
    assert!(!dir.path().join(&name).exists(), "the runtime folder is left");
}

fn fold(text: &str) -> u32 {
    text.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

/// Why the kernel side cannot be used here, found out in a process of its own.
fn unusable() -> Option<String> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("test-{}-probe", std::process::id());
        let instance = Instance { name, runtime_dir: dir.path().to_owned() };
        let mut probe = start_role(Role::Probe, &instance, None);
        let answer = probe.read_line();
        drop(probe);
        eventually(|| cleanup(&instance.name, dir.path()));
        answer.strip_prefix("off: ").map(str::to_owned)
    };
    REASON.get_or_init(ask).clone()
}

/// The cgroup that is made for an instance, seen from a process that is not in it.
pub(crate) fn cgroup_of(instance: &str) -> PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap().to_owned();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).unwrap().to_owned();
    Path::new(mount.split(' ').nth(1).unwrap()).join(own).join(format!("balancer-{instance}"))
}

/// What else a process of this program can be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Says whether the kernel side can be used.
    Probe,
    /// Connects ten times to each address it is told, from outside of the balancer's cgroup.
    Outsider,
    /// Runs the instance, and holds 50 connections and 3 requests.
    Holder,
}

/// A process that plays a role; killed in the end.
pub(crate) struct Player {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

pub(crate) fn start_role(role: Role, instance: &Instance, address: Option<SocketAddr>) -> Player {
    let mut command = this_test("role");
    command.env_remove(TEST).env(ROLE, format!("{role:?}"));
    command.env(INSTANCE, &instance.name).env(DIR, &instance.runtime_dir);
    command.envs(address.map(|address| (ADDRESS, address.to_string())));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    Player { child, input, output: BufReader::new(output) }
}

impl Player {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line it says.
    pub(crate) fn read_line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended");
            if let Some(said) = line.trim().strip_prefix("role: ") {
                return said.to_owned();
            }
        }
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        writeln!(self.input, "{what}").unwrap();
        self.read_line()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn play_role() {
    let (Ok(role), Some(instance)) = (std::env::var(ROLE), Instance::of_environment()) else { return };
    println!();
    match role.as_str() {
        "Probe" => match Kernel::open(&instance.options(KernelAssist::Auto)).unwrap().assist() {
            Assist::Active => println!("role: active"),
            Assist::Off { reason } => println!("role: off: {reason}"),
        },
        "Outsider" => {
            for line in io::stdin().lines() {
                let address = line.unwrap().parse().unwrap();
                for _ in 0..10 {
                    talk(connect(address).unwrap(), Ending::ServerResets);
                }
                println!("role: done");
            }
        }
        _ => {
            let address: SocketAddr = std::env::var(ADDRESS).unwrap().parse().unwrap();
            let mut kernel = instance.open();
            let slot = kernel.claim_slot(&Endpoint::Tcp(address)).unwrap();
            let _held: Vec<_> = (0..50).map(|_| connect(address).unwrap()).collect();
            (0..3).for_each(|_| std::mem::forget(kernel.tables().outstanding.begin(slot)));
            println!("role: {}", slot.0);
            let _ = io::stdin().read(&mut [0]);
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client closes first, the server at once after it.
    ClientCloses,
    /// The server closes first.
    ServerCloses,
    ClientResets,
    ServerResets,
    /// The client closes first, and the server does not until all is over.
    ServerLingers,
    /// The client shuts down its half, and is answered once more before the server closes.
    HalfClose,
}

impl Ending {
    pub(crate) const ALL: [Self; 6] = [
        Self::ClientCloses,
        Self::ServerCloses,
        Self::ClientResets,
        Self::ServerResets,
        Self::ServerLingers,
        Self::HalfClose,
    ];
}

const REQUEST: usize = 100;
/// Bytes of a reply.
pub(crate) const REPLY: usize = 200;

/// Bytes that ask the server for an ending.
pub(crate) fn request(ending: Ending) -> Vec<u8> {
    let letter = match ending {
        Ending::ClientCloses | Ending::ClientResets => b'c',
        Ending::ServerCloses => b's',
        Ending::ServerResets => b'r',
        Ending::ServerLingers => b'l',
        Ending::HalfClose => b'h',
    };
    vec![letter; REQUEST]
}

/// A server that answers requests and ends connections as asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(host: IpAddr) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || serve(stream));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: TcpStream) {
    let mut request = [0; REQUEST];
    let mut last = 0;
    while stream.read_exact(&mut request).is_ok() {
        last = request[0];
        if stream.write_all(&[b'x'; REPLY]).is_err() {
            return;
        }
        match last {
            b's' => break,
            b'r' => {
                // First all must be acknowledged: a reset overtakes what is not.
                eventually(|| if unsent(&stream) == 0 { Ok(()) } else { Err("unsent bytes") });
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            _ => {}
        }
    }
    match last {
        b'h' => drop(stream.write_all(&[b'x'; REPLY])),
        b'l' => std::mem::forget(stream),
        _ => {}
    }
}

/// Bytes that the peer has not acknowledged.
fn unsent(stream: &TcpStream) -> i32 {
    let mut bytes = 0;
    let fd = std::os::fd::AsRawFd::as_raw_fd(stream);
    // SAFETY: TIOCOUTQ writes one int.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) }, 0);
    bytes
}

pub(crate) type Connection = TcpStream;

pub(crate) fn connect(address: SocketAddr) -> io::Result<Connection> {
    TcpStream::connect(address)
}

/// Connects as health checks do.
pub(crate) fn connect_unseen(address: SocketAddr, marker: &ProbeMarker) -> io::Result<Connection> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    marker.exempt(socket.as_fd())?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// Makes one exchange and ends the connection. The payload sent and received.
pub(crate) fn talk(mut stream: Connection, ending: Ending) -> (u64, u64) {
    let request = request(ending);
    let mut received = REPLY as u64;
    stream.write_all(&request).unwrap();
    stream.read_exact(&mut [0; REPLY]).unwrap();
    match ending {
        Ending::ClientCloses | Ending::ServerLingers => {}
        Ending::ServerCloses => assert_eq!(stream.read(&mut [0]).unwrap(), 0),
        Ending::ClientResets => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        Ending::ServerResets => assert!(stream.read(&mut [0]).is_err()),
        Ending::HalfClose => {
            stream.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            received += stream.read_to_end(&mut rest).unwrap() as u64;
        }
    }
    (request.len() as u64, received)
}

/// An address that nobody listens on, for as long as the process lives.
pub(crate) fn refusing_address(host: IpAddr) -> SocketAddr {
    let socket = Socket::new(Domain::for_address((host, 0).into()), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(host, 0).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

/// A listener whose queue is full: it answers no SYN.
pub(crate) struct FullListener {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queued: TcpStream,
}

pub(crate) fn full_listener() -> FullListener {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let queued = TcpStream::connect(address).unwrap();
    FullListener { address, _listener: listener, _queued: queued }
}

/// Begins to connect and does not wait.
pub(crate) fn begin_connect(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert!(socket.connect(&address.into()).is_err());
    socket
}

pub(crate) fn has_bpftool() -> bool {
    Command::new("bpftool").arg("version").output().is_ok_and(|output| output.status.success())
}

/// The counters of a slot as bpftool shows them.
pub(crate) fn bpftool_counters(instance: &str, slot: Slot) -> serde_json::Value {
    let map = format!("/sys/fs/bpf/balancer/{instance}/v{}/TARGET_COUNTERS", balancer_common::ABI_VERSION);
    let output = Command::new("bpftool").args(["-j", "map", "dump", "pinned", &map]).output().unwrap();
    let dump: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    dump[slot.index()]["formatted"]["value"].clone()
}

const NOBODY: u32 = 65_534;

pub(crate) fn give_to_ordinary_user(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// Runs `body` on a thread without root; with the three capabilities that the kernel side needs, or with none.
pub(crate) fn as_ordinary_user(with_capabilities: bool, body: impl FnOnce() + Send) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    // CAP_NET_ADMIN is 12, CAP_PERFMON 38, CAP_BPF 39 (linux/capability.h).
    let kept = if with_capabilities { [1_u32 << 12, 1 << (38 - 32) | 1 << (39 - 32)] } else { [0, 0] };
    let run = || {
        // SAFETY: plain system calls, for this thread alone; the third version takes two sets of three words.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
            assert_eq!(libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
            let header = Header { version: 0x2008_0522, pid: 0 };
            let sets = [kept[0], kept[0], 0, kept[1], kept[1], 0_u32];
            assert_eq!(libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()), 0);
        }
        body();
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap();
}
