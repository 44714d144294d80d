//! nginx as a real target.

use std::{
    fs,
    net::TcpStream,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{ports, tls::Certificate, until};

/// A running nginx in a folder of its own; ended when dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    folder: TempDir,
    /// As a configuration of the balancer writes it.
    pub address: String,
}

impl Nginx {
    /// Starts nginx serving its folder, with more directives in its one `server`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(directives: &str) -> Self {
        Self::listening(directives, "", false)
    }

    /// The same, speaking HTTP/2 without TLS and nothing else.
    #[must_use]
    pub fn http2() -> Self {
        Self::listening("http2_max_concurrent_streams 64;", " http2", false)
    }

    /// Starts nginx speaking HTTPS with this certificate.
    #[must_use]
    pub fn tls(certificate: &Certificate, directives: &str) -> Self {
        Self::listening(&with(certificate, directives), " ssl", false)
    }

    /// The same, offering HTTP/2.
    #[must_use]
    pub fn tls_http2(certificate: &Certificate, directives: &str) -> Self {
        Self::listening(&with(certificate, directives), " ssl http2", false)
    }

    /// Starts nginx speaking HTTPS at a Unix socket.
    #[must_use]
    pub fn tls_unix(certificate: &Certificate, directives: &str) -> Self {
        Self::listening(&with(certificate, directives), " ssl", true)
    }

    fn listening(directives: &str, parameters: &str, unix: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its worker gives up root and has to reach the files.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let home = folder.path().display();
        let address =
            if unix { format!("unix:{home}/socket") } else { format!("127.0.0.1:{}", ports::free()) };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {home}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off; pid {home}/pid; error_log stderr; worker_rlimit_nofile 8192; \
             events {{ worker_connections 4000; }}\nhttp {{\n{temporary}\naccess_log off;\n\
             server {{ listen {address}{parameters}; root {home};\nlocation = /healthz {{ return 200; }}\n{directives}\n}}\n}}\n"
        );
        let config = folder.path().join("nginx.conf");
        fs::write(&config, text).unwrap();
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(PathBuf::from);
        let program = program
            .iter()
            .find(|path| path.is_file())
            .expect("nginx is installed (cargo xtask test does that)");
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&config);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        let nginx = Self { child, folder, address };
        until("nginx answers", 10.0, || match nginx.address.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).ok().map(drop),
            None => TcpStream::connect(&nginx.address).ok().map(drop),
        });
        nginx
    }

    /// Its folder, in which the files that it serves are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL for all its processes: their connections end without a word of theirs.
    ///
    /// # Panics
    /// When they cannot be told of it.
    pub fn kill(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        drop(self.child.wait());
    }

    /// Puts a file into its folder.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }
}

fn with(certificate: &Certificate, directives: &str) -> String {
    let Certificate { certificate, key } = certificate;
    let (certificate, key) = (certificate.display(), key.display());
    // Older ones leave out TLS 1.3 by default.
    let protocols = if directives.contains("ssl_protocols") { "" } else { "ssl_protocols TLSv1.2 TLSv1.3;" };
    format!("ssl_certificate {certificate};\nssl_certificate_key {key};\n{protocols}\n{directives}")
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // SIGTERM, so that the master takes its worker along.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
        drop(self.child.wait());
    }
}
