//! The proxies before the hosts: requests go to them in turns (the least outstanding ones would keep most from the host that
//! vanished, whoever knows of that), connections to targets are kept, each is checked every two seconds where there are checks, and
//! a request that can go elsewhere may. Must not know: hosts, clients.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    bench::process::{Process, free_address},
    lab::{application::CHECK, bed::Bed},
    shell,
};

/// What stands before the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Balancer { kernel_assist: &'static str },
    Haproxy,
    Nginx,
}

/// One that runs.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// Ended when dropped.
    process: Process,
    cleanup: Option<Command>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(cleanup) = &mut self.cleanup {
            self.process.end();
            shell::succeeds(cleanup);
        }
    }
}

impl Proxy {
    pub(super) fn start(kind: Kind, name: &str, bed: &Bed, targets: &[SocketAddr]) -> Result<Self> {
        let folder = bed.folder(name)?;
        let address = free_address()?;
        let config = folder.join("config");
        let instance = format!("lab-{}-{name}", std::process::id());
        let (text, mut command) = match kind {
            Kind::Balancer { kernel_assist } => {
                let text = balancer_text(&folder, &instance, address, targets, kernel_assist)?;
                let mut command = Command::new(&bed.balancer);
                command.arg("run").arg("-c").arg(&config);
                (text, command)
            }
            Kind::Haproxy => {
                let mut command = Command::new(shell::find_program("haproxy").context("haproxy is missing")?);
                command.arg("-db").arg("-f").arg(&config);
                (haproxy_text(address, targets), command)
            }
            Kind::Nginx => {
                let mut command = Command::new(shell::find_program("nginx").context("nginx is missing")?);
                command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(&config);
                (nginx_text(&folder, address, targets), command)
            }
        };
        fs::write(&config, text)?;
        command.env("NO_COLOR", "1");
        let process = Process::start(name, &folder, command, address)?;
        let cleanup = matches!(kind, Kind::Balancer { .. }).then(|| {
            let mut command = Command::new(&bed.balancer);
            command.args(["cleanup", "--instance", &instance, "--runtime-dir"]).arg(folder.join("run"));
            command
        });
        Ok(Self { address, process, cleanup })
    }
}

fn balancer_text(
    folder: &Path,
    instance: &str,
    address: SocketAddr,
    targets: &[SocketAddr],
    kernel_assist: &str,
) -> Result<String> {
    let admin = free_address()?;
    let listed: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    Ok(format!(
        r#"balancer {{
  instance      = "{instance}"
  workers       = 2
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  kernel_assist = "{kernel_assist}"
  admin_address = "{admin}"
}}
load_balancer "lab" {{
  connect_timeout = 5
  idle_timeout    = 10
}}
listener "lab" {{
  address  = "{ip}"
  port     = {port}
  protocol = "HTTP"
  default_action {{
    type             = "forward"
    target_group_arn = target_group.lab.arn
  }}
}}
target_group "lab" {{
  port     = 8000
  protocol = "HTTP"
  health_check {{
    path                = "{CHECK}"
    interval            = 5
    timeout             = 2
    unhealthy_threshold = 2
  }}
  targets = [{listed}]
}}
"#,
        folder = folder.display(),
        ip = address.ip(),
        port = address.port(),
        listed = listed.join(", "),
    ))
}

fn haproxy_text(address: SocketAddr, targets: &[SocketAddr]) -> String {
    let servers: String =
        (1..).zip(targets).map(|(n, target)| format!("  server s{n} {target} check\n")).collect();
    format!(
        "global
  nbthread 2
defaults
  mode http
  timeout client 60s
  timeout connect 5s
  timeout server 10s
  retries 3
  option redispatch 1
  retry-on all-retryable-errors
  http-reuse always
  default-server inter 2s fall 1 rise 2
frontend lab
  bind {address}
  default_backend targets
backend targets
  balance roundrobin
  option httpchk GET {CHECK}
{servers}"
    )
}

/// It checks nobody without being paid for: requests find out, and are tried elsewhere after two seconds.
fn nginx_text(folder: &Path, address: SocketAddr, targets: &[SocketAddr]) -> String {
    let home = folder.display();
    let servers: String =
        targets.iter().map(|target| format!("server {target} max_fails=1 fail_timeout=10s;")).collect();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {home}/{kind};\n"))
        .collect();
    format!(
        "daemon off; worker_processes 2; pid {home}/pid; error_log {home}/log;
         events {{ worker_connections 4096; }}
         http {{ {temporary} access_log off;
         upstream targets {{ zone targets 64k; {servers} keepalive 128; }}
         server {{ listen {address}; keepalive_requests 1000000000;
         location / {{ proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection \"\";
         proxy_connect_timeout 2s; proxy_read_timeout 2s; proxy_next_upstream error timeout; }} }} }}\n"
    )
}
