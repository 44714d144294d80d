//! The proxies that are upgraded, each in the way that it has: balancer by its command, HAProxy's master (`-Ws`) by SIGUSR2,
//! nginx by SIGUSR2 and SIGQUIT. All of them keep what is open for the same time. Must not know: clients.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{bench::process::free_address, shell};

/// How long a start or an upgrade of a peer may take.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);
/// A new process of a peer is there before it accepts.
const SETTLING: Duration = Duration::from_millis(300);

/// What is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Balancer { kernel_assist: &'static str },
    Haproxy,
    Nginx,
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Another process, of the program as it is then.
    Upgraded,
    /// Another process of the same program: nginx starts no third program while the first has something left.
    Reloaded,
}

/// One that runs. All of its processes end with it.
pub(super) struct Proxy {
    pub(super) kind: Kind,
    pub(super) http: SocketAddr,
    /// Where HTTP/2 is spoken.
    pub(super) http2: SocketAddr,
    pub(super) folder: PathBuf,
    binary: PathBuf,
    main: u32,
}

/// What all of them are set to.
pub(super) struct Setting<'a> {
    pub(super) folder: PathBuf,
    pub(super) balancer: &'a Path,
    pub(super) targets: [SocketAddr; 2],
    /// Seconds that an old process may have for what is open.
    pub(super) drain: u32,
}

impl Proxy {
    pub(super) fn start(kind: Kind, setting: &Setting<'_>) -> Result<Self> {
        let http = free_address()?;
        // One socket of nginx 1.22 speaks one of both.
        let http2 = if kind == Kind::Nginx { free_address()? } else { http };
        let folder = setting.folder.clone();
        let (binary, mut command) = match kind {
            Kind::Balancer { kernel_assist } => {
                fs::write(config_path(&folder), balancer_text(setting, http, kernel_assist)?)?;
                std::os::unix::fs::symlink(setting.balancer, program_path(&folder))?;
                let mut command = Command::new(program_path(&folder));
                command.arg("run").arg("-c").arg(config_path(&folder));
                (setting.balancer.to_owned(), command)
            }
            Kind::Haproxy => {
                fs::write(config_path(&folder), haproxy_text(setting, http))?;
                let program = shell::find_program("haproxy").context("haproxy is missing")?;
                let mut command = Command::new(&program);
                command.args(["-Ws", "-L", "lab", "-f"]).arg(config_path(&folder));
                (program, command)
            }
            Kind::Nginx => {
                fs::write(config_path(&folder), nginx_text(setting, http, http2))?;
                let program = shell::find_program("nginx").context("nginx is missing")?;
                let mut command = Command::new(&program);
                command.arg("-p").arg(&folder).arg("-c").arg(config_path(&folder));
                (program, command)
            }
        };
        let log = fs::File::create(folder.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let mut child = child.with_context(|| shell::show(&command))?;
        let mut proxy = Self { kind, http, http2, folder, binary, main: child.id() };
        // A process that nobody waits for any more would look as if it lived.
        thread::spawn(move || child.wait());
        wait(|| TcpStream::connect(http).is_ok() && TcpStream::connect(http2).is_ok())
            .with_context(|| proxy.said())?;
        if kind == Kind::Nginx {
            proxy.main = proxy.nginx_main()?;
        }
        Ok(proxy)
    }

    /// Puts another process in its place.
    pub(super) fn upgrade(&mut self) -> Result<Done> {
        match self.kind {
            Kind::Balancer { .. } => self.upgrade_balancer().map(|()| Done::Upgraded),
            Kind::Haproxy => {
                let before = children(self.main);
                signal(self.main, libc::SIGUSR2);
                wait(|| children(self.main).iter().any(|pid| !before.contains(pid)))?;
                thread::sleep(SETTLING);
                Ok(Done::Upgraded)
            }
            Kind::Nginx => self.upgrade_nginx(),
        }
    }

    /// The command; an error is what it says.
    pub(super) fn upgrade_balancer(&self) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["upgrade", "--instance", &instance(&self.folder), "--runtime-dir"]);
        let done = command.arg(self.folder.join("run")).output()?;
        if done.status.success() {
            return Ok(());
        }
        bail!("{}", String::from_utf8_lossy(&done.stderr).trim())
    }

    fn upgrade_nginx(&mut self) -> Result<Done> {
        if self.folder.join("pid.oldbin").exists() {
            let before = children(self.main);
            signal(self.main, libc::SIGHUP);
            wait(|| children(self.main).iter().any(|pid| !before.contains(pid)))?;
            thread::sleep(SETTLING);
            return Ok(Done::Reloaded);
        }
        let old = self.main;
        signal(old, libc::SIGUSR2);
        wait(|| self.nginx_main().is_ok_and(|new| new != old && !children(new).is_empty()))?;
        self.main = self.nginx_main()?;
        thread::sleep(SETTLING);
        signal(old, libc::SIGQUIT);
        Ok(Done::Upgraded)
    }

    fn nginx_main(&self) -> Result<u32> {
        Ok(fs::read_to_string(self.folder.join("pid"))?.trim().parse()?)
    }

    /// The end of its log.
    pub(super) fn said(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Processes that have its folder among their words: all of balancer and of HAProxy, the main ones of nginx.
    pub(super) fn processes(&self) -> Vec<u32> {
        let folder = self.folder.display().to_string();
        let has = |pid: &u32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&folder)
        };
        pids().into_iter().filter(has).collect()
    }

    /// Those of balancer that serve or are about to.
    pub(super) fn serving(&self) -> Vec<u32> {
        let runs = |pid: &u32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            !words.clone().any(|word| word == b"starter") && words.any(|word| word == b"run")
        };
        self.processes().into_iter().filter(runs).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for kind in [libc::SIGTERM, libc::SIGTERM, libc::SIGKILL] {
            self.processes().into_iter().for_each(|pid| signal(pid, kind));
            if wait_for(Duration::from_secs(5), || self.processes().is_empty()) {
                break;
            }
        }
        if let Kind::Balancer { .. } = self.kind {
            let mut command = Command::new(&self.binary);
            command.args(["cleanup", "--instance", &instance(&self.folder), "--runtime-dir"]);
            shell::succeeds(command.arg(self.folder.join("run")));
        }
    }
}

/// The configuration of the proxy that has this folder.
pub(super) fn config_path(folder: &Path) -> PathBuf {
    folder.join("config")
}

/// The path that balancer is started by.
pub(super) fn program_path(folder: &Path) -> PathBuf {
    folder.join("program")
}

fn instance(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("lab-{}-{name}", std::process::id())
}

/// Sends a signal to a process of ours.
pub(super) fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: kill has no preconditions.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn children(of: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name in brackets, which may hold anything: state, parent.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(of)
    };
    pids().into_iter().filter(is_child).collect()
}

fn wait_for(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// # Errors
/// It does not hold in time.
pub(super) fn wait(holds: impl Fn() -> bool) -> Result<()> {
    if wait_for(PATIENCE, holds) { Ok(()) } else { bail!("it took longer than {} s", PATIENCE.as_secs()) }
}

fn balancer_text(setting: &Setting<'_>, http: SocketAddr, kernel_assist: &str) -> Result<String> {
    let admin = free_address()?;
    let folder = &setting.folder;
    let [one, two] = setting.targets;
    Ok(format!(
        r#"balancer {{
  instance      = "{instance}"
  workers       = 2
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  kernel_assist = "{kernel_assist}"
  admin_address = "{admin}"
  upgrade_drain = {drain}
}}
listener "lab" {{
  address               = "{ip}"
  port                  = {port}
  protocol              = "HTTP"
  http2_prior_knowledge = true
  default_action {{
    type             = "forward"
    target_group_arn = target_group.lab.arn
  }}
}}
target_group "lab" {{
  port     = {target_port}
  protocol = "HTTP"
  stickiness {{
    type        = "app_cookie"
    cookie_name = "{cookie}"
  }}
  health_check {{
    path     = "{check}"
    interval = 5
    timeout  = 4
  }}
  targets = ["{one}", "{two}"]
}}
"#,
        instance = instance(folder),
        folder = folder.display(),
        drain = setting.drain,
        ip = http.ip(),
        port = http.port(),
        target_port = one.port(),
        cookie = crate::lab::application::COOKIE,
        check = crate::lab::application::CHECK,
    ))
}

/// Sessions are kept in a table that goes from process to process by a peer of its own; idle connections are told with their
/// next response.
fn haproxy_text(setting: &Setting<'_>, http: SocketAddr) -> String {
    let [one, two] = setting.targets;
    let peer = free_address().unwrap_or(http);
    format!(
        "global
  nbthread 2
  maxconn 4000
  hard-stop-after {drain}s
peers lab
  peer lab {peer}
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 10s
  timeout tunnel 600s
  http-reuse always
  option forwardfor
  option idle-close-on-response
frontend lab
  bind {http}
  default_backend targets
backend targets
  balance leastconn
  stick-table type string len 64 size 100k expire 1h peers lab
  stick on req.cook({cookie})
  stick store-response res.cook({cookie})
  option httpchk GET {check}
  server one {one} check inter 2s
  server two {two} check inter 2s
",
        drain = setting.drain,
        cookie = crate::lab::application::COOKIE,
        check = crate::lab::application::CHECK,
    )
}

fn nginx_text(setting: &Setting<'_>, http: SocketAddr, http2: SocketAddr) -> String {
    let [one, two] = setting.targets;
    let home = setting.folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {home}/{kind};\n"))
        .collect();
    format!(
        "worker_processes 2; pid {home}/pid; error_log {home}/log; worker_shutdown_timeout {drain}s;
         events {{ worker_connections 8192; }}
         http {{ {temporary} access_log off;
         map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
         upstream targets {{ least_conn; server {one}; server {two}; keepalive 128; keepalive_requests 1000000000; }}
         server {{ listen {http}; listen {http2} http2; keepalive_requests 1000000000; keepalive_timeout 600s;
         location / {{ proxy_pass http://targets; proxy_http_version 1.1; proxy_read_timeout 600s;
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n",
        drain = setting.drain,
    )
}
