//! Real applications with sessions in memory, and their own clients.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use crate::{ports, skip, tls::Certificate, until};

/// An application.
#[derive(Clone, Copy, Debug)]
pub enum App {
    /// CherryPy's session tutorial and a client of Python's standard library with a cookie jar.
    CherryPy,
    /// A socket.io server and socket.io's client, over HTTP long-polling.
    SocketIo,
    /// A gRPC service and its client, by grpcio.
    Grpc,
    /// A WebSocket server that echoes, by websockets.
    WebSocket,
    /// A server that changes to HTTP/2 when it is offered h2c; it has no client of its own.
    Hypercorn,
    /// Jetty, which does so too and takes clients that begin with HTTP/2; it has no client of its own.
    Jetty,
    /// A server of the Model Context Protocol and its client, by the first SDK for Python.
    McpPython1,
    /// The same by the second, in the mode of 2025-11-25.
    McpPython2,
    /// The same by the SDK for Node.js, whose client keeps no cookies.
    McpNode,
    /// A small site of Node's with pages, assets and a WebSocket, which has no client of its own.
    Page,
}

/// What a client of ours prints, one of those in `tests/apps/clients`.
///
/// # Panics
/// When it cannot be run or fails.
#[must_use]
pub fn client(script: &str, arguments: &[&str]) -> String {
    let mut command = match Path::new(script).extension().and_then(|extension| extension.to_str()) {
        Some("py") => Command::new(installed().join("clients/bin/python")),
        Some("java") => Command::new("java"),
        Some("go") => {
            let mut command = Command::new("go");
            command.arg("run");
            command
        }
        _ => {
            let mut command = Command::new("node");
            command.env("NODE_PATH", installed().join("socketio/node_modules"));
            command
        }
    };
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/clients").join(script)).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{text}{complaint}", output.status);
    text
}

/// Chromium, without a screen; says so where it is not installed, unless it has to be (`BALANCER_REQUIRE_APPS`).
///
/// # Panics
/// When it has to be there and is not.
#[must_use]
pub fn chromium() -> Option<Command> {
    let path = Path::new("/usr/bin/chromium");
    if path.is_file() {
        let mut command = Command::new(path);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--no-proxy-server"]);
        return Some(command);
    }
    assert!(env::var_os("BALANCER_REQUIRE_APPS").is_none(), "{} is missing", path.display());
    skip(&format_args!("there is no {}, `cargo xtask test` installs it", path.display()));
    None
}

/// What Jetty is made of, from Debian's `libjetty9-java`.
const JETTY: [&str; 8] = [
    "jetty9-server",
    "jetty9-http",
    "jetty9-io",
    "jetty9-util",
    "jetty9-http2-server",
    "jetty9-http2-common",
    "jetty9-http2-hpack",
    "servlet-api",
];

fn jetty() -> Vec<PathBuf> {
    JETTY.iter().map(|jar| Path::new("/usr/share/java").join(jar).with_extension("jar")).collect()
}

/// Whether programs in Java can be run from their source; says so where they cannot, unless they have to be
/// (`BALANCER_REQUIRE_APPS`).
///
/// # Panics
/// When they have to be and cannot.
#[must_use]
pub fn has_java() -> bool {
    has("/usr/bin/javac")
}

/// Whether a program is installed; says so where it is not, unless it has to be (`BALANCER_REQUIRE_APPS`).
///
/// # Panics
/// When it has to be and is not.
#[must_use]
pub fn has(program: &str) -> bool {
    let path = Path::new(program);
    let is_there = path.exists();
    assert!(is_there || env::var_os("BALANCER_REQUIRE_APPS").is_none(), "{} is missing", path.display());
    if !is_there {
        skip(&format_args!("there is no {}, `cargo xtask test` installs it", path.display()));
    }
    is_there
}

/// How many sessions a client says were lost.
fn lost_of(output: &Output) -> usize {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lost = text.trim().strip_prefix("lost ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    lost.unwrap_or_else(|| panic!("it said {text:?} {}", String::from_utf8_lossy(&output.stderr)))
}

/// One process of an application; ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// As a configuration writes it.
    pub address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

pub(crate) fn installed() -> PathBuf {
    let folder = env::var_os("BALANCER_TEST_APPS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/test-apps"),
        PathBuf::from,
    );
    assert!(folder.is_dir(), "{} is missing: `cargo xtask test` makes it", folder.display());
    folder
}

/// Where the clients of the ELBv2 API are; beside it stand, with more in their names, what Ansible and Terraform need of others.
#[must_use]
pub fn elbv2() -> PathBuf {
    installed().join("elbv2")
}

/// The program of AWS' SDK for Rust (`tests/apps/aws-sdk`), whether it was built or not.
#[must_use]
pub fn aws_sdk() -> PathBuf {
    installed().join("aws-sdk/debug/aws-sdk-client")
}

/// A process of the shop of `examples/sessions`, with these arguments besides its port; says so where what it needs is not
/// installed, unless it has to be (`BALANCER_REQUIRE_APPS`).
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn shop(arguments: &[&str]) -> Option<Running> {
    let python = installed().join("sessions/bin/python");
    if !python.is_file() && env::var_os("BALANCER_REQUIRE_APPS").is_none() {
        skip(&format_args!("the shop's packages are not installed, `cargo xtask test` does that"));
        return None;
    }
    let mut command = Command::new(python);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/sessions");
    command.arg(folder.join("shop.py")).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(run_at_free_port(|port| command.args(["--port", port])))
}

/// A process of a script of Python that takes its port, and needs nothing else.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn python(script: &Path) -> Running {
    let mut command = Command::new("python3");
    command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
    run_at_free_port(|port| command.arg(port))
}

/// Starts what `command` makes of a port that nobody has.
fn run_at_free_port<'c>(command: impl FnOnce(&str) -> &'c mut Command) -> Running {
    let address = format!("127.0.0.1:{}", ports::free());
    let port = address.rsplit(':').next().unwrap();
    let child =
        command(port).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running { child, address };
    until("the application answers", 90.0, || TcpStream::connect(&running.address).ok());
    running
}

impl App {
    /// Its interpreter with a script of ours.
    fn command(self, script: &str) -> Command {
        let (folder, interpreter, extension) = match self {
            Self::CherryPy => ("cherrypy", installed().join("cherrypy/bin/python"), "py"),
            Self::SocketIo => ("socketio", PathBuf::from("node"), "js"),
            Self::Grpc => ("grpc", installed().join("grpc/bin/python"), "py"),
            Self::WebSocket => ("clients", installed().join("clients/bin/python"), "py"),
            Self::Hypercorn => ("hypercorn", installed().join("hypercorn/bin/python"), "py"),
            Self::Jetty => ("jetty", PathBuf::from("java"), "java"),
            Self::McpPython1 => ("mcp1", installed().join("mcp1/bin/python"), "py"),
            Self::McpPython2 => ("mcp2", installed().join("mcp2/bin/python"), "py"),
            Self::McpNode => ("mcpnode", PathBuf::from("node"), "js"),
            Self::Page => ("page", PathBuf::from("node"), "js"),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("apps")
            .join(folder)
            .join(format!("{script}.{extension}"));
        let mut command = Command::new(interpreter);
        if matches!(self, Self::Jetty) {
            // It has little to do: what makes Java quick later makes it slow to start.
            command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]);
            command.arg("-cp").arg(env::join_paths(jetty()).unwrap());
        }
        // What the site of pages requires is among what socket.io does.
        let packages = if matches!(self, Self::McpNode) { folder } else { "socketio" };
        command.arg(script).env("NODE_PATH", installed().join(packages).join("node_modules"));
        // Nothing is left beside the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Starts one process of the application.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(self) -> Running {
        self.start_with(&[])
    }

    /// The same service over TLS; of gRPC alone.
    #[must_use]
    pub fn start_over_tls(self, certificate: &Certificate) -> Running {
        self.start_with(&[&certificate.key, &certificate.certificate])
    }

    fn start_with(self, files: &[&Path]) -> Running {
        // A source of Java's bears the name of a class.
        let mut command = self.command(if matches!(self, Self::Jetty) { "Server" } else { "server" });
        run_at_free_port(|port| command.arg(port).args(files))
    }

    /// Starts it where it is installed; says so where it is not, unless it has to be (`BALANCER_REQUIRE_APPS`).
    #[must_use]
    pub fn start_if_installed(self) -> Option<Running> {
        let is_there = match self {
            Self::Grpc => installed().join("grpc/made-from").is_file(),
            Self::WebSocket => installed().join("clients/made-from").is_file(),
            Self::Hypercorn => installed().join("hypercorn/made-from").is_file(),
            Self::McpPython1 => installed().join("mcp1/made-from").is_file(),
            Self::McpPython2 => installed().join("mcp2/made-from").is_file(),
            Self::McpNode => installed().join("mcpnode/made-from").is_file(),
            Self::Jetty => jetty().iter().all(|jar| jar.is_file()) && has_java(),
            Self::CherryPy | Self::SocketIo | Self::Page => true,
        };
        if is_there || env::var_os("BALANCER_REQUIRE_APPS").is_some() {
            return Some(self.start());
        }
        skip(&format_args!("{self:?} is not installed, `cargo xtask test` does that"));
        None
    }

    /// Runs the application's client with these arguments and gives back the last line it says.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn says(self, at: SocketAddr, arguments: &[&str]) -> String {
        Self::last_line(self.command("client"), at, arguments)
    }

    /// The same over TLS, to who shows this certificate for example.test; of gRPC alone.
    #[must_use]
    pub fn says_over_tls(self, at: SocketAddr, trusted: &Certificate, arguments: &[&str]) -> String {
        let mut command = self.command("client");
        command.env("CA_FILE", &trusted.certificate);
        Self::last_line(command, at, arguments)
    }

    fn last_line(mut command: Command, at: SocketAddr, arguments: &[&str]) -> String {
        let output = command.arg(at.to_string()).args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default().to_owned();
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        last
    }

    fn sessions(self, at: SocketAddr, sessions: usize, steps: usize) -> Command {
        let mut command = self.command("client");
        command.args([format!("http://{at}/"), sessions.to_string(), steps.to_string()]);
        command
    }

    /// Runs the application's client: `sessions` sessions of `steps` steps each. Gives back how many were lost.
    ///
    /// # Panics
    /// When the client fails as a whole.
    #[must_use]
    pub fn lost(self, at: SocketAddr, sessions: usize, steps: usize) -> usize {
        let output = self.sessions(at, sessions, steps).stdin(Stdio::null()).output().unwrap();
        lost_of(&output)
    }

    /// The same, with something done when all sessions have made their first step and wait for it. Of the Model Context Protocol
    /// alone.
    ///
    /// # Panics
    /// When the client fails as a whole.
    #[must_use]
    pub fn lost_around(
        self,
        at: SocketAddr,
        (sessions, steps): (usize, usize),
        between: impl FnOnce(),
    ) -> usize {
        let mut command = self.sessions(at, sessions, steps);
        command.arg("wait").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().unwrap();
        let mut said = String::new();
        // Unbuffered but for this line: nothing else is said before it is answered.
        BufReader::with_capacity(1, client.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        if said == "begun\n" {
            between();
            client.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        }
        lost_of(&client.wait_with_output().unwrap())
    }
}
