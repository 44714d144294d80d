//! Process-wide settings (`balancer { … }`).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Settings of the process. All but `log_level` and what the reload documentation names need a restart to change.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerSettings {
    /// Names pins, cgroup and runtime folder, so that several balancers can live on one host. `[a-z0-9-]{1,32}`, default `default`.
    pub instance: String,
    /// Worker threads, 1 to 256; default one per core.
    pub workers: usize,
    /// Holds the key file; default `/var/lib/balancer`.
    pub state_dir: PathBuf,
    /// Holds locks and, without the kernel side, the shared tables; default `/run/balancer`.
    pub runtime_dir: PathBuf,
    /// Whether the kernel side is wanted; default `auto`.
    pub kernel_assist: KernelAssist,
    /// Where `/metrics`, `/status` and `/healthz` are served; default `127.0.0.1:9900`; `None` = `"off"`.
    pub admin_address: Option<SocketAddr>,
    /// Names, in lower case, by which that may be asked, besides its own and those of loopback; `*`: any. Default none.
    pub admin_hosts: Vec<String>,
    /// The file of the token by which something may be changed there; none: nothing may.
    pub admin_token_file: Option<PathBuf>,
    /// The user to become once sockets are bound and the kernel side is loaded; default none: stay who one is.
    pub user: Option<String>,
    /// Whether system calls that are never made are taken away; default no.
    pub seccomp: bool,
    /// Stickiness secrets: 1 to 8 of 32 bytes each; default `<state_dir>/stickiness.key`.
    pub key_file: Option<PathBuf>,
    /// How many application sessions the session table is sized for; 1,024 to 67,108,864, default 1,048,576.
    pub session_table_size: u32,
    /// What connections of HTTP/2 may hold together, in bytes; 16 to 65,536 MiB, default 256.
    pub http2_buffer_limit: u64,
    /// How long a process that another has taken the place of may finish what it has; 1 to 86,400 s, default 3,600.
    pub upgrade_drain: Duration,
    /// Form of the log on standard error; default text.
    pub log_format: LogFormat,
    /// Least severity logged; default info.
    pub log_level: LogLevel,
}

impl BalancerSettings {
    /// Where the stickiness secrets are.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.state_dir.join("stickiness.key"))
    }
}

/// `kernel_assist`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelAssist {
    /// Use the kernel side where it can be had, say so once where it cannot.
    Auto,
    /// Refuse to start without it.
    Required,
    /// Never use it.
    Off,
}

/// `log_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// `log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors alone.
    Error,
    /// And warnings.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And what a developer wants to know.
    Debug,
}
