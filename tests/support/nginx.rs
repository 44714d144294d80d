//! nginx as a real target.

use std::{
    fs,
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{ports, until};

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
        Self::listening(directives, "")
    }

    /// The same, speaking HTTP/2 without TLS and nothing else.
    #[must_use]
    pub fn http2() -> Self {
        Self::listening("http2_max_concurrent_streams 64;", " http2")
    }

    fn listening(directives: &str, parameters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its worker gives up root and has to reach the files.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let home = folder.path().display();
        let address = format!("127.0.0.1:{}", ports::free());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {home}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off; pid {home}/pid; error_log stderr; events {{}}\nhttp {{\n{temporary}\naccess_log off;\n\
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
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, folder, address };
        until("nginx answers", 10.0, || TcpStream::connect(&nginx.address).ok());
        nginx
    }

    /// Puts a file into its folder.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // SIGTERM, so that the master takes its worker along.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
        drop(self.child.wait());
    }
}
