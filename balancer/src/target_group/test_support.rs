//! Settings, slots and names for tests of this room and of the control side.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::{SlotAllocator, TargetNames, WantedGroup};
use crate::{
    id::{Slot, TargetId},
    model::{
        Algorithm, Endpoint, HealthCheck, HealthCheckPort, Matcher, ProbeProtocol, TargetAddress,
        TargetGroup, TargetSpec,
    },
    stickiness::GroupStickiness,
};

/// Health check settings with these thresholds, an interval of 5 s and a timeout of 2 s.
pub(crate) fn health_check(healthy_threshold: u8, unhealthy_threshold: u8) -> HealthCheck {
    HealthCheck {
        enabled: true,
        protocol: ProbeProtocol::Http,
        protocol_version: crate::model::ProtocolVersion::Http1,
        port: HealthCheckPort::Traffic,
        path: "/".into(),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        healthy_threshold,
        unhealthy_threshold,
        matcher: Matcher(vec![(200, 200)]),
    }
}

/// A round-robin group of these endpoints, with thresholds 3 and 2 and a deregistration delay of 300 s.
pub(crate) fn group(name: &str, endpoints: &[Endpoint]) -> TargetGroup {
    TargetGroup {
        name: name.into(),
        port: 80,
        protocol_version: crate::model::ProtocolVersion::Http1,
        tls: None,
        algorithm: Algorithm::RoundRobin,
        forwards_resets: false,
        anomaly_mitigation: false,
        slow_start: None,
        minimum_healthy: Default::default(),
        deregistration_delay: Duration::from_secs(300),
        stickiness: None,
        health_check: health_check(3, 2),
        targets: endpoints
            .iter()
            .map(|endpoint| match endpoint {
                Endpoint::Tcp(address) => {
                    TargetSpec { address: TargetAddress::Ip(address.ip()), port: address.port() }
                }
                Endpoint::Unix(path) => TargetSpec { address: TargetAddress::Unix(path.clone()), port: 0 },
            })
            .collect(),
        source: None,
    }
}

/// The same as wanted by a configuration whose listeners use it.
pub(crate) fn wanted(name: &str, endpoints: &[Endpoint]) -> WantedGroup {
    WantedGroup {
        settings: Arc::new(group(name, endpoints)),
        in_use: true,
        tls: None,
        targets: endpoints.iter().cloned().map(Into::into).collect(),
    }
}

/// `127.0.0.1` with this port.
pub(crate) fn local(port: u16) -> Endpoint {
    Endpoint::Tcp(([127, 0, 0, 1], port).into())
}

/// Hands out slots from 0 on and remembers who has one.
#[derive(Debug, Default)]
pub(crate) struct TestSlots {
    pub(crate) held: BTreeMap<Slot, Endpoint>,
    pub(crate) limit: Option<usize>,
    next: u16,
}

/// No more slots.
#[derive(Debug, thiserror::Error)]
#[error("no slot is left")]
pub(crate) struct NoSlotLeft;

impl SlotAllocator for TestSlots {
    type Error = NoSlotLeft;

    fn claim(&mut self, endpoint: &Endpoint) -> Result<Slot, NoSlotLeft> {
        if self.limit.is_some_and(|limit| self.held.len() >= limit) {
            return Err(NoSlotLeft);
        }
        assert!(!self.held.values().any(|held| held == endpoint), "{endpoint} claimed twice");
        let slot = Slot(self.next);
        self.next += 1;
        self.held.insert(slot, endpoint.clone());
        Ok(slot)
    }

    fn release(&mut self, slot: Slot) {
        assert!(self.held.remove(&slot).is_some(), "{slot:?} released and not held");
    }
}

/// Ids by hash under one or two keys: `TestNames(vec![2, 1])` issues under 2 and accepts 1.
#[derive(Debug)]
pub(crate) struct TestNames(pub(crate) Vec<u64>);

impl TestNames {
    pub(crate) fn under(key: u64, group: &str, endpoint: &Endpoint) -> TargetId {
        let mut hasher = DefaultHasher::new();
        (key, group, endpoint).hash(&mut hasher);
        TargetId(hasher.finish())
    }
}

impl TargetNames for TestNames {
    fn issued(&self, group: &str, endpoint: &Endpoint) -> TargetId {
        Self::under(self.0[0], group, endpoint)
    }

    fn accepted(&self, group: &str, endpoint: &Endpoint) -> Vec<TargetId> {
        self.0.iter().map(|key| Self::under(*key, group, endpoint)).collect()
    }

    fn stickiness(&self, _: &TargetGroup) -> Option<Arc<GroupStickiness>> {
        None
    }
}
