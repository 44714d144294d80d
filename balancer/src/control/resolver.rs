//! Host names of targets: all their addresses, asked for again when their time to live is over.
//! Must not know: groups, health, what an address is used for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

mod name_service;
mod services;

use self::name_service::{Stamps, stamps};
pub(super) use self::{
    name_service::{LookupOutcome, NameService},
    services::ServiceRecord,
};
use crate::{
    clock::{monotonic_now, until},
    logs::quiet::LineKind,
};

/// Shortest and longest time between two questions for one name, whatever its time to live says.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How soon a name that could not be resolved is asked for again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many names a line of the log has.
const MOST_TOLD: usize = 10;

/// What asking for one name came to.
#[derive(Debug)]
struct LookedUp {
    name: String,
    /// By family.
    answers: [LookupOutcome; 2],
}

/// What was wrong with the last answer for a name.
#[derive(Debug)]
struct Failing {
    /// Whether any address was answered.
    found: bool,
    why: String,
    at: Instant,
}

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct KnownAddresses {
    /// By the family that was asked for: what failed for one says nothing of the other.
    families: [Vec<IpAddr>; 2],
    /// All of them, sorted.
    all: Vec<IpAddr>,
}

/// What is known of a name after it was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Learnt {
    known: KnownAddresses,
    /// When to ask again.
    again: Duration,
    /// Whether any address was answered.
    found: bool,
    /// What went wrong; nothing when all did well.
    fault: Option<String>,
}

impl KnownAddresses {
    /// A family that could not be asked for keeps its addresses, and so does a name of which nothing was found.
    fn learn(&self, answers: [LookupOutcome; 2]) -> Learnt {
        let mut families: [Vec<IpAddr>; 2] = Default::default();
        let (mut again, mut found, mut faults) = (LONGEST, false, Vec::new());
        for ((now, before), answer) in families.iter_mut().zip(&self.families).zip(answers) {
            match answer {
                LookupOutcome::Found { addresses, holds, left_out } => {
                    *now = addresses;
                    (again, found) = (again.min(holds), true);
                    if !left_out.is_empty() {
                        faults.push(format!("{left_out:?} left out: no address of a host"));
                    }
                }
                LookupOutcome::Nothing => {}
                LookupOutcome::Failed(why) => {
                    now.clone_from(before);
                    again = again.min(AFTER_FAILURE);
                    faults.push(why);
                }
            }
        }
        if families.iter().all(Vec::is_empty) {
            families.clone_from(&self.families);
            again = AFTER_FAILURE;
            if faults.is_empty() {
                faults.push("it has no addresses".to_owned());
            }
        }
        faults.dedup();
        let all: BTreeSet<IpAddr> = families.iter().flatten().copied().collect();
        let known = Self { families, all: all.into_iter().collect() };
        let fault = (!faults.is_empty()).then(|| faults.join("; "));
        Learnt { known, again: again.clamp(SHORTEST, LONGEST), found, fault }
    }
}

/// Resolves the names it is told, over and over.
#[derive(Debug)]
pub(super) struct Resolver {
    service: Arc<NameService>,
    /// By name; nothing of those that were not asked for yet.
    known: BTreeMap<String, Option<KnownAddresses>>,
    /// Names that could not be resolved, or not in full, when they were asked for last.
    failing: BTreeMap<String, Failing>,
    due: BTreeMap<String, Instant>,
    asking: JoinSet<LookedUp>,
    stamps: Stamps,
}

impl Resolver {
    /// Uses the system's name servers and hosts file; without name servers, the hosts file alone.
    pub(super) fn new() -> Self {
        let stamps = stamps();
        Self::with(NameService::of_system(), stamps)
    }

    fn with(service: NameService, stamps: Stamps) -> Self {
        Self {
            service: Arc::new(service),
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
        let stamps = stamps();
        if stamps != self.stamps {
            self.stamps = stamps;
            self.service = Arc::new(NameService::of_system());
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
        self.known.get(name).and_then(Option::as_ref).map_or(&[], |known| &known.all)
    }

    /// Names that could not be resolved, or not in full, when they were asked for last: which of both, why, and when
    /// that was.
    pub(super) fn failing(&self) -> impl Iterator<Item = (&String, &'static str, &String, Instant)> {
        self.failing.iter().map(|(name, Failing { found, why, at })| {
            (name, if *found { "resolved_in_part" } else { "unresolved" }, why, *at)
        })
    }

    /// Whether every name was asked for once, whatever came of it.
    pub(super) fn is_settled(&self) -> bool {
        self.known.values().all(Option::is_some)
    }

    /// The names that were not, the first of them.
    pub(super) fn unsettled(&self) -> String {
        let mut names = self.known.iter().filter(|(_, known)| known.is_none()).map(|(name, _)| name.as_str());
        let mut text = names.by_ref().take(MOST_TOLD).collect::<Vec<_>>().join(", ");
        let more = names.count();
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
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
                let service = Arc::clone(&self.service);
                self.asking.spawn(async move {
                    let answers = service.look_up(&name, PATIENCE, LONGEST).await;
                    LookedUp { name, answers }
                });
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

    /// The name, when what is known of it changed.
    fn take(&mut self, LookedUp { name, answers }: LookedUp) -> Option<String> {
        let place = self.known.get_mut(&name)?;
        let Learnt { known, again, found, fault } = place.clone().unwrap_or_default().learn(answers);
        match fault {
            None => {
                if self.failing.remove(&name).is_some() {
                    tracing::info!(host = name, "a target's host name is resolved again");
                }
            }
            Some(error) => {
                let failing = Failing { found, why: error.clone(), at: monotonic_now() };
                let before = self.failing.insert(name.clone(), failing);
                let is_news = before.is_none_or(|before| (before.found, &before.why) != (found, &error));
                if is_news && LineKind::HostName.admits() {
                    if found {
                        tracing::warn!(host = name, error, "a target's host name is resolved in part");
                    } else {
                        tracing::warn!(host = name, error, "a target's host name cannot be resolved");
                    }
                }
            }
        }
        self.due.insert(name.clone(), monotonic_now() + again);
        let changed = place.as_ref() != Some(&known);
        *place = Some(known);
        changed.then_some(name)
    }
}

#[cfg(test)]
mod tests;
