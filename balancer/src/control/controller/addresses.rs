//! Where targets are: what their host names come to, and what is checked for it.

use std::collections::BTreeSet;

use super::{
    Controller,
    endpoints::{self, Endpoints},
    loopback::Loopback,
};
use crate::{
    clock::monotonic_now,
    logs::quiet::LineKind,
    model::{Configuration, MAX_TARGETS, TargetAddress, TargetGroup, TargetSpec},
    target_group::{CheckTarget, WantedTarget},
};

impl Controller {
    /// The addresses of a name may be others now, or another of them a target.
    pub(super) fn readdress(&mut self, host: &str) {
        let is_it = |spec: &TargetSpec| spec.address == TargetAddress::Host(host.to_owned());
        let has_it = |group: &&TargetGroup| {
            group.targets.iter().any(is_it)
                || self.discovery.targets(group).iter().any(|found| is_it(&found.spec))
        };
        let groups: Vec<(String, Vec<WantedTarget>)> = self
            .configuration
            .target_groups
            .iter()
            .filter(has_it)
            .map(|group| (group.name.clone(), self.endpoints(group)))
            .collect();
        for (group, targets) in groups {
            let now = monotonic_now();
            match self.registry.set_targets_of(&group, targets, &self.names, &mut self.kernel, now) {
                Ok(false) => {}
                Ok(true) => tracing::info!(group, host, "the addresses of a target changed"),
                Err(error) => {
                    tracing::error!(group, host, %error, "new addresses of a target cannot be used")
                }
            }
        }
        self.sync_checks();
        self.publish();
    }

    /// The source of a group's targets tells of others than before.
    pub(super) fn rediscover(&mut self, name: &str) {
        if self.pending.is_none() {
            let names = self.host_names([&self.configuration]);
            self.resolver.sync(names, monotonic_now());
        }
        let found = self.configuration.target_groups.iter().find(|group| group.name == name);
        let Some(targets) = found.map(|group| self.endpoints(group)) else { return };
        let count = targets.len();
        match self.registry.set_targets_of(name, targets, &self.names, &mut self.kernel, monotonic_now()) {
            Ok(false) => return,
            Ok(true) if LineKind::TargetSource.admits() => {
                tracing::info!(
                    group = name,
                    targets = count,
                    "the targets of a group changed by their source"
                );
            }
            Ok(true) => {}
            Err(error) => {
                if LineKind::TargetSource.admits() {
                    tracing::error!(group = name, %error, "targets of a source cannot be used");
                }
                return;
            }
        }
        self.sync_checks();
        self.publish();
    }

    /// All names to resolve for these configurations, and for what the sources of their targets tell of.
    pub(super) fn host_names<'c>(
        &self,
        configurations: impl IntoIterator<Item = &'c Configuration>,
    ) -> BTreeSet<String> {
        let mut names = self.discovery.host_names();
        configurations
            .into_iter()
            .for_each(|configuration| names.extend(endpoints::host_names(configuration)));
        names
    }

    pub(super) fn sync_checks(&mut self) {
        let Self { registry, resolver, checks, .. } = self;
        let targets = registry.checked_targets().map(|target| {
            let elsewhere =
                Loopback::elsewhere(&target.settings, &target.endpoint, |name| resolver.addresses(name));
            CheckTarget { elsewhere, ..target }
        });
        checks.sync(targets, monotonic_now());
    }

    pub(super) fn endpoints(&self, group: &TargetGroup) -> Vec<WantedTarget> {
        let addresses = |name: &str, port| self.loopback.of(name, port, self.resolver.addresses(name));
        let Endpoints { kept, left_out } = endpoints::of(group, self.discovery.targets(group), addresses);
        if left_out > 0 && LineKind::HostName.admits() {
            let group = &group.name;
            tracing::warn!(
                group,
                left_out,
                "there are more addresses than a target group has targets; allowed: at most {MAX_TARGETS}"
            );
        }
        kept
    }
}
