//! What a host name comes to by the system's files, in the order `files dns` of nsswitch.conf(5): the addresses that
//! the hosts file has for it, or else what name servers say, who are asked for each family by itself.
//! Must not know: what was known before, when to ask again.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
    str::FromStr as _,
    time::{Duration, Instant},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf,
};

use crate::{clock::monotonic_now, model::address_of_host, regular_file};

/// What the system resolves names by.
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const SYSTEM_FILES: [&str; 2] = [HOSTS, RESOLV_CONF];

/// Most bytes of these files; lists of advertisers that some keep in the hosts file take a few MB.
const MAX_SYSTEM_FILE: u64 = 16 << 20;

/// The families of addresses, IPv4 first. Some name servers answer for one of them alone.
const FAMILIES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

/// Tells whether a file was changed or replaced: device, inode, size, time of change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The state of the system's files.
pub(super) type Stamps = [Stamp; 2];

/// What a question for the addresses of one family came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum LookupOutcome {
    /// There are addresses.
    Found {
        /// Sorted, as they are written (an IPv4 address mapped into IPv6 is the IPv4 address).
        addresses: Vec<IpAddr>,
        /// How long they hold.
        holds: Duration,
        /// Further ones, which are no host's.
        left_out: Vec<IpAddr>,
    },
    /// There are none: no such name, or no such records.
    Nothing,
    /// It could not be found out, and why.
    Failed(String),
}

/// The state of the system's files now.
pub(super) fn stamps() -> Stamps {
    SYSTEM_FILES.map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    })
}

/// The system's files, as they were read.
#[derive(Debug)]
pub(in crate::control) struct NameService {
    hosts: Hosts,
    /// Nothing where the library refuses to make one.
    pub(super) dns: Option<TokioResolver>,
    /// What may follow a name that is not given in full.
    search: Vec<Name>,
    /// How many dots a name has that is tried as it is first.
    ndots: usize,
}

impl NameService {
    /// By the system's files as they are now. One that is not there or cannot be used counts as empty.
    pub(in crate::control) fn of_system() -> Self {
        let (config, options) = system_file(RESOLV_CONF)
            .and_then(|text| system_conf::parse_resolv_conf(text).ok())
            .unwrap_or_else(|| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()));
        Self::new(config, options, &system_file(HOSTS).unwrap_or_default())
    }

    pub(super) fn new(config: ResolverConfig, mut options: ResolverOpts, hosts_file: &[u8]) -> Self {
        let mut hosts = Hosts::default();
        if let Err(error) = hosts.read_hosts_conf(hosts_file) {
            tracing::warn!(file = HOSTS, %error, "not all of a system's file is understood");
        }
        // That file is looked at here.
        options.use_hosts_file = ResolveHosts::Never;
        let search = config.domain().into_iter().chain(config.search()).cloned().collect();
        let ndots = options.ndots;
        let dns = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .inspect_err(|error| tracing::error!(%error, "host names of targets cannot be resolved"))
            .ok();
        Self { hosts, dns, search, ndots }
    }

    /// The addresses of `name`, IPv4 and IPv6, each within `patience`. `most`: how long what a file says holds.
    pub(in crate::control) async fn look_up(
        &self,
        name: &str,
        patience: Duration,
        most: Duration,
    ) -> [LookupOutcome; 2] {
        let name = match Name::from_str(name) {
            Ok(name) => name,
            Err(error) => return FAMILIES.map(|_| LookupOutcome::Failed(error.to_string())),
        };
        let in_file =
            FAMILIES.map(|family| self.hosts.lookup_static_host(&Query::query(name.clone(), family)));
        let local = |found: &Option<Lookup>| {
            found.as_ref().map_or(LookupOutcome::Nothing, |found| answer(found, most))
        };
        // Every system has localhost at both families, whatever its file says, and nobody has to be asked for it.
        if !name.is_localhost() && in_file.iter().any(Option::is_some) {
            return in_file.each_ref().map(local);
        }
        let deadline = monotonic_now() + patience;
        let mut failed = None;
        for candidate in self.candidates(&name) {
            let [v4, v6] = FAMILIES.map(|family| self.ask(candidate.clone(), family, deadline));
            let answers: [LookupOutcome; 2] = tokio::join!(v4, v6).into();
            if answers.iter().any(|answer| matches!(answer, LookupOutcome::Found { .. })) {
                return answers;
            }
            if answers.iter().any(|answer| matches!(answer, LookupOutcome::Failed(_))) {
                failed.get_or_insert(answers);
            }
        }
        failed.unwrap_or([LookupOutcome::Nothing, LookupOutcome::Nothing])
    }

    /// The full names that `name` may stand for, in the order in which they are tried (resolv.conf(5)).
    pub(super) fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut full = name.clone();
        full.set_fqdn(true);
        if name.is_fqdn() {
            return vec![full];
        }
        let is_first = usize::from(name.num_labels()) > self.ndots || name.is_localhost();
        let mut names: Vec<Name> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        names.insert(if is_first { 0 } else { names.len() }, full);
        names
    }

    async fn ask(&self, name: Name, family: RecordType, deadline: Instant) -> LookupOutcome {
        let Some(dns) = &self.dns else { return LookupOutcome::Failed("there is no resolver".to_owned()) };
        let failed = |why: &str| LookupOutcome::Failed(format!("{family}: {why}"));
        match tokio::time::timeout_at(deadline.into(), dns.lookup(name, family)).await {
            Ok(Ok(found)) => answer(&found, found.valid_until().saturating_duration_since(monotonic_now())),
            Ok(Err(error)) if has_no_records(&error) => LookupOutcome::Nothing,
            Ok(Err(error)) => failed(&error.to_string()),
            Err(_) => failed("no answer in time"),
        }
    }
}

/// Whether it was answered that there is no such name, or that the name has no such records.
pub(super) fn has_no_records(error: &NetError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}

fn answer(found: &Lookup, holds: Duration) -> LookupOutcome {
    let all: BTreeSet<IpAddr> = found
        .answers()
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .map(|ip| ip.to_canonical())
        .collect();
    let (addresses, left_out): (Vec<IpAddr>, Vec<IpAddr>) =
        all.into_iter().partition(|address| address_of_host(*address).is_some());
    match (addresses.is_empty(), left_out.is_empty()) {
        (false, _) => LookupOutcome::Found { addresses, holds, left_out },
        (true, true) => LookupOutcome::Nothing,
        (true, false) => LookupOutcome::Failed(format!("{left_out:?}: no address of a host")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(resolv_conf: &str, hosts: &str) -> NameService {
        let (config, options) = system_conf::parse_resolv_conf(resolv_conf).unwrap();
        NameService::new(config, options, hosts.as_bytes())
    }

    fn found(addresses: &[&str], left_out: &[&str]) -> LookupOutcome {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        LookupOutcome::Found { addresses: read(addresses), holds: LONG, left_out: read(left_out) }
    }

    const LONG: Duration = Duration::from_secs(300);

    /// Discards what it is sent.
    const SILENT: &str = "nameserver 192.0.2.1\n";

    #[tokio::test]
    async fn the_hosts_file_alone_says_where_the_names_in_it_are() {
        let service = service(
            SILENT,
            "10.0.0.1 four.test\nfd00::1 six.test\n10.0.0.2 Both.test\nfd00::2 both.test\n10.0.0.3 both.test\n\
             ::ffff:10.0.0.4 mapped.test\n0.0.0.0 none.test\n0.0.0.0 some.test\n10.0.0.5 some.test\n",
        );
        for (name, expected) in [
            ("four.test", [found(&["10.0.0.1"], &[]), LookupOutcome::Nothing]),
            ("four.test.", [found(&["10.0.0.1"], &[]), LookupOutcome::Nothing]),
            ("six.test", [LookupOutcome::Nothing, found(&["fd00::1"], &[])]),
            ("both.test", [found(&["10.0.0.2", "10.0.0.3"], &[]), found(&["fd00::2"], &[])]),
            ("mapped.test", [LookupOutcome::Nothing, found(&["10.0.0.4"], &[])]),
            ("some.test", [found(&["10.0.0.5"], &["0.0.0.0"]), LookupOutcome::Nothing]),
            (
                "none.test",
                [LookupOutcome::Failed("[0.0.0.0]: no address of a host".to_owned()), LookupOutcome::Nothing],
            ),
        ] {
            // There is no time to ask anybody.
            assert_eq!(service.look_up(name, Duration::ZERO, LONG).await, expected, "{name}");
        }
        let others = service.look_up("other.test", Duration::ZERO, LONG).await;
        assert!(others.iter().all(|answer| matches!(answer, LookupOutcome::Failed(_))), "{others:?}");
    }

    #[test]
    fn names_are_searched_for_in_the_order_of_resolv_conf() {
        let service = service("nameserver 192.0.2.1\nsearch one.test two.test\noptions ndots:2\n", "");
        for (name, expected) in [
            ("app", &["app.one.test.", "app.two.test.", "app."][..]),
            ("app.x", &["app.x.one.test.", "app.x.two.test.", "app.x."]),
            ("app.x.y", &["app.x.y.", "app.x.y.one.test.", "app.x.y.two.test."]),
            ("app.", &["app."]),
        ] {
            let names = service.candidates(&Name::from_str(name).unwrap());
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            assert_eq!(names, expected, "{name}");
        }
    }
}
