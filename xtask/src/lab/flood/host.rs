//! The host of those who ask and those who flood: a network namespace at the far end of a pair of interfaces. Must not know: what
//! they do.

use std::{fs::File, os::fd::AsRawFd as _, process::Command, thread, thread::JoinHandle};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// 198.18.0.0/15 is for tests between networks (RFC 2544). Floods come from the first half of it.
pub(super) const NEAR: [u8; 4] = [198, 19, 250, 1];
const FAR: [u8; 4] = [198, 19, 250, 2];

/// Removed when dropped.
pub(super) struct Host {
    name: String,
    near: String,
    /// Where clients ask from.
    pub(super) clients: Vec<[u8; 4]>,
}

fn ip(words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    if shell::succeeds(&mut command) { Ok(()) } else { bail!("`{}` failed", shell::show(&command)) }
}

fn shown([a, b, c, d]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.{d}")
}

impl Host {
    /// One with so many clients.
    pub(super) fn make(clients: u8) -> Result<Self> {
        // A name of an interface has 15 letters at most.
        let name = format!("lf{}", std::process::id());
        let clients = (0..clients).map(|client| [198, 19, 250, 10 + client]).collect();
        ip(&format!("netns add {name}"))?;
        let host = Self { near: format!("{name}h"), name: name.clone(), clients };
        ip(&format!("link add {name}h type veth peer name eth0 netns {name}"))?;
        ip(&format!("addr add {}/24 dev {name}h", shown(NEAR)))?;
        ip(&format!("link set {name}h up"))?;
        for address in std::iter::once(&FAR).chain(&host.clients) {
            ip(&format!("-n {name} addr add {}/24 dev eth0", shown(*address)))?;
        }
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        // What is sent back to those who do not exist goes where it would go, and is nobody's there.
        ip(&format!("route add 198.18.0.0/16 via {}", shown(FAR)))?;
        Ok(host)
    }

    /// This side's interface.
    pub(super) fn interface(&self) -> &str {
        &self.near
    }

    /// Addresses of link layers: this side's, and that one's.
    pub(super) fn link_addresses(&self) -> Result<[[u8; 6]; 2]> {
        let near = std::fs::read_to_string(format!("/sys/class/net/{}/address", self.near))?;
        let far =
            Command::new("ip").args(["-n", &self.name, "-o", "link", "show", "dev", "eth0"]).output()?;
        let far = String::from_utf8_lossy(&far.stdout).into_owned();
        let far = far.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        Ok([parse(near.trim())?, parse(far)?])
    }

    /// Does something in a thread that is on that host.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let namespace = File::open(format!("/run/netns/{}", self.name)).context("ip netns")?;
        Ok(thread::spawn(move || {
            // SAFETY: the descriptor is open and of a network namespace; this thread alone goes there, and ends.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            work()
        }))
    }
}

fn parse(text: &str) -> Result<[u8; 6]> {
    let bytes: Vec<u8> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    bytes.try_into().map_err(|_| anyhow::anyhow!("{text:?} is no address of a link layer"))
}

impl Drop for Host {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name)).unwrap_or_default();
    }
}
