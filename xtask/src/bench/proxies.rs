//! The proxies that are compared, each with one worker and the same work: kept-alive connections on both sides, the client's
//! address passed on, a stickiness cookie where it can, and before TLS the same certificate (ECDSA P-256) and version. What each
//! is told stands under `xtask/peers`.

mod configured;
mod rules;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    peers,
    process::{self, Process},
};
use crate::{
    handshakes::{Client, Handshake},
    shell,
};

pub(crate) use configured::Reload;

/// What is compared. `baseline` is another build of balancer, `balancer-rules` is balancer with 100 listener rules, `hyper` a
/// proxy of hyper's server and client, and the relays copy bytes and parse nothing.
pub(crate) const USUAL: [&str; 13] = [
    "balancer",
    "baseline",
    "balancer-rules",
    "nginx",
    "haproxy",
    "envoy",
    "traefik",
    "caddy",
    "sozu",
    "pingora",
    "hyper",
    "relay",
    "relay-uring",
];

/// HAProxy that moves all bodies through pipes.
pub(crate) const SPLICE: &str = "haproxy-splice";

/// All that can be asked for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    USUAL.into_iter().chain([SPLICE])
}

/// Clients come back with cookies of a while ago. Of a cookie of its first seconds balancer cannot tell whether it, or a
/// process before it, has set it, and looks closer at what comes with it.
const FIRST_SECONDS: Duration = Duration::from_secs(4);

/// How long one may take until it forwards.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many rules `balancer-rules` has.
const RULES: usize = 100;

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/2 without TLS, from the first byte.
    H2c,
    Tls13,
    Tls12,
}

impl Front {
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Tls13 | Self::Tls12)
    }

    fn handshake(self) -> Option<Handshake> {
        let tls12 = self == Self::Tls12;
        self.is_tls().then_some(Handshake { tls12, resumed: false })
    }
}

/// What a proxy has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) front: Front,
    /// What the targets speak is HTTP/2 without TLS.
    pub(crate) h2_targets: bool,
    pub(crate) grpc: bool,
    pub(crate) sticky: bool,
    pub(crate) log: bool,
    pub(crate) websocket: bool,
    /// Targets are checked each five seconds.
    pub(crate) checks: bool,
    /// It has to be able to read its configuration anew.
    pub(crate) reload: bool,
    pub(crate) rules: usize,
    pub(crate) targets: usize,
    /// Room for so many sessions that are known by the application's cookie; none: sessions are the balancer's own.
    pub(crate) sessions: u64,
}

impl Shape {
    /// Kept-alive HTTP/1.1 with stickiness before two targets.
    pub(crate) const STICKY: Self = Self {
        front: Front::Plain,
        h2_targets: false,
        grpc: false,
        sticky: true,
        log: false,
        websocket: false,
        checks: false,
        reload: false,
        rules: 0,
        targets: 2,
        sessions: 0,
    };
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// What it leaves undone.
    pub(crate) mark: Option<&'static str>,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// The three cookies of each request.
    pub(crate) cookie: String,
    pub(crate) reload: Reload,
}

/// Where things are and what is asked for.
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) core: usize,
    pub(crate) targets: Vec<SocketAddr>,
    pub(crate) balancer: PathBuf,
    pub(crate) baseline: Option<&'a Path>,
    pub(crate) kernel_assist: &'a str,
    /// What is shown to clients that speak TLS; none for plain HTTP.
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) shape: Shape,
}

/// A certificate and its key in files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one, as HAProxy wants them.
    pub(crate) both: PathBuf,
}

impl Certificate {
    /// A configuration's block of it.
    pub(crate) fn block(&self, label: &str) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let lines = format!("  certificate_file = \"{certificate}\"\n  private_key_file = \"{key}\"\n");
        format!("certificate \"{label}\" {{\n{lines}}}\n")
    }

    /// Makes an ECDSA one on the curve P-256.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let path = |file: &str| folder.join(file);
        let made = Self { certificate: path("bench.pem"), key: path("bench.key"), both: path("both.pem") };
        let program = shell::find_program("openssl").context("openssl is missing")?;
        let mut command = Command::new(program);
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]);
        command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
        if !shell::succeeds(&mut command) {
            bail!("`{}` failed", shell::show(&command));
        }
        let both = [fs::read(&made.certificate)?, fs::read(&made.key)?].concat();
        fs::write(&made.both, both)?;
        Ok(made)
    }
}

/// The program of a proxy that takes part in more than one way.
fn kind(name: &str) -> &str {
    name.trim_end_matches("-splice")
}

/// Why the proxy of this name cannot take part in the work; none where it can.
pub(crate) fn refuses(name: &str, shape: &Shape) -> Option<&'static str> {
    let is_plain = shape.front == Front::Plain && !shape.h2_targets && !shape.log && !shape.checks;
    match name {
        "balancer" | "baseline" | "balancer-rules" => None,
        "hyper" if !is_plain || shape.websocket => Some("plain HTTP/1.1 alone"),
        "hyper" if shape.reload || shape.targets != 2 || shape.rules > 0 || shape.sessions > 0 => {
            Some("has two targets and no configuration")
        }
        "hyper" => None,
        "relay" | "relay-uring" if !is_plain || shape.reload || shape.rules > 0 || shape.sessions > 0 => {
            Some("parses nothing")
        }
        "relay" | "relay-uring" => None,
        name if peers::find(kind(name)).is_none() => Some("is not here: `cargo xtask bench --fetch-peers`"),
        "nginx" if shape.checks => Some("has no health checks of its own"),
        "nginx" | "haproxy" | SPLICE => None,
        _ if shape.reload || shape.checks || shape.rules > 0 || shape.sessions > 0 => {
            Some("is not set up for this work")
        }
        "envoy" | "traefik" | "caddy" => None,
        "sozu" if shape.front.is_tls() => Some("is not set up for this work"),
        "sozu" | "pingora"
            if shape.h2_targets || shape.front == Front::H2c || shape.websocket || shape.log =>
        {
            Some("is not set up for this work")
        }
        "pingora" if shape.front == Front::Tls12 => Some("has no choice of TLS versions"),
        "sozu" | "pingora" if shape.targets != 2 => Some("is not set up for this work"),
        _ => None,
    }
}

/// Starts the proxy of this name, checks that it forwards and, where it can, that its cookie sticks.
pub(crate) fn start(name: &'static str, setting: &Setting<'_>) -> Result<Proxy> {
    let begun = begin(name, setting)?;
    begun.wait();
    begun.ready(setting)
}

/// One that has started, and may be in its first seconds.
pub(crate) struct Begun {
    name: &'static str,
    address: SocketAddr,
    started: configured::Started,
    since: Instant,
}

/// Starts the proxy of this name.
pub(crate) fn begin(name: &'static str, setting: &Setting<'_>) -> Result<Begun> {
    let address = process::free_address()?;
    let started = configured::start(name, setting, address).with_context(|| name.to_owned())?;
    let answer = first_answer(setting, address).with_context(|| said(name, &started.process))?;
    if let Some(cookie) = started.cookie {
        // It ends what is done for the first one alone.
        get(setting, address, &first_cookie(&answer, cookie).with_context(|| said(name, &started.process))?)?;
    }
    Ok(Begun { name, address, started, since: Instant::now() })
}

/// Some listen before they know where to forward to.
fn first_answer(setting: &Setting<'_>, address: SocketAddr) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(setting, address, "");
        if answer.as_ref().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
            || Instant::now() > deadline
        {
            return answer;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

impl Begun {
    /// Lets the first seconds go by, where there is something about them.
    pub(crate) fn wait(&self) {
        if self.started.cookie == Some("AWSALB") {
            thread::sleep((self.since + FIRST_SECONDS).saturating_duration_since(Instant::now()));
        }
    }

    /// Holds that it forwards.
    pub(crate) fn ready(self, setting: &Setting<'_>) -> Result<Proxy> {
        let Self { name, address, started, .. } = self;
        let said = || said(name, &started.process);
        let session = match started.cookie {
            Some(cookie) => first_cookie(&get(setting, address, "")?, cookie).with_context(said)?,
            None => "session=0123456789abcdef0123456789abcdef".to_owned(),
        };
        let cookie = format!("theme=dark; {session}; lang=en-GB");
        let answer = get(setting, address, &cookie).with_context(said)?;
        let status = answer.split(' ').nth(1);
        if status != Some("200") {
            bail!("it does not forward: {answer}\n{}", said());
        }
        let wants_cookie = setting.shape.sticky && setting.shape.sessions == 0;
        let mark = (wants_cookie && started.cookie.is_none()).then_some("no stickiness");
        let configured::Started { process, version, reload, .. } = started;
        Ok(Proxy { name, version, mark, address, process, cookie, reload })
    }
}

/// What a request is answered, whatever clients speak.
fn get(setting: &Setting<'_>, address: SocketAddr, cookie: &str) -> Result<String> {
    if setting.shape.h2_targets {
        return get_over_http2(setting.shape.grpc, address, cookie);
    }
    match setting.shape.front.handshake() {
        Some(handshake) => Client::new(handshake)?.get(address, cookie),
        None => process::get(address, cookie),
    }
}

/// Some have no HTTP/1.1 before targets that speak HTTP/2.
fn get_over_http2(grpc: bool, address: SocketAddr, cookie: &str) -> Result<String> {
    let curl = shell::find_program("curl").context("curl is missing")?;
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--include", "--http2-prior-knowledge", "--max-time", "10"]);
    command.args(["--header", &format!("Cookie: {cookie}")]);
    if grpc {
        command.args(["--header", "Content-Type: application/grpc", "--header", "TE: trailers"]);
        command.args(["--data-binary", "12345"]);
    }
    let output = command.arg(format!("http://{address}/")).output()?;
    if !output.status.success() {
        bail!("curl: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of what a proxy has printed: what is wrong stands there.
pub(crate) fn said(name: &str, process: &Process) -> String {
    let text = process.said();
    let lines: Vec<&str> = text.lines().collect();
    format!("{name} said {:?}", lines.get(lines.len().saturating_sub(4)..).unwrap_or_default().join("\n"))
}

/// The cookie called `name` in the answer to a first request.
fn first_cookie(answer: &str, name: &str) -> Result<String> {
    let pairs = answer.lines().filter_map(|line| {
        let (field, value) = line.split_once(':')?;
        let pair = value.trim_start().split(';').next().unwrap_or_default();
        field.eq_ignore_ascii_case("set-cookie").then(|| pair.to_owned())
    });
    let wanted = format!("{name}=");
    pairs
        .into_iter()
        .find(|pair| pair.starts_with(&wanted))
        .with_context(|| format!("no cookie {name} in: {answer}"))
}

/// Removes what the balancers under measurement left in the kernel.
pub(crate) fn clean_up(balancer: &Path) {
    for name in names() {
        shell::succeeds(Command::new(balancer).args(["cleanup", "--instance", &configured::instance(name)]));
    }
}
