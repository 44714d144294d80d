//! Host names of targets: all their addresses, asked for again when their time to live is over.
//! Must not know: groups, health, what an address is used for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolverConfig},
    name_server::TokioConnectionProvider,
    system_conf,
};
use tokio::task::JoinSet;

use crate::clock::{monotonic_now, until};

/// Shortest and longest time between two questions for one name, whatever its time to live says.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How soon a name that could not be resolved is asked for again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What asking for one name came to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) name: String,
    /// Its addresses, sorted, and how long they hold; or why there are none.
    pub(super) addresses: Result<(Vec<IpAddr>, Duration), String>,
}

/// Resolves the names it is told, over and over.
#[derive(Debug)]
pub(super) struct Resolver {
    resolver: TokioResolver,
    known: BTreeMap<String, Option<Vec<IpAddr>>>,
    due: BTreeMap<String, Instant>,
    asking: JoinSet<Answer>,
}

impl Resolver {
    /// Uses the system's name servers and hosts file; without name servers, the hosts file alone.
    pub(super) fn new() -> Self {
        let (config, mut options) =
            system_conf::read_system_conf().unwrap_or_else(|_| (ResolverConfig::new(), Default::default()));
        // Every address is a target, not those of the first family that answers.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = TokioResolver::builder_with_config(config, TokioConnectionProvider::default())
            .with_options(options)
            .build();
        Self { resolver, known: BTreeMap::new(), due: BTreeMap::new(), asking: JoinSet::new() }
    }

    /// The names to resolve from now on. New ones are due at once.
    pub(super) fn sync(&mut self, names: BTreeSet<String>, now: Instant) {
        self.known.retain(|name, _| names.contains(name));
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

    /// Waits until every name was asked for once, or a question took too long.
    pub(super) async fn settle(&mut self) {
        while !self.due.is_empty() && self.known.values().any(Option::is_none) {
            let waits = self.known.iter().any(|(name, known)| {
                known.is_none() && self.due.get(name).is_none_or(|due| *due <= monotonic_now())
            });
            if !waits && self.asking.is_empty() {
                return;
            }
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
    fn take(&mut self, answer: Answer) -> Option<String> {
        let known = self.known.get_mut(&answer.name)?;
        let (addresses, again) = match answer.addresses {
            Ok((addresses, holds)) => (addresses, holds.clamp(SHORTEST, LONGEST)),
            Err(error) => {
                tracing::warn!(host = answer.name, error, "a target's host name cannot be resolved");
                (known.clone().unwrap_or_default(), AFTER_FAILURE)
            }
        };
        self.due.insert(answer.name.clone(), monotonic_now() + again);
        let changed = known.as_ref() != Some(&addresses);
        *known = Some(addresses);
        changed.then_some(answer.name)
    }
}

async fn ask(resolver: TokioResolver, name: String) -> Answer {
    let addresses = match tokio::time::timeout(PATIENCE, resolver.lookup_ip(name.as_str())).await {
        Ok(Ok(found)) => {
            let holds = found.valid_until().saturating_duration_since(monotonic_now());
            let sorted: BTreeSet<IpAddr> = found.iter().collect();
            Ok((sorted.into_iter().collect(), holds))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    Answer { name, addresses }
}

#[cfg(test)]
mod tests {
    use super::*;

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
