//! What stands behind the proxies: nginx at as many addresses as there are targets, or servers in this process.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result};

use super::{
    load::bulk::backend,
    peers,
    process::{self, Process},
    proxies::Shape,
};

/// Running targets; they end with this.
pub(crate) struct Targets {
    _process: Option<Process>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Targets {
    /// Servers in this process, on its core.
    ///
    /// # Errors
    /// When they cannot listen.
    pub(crate) fn own() -> Result<Self> {
        Ok(Self { _process: None, addresses: vec![backend::start()?, backend::start()?] })
    }

    /// nginx on `core`, which answers with `body` bytes.
    ///
    /// # Errors
    /// When it is missing, or does not start.
    pub(crate) fn nginx(folder: &Path, core: usize, body: usize, shape: &Shape) -> Result<Self> {
        let port = process::free_address()?.port();
        let addresses: Vec<SocketAddr> = (0..shape.targets).map(|number| address(number, port)).collect();
        let program = peers::find("nginx").context("nginx is missing")?;
        let is_new = peers::is_at_least(&program.version, [1, 25, 1]);
        let home = folder.join("targets");
        std::fs::create_dir_all(&home)?;
        let file = home.join("nginx.conf");
        std::fs::write(&file, configuration(&home, &addresses, body, shape, is_new))?;
        let mut command = program.pinned(core);
        command.args(["-e", "stderr", "-p"]).arg(&home).arg("-c").arg(&file);
        let first = *addresses.first().context("a target")?;
        let process = Process::start("targets", folder, command, first)?;
        Ok(Self { _process: Some(process), addresses })
    }
}

impl Targets {
    /// What takes messages of gRPC, on `core`.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn grpc(folder: &Path, core: usize, body: usize) -> Result<Self> {
        let addresses = vec![process::free_address()?, process::free_address()?];
        let mut command = process::pinned(core, &std::env::current_exe()?);
        command.args(["grpc-target", "--body", &body.to_string()]);
        for address in &addresses {
            command.args(["--listen", &address.to_string()]);
        }
        let last = *addresses.last().context("a target")?;
        let process = Process::start("targets", folder, command, last)?;
        Ok(Self { _process: Some(process), addresses })
    }
}

/// Loopback addresses of their own, all with one port.
fn address(number: usize, port: u16) -> SocketAddr {
    let low = u8::try_from(number % 250 + 1).unwrap_or(1);
    let high = u8::try_from(number / 250).unwrap_or(0);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, high, low)), port)
}

/// An nginx that is new has a directive for HTTP/2, and the parameter of `listen` no more.
fn configuration(home: &Path, addresses: &[SocketAddr], body: usize, shape: &Shape, is_new: bool) -> String {
    let mut listen = String::new();
    for address in addresses {
        let http2 = if shape.h2_targets && !is_new { " http2" } else { "" };
        // Writing to a String cannot fail.
        write!(listen, " listen {address}{http2};").unwrap_or_default();
    }
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}/{kind}; ", home.display()))
        .collect();
    if shape.h2_targets && is_new {
        listen.push_str(" http2 on;");
    }
    let more = if shape.sessions > 0 {
        "default_type text/plain; if ($arg_s) { add_header Set-Cookie app=$arg_s; }"
    } else {
        "default_type text/plain;"
    };
    let home = home.display();
    let body = "x".repeat(body);
    format!(
        "daemon off; master_process off; pid {home}/pid; error_log stderr; worker_rlimit_nofile 30000;\n\
         events {{ worker_connections 20000; }}\n\
         http {{ {temporary} server {{ {listen} access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;\n\
         location / {{ {more} return 200 \"{body}\"; }} }} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_thousand_targets_have_a_thousand_addresses() {
        let addresses: HashSet<SocketAddr> = (0..1000).map(|number| address(number, 80)).collect();
        assert_eq!(addresses.len(), 1000);
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn targets_speak_what_is_asked_for() {
        let addresses = [address(0, 80), address(1, 80)];
        let text = |shape: &Shape, is_new| configuration(Path::new("/t"), &addresses, 3, shape, is_new);
        let plain = text(&Shape::STICKY, true);
        assert!(
            plain.contains("listen 127.0.0.1:80; listen 127.0.0.2:80;") && plain.contains("\"xxx\""),
            "{plain}"
        );
        assert!(!plain.contains("http2"), "{plain}");
        let http2 = Shape { h2_targets: true, ..Shape::STICKY };
        assert!(text(&http2, false).contains("listen 127.0.0.1:80 http2;"));
        assert!(
            text(&http2, true).contains("listen 127.0.0.1:80;") && text(&http2, true).contains("http2 on;")
        );
        assert!(text(&Shape { sessions: 9, ..Shape::STICKY }, true).contains("Set-Cookie app=$arg_s"));
    }
}
