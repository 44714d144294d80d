//! Proxies with four workers, plain HTTP at one port and HTTPS at another, and how many connections each worker has. Must not
//! know: clients.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    bench::process::{free_address, get},
    shell,
};

/// How many workers all of them have.
pub(super) const WORKERS: usize = 4;

const PATIENCE: Duration = Duration::from_secs(20);

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Workers are chosen by what they have to do.
    Balancer,
    /// The kernel chooses by the addresses (`SO_REUSEPORT`).
    Plain,
    Haproxy,
    Nginx,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Balancer, Self::Plain, Self::Haproxy, Self::Nginx];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Plain => "balancer, kernel_assist off",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// Whether it can be had here.
    pub(super) fn is_installed(self) -> bool {
        match self {
            Self::Balancer | Self::Plain => true,
            Self::Haproxy => shell::find_program("haproxy").is_some(),
            Self::Nginx => shell::find_program("nginx").is_some(),
        }
    }
}

/// A certificate with a key of 4,096 bits of RSA, with which a handshake is work.
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    both: PathBuf,
}

impl Certificate {
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let path = |file: &str| folder.join(file);
        let made = Self { certificate: path("lab.pem"), key: path("lab.key"), both: path("both.pem") };
        let program = shell::find_program("openssl").context("openssl is missing")?;
        let mut command = Command::new(program);
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:4096",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=bench.test",
        ]);
        command.args(["-addext", "subjectAltName=DNS:bench.test"]);
        command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
        if !shell::succeeds(&mut command) {
            bail!("`{}` failed", shell::show(&command));
        }
        fs::write(&made.both, [fs::read(&made.certificate)?, fs::read(&made.key)?].concat())?;
        Ok(made)
    }
}

/// One that runs; it ends with this.
pub(super) struct Proxy {
    kind: Kind,
    child: Child,
    folder: PathBuf,
    balancer: PathBuf,
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    admin: SocketAddr,
}

impl Proxy {
    /// Starts one in `folder` before `target`.
    pub(super) fn start(
        kind: Kind,
        folder: PathBuf,
        balancer: &Path,
        target: SocketAddr,
        certificate: &Certificate,
        workers: usize,
    ) -> Result<Self> {
        let (http, https, admin) = (free_address()?, free_address()?, free_address()?);
        let config = folder.join("config");
        let mut command;
        match kind {
            Kind::Balancer | Kind::Plain => {
                let assist = if kind == Kind::Plain { "off" } else { "auto" };
                let text = balancer_text(&folder, [http, https, admin, target], certificate, workers, assist);
                fs::write(folder.join("config.hcl"), text)?;
                command = Command::new(balancer);
                command.arg("run").arg("-c").arg(folder.join("config.hcl"));
            }
            Kind::Haproxy => {
                fs::write(&config, haproxy_text(&folder, [http, https, target], certificate, workers))?;
                command = Command::new(shell::find_program("haproxy").context("haproxy is missing")?);
                command.arg("-db").arg("-f").arg(&config);
            }
            Kind::Nginx => {
                fs::write(&config, nginx_text(&folder, [http, https, target], certificate, workers))?;
                command = Command::new(shell::find_program("nginx").context("nginx is missing")?);
                command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(&config);
            }
        }
        let log = fs::File::create(folder.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.with_context(|| shell::show(&command))?;
        let proxy = Self { kind, child, folder, balancer: balancer.to_owned(), http, https, admin };
        let deadline = Instant::now() + PATIENCE;
        while !(TcpStream::connect(https).is_ok()
            && get(http, "").is_ok_and(|it| it.starts_with("HTTP/1.1 200")))
        {
            if Instant::now() > deadline {
                bail!("{} did not start: {}", kind.name(), proxy.said());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }

    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many connections of clients each worker has.
    pub(super) fn connections(&self) -> Result<Vec<u64>> {
        match self.kind {
            Kind::Balancer | Kind::Plain => {
                let text = self.metrics()?;
                let samples =
                    text.lines().filter_map(|line| line.strip_prefix("balancer_worker_connections{"));
                samples.map(|line| last(line).parse().context("a sample")).collect()
            }
            Kind::Haproxy => self.haproxy_connections(),
            Kind::Nginx => {
                let sockets = established_at(self.http.port())?;
                let workers = children(self.pid());
                Ok(workers.iter().map(|pid| open_of(*pid, &sockets)).collect())
            }
        }
    }

    fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// By the threads that look after their descriptors.
    fn haproxy_connections(&self) -> Result<Vec<u64>> {
        let mut stream = UnixStream::connect(self.folder.join("stats"))?;
        stream.write_all(b"show fd\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let mut by_thread: BTreeMap<&str, u64> = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains("fe=plain") && line.contains("mux=")) {
            let mask = line.split_whitespace().find_map(|word| word.strip_prefix("tmask="));
            *by_thread.entry(mask.context("show fd tells no tmask")?).or_default() += 1;
        }
        Ok(by_thread.into_values().collect())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SAFETY: the pid is our own child's, and it has not been waited for.
        unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) };
        let deadline = Instant::now() + Duration::from_secs(8);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // An error here means that it has ended already.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
        if matches!(self.kind, Kind::Balancer | Kind::Plain) {
            let mut command = Command::new(&self.balancer);
            command.args(["cleanup", "--instance", &instance(&self.folder), "--runtime-dir"]);
            shell::succeeds(command.arg(self.folder.join("run")));
        }
    }
}

fn last(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or_default()
}

/// Inodes of established connections whose near end is this port.
fn established_at(port: u16) -> Result<HashSet<String>> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let near = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_meant =
        |row: &Vec<&str>| row.get(1).is_some_and(|it| it.ends_with(&near)) && row.get(3) == Some(&"01");
    Ok(rows.filter(is_meant).filter_map(|row| Some(format!("socket:[{}]", row.get(9)?))).collect())
}

fn open_of(pid: u32, sockets: &HashSet<String>) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.map(|link| u64::from(sockets.contains(&*link.to_string_lossy()))).sum()
}

/// Processes that its main thread has started.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn instance(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("lab-{}-{name}", std::process::id())
}

fn balancer_text(
    folder: &Path,
    [http, https, admin, target]: [SocketAddr; 4],
    certificate: &Certificate,
    workers: usize,
    assist: &str,
) -> String {
    format!(
        r#"balancer {{
  instance      = "{instance}"
  workers       = {workers}
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  kernel_assist = "{assist}"
  admin_address = "{admin}"
}}
listener "plain" {{
  address = "{ip}"
  port    = {http}
  default_action {{
    type             = "forward"
    target_group_arn = "lab"
  }}
}}
listener "tls" {{
  address         = "{ip}"
  port            = {https}
  protocol        = "HTTPS"
  certificate_arn = certificate.lab.arn
  default_action {{
    type             = "forward"
    target_group_arn = "lab"
  }}
}}
certificate "lab" {{
  certificate_file = "{certificate}"
  private_key_file = "{key}"
}}
target_group "lab" {{
  port     = {port}
  protocol = "HTTP"
  health_check {{
    enabled = false
  }}
  targets = ["{target}"]
}}
"#,
        instance = instance(folder),
        folder = folder.display(),
        ip = http.ip(),
        http = http.port(),
        https = https.port(),
        port = target.port(),
        certificate = certificate.certificate.display(),
        key = certificate.key.display(),
    )
}

fn haproxy_text(
    folder: &Path,
    [http, https, target]: [SocketAddr; 3],
    certificate: &Certificate,
    workers: usize,
) -> String {
    format!(
        "global
  nbthread {workers}
  maxconn 4000
  stats socket {folder}/stats level admin
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 10s
  http-reuse always
frontend plain
  bind {http}
  default_backend targets
frontend tls
  bind {https} ssl crt {both} ssl-min-ver TLSv1.3
  default_backend targets
backend targets
  server one {target}
",
        folder = folder.display(),
        both = certificate.both.display(),
    )
}

fn nginx_text(
    folder: &Path,
    [http, https, target]: [SocketAddr; 3],
    certificate: &Certificate,
    workers: usize,
) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .collect();
    format!(
        "daemon off; worker_processes {workers}; pid {folder}/pid; error_log stderr;
events {{ worker_connections 16000; }}
http {{ {temporary} access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
 upstream targets {{ server {target}; keepalive 128; keepalive_requests 1000000000; }}
 server {{ listen {http} reuseport; listen {https} ssl reuseport; ssl_protocols TLSv1.3;
  ssl_certificate {certificate}; ssl_certificate_key {key};
  location / {{ proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}
",
        folder = folder.display(),
        certificate = certificate.certificate.display(),
        key = certificate.key.display(),
    )
}
