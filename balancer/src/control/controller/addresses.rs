//! Where targets are: what their host names come to, and what is checked for it.

use super::{
    Controller,
    endpoints::{self, Endpoints},
    loopback::Loopback,
};
use crate::{
    clock::monotonic_now,
    model::{Endpoint, MAX_TARGETS, TargetAddress, TargetGroup},
    target_group::CheckTarget,
};

impl Controller {
    /// The addresses of a name may be others now, or another of them a target.
    pub(super) fn readdress(&mut self, host: &str) {
        let groups: Vec<(String, Vec<Endpoint>)> = self
            .configuration
            .target_groups
            .iter()
            .filter(|group| {
                group.targets.iter().any(|target| target.address == TargetAddress::Host(host.to_owned()))
            })
            .map(|group| (group.name.clone(), self.endpoints(group)))
            .collect();
        for (group, endpoints) in groups {
            let now = monotonic_now();
            match self.registry.set_endpoints(&group, endpoints, &self.names, &mut self.kernel, now) {
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

    pub(super) fn sync_checks(&mut self) {
        let Self { registry, resolver, checks, .. } = self;
        let targets = registry.checked_targets().map(|target| {
            let elsewhere =
                Loopback::elsewhere(&target.settings, &target.endpoint, |name| resolver.addresses(name));
            CheckTarget { elsewhere, ..target }
        });
        checks.sync(targets, monotonic_now());
    }

    pub(super) fn endpoints(&self, group: &TargetGroup) -> Vec<Endpoint> {
        let Endpoints { kept, left_out } =
            endpoints::of(group, |name, port| self.loopback.of(name, port, self.resolver.addresses(name)));
        if left_out > 0 {
            let group = &group.name;
            tracing::warn!(
                group,
                left_out,
                "host names have more addresses than a target group has targets; allowed: at most {MAX_TARGETS}"
            );
        }
        kept
    }
}
