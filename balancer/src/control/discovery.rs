//! Targets that no configuration lists: what their sources say, asked for on a thread of its own (`discovery/thread`), so that
//! neither a request nor the control side waits for any of them.
//!
//! A source is a [`TargetLister`](lister::TargetLister), one a file beneath this one, made in `listers`. What it lists is judged
//! (`discovery/judgement`), and what cannot be believed leaves the targets as they were; the control side hears of what has
//! changed. Must not know: how a target is registered, checked or drained, what a host name comes to.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

mod client;
mod dns_service;
mod document;
mod etcd;
mod file;
mod http;
mod judgement;
mod kubernetes;
mod lister;
mod listers;
mod look;
mod thread;

pub(super) use self::look::{files, look};
use self::thread::{SourceOrder, SourceReport};
use crate::{
    counters::ControlCounters,
    model::{Configuration, FoundTarget, TargetAddress, TargetGroup, TargetSource},
};

/// How long the first answers of sources are waited for at a start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The source of a group, and what it said last.
#[derive(Debug)]
struct Known {
    number: u64,
    group: String,
    source: TargetSource,
    /// Nothing before it has told of any, or of none.
    targets: Option<Vec<FoundTarget>>,
    /// Whether it was asked once, whatever came of it.
    is_settled: bool,
}

/// The control side's end of all sources.
#[derive(Debug)]
pub(super) struct Discovery {
    known: Vec<Known>,
    next_number: u64,
    counters: Arc<ControlCounters>,
    /// The thread; none before there is a source.
    orders: Option<UnboundedSender<SourceOrder>>,
    sender: UnboundedSender<SourceReport>,
    reports: UnboundedReceiver<SourceReport>,
}

/// The groups of a configuration that have a source.
fn sources(configuration: &Configuration) -> impl Iterator<Item = (&TargetGroup, &TargetSource)> {
    configuration.target_groups.iter().filter_map(|group| Some((group, group.source.as_ref()?)))
}

impl Discovery {
    /// Asks nobody yet.
    pub(super) fn new(counters: Arc<ControlCounters>) -> Self {
        let (sender, reports) = unbounded_channel();
        Self { known: Vec::new(), next_number: 1, counters, orders: None, sender, reports }
    }

    /// The sources to ask from now on are those of these configurations. What a group's source before has told of stays until
    /// its new one tells of something.
    pub(super) fn sync<'c>(&mut self, configurations: impl IntoIterator<Item = &'c Configuration>) {
        let configurations: Vec<_> = configurations.into_iter().collect();
        let wanted = || configurations.iter().copied().flat_map(sources);
        for (group, source) in wanted() {
            if self.find(group).is_none() {
                self.begin(group.name.clone(), source.clone());
            }
        }
        let is_wanted = |known: &Known| {
            wanted().any(|(group, source)| group.name == known.group && *source == known.source)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.known).into_iter().partition(is_wanted);
        self.known = kept;
        for Known { number, group, targets, .. } in gone {
            self.order(SourceOrder::End { number });
            match self.known.iter_mut().find(|known| known.group == group) {
                Some(heir) => heir.targets = heir.targets.take().or(targets),
                None => self.counters.notes.forget_source(&group),
            }
        }
    }

    fn begin(&mut self, group: String, source: TargetSource) {
        let number = self.next_number;
        self.next_number += 1;
        self.counters.notes.begin_source(&group, source.place.to_string(), source.place.kind());
        let order = SourceOrder::Begin { number, group: group.clone(), source: Box::new(source.clone()) };
        let is_begun = self.order(order);
        self.known.push(Known { number, group, source, targets: None, is_settled: !is_begun });
    }

    /// Whether the thread has it.
    fn order(&mut self, order: SourceOrder) -> bool {
        if self.orders.is_none() {
            match thread::begin(self.sender.clone(), Arc::clone(&self.counters)) {
                Ok(orders) => self.orders = Some(orders),
                Err(error) => {
                    tracing::error!(%error, "sources of targets cannot be asked: there is no thread for it");
                    return false;
                }
            }
        }
        self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }

    fn find(&self, group: &TargetGroup) -> Option<&Known> {
        let source = group.source.as_ref()?;
        self.known.iter().find(|known| known.group == group.name && known.source == *source)
    }

    /// What the source of a group told of last; nothing where there is none, or none has told yet.
    pub(super) fn targets(&self, group: &TargetGroup) -> &[FoundTarget] {
        let Some(known) = self.find(group) else { return &[] };
        // Of one that has taken the place of another that is what the other told of, until it tells something itself.
        let of_another = || self.known.iter().find(|other| other.group == known.group)?.targets.as_deref();
        known.targets.as_deref().or_else(of_another).unwrap_or_default()
    }

    /// The host names among all targets that sources told of.
    pub(super) fn host_names(&self) -> BTreeSet<String> {
        let targets = self.known.iter().filter_map(|known| known.targets.as_ref()).flatten();
        let name = |target: &FoundTarget| match &target.spec.address {
            TargetAddress::Host(name) => Some(name.clone()),
            _ => None,
        };
        targets.filter_map(name).collect()
    }

    /// What a process before this one knew of a group's targets, for as long as the source has told nothing.
    pub(super) fn seed(&mut self, group: &TargetGroup, targets: impl Iterator<Item = FoundTarget>) {
        let known = self.known.iter_mut().find(|known| {
            known.group == group.name
                && group.source.as_ref() == Some(&known.source)
                && known.targets.is_none()
        });
        if let Some(known) = known {
            let seeds: Vec<FoundTarget> =
                targets.filter(|seed| !group.targets.contains(&seed.spec)).collect();
            known.targets = (!seeds.is_empty()).then_some(seeds);
        }
    }

    /// Whether every source was asked once, whatever came of it.
    pub(super) fn is_settled(&self) -> bool {
        self.known.iter().all(|known| known.is_settled)
    }

    /// Waits until every source was asked once, or took too long.
    pub(super) async fn settle(&mut self) {
        let all = async {
            while !self.is_settled() {
                self.next().await;
            }
        };
        if timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("sources of targets have said nothing yet");
        }
    }

    /// Waits for a group whose source tells of other targets than before, or has been asked for the first time. Cancel safe.
    pub(super) async fn next(&mut self) -> String {
        loop {
            let Some(SourceReport { number, targets }) = self.reports.recv().await else {
                // It cannot be: this end has a sender, too.
                return std::future::pending().await;
            };
            let Some(known) = self.known.iter_mut().find(|known| known.number == number) else { continue };
            known.is_settled = true;
            if let Some(targets) = targets {
                known.targets = Some(targets);
            }
            return known.group.clone();
        }
    }
}

#[cfg(test)]
mod tests;
