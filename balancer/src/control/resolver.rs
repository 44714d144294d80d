//! Host names of targets: all their addresses, asked for again when their time to live is over.
//! Must not know: groups, health, what an address is used for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf,
};
use tokio::task::JoinSet;

use crate::{
    clock::{monotonic_now, until},
    logs::quiet::LineKind,
    regular_file,
};

/// Shortest and longest time between two questions for one name, whatever its time to live says.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How soon a name that could not be resolved is asked for again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the system resolves names by.
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const SYSTEM_FILES: [&str; 2] = [HOSTS, RESOLV_CONF];

/// Most bytes of these files; lists of advertisers that some keep in the hosts file take a few MB.
const MAX_SYSTEM_FILE: u64 = 16 << 20;

/// Tells whether a file was changed or replaced: device, inode, size, time of change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// What asking for one name came to.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub(super) name: String,
    /// Its addresses, sorted, and how long they hold; or why there are none.
    pub(super) addresses: Result<(Vec<IpAddr>, Duration), String>,
}

/// Resolves the names it is told, over and over.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Nothing where the library refuses to make one.
    resolver: Option<TokioResolver>,
    known: BTreeMap<String, Option<Vec<IpAddr>>>,
    /// Why the last question for a name came to nothing, and when.
    failing: BTreeMap<String, (String, Instant)>,
    due: BTreeMap<String, Instant>,
    asking: JoinSet<LookedUp>,
    stamps: [Stamp; 2],
}

impl Resolver {
    /// Uses the system's name servers and hosts file; without name servers, the hosts file alone.
    pub(super) fn new() -> Self {
        let stamps = SYSTEM_FILES.map(stamp);
        Self::with(system_resolver(), stamps)
    }

    fn with(resolver: Option<TokioResolver>, stamps: [Stamp; 2]) -> Self {
        Self {
            resolver,
            known: BTreeMap::new(),
            failing: BTreeMap::new(),
            due: BTreeMap::new(),
            asking: JoinSet::new(),
            stamps,
        }
    }

    /// Looks whether the system's files changed; then every name is asked for anew by what they say now.
    pub(super) fn look_for_changes(&mut self, now: Instant) {
        if self.known.is_empty() {
            return;
        }
        let stamps = SYSTEM_FILES.map(stamp);
        if stamps != self.stamps {
            self.stamps = stamps;
            self.resolver = system_resolver();
            self.due.values_mut().for_each(|due| *due = now);
        }
    }

    /// The names to resolve from now on. New ones are due at once.
    pub(super) fn sync(&mut self, names: BTreeSet<String>, now: Instant) {
        self.known.retain(|name, _| names.contains(name));
        self.failing.retain(|name, _| names.contains(name));
        self.due.retain(|name, _| names.contains(name));
        for name in names {
            if !self.known.contains_key(&name) {
                self.due.insert(name.clone(), now);
                self.known.insert(name, None);
            }
        }
    }

    /// The addresses of a name as last known; none yet when it never resolved.
    pub(super) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.known.get(name).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Names whose last question came to nothing: why, and when that was.
    pub(super) fn failing(&self) -> impl Iterator<Item = (&String, &String, Instant)> {
        self.failing.iter().map(|(name, (why, at))| (name, why, *at))
    }

    /// Whether every name was asked for once, whatever came of it.
    pub(super) fn is_settled(&self) -> bool {
        self.known.values().all(Option::is_some)
    }

    /// Waits until every name was asked for once, or a question took too long.
    pub(super) async fn settle(&mut self) {
        while !self.is_settled() {
            self.next().await;
        }
    }

    /// Asks what is due and waits for a name whose addresses changed. Cancel safe.
    pub(super) async fn next(&mut self) -> String {
        loop {
            let now = monotonic_now();
            let due: Vec<String> =
                self.due.iter().filter(|(_, due)| **due <= now).map(|(name, _)| name.clone()).collect();
            for name in due {
                self.due.insert(name.clone(), now + PATIENCE + LONGEST);
                self.asking.spawn(ask(self.resolver.clone(), name));
            }
            let wake = self.due.values().min().copied();
            tokio::select! {
                Some(Ok(answer)) = self.asking.join_next() => {
                    if let Some(name) = self.take(answer) {
                        return name;
                    }
                }
                () = until(wake) => {}
            }
        }
    }

    /// The name, when what is known of it changed. A failure keeps what was known.
    fn take(&mut self, answer: LookedUp) -> Option<String> {
        let known = self.known.get_mut(&answer.name)?;
        let (addresses, again) = match answer.addresses {
            Ok((addresses, holds)) => {
                if self.failing.remove(&answer.name).is_some() {
                    tracing::info!(host = answer.name, "a target's host name is resolved again");
                }
                (addresses, holds.clamp(SHORTEST, LONGEST))
            }
            Err(error) => {
                let before = self.failing.insert(answer.name.clone(), (error.clone(), monotonic_now()));
                let is_news = before.is_none_or(|(before, _)| before != error);
                if is_news && LineKind::HostName.admits() {
                    tracing::warn!(host = answer.name, error, "a target's host name cannot be resolved");
                }
                (known.clone().unwrap_or_default(), AFTER_FAILURE)
            }
        };
        self.due.insert(answer.name.clone(), monotonic_now() + again);
        let changed = known.as_ref() != Some(&addresses);
        *known = Some(addresses);
        changed.then_some(answer.name)
    }
}

fn stamp(path: &str) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// By the system's files as they are now. One that is not there or cannot be used counts as empty.
fn system_resolver() -> Option<TokioResolver> {
    let (config, options) = system_file(RESOLV_CONF)
        .and_then(|text| system_conf::parse_resolv_conf(text).ok())
        .unwrap_or_else(|| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()));
    let mut hosts = Hosts::default();
    if let Some(text) = system_file(HOSTS)
        && let Err(error) = hosts.read_hosts_conf(text.as_slice())
    {
        tracing::warn!(file = HOSTS, %error, "not all of a system's file is understood");
    }
    let mut resolver = resolver(config, options)
        .inspect_err(|error| tracing::error!(%error, "host names of targets cannot be resolved"))
        .ok()?;
    resolver.set_hosts(Arc::new(hosts));
    Some(resolver)
}

fn system_file(path: &str) -> Option<Vec<u8>> {
    match regular_file::read(Path::new(path), MAX_SYSTEM_FILE) {
        Ok((bytes, _)) => Some(bytes),
        Err(fault) if fault.is_absence() => None,
        Err(fault) => {
            tracing::warn!("{path} {fault}; host names of targets are resolved without it");
            None
        }
    }
}

fn resolver(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    // Every address is a target, not those of the first family that answers.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // That file is read here.
    options.use_hosts_file = ResolveHosts::Never;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
}

async fn ask(resolver: Option<TokioResolver>, name: String) -> LookedUp {
    let addresses = match resolver {
        None => Err("there is no resolver".to_owned()),
        Some(resolver) => match tokio::time::timeout(PATIENCE, resolver.lookup_ip(name.as_str())).await {
            Ok(Ok(found)) => {
                let holds = found.valid_until().saturating_duration_since(monotonic_now());
                let sorted: BTreeSet<IpAddr> = found.iter().collect();
                Ok((sorted.into_iter().collect(), holds))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        },
    };
    LookedUp { name, addresses }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use tokio::net::UdpSocket;

    use super::*;

    /// Answers every question for IPv4 addresses with another one each time, which holds for one second.
    async fn name_server(socket: UdpSocket) {
        let mut asked = 0;
        let mut bytes = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut bytes).await {
            let question = &bytes[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let wants_ipv4 = question[end - 3] == 1;
            asked += u8::from(wants_ipv4);
            let mut answer = bytes[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(wants_ipv4), 0, 0, 0, 0]);
            answer.extend(&question[..end]);
            if wants_ipv4 {
                answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, asked]);
            }
            socket.send_to(&answer, client).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_is_asked_for_again_when_its_time_to_live_is_over() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        tokio::spawn(name_server(socket));
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let made = super::resolver(config, ResolverOpts::default()).unwrap();
        let mut resolver = Resolver::with(Some(made), [None; 2]);
        resolver.sync(["app.example.".to_owned()].into(), monotonic_now());
        resolver.settle().await;
        assert_eq!(resolver.addresses("app.example."), [IpAddr::from([10, 0, 0, 1])]);
        let changed = tokio::time::timeout(Duration::from_secs(20), resolver.next()).await;
        assert_eq!(changed.as_deref(), Ok("app.example."));
        assert_eq!(resolver.addresses("app.example."), [IpAddr::from([10, 0, 0, 2])]);
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_resolve_and_unknown_ones_do_no_harm() {
        let mut resolver = Resolver::new();
        resolver.sync(["localhost".to_owned(), "no-such-host.invalid".to_owned()].into(), monotonic_now());
        resolver.settle().await;
        assert!(resolver.addresses("localhost").iter().any(IpAddr::is_loopback));
        assert!(resolver.addresses("no-such-host.invalid").is_empty());
        resolver.sync(BTreeSet::new(), monotonic_now());
        assert!(resolver.addresses("localhost").is_empty());
    }
}
