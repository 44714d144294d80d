//! Hosts of targets: network namespaces, each at the far end of a pair of interfaces, which can go dark. Must not know: proxies.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    process::Command,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::{lab::application::Application, shell};

const PORT: u16 = 8000;
static MADE: AtomicU8 = AtomicU8::new(0);

/// One host with an application, removed when dropped.
pub(super) struct Host {
    name: String,
    address: String,
    /// Its application.
    pub(super) application: Application,
}

fn run(words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    if shell::succeeds(&mut command) { Ok(()) } else { bail!("`{}` failed", shell::show(&command)) }
}

/// The namespace and what goes with it; made whole or not at all.
struct Namespace<'a>(Option<&'a str>);

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.0 {
            // Connections that nobody answers keep the namespace for as long as the kernel tries.
            run(&format!("link del {name}h")).unwrap_or_default();
            run(&format!("netns del {name}")).unwrap_or_default();
        }
    }
}

impl Host {
    /// One more. What is left of those before may take a while to go: each has an address of its own.
    pub(super) fn make() -> Result<Self> {
        let number = MADE.fetch_add(1, Relaxed);
        // A name of an interface has 15 letters at most.
        let name = format!("ld{}-{number}", std::process::id());
        // 198.18.0.0/15 is for tests between networks (RFC 2544).
        let (near, address) = (format!("198.19.{number}.1/30"), format!("198.19.{number}.2"));
        run(&format!("netns add {name}"))?;
        let mut namespace = Namespace(Some(&name));
        run(&format!("link add {name}h type veth peer name eth0 netns {name}"))?;
        run(&format!("addr add {near} dev {name}h"))?;
        run(&format!("link set {name}h up"))?;
        run(&format!("-n {name} addr add {address}/30 dev eth0"))?;
        run(&format!("-n {name} link set eth0 up"))?;
        run(&format!("-n {name} link set lo up"))?;
        let listener = listen(&name, &address)?;
        let application = Application::listen(&name, &listener)?;
        namespace.0 = None;
        drop(namespace);
        Ok(Self { name, address, application })
    }

    /// Its name, by which its application answers.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Packets to it are received by nobody from here on, and nothing is sent in return: as when its power is cut.
    pub(super) fn go_dark(&self) -> Result<()> {
        run(&format!("-n {} addr del {}/30 dev eth0", self.name, self.address))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(Namespace(Some(&self.name)));
    }
}

/// A socket in the namespace: a thread goes there to open it.
fn listen(name: &str, address: &str) -> Result<TcpListener> {
    let address: SocketAddr = format!("{address}:{PORT}").parse()?;
    let namespace = File::open(format!("/run/netns/{name}")).context("ip netns")?;
    let opened = thread::spawn(move || -> std::io::Result<TcpListener> {
        // SAFETY: the descriptor is open and of a network namespace; this thread alone goes there, and ends.
        if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        TcpListener::bind(address)
    });
    let Ok(opened) = opened.join() else { bail!("the thread in the namespace panicked") };
    opened.with_context(|| format!("{address} in {name}"))
}
