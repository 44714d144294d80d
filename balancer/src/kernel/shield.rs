//! The shield: a program on the host's interfaces that drops, before they cost a socket, packets to listeners from who is denied,
//! who begins too many connections, and what is no TCP.
//!
//! Everything is written here by the control side; the program reads it. What fails leaves packets to pass, and is told.
//! Must not know: where settings come from, how figures are shown.

mod addresses;
mod interfaces;
mod look;
mod object;
mod owner;
mod prefixes;
mod samples;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
};

use aya::maps::MapError;
use balancer_common::shield::{
    FOR_EVER, LENGTHS_V4, LENGTHS_V6, MAX_PREFIXES, MAX_RUNTIME, MAX_SERVICES, POLICY_DRY_RUN,
    POLICY_EXACT_V4, POLICY_EXACT_V6, POLICY_TRIE_V4, POLICY_TRIE_V6, Policy, Service,
};

use self::{
    interfaces::Interface,
    object::{Object, bytes_of},
    prefixes::{Entries, PrefixEntry, Verdicts},
};
pub use self::{
    interfaces::ShieldLink,
    samples::{ShieldSample, ShieldSamples},
    view::{InterfaceReport, ShieldReport, ShieldView},
};
use super::bpf::BpfError;
use crate::{
    clock::monotonic_nanos,
    model::{IpPrefix, ShieldSettings},
};

const SECOND: u64 = 1_000_000_000;

/// The control side's handle.
#[derive(Debug, Default)]
pub struct Shield {
    /// Nothing where none is configured.
    wanted: Option<ShieldSettings>,
    listeners: Vec<SocketAddr>,
    state: ShieldState,
    interfaces: Vec<Interface>,
    /// Of the process before, until it has let go.
    inherited: Vec<ShieldLink>,
    /// Whether another process has the instance, or had it.
    is_inherited: bool,
    /// Whether packets are looked at for this process.
    begun: bool,
    samples: Option<ShieldSamples>,
    view: ShieldView,
}

#[derive(Debug, Default)]
enum ShieldState {
    /// None was configured when the process started.
    #[default]
    Absent,
    /// There is none, for this reason.
    Off(String),
    Loaded(Box<LoadedShield>),
}

/// The program, and what is in its tables.
#[derive(Debug)]
struct LoadedShield {
    object: Object,
    runtime: Verdicts,
    entries: Entries,
    services: HashSet<Service>,
    ports: BTreeMap<u32, u64>,
    policy: Policy,
}

/// Why nothing was changed at run time.
#[derive(Debug, thiserror::Error)]
pub enum DenyError {
    /// There is no shield.
    #[error("there is no shield: {0}")]
    Off(String),
    /// It is denied already, for as long.
    #[error("{0} is denied at run time already{1}")]
    Denied(IpPrefix, String),
    /// The configuration says the contrary.
    #[error("{0} is within {1}, which the configuration allows, and that counts")]
    Allowed(IpPrefix, IpPrefix),
    /// It is not.
    #[error("{0} is not denied at run time{1}")]
    NotDenied(IpPrefix, &'static str),
    /// As many are as there can be.
    #[error("{max} prefixes are denied at run time, and there can be no more", max = MAX_RUNTIME)]
    Full,
    /// The kernel refuses.
    #[error("telling the kernel: {0}")]
    Kernel(#[from] MapError),
}

impl Shield {
    /// Loads the program for an instance whose kernel side is in use; nothing happens to packets yet. `inherited`: another process
    /// has the instance still. Without `wanted`, what an earlier process left is removed.
    pub(super) fn open(instance: &str, wanted: Option<&ShieldSettings>, inherited: bool) -> Self {
        let mut shield = Self { wanted: wanted.cloned(), is_inherited: inherited, ..Self::default() };
        if wanted.is_none() {
            if !inherited {
                object::forget(&object::pin_folder(instance));
            }
            return shield;
        }
        match Object::load(&object::pin_folder(instance), inherited, &shield.view) {
            Ok((object, samples)) => {
                shield.samples = Some(ShieldSamples::new(samples));
                shield.state = ShieldState::Loaded(Box::new(LoadedShield::new(object)));
            }
            Err(BpfError::OtherSize { name }) => {
                shield.turn_off(format!("table {name} is of another version: a restart makes it anew"));
            }
            Err(error) => shield.turn_off(error.reason()),
        }
        shield.tell();
        shield
    }

    /// One of an instance without the kernel side.
    pub(super) fn without(wanted: Option<&ShieldSettings>, reason: &str) -> Self {
        let mut shield = Self { wanted: wanted.cloned(), ..Self::default() };
        if wanted.is_some() {
            shield.turn_off(format!("the kernel side is not in use ({reason})"));
        }
        shield.tell();
        shield
    }

    fn turn_off(&mut self, reason: String) {
        tracing::warn!(reason, "there is no shield: every packet passes");
        self.state = ShieldState::Off(reason);
    }

    /// For who looks from another thread.
    #[must_use]
    pub fn view(&self) -> ShieldView {
        self.view.clone()
    }

    /// The stream of samples; once.
    pub fn take_samples(&mut self) -> Option<ShieldSamples> {
        self.samples.take()
    }

    /// Links of the process before, which are gone on with when it has let go.
    pub fn inherit(&mut self, links: Vec<ShieldLink>) {
        self.inherited = links;
    }

    /// Copies of the links, for a process that succeeds this one.
    ///
    /// # Errors
    /// The system's.
    pub fn lend(&self) -> io::Result<Vec<ShieldLink>> {
        self.interfaces.iter().filter_map(|interface| interface.lend().transpose()).collect()
    }

    /// Packets are looked at from here on, unless another process has the instance still: then from when it has let go.
    pub fn begin_alone(&mut self) {
        if !self.is_inherited {
            self.begin();
        }
    }

    /// Packets are looked at from here on, as [`Self::configure`] has said last.
    pub(super) fn begin(&mut self) {
        self.begun = true;
        self.configure(self.wanted.clone().as_ref(), self.listeners.clone());
        // Those that nobody goes on with.
        self.inherited.clear();
    }

    /// Another process looks at packets from here on.
    pub(super) fn give_up(&mut self) {
        self.interfaces.clear();
        self.samples = None;
        self.state = ShieldState::Absent;
        self.begun = false;
    }

    /// Whether the settings can only take effect at the next start.
    #[must_use]
    pub fn needs_restart(&self, wanted: Option<&ShieldSettings>) -> bool {
        wanted.is_some() && matches!(self.state, ShieldState::Absent)
    }

    /// Takes settings into use, for listeners at these addresses.
    pub fn configure(&mut self, wanted: Option<&ShieldSettings>, listeners: Vec<SocketAddr>) {
        if self.needs_restart(wanted) {
            return;
        }
        self.wanted = wanted.cloned();
        self.listeners = listeners;
        let names = wanted.map(|wanted| wanted.interfaces.as_slice()).unwrap_or_default();
        self.interfaces.retain(|interface| names.contains(&interface.name));
        for name in names {
            if !self.interfaces.iter().any(|interface| interface.name == *name) {
                self.interfaces.push(Interface::new(name.clone()));
            }
        }
        if let (ShieldState::Loaded(loaded), Some(wanted)) = (&mut self.state, &self.wanted) {
            loaded.runtime = loaded.object.runtime();
            tell_of_writing(
                loaded.write_services(&self.listeners).and_then(|()| loaded.write_policy(wanted)),
            );
        }
        self.tend();
    }

    /// To be called about once a second: interfaces and addresses come and go, denials end.
    pub fn tend(&mut self) {
        let ShieldState::Loaded(loaded) = &mut self.state else { return };
        let Some(wanted) = &self.wanted else { return self.tell() };
        let now = monotonic_nanos();
        let ended: Vec<IpPrefix> =
            loaded.runtime.iter().filter(|(_, until)| **until <= now).map(|(prefix, _)| *prefix).collect();
        for prefix in &ended {
            loaded.runtime.remove(prefix);
            if let Err(error) = loaded.object.remove_runtime(*prefix) {
                tracing::warn!(%prefix, %error, "a denial that has ended cannot be removed");
            }
        }
        if !ended.is_empty() {
            tell_of_writing(loaded.write_policy(wanted));
        }
        if self.listeners.iter().any(|listener| listener.ip().is_unspecified()) {
            tell_of_writing(loaded.write_services(&self.listeners));
        }
        self.tend_interfaces();
        self.tell();
    }

    fn tend_interfaces(&mut self) {
        let (ShieldState::Loaded(loaded), Some(wanted), true) = (&self.state, &self.wanted, self.begun)
        else {
            return;
        };
        let program = match loaded.object.program() {
            Ok(program) => program,
            Err(error) => {
                tracing::error!(%error, "the shield's program is gone");
                return;
            }
        };
        let mut changed = Vec::new();
        for (index, interface) in self.interfaces.iter_mut().enumerate() {
            if interface.tend(program, wanted.mode, &mut self.inherited) {
                changed.push(index);
            }
        }
        for interface in changed.into_iter().filter_map(|index| self.interfaces.get(index)) {
            self.tell_of(interface);
        }
    }

    fn tell_of(&self, interface: &Interface) {
        let dry_run = self.wanted.as_ref().is_some_and(|wanted| wanted.dry_run);
        let (name, detail) = (&interface.name, interface.detail());
        match interface.mode() {
            Some(mode) => tracing::info!(interface = name, mode, dry_run, detail, "the shield is on"),
            None => tracing::warn!(interface = name, detail, "the shield is off: every packet passes"),
        }
    }

    fn tell(&self) {
        let Some(wanted) = &self.wanted else { return self.view.tell(None) };
        let (off, runtime) = match &self.state {
            ShieldState::Loaded(loaded) => (None, loaded.runtime.len()),
            ShieldState::Off(reason) => (Some(reason.clone()), 0),
            ShieldState::Absent => (Some("it is another process's".to_owned()), 0),
        };
        let interface = |interface: &Interface| InterfaceReport {
            name: interface.name.clone(),
            mode: interface.mode(),
            detail: interface.detail().to_owned(),
        };
        let interfaces = if off.is_some() {
            let named = |name: &String| InterfaceReport { name: name.clone(), ..InterfaceReport::default() };
            wanted.interfaces.iter().map(named).collect()
        } else {
            self.interfaces.iter().map(interface).collect()
        };
        self.view.tell(Some(ShieldReport {
            off,
            dry_run: wanted.dry_run,
            deny: wanted.deny.len(),
            allow: wanted.allow.len(),
            denied_at_run_time: runtime,
            interfaces,
        }));
    }

    /// The name of the interface of this index, where the shield is on it.
    #[must_use]
    pub fn interface_name(&self, index: u32) -> Option<&str> {
        self.interfaces.iter().find(|interface| interface.has_index(index)).map(|found| found.name.as_str())
    }

    /// Whether packets are only counted.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.dry_run)
    }

    fn loaded(&mut self) -> Result<(&mut LoadedShield, &ShieldSettings), DenyError> {
        let off = |reason: &str| DenyError::Off(reason.to_owned());
        match (&mut self.state, &self.wanted) {
            (ShieldState::Loaded(loaded), Some(wanted)) => Ok((&mut **loaded, wanted)),
            (ShieldState::Off(reason), _) => Err(off(reason)),
            _ => Err(off("none is configured (a `shield` block)")),
        }
    }

    /// Denies a prefix at run time, for so many seconds or until that is taken back. A later end takes the place of an
    /// earlier one.
    ///
    /// # Errors
    /// [`DenyError`].
    pub fn deny(&mut self, prefix: IpPrefix, seconds: Option<u64>) -> Result<(), DenyError> {
        let now = monotonic_nanos();
        let until = seconds.map_or(FOR_EVER, |seconds| now.saturating_add(seconds.saturating_mul(SECOND)));
        let (loaded, wanted) = self.loaded()?;
        if let Some(allowed) = wanted.allow.iter().find(|allowed| allowed.covers(&prefix)) {
            return Err(DenyError::Allowed(prefix, *allowed));
        }
        match loaded.runtime.get(&prefix) {
            Some(&found) if found > now && found >= until => {
                return Err(DenyError::Denied(prefix, ends(found, now)));
            }
            None if loaded.runtime.len() >= MAX_RUNTIME as usize => return Err(DenyError::Full),
            _ => {}
        }
        loaded.object.set_runtime(prefix, until)?;
        loaded.runtime.insert(prefix, until);
        loaded.write_policy(wanted)?;
        self.tell();
        Ok(())
    }

    /// Why what is denied is not kept out everywhere, if that is so.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        if self.is_dry_run() {
            return Some("the shield only counts (dry_run)".to_owned());
        }
        let off = self.interfaces.iter().find(|interface| interface.mode().is_none())?;
        Some(format!("the shield is off at {}: {}", off.name, off.detail()))
    }

    /// Takes back what was denied at run time.
    ///
    /// # Errors
    /// [`DenyError`].
    pub fn undeny(&mut self, prefix: IpPrefix) -> Result<(), DenyError> {
        let now = monotonic_nanos();
        let (loaded, wanted) = self.loaded()?;
        if loaded.runtime.get(&prefix).is_none_or(|until| *until <= now) {
            let by_configuration = wanted.deny.binary_search(&prefix).is_ok();
            let hint = if by_configuration { ", but by the configuration" } else { "" };
            return Err(DenyError::NotDenied(prefix, hint));
        }
        loaded.object.remove_runtime(prefix)?;
        loaded.runtime.remove(&prefix);
        loaded.write_policy(wanted)?;
        self.tell();
        Ok(())
    }

    /// What is denied at run time, and for how many seconds yet; nothing: until that is taken back.
    ///
    /// # Errors
    /// [`DenyError::Off`].
    pub fn denied(&mut self) -> Result<Vec<(IpPrefix, Option<u64>)>, DenyError> {
        let now = monotonic_nanos();
        let (loaded, _) = self.loaded()?;
        let live = loaded.runtime.iter().filter(|(_, until)| **until > now);
        Ok(live.map(|(prefix, until)| (*prefix, seconds_until(*until, now))).collect())
    }
}

fn tell_of_writing(written: Result<(), MapError>) {
    if let Err(error) = written {
        tracing::error!(%error, "the shield's tables are not what they should be: packets may pass that should not");
    }
}

/// Seconds until then, begun ones included; nothing: it does not end.
fn seconds_until(until: u64, now: u64) -> Option<u64> {
    (until != FOR_EVER).then(|| until.saturating_sub(now).div_ceil(SECOND))
}

fn ends(until: u64, now: u64) -> String {
    seconds_until(until, now).map_or_else(String::new, |seconds| format!(", for {seconds} s yet"))
}

impl LoadedShield {
    fn new(object: Object) -> Self {
        let (runtime, entries, policy) = (Verdicts::new(), Entries::new(), Policy::default());
        Self { object, runtime, entries, services: HashSet::new(), ports: BTreeMap::new(), policy }
    }

    /// Where listeners can be reached.
    fn write_services(&mut self, listeners: &[SocketAddr]) -> Result<(), MapError> {
        let of_host = if listeners.iter().any(|listener| listener.ip().is_unspecified()) {
            addresses::of_host().unwrap_or_else(|error| {
                tracing::warn!(%error, "the addresses of this host are not known: listeners at all of them are not shielded");
                Vec::new()
            })
        } else {
            Vec::new()
        };
        let wanted = services(listeners, &of_host);
        for service in wanted.difference(&self.services) {
            self.object.add_service(*service)?;
        }
        for service in self.services.difference(&wanted) {
            self.object.remove_service(*service)?;
        }
        self.services = wanted;
        let mut ports: BTreeMap<u32, u64> = BTreeMap::new();
        for listener in listeners {
            *ports.entry(u32::from(listener.port()) / 64).or_default() |= 1_u64 << (listener.port() % 64);
        }
        let emptied = self.ports.keys().filter(|index| !ports.contains_key(*index)).map(|index| (*index, 0));
        let changed = ports.iter().filter(|(index, word)| self.ports.get(*index) != Some(*word));
        for (index, word) in emptied.chain(changed.map(|(index, word)| (*index, *word))).collect::<Vec<_>>() {
            self.object.set_ports(index, word)?;
        }
        self.ports = ports;
        Ok(())
    }

    /// Who is denied, and what else there is to know.
    fn write_policy(&mut self, wanted: &ShieldSettings) -> Result<(), MapError> {
        let entries = prefixes::entries(prefixes::verdicts(&wanted.allow, &wanted.deny, &self.runtime));
        let (written, removed) = prefixes::difference(&self.entries, &entries);
        let policy = policy(wanted, &entries);
        // Looked up before it is emptied, and not before it is filled: who is in it is denied at every moment. Two long lists do
        // not fit beside each other.
        let first = written.len() + self.entries.len() > MAX_PREFIXES as usize;
        if first {
            self.remove(&removed)?;
        }
        for (prefix, entry) in written {
            self.object.set_prefix(prefix, entry)?;
            self.entries.insert(prefix, entry);
        }
        if policy != self.policy {
            self.object.set_policy(policy)?;
            self.policy = policy;
        }
        if !first {
            self.remove(&removed)?;
        }
        self.entries = entries;
        Ok(())
    }

    fn remove(&mut self, removed: &[(IpPrefix, PrefixEntry)]) -> Result<(), MapError> {
        for (prefix, entry) in removed {
            self.object.remove_prefix(*prefix, *entry)?;
            if self.entries.get(prefix) == Some(entry) {
                self.entries.remove(prefix);
            }
        }
        Ok(())
    }
}

fn policy(wanted: &ShieldSettings, entries: &Entries) -> Policy {
    let interval = wanted.new_connections_per_second.map_or(0, |rate| SECOND / u64::from(rate.max(1)));
    let mut flags = if wanted.dry_run { POLICY_DRY_RUN } else { 0 };
    for (prefix, entry) in entries {
        let is_v4 = prefix.address().is_ipv4();
        let (trie, exact): (u32, &[u32]) =
            if is_v4 { (POLICY_TRIE_V4, &POLICY_EXACT_V4) } else { (POLICY_TRIE_V6, &POLICY_EXACT_V6) };
        let lengths: &[u8] = if is_v4 { &LENGTHS_V4 } else { &LENGTHS_V6 };
        let length = lengths.iter().position(|length| *length == prefix.bits()).filter(|_| entry.is_exact);
        flags |= length.and_then(|length| exact.get(length)).copied().unwrap_or(trie);
    }
    let tolerance = interval.saturating_mul(u64::from(wanted.burst.saturating_sub(1)));
    Policy { interval, tolerance, flags, padding: 0 }
}

/// Addresses and ports of listeners; those that listen at all addresses are at each of the host's but the loopback's.
fn services(listeners: &[SocketAddr], of_host: &[IpAddr]) -> HashSet<Service> {
    let mut found = HashSet::new();
    for listener in listeners {
        let own = [listener.ip().to_canonical()];
        let at: &[IpAddr] = if listener.ip().is_unspecified() { of_host } else { &own };
        for address in at {
            let is_same_family = address.is_ipv4() == listener.ip().to_canonical().is_ipv4();
            if !is_same_family || address.is_loopback() || found.len() + 2 > MAX_SERVICES as usize {
                continue;
            }
            for port in [listener.port(), 0] {
                found.insert(Service { address: bytes_of(*address), port, padding: 0 });
            }
        }
    }
    found
}
