//! HAProxy as a real client, in front of the balancer.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{ports, until};

/// A running HAProxy that sends all its requests on; ended when dropped.
#[derive(Debug)]
pub struct HaProxy {
    child: Child,
    _folder: TempDir,
    /// Where it takes requests of HTTP/1.1.
    pub address: SocketAddr,
}

impl HaProxy {
    /// One that has all its clients share connections of HTTP/2, without TLS, to `server`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn sharing_http2(server: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let text = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 20s\n  timeout client 60s\n  \
             timeout server 60s\n  retries 0\n  http-reuse always\nlisten web\n  bind {address}\n  \
             server balancer {server} proto h2\n"
        );
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, text).unwrap();
        let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].map(PathBuf::from);
        let program: &Path = program
            .iter()
            .find(|path| path.is_file())
            .expect("haproxy is installed (cargo xtask test does that)");
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&config).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self { child, _folder: folder, address };
        until("HAProxy answers", 20.0, || TcpStream::connect(address).ok());
        running
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}
