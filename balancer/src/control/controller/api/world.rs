//! What operations of the API know beside records: how targets are, above all. Must not know: what is asked.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use super::Controller;
use crate::{
    clock::unix_now,
    control::control_api::ApiBook,
    elbv2::{TargetGroupRecord, TargetHealth, TargetRecord, World},
    model::{Endpoint, HealthCheckPort, TargetGroup},
    regular_file,
    snapshot::Snapshot,
    target_group::{GroupView, HealthReason, TargetState, TargetView},
};

/// Most bytes of a file of a bucket: as ALB allows for trust stores and revocation lists.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// The only operation that is told of health.
const ASKS_FOR_HEALTH: &str = "DescribeTargetHealth";

impl Controller {
    /// What a call of this operation is told.
    pub(super) fn world(&self, book: &ApiBook, action: &str) -> World {
        let settings = &book.beside.settings;
        let mut seed = [0; 8];
        // Without randomness ids follow from the time.
        let seeded = crate::random::fill(&mut seed);
        let now = u64::from(unix_now().0);
        let snapshot = self.current.get();
        let told = if action == ASKS_FOR_HEALTH { Told::of(&snapshot) } else { Told::default() };
        let told = Arc::new(told);
        let instances = Arc::clone(&book.beside.instances);
        let (told_too, instances_too) = (Arc::clone(&told), Arc::clone(&instances));
        let buckets = settings.buckets_dir.clone();
        World {
            now,
            seed: seeded.map_or(now, |()| u64::from_ne_bytes(seed)),
            region: settings.region.clone(),
            account: settings.account_id.clone(),
            dns_suffix: settings.dns_suffix.clone(),
            files: Arc::clone(&book.beside.files.records),
            certificates: Arc::clone(&book.beside.certificates),
            instances: Arc::clone(&book.beside.instances),
            buckets: settings.buckets_dir.as_ref().map(|folder| folder.to_string_lossy().into_owned()),
            health: Box::new(move |group, target| told.health(group, target, &instances)),
            draining: Box::new(move |group| told_too.draining(group, &instances_too)),
            read_file: Box::new(move |path| read_file(Path::new(path), buckets.as_deref())),
        }
    }
}

/// Groups as workers see them, by name, and their targets by where they are.
#[derive(Default)]
struct Told(HashMap<String, (Arc<GroupView>, HashMap<String, usize>)>);

/// A target's place as text: an address and port, or what it is called and the port.
fn place(id: &str, port: u16, instances: &BTreeMap<String, IpAddr>) -> String {
    let ip = id.parse().ok().or_else(|| instances.get(id).copied());
    ip.map_or_else(|| id.to_owned(), |ip: IpAddr| SocketAddr::new(ip.to_canonical(), port).to_string())
}

impl Told {
    fn of(snapshot: &Snapshot) -> Self {
        let each = |group: &Arc<GroupView>| {
            let places = group.targets.iter().enumerate();
            let places = places.map(|(index, target)| (target.endpoint.to_string(), index)).collect();
            (group.settings.name.clone(), (Arc::clone(group), places))
        };
        Self(snapshot.groups.iter().map(each).collect())
    }

    fn health(
        &self,
        group: &TargetGroupRecord,
        target: &TargetRecord,
        instances: &BTreeMap<String, IpAddr>,
    ) -> TargetHealth {
        let port = target.port.unwrap_or(group.port);
        let found = self.0.get(&group.name).and_then(|(view, places)| {
            let known =
                places.get(&place(&target.id, port, instances)).and_then(|index| view.targets.get(*index));
            // One that is called by a host name is as the first address is that it stands for.
            let of_port = || view.targets.iter().find(|one| one.endpoint.port() == port);
            let named = target.id.parse::<IpAddr>().is_err() && !instances.contains_key(&target.id);
            known.or_else(|| of_port().filter(|_| named)).map(|known| (view, known))
        });
        match found {
            Some((view, known)) => health_of(&view.settings, known, port),
            // It was registered a moment ago.
            None => told(TargetState::Initial, Some(HealthReason::RegistrationInProgress), port),
        }
    }

    fn draining(&self, group: &TargetGroupRecord, instances: &BTreeMap<String, IpAddr>) -> Vec<TargetRecord> {
        let Some((view, _)) = self.0.get(&group.name) else { return Vec::new() };
        let registered: Vec<String> = group
            .targets
            .iter()
            .map(|target| place(&target.id, target.port.unwrap_or(group.port), instances))
            .collect();
        let gone = view.targets.iter().filter(|target| {
            target.state == TargetState::Draining && !registered.contains(&target.endpoint.to_string())
        });
        gone.map(|target| record_of(group, target, instances)).collect()
    }
}

fn record_of(
    group: &TargetGroupRecord,
    target: &TargetView,
    instances: &BTreeMap<String, IpAddr>,
) -> TargetRecord {
    let named = match &target.endpoint {
        Endpoint::Tcp(address) if group.target_type == "instance" => {
            instances.iter().find(|(_, ip)| **ip == address.ip()).map(|(id, _)| id.clone())
        }
        _ => None,
    };
    let id = named.unwrap_or_else(|| target.endpoint.id());
    TargetRecord { id, port: Some(target.endpoint.port()), availability_zone: None }
}

fn health_of(settings: &TargetGroup, target: &TargetView, port: u16) -> TargetHealth {
    let check_port = match settings.health_check.port {
        HealthCheckPort::Traffic => port,
        HealthCheckPort::Port(port) => port,
    };
    let is_anomalous = target.watch.is_anomalous();
    TargetHealth {
        is_anomalous,
        is_mitigated: is_anomalous && settings.anomaly_mitigation,
        ..told(target.state, target.reason, check_port)
    }
}

fn told(state: TargetState, reason: Option<HealthReason>, check_port: u16) -> TargetHealth {
    TargetHealth {
        state: state.as_str(),
        reason: reason.map(HealthReason::code),
        description: reason.map(HealthReason::description),
        check_port,
        ..TargetHealth::default()
    }
}

/// A file of a bucket, wherever links in it lead.
fn read_file(path: &Path, buckets: Option<&Path>) -> Result<Vec<u8>, String> {
    let fault = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let real = std::fs::canonicalize(path).map_err(|error| fault(&error))?;
    let root = buckets.and_then(|buckets| std::fs::canonicalize(buckets).ok());
    if !root.is_some_and(|root| real.starts_with(root)) {
        return Err(fault(&"is in no bucket"));
    }
    regular_file::read(&real, MOST_BYTES).map(|(bytes, _)| bytes).map_err(|error| fault(&error))
}
