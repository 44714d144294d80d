//! What a process begins with: its own, or what the process before has handed over. Must not know: how it is handed over.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::net::sockopt;

use crate::{
    clock::monotonic_now,
    control::upgrade::{Door, HandoverFacts, Inherited},
    kernel::{InstanceFolder, KernelError, KernelOptions, ShieldLink, take_passed},
    listener,
    model::{BalancerSettings, Configuration, KernelAssist, Listener, ShieldSettings},
};

/// What a process has of its instance.
pub(super) struct Claims {
    /// The folder, locked.
    pub(super) folder: InstanceFolder,
    /// The socket that was handed over.
    pub(super) door: Option<Door>,
    /// Where the admin endpoint listened.
    pub(super) admin: Option<(SocketAddr, TcpListener)>,
    /// Where the ELBv2 API was served.
    pub(super) control_api: Option<(SocketAddr, TcpListener)>,
    /// Listening sockets that were handed over.
    pub(super) listeners: HashMap<SocketAddr, Vec<TcpListener>>,
    /// What was said of the kernel side, if anything was.
    pub(super) facts: Option<HandoverFacts>,
    /// Where the shield is.
    pub(super) shield: Vec<ShieldLink>,
}

/// Takes the instance, or what was handed over of it.
pub(super) fn claim(settings: &BalancerSettings, inherited: Option<Inherited>) -> anyhow::Result<Claims> {
    let Some(Inherited { locks, door, admin, control_api, listeners, facts, shield }) = inherited else {
        // First of all: a second balancer of the instance changes nothing.
        let folder = InstanceFolder::lock(&settings.instance, &settings.runtime_dir)?;
        let shield = Vec::new();
        return Ok(Claims {
            folder,
            door: None,
            admin: None,
            control_api: None,
            listeners: stored(),
            facts: None,
            shield,
        });
    };
    for (setting, is_same) in [
        ("instance", settings.instance == facts.instance),
        ("runtime_dir", settings.runtime_dir == facts.runtime_dir),
    ] {
        if !is_same {
            return Err(KernelError::Changed { setting }.into());
        }
    }
    let folder = InstanceFolder::inherit(&settings.instance, &settings.runtime_dir, locks)?;
    Ok(Claims { folder, door: Some(door), admin, control_api, listeners, facts: Some(facts), shield })
}

/// Listening sockets that a service manager has kept since an earlier process, by their addresses.
fn stored() -> HashMap<SocketAddr, Vec<TcpListener>> {
    let mut listeners: HashMap<SocketAddr, Vec<TcpListener>> = HashMap::new();
    for descriptor in take_passed() {
        if !sockopt::socket_acceptconn(&descriptor).unwrap_or(false) {
            continue;
        }
        let socket = TcpListener::from(descriptor);
        if let Ok(address) = socket.set_nonblocking(true).and_then(|()| socket.local_addr()) {
            listeners.entry(address).or_default().push(socket);
        }
    }
    for (address, sockets) in &mut listeners {
        // As they began to listen: the system numbers them as it makes them, and the service manager gives them back in any order.
        sockets.sort_by_key(|socket| rustix::fs::fstat(socket).map_or(0, |found| found.st_ino));
        tracing::info!(%address, sockets = sockets.len(), "the service manager has kept who waits there");
    }
    listeners
}

/// What to open of the kernel side. Both processes of an upgrade count in the same tables, so it is as it was.
pub(super) fn kernel_options(
    settings: &BalancerSettings,
    shield: Option<&ShieldSettings>,
    facts: Option<&HandoverFacts>,
) -> Result<KernelOptions, KernelError> {
    let changed = Err(KernelError::Changed { setting: "kernel_assist" });
    let assist = match (facts.map(|facts| facts.without_kernel_side.is_none()), settings.kernel_assist) {
        (None, wanted) => wanted,
        (Some(true), KernelAssist::Off) | (Some(false), KernelAssist::Required) => return changed,
        (Some(true), _) => KernelAssist::Required,
        (Some(false), _) => KernelAssist::Off,
    };
    Ok(KernelOptions {
        instance: settings.instance.clone(),
        runtime_dir: settings.runtime_dir.clone(),
        assist,
        session_table_size: settings.session_table_size,
        shield: shield.cloned(),
    })
}

/// How long sockets may be in the way that the process before does not listen at any more and is about to close.
pub(super) const LEFT_BEHIND: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);

fn bind_until<T>(most: Instant, bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && monotonic_now() < most => {
                thread::sleep(AGAIN);
            }
            bound => return bound,
        }
    }
}

/// The sockets of all listeners, in their order: those that were handed over, and new ones. `patience`: how long an address may
/// still be in use.
pub(super) fn sockets(
    configuration: &Configuration,
    workers: usize,
    inherited: &mut HashMap<SocketAddr, Vec<TcpListener>>,
    patience: Duration,
) -> anyhow::Result<Vec<Vec<TcpListener>>> {
    let most = monotonic_now() + patience;
    let each = |listener: &Listener| match inherited.remove(&listener.address) {
        Some(sockets) => Ok(sockets),
        None => bind_until(most, || listener::bind_beside_own(listener, workers))
            .with_context(|| format!("cannot listen on {} (listener {:?})", listener.address, listener.name)),
    };
    configuration.listeners.iter().map(each).collect()
}
