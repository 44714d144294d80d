//! The proxies that are compared, each with one worker and the same work: kept-alive connections on both sides, no
//! access log, no health checks, the client's address passed on, two targets, a stickiness cookie where it can, and
//! before TLS the same certificate (ECDSA P-256) and version (1.3).

mod balancer;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::process::{self, Process, pinned};
use crate::{handshakes::Client, shell};

pub(crate) use balancer::clean_up;

/// What is compared. `baseline` is another build of balancer, `balancer-rules` is balancer with 100 listener rules.
pub(crate) const NAMES: [&str; 6] = ["balancer", "baseline", "balancer-rules", "haproxy", "nginx", "relay"];

/// Clients come back with cookies of a while ago. Of a cookie of its first seconds balancer cannot tell whether it, or a
/// process before it, has set it, and looks closer at what comes with it.
const FIRST_SECONDS: Duration = Duration::from_secs(4);

/// How many rules `balancer-rules` has.
const RULES: usize = 100;

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// The three cookies of each request.
    pub(crate) cookie: String,
}

/// Where things are and what is asked for.
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) core: usize,
    pub(crate) backends: [SocketAddr; 2],
    pub(crate) balancer: PathBuf,
    pub(crate) baseline: Option<&'a Path>,
    pub(crate) kernel_assist: &'a str,
    /// What is shown to clients that speak TLS; none for plain HTTP.
    pub(crate) certificate: Option<&'a Certificate>,
}

/// A certificate and its key in files.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    /// Both in one, as HAProxy wants them.
    both: PathBuf,
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

/// Starts nginx as the backend: two ports, `body` bytes.
pub(crate) fn backend(folder: &Path, core: usize, body: usize) -> Result<(Process, [SocketAddr; 2])> {
    let (one, two) = (process::free_address()?, process::free_address()?);
    let servers = format!(
        "server {{ listen {one}; listen {two}; access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
         location / {{ default_type text/plain; return 200 \"{}\"; }} }}",
        "x".repeat(body)
    );
    Ok((nginx("backend", folder, core, &servers, one)?, [one, two]))
}

/// Starts the proxy of this name, checks that it forwards and, where it can, that its cookie sticks.
pub(crate) fn start(name: &'static str, setting: &Setting<'_>) -> Result<Proxy> {
    let address = process::free_address()?;
    let (process, version, cookie_name) = match name {
        "balancer" => {
            (balancer::start(&setting.balancer, name, setting, address, 0)?, String::new(), Some("AWSALB"))
        }
        "baseline" => {
            let program = setting.baseline.context("baseline: say which with --baseline")?;
            (balancer::start(program, name, setting, address, 0)?, String::new(), Some("AWSALB"))
        }
        "balancer-rules" => {
            let process = balancer::start(&setting.balancer, name, setting, address, RULES)?;
            (process, format!("({RULES} rules)"), Some("AWSALB"))
        }
        "haproxy" | "haproxy-splice" => {
            let process = haproxy(name, setting, address)?;
            (process, version("haproxy", &["-v"], "version ")?, Some("SRV"))
        }
        "nginx" => (nginx_proxy(setting, address)?, version("nginx", &["-v"], "nginx/")?, None),
        "relay" => (relay(setting, address)?, "(parses nothing)".to_owned(), None),
        other => bail!("no proxy is called {other:?}; there are: {}", NAMES.join(", ")),
    };
    let get = |cookie: &str| match setting.certificate {
        Some(_) => Client::new()?.get(address, cookie),
        None => process::get(address, cookie),
    };
    let sticky = match cookie_name {
        Some(cookie) => {
            get(&first_cookie(&get("")?, cookie)?)?;
            thread::sleep(FIRST_SECONDS);
            first_cookie(&get("")?, cookie)?
        }
        None => "session=0123456789abcdef0123456789abcdef".to_owned(),
    };
    let cookie = format!("theme=dark; {sticky}; lang=en-GB");
    let answer = get(&cookie)?;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("{name} does not forward: {answer}\n{}", process.said());
    }
    Ok(Proxy { name, version, address, process, cookie })
}

/// The cookie called `name` in the answer to a first request.
fn first_cookie(answer: &str, name: &str) -> Result<String> {
    let pairs = answer.lines().filter_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field
            .eq_ignore_ascii_case("set-cookie")
            .then(|| value.split(';').next().unwrap_or_default().to_owned())
    });
    let wanted = format!("{name}=");
    pairs
        .into_iter()
        .find(|pair| pair.starts_with(&wanted))
        .with_context(|| format!("no cookie {name} in: {answer}"))
}

fn version(program: &str, arguments: &[&str], after: &str) -> Result<String> {
    let path = shell::find_program(program).with_context(|| format!("{program} is missing"))?;
    let output = Command::new(path).args(arguments).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, rest) = text.split_once(after).context("no version")?;
    Ok(rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect())
}

/// It moves bodies through pipes where it thinks that they are fast streams; as `haproxy-splice` always.
fn haproxy(name: &str, setting: &Setting<'_>, address: SocketAddr) -> Result<Process> {
    let config = setting.folder.join(format!("{name}.cfg"));
    let splice = if name == "haproxy" { "splice-auto" } else { "splice-request\n  option splice-response" };
    let [one, two] = setting.backends;
    let tls = setting
        .certificate
        .map(|made| format!(" ssl crt {} ssl-min-ver TLSv1.3 alpn h2,http/1.1", made.both.display()));
    let tls = tls.unwrap_or_default();
    let text = format!(
        "global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 10s
  http-reuse always
  option forwardfor
  option {splice}
frontend bench
  bind {address}{tls}
  default_backend targets
backend targets
  balance leastconn
  cookie SRV insert indirect nocache dynamic
  dynamic-cookie-key benchmark
  server one {one}
  server two {two}
"
    );
    fs::write(&config, text)?;
    let program = shell::find_program("haproxy").context("haproxy is missing")?;
    let mut command = pinned(setting.core, &program);
    command.arg("-db").arg("-f").arg(&config);
    Process::start(name, setting.folder, command, address)
}

fn nginx_proxy(setting: &Setting<'_>, address: SocketAddr) -> Result<Process> {
    let [one, two] = setting.backends;
    let tls = setting.certificate.map(|made| {
        let (certificate, key) = (made.certificate.display(), made.key.display());
        let lines = "ssl_protocols TLSv1.3; http2_max_concurrent_streams 128;";
        (" ssl http2", format!("ssl_certificate {certificate}; ssl_certificate_key {key}; {lines}"))
    });
    let (parameters, tls) = tls.unwrap_or_default();
    let servers = format!(
        "upstream targets {{ least_conn; server {one}; server {two}; keepalive 128; keepalive_requests 1000000000; }}
         server {{ listen {address}{parameters}; {tls} access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
         location / {{ proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection \"\";
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}"
    );
    nginx("nginx", setting.folder, setting.core, &servers, address)
}

/// One nginx process in the foreground.
fn nginx(name: &str, folder: &Path, core: usize, servers: &str, address: SocketAddr) -> Result<Process> {
    let home = folder.join(name);
    fs::create_dir_all(&home)?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", home.display()))
        .collect();
    let config = home.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {home}/pid; error_log stderr;
         events {{ worker_connections 4096; }}
         http {{ {temporary} {servers} }}",
        home = home.display()
    );
    fs::write(&config, text)?;
    let program = shell::find_program("nginx").context("nginx is missing")?;
    let mut command = pinned(core, &program);
    command.arg("-e").arg("stderr").arg("-p").arg(&home).arg("-c").arg(&config);
    Process::start(name, folder, command, address)
}

fn relay(setting: &Setting<'_>, address: SocketAddr) -> Result<Process> {
    let ourselves = std::env::current_exe()?;
    let mut command = pinned(setting.core, &ourselves);
    let [one, _] = setting.backends;
    command.args(["relay", "--listen", &address.to_string(), "--to", &one.to_string()]);
    Process::start("relay", setting.folder, command, address)
}
