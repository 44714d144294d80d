//! Reads every counter there is into one [`Status`]. Readable from any thread and off the request path:
//! what it reads are atomics, and the snapshot that the control side took up last.
//! Must not know: sockets, HTTP, how figures are written out.

mod arrivals;
mod generations;
mod session_count;
mod session_store;
mod shield;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

pub use self::session_count::SessionCount;
use super::status::{
    AnomalyStatus, CertificateStatus, Connections, DeploymentStatus, ErrorStatus, GroupStatus,
    HistogramStatus, ListenerStatus, LoadSkew, Micros, Routing, RuleStatus, SessionTable, SourceStatus,
    Status, Stickiness, StickinessStatus, TargetFigures, TargetStatus, Totals, Traffic, WeightStatus, Work,
    WorkerFigures,
};
use crate::{
    balance::{PARITY, share_in_thousandths},
    clock::{self, UnixMicros},
    counters::{
        AnswersShard, CertificateNote, ControlCounters, Counter, Figure as _, LastError, ListenerRuntimes,
        ListenerShard, Notes, Outcome, RoutingShard, SessionTableShard, SessionsEverywhere, SourceNote,
        StickinessShard, TargetShard, WorkerCounters,
    },
    id::Slot,
    internal_errors,
    kernel::{Assist, Generations, ShieldView, Tables, WorkerLoads},
    logs::{quiet, sink::WrittenLines},
    model::{Action, StickinessKind, StickinessSettings},
    panics,
    session_store::StorePort,
    snapshot::{ListenerView, Snapshot},
    stickiness::Occupancy,
    target_group::{Deployment, GroupView, TargetView},
    wire::http2::BUDGET,
};

/// Version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The snapshot that the control side took up last, for readers off the request path. (Workers are sent
/// theirs and never look here.)
#[derive(Debug)]
pub struct CurrentSnapshot(Mutex<Arc<Snapshot>>);

impl CurrentSnapshot {
    /// Starts with `first`.
    #[must_use]
    pub fn new(first: Arc<Snapshot>) -> Self {
        Self(Mutex::new(first))
    }

    /// Replaces the snapshot.
    pub fn set(&self, snapshot: Arc<Snapshot>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// The snapshot.
    #[must_use]
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Figures that are kept by slot, over all workers and processes of the instance.
pub trait SlotFigures: Send + Sync {
    /// Requests in flight to the slot.
    fn outstanding(&self, slot: Slot) -> u64;
    /// Connections to the slot.
    fn connections(&self, slot: Slot) -> Connections;
    /// The table of application sessions, where there is one.
    fn session_table(&self) -> Option<SessionTable>;
}

/// Whether the kernel side is in use, and what it does or why it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelSide {
    /// In use.
    pub active: bool,
    /// For a person to read.
    pub detail: String,
}

impl KernelSide {
    /// It chooses workers for new connections, too.
    #[must_use]
    pub fn selecting_workers(mut self) -> Self {
        self.detail.push_str(" and gives new connections to the worker that has least to do");
        self
    }
}

impl From<&Assist> for KernelSide {
    fn from(assist: &Assist) -> Self {
        match assist {
            Assist::Active => {
                Self { active: true, detail: "the kernel counts connections to targets".to_owned() }
            }
            Assist::Off { reason } => Self { active: false, detail: reason.clone() },
        }
    }
}

impl SlotFigures for Tables {
    fn outstanding(&self, slot: Slot) -> u64 {
        self.outstanding.get(slot)
    }

    fn connections(&self, slot: Slot) -> Connections {
        let values = self.counters.read(slot);
        Connections {
            open: values.open,
            connecting: values.connecting,
            opened: values.opened,
            failed: values.failed,
            reset: values.resets,
            retransmits: values.retransmits,
            timeouts: values.timeouts,
            srtt_us: Micros(values.srtt_us),
            bytes_in: values.bytes_in,
            bytes_out: values.bytes_out,
        }
    }

    fn session_table(&self) -> Option<SessionTable> {
        let words = self.sticky.glance().ok()?;
        let table = crate::stickiness::SessionTable::new(words);
        let Occupancy { entries, error } = table.occupied();
        Some(SessionTable { capacity: table.capacity(), entries, entries_error: error, ..Default::default() })
    }
}

/// Where the figures of a process are.
pub struct Inspector {
    /// Name of the instance.
    pub instance: String,
    /// Whether the kernel side is in use.
    pub kernel: KernelSide,
    /// When the process started.
    pub started: Instant,
    /// One a worker.
    pub workers: Vec<Arc<WorkerCounters>>,
    /// Figures of all listeners that there have been.
    pub listeners: Arc<ListenerRuntimes>,
    /// The control thread's.
    pub control: Arc<ControlCounters>,
    /// What is served from.
    pub snapshot: Arc<CurrentSnapshot>,
    /// Lines that got as far as a log file.
    pub log_files: Arc<WrittenLines>,
    /// What each worker has to do.
    pub loads: WorkerLoads,
    /// What is kept by slot.
    pub slots: Arc<dyn SlotFigures>,
    /// How full the table of application sessions was when somebody asked last.
    pub session_count: SessionCount,
    /// The processes of the instance; none where there is but this one.
    pub generations: Option<Generations>,
    /// What is told of the shield.
    pub shield: ShieldView,
    /// Sessions that are shared with other balancers.
    pub session_store: Arc<StorePort>,
}

impl Inspector {
    /// Everything as it is now. Counters are read one after the other, without stopping anyone.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { session_table: self.session_table(false), ..self.without_session_table() }
    }

    /// The same for who looks on: how full the session table is may be half a minute old.
    #[must_use]
    pub fn glance(&self) -> Status {
        Status { session_table: self.session_table(true), ..self.without_session_table() }
    }

    fn without_session_table(&self) -> Status {
        let snapshot = self.snapshot.get();
        Status {
            version: VERSION.to_owned(),
            instance: self.instance.clone(),
            kernel_assist: self.kernel.active,
            kernel_assist_detail: self.kernel.detail.clone(),
            workers: u64::try_from(self.workers.len()).unwrap_or(u64::MAX),
            uptime_seconds: clock::monotonic_now().saturating_duration_since(self.started).as_secs(),
            draining: self.control.draining(),
            generations: self.generations(),
            upkeep: ControlCounters::sum(std::iter::once(&*self.control)),
            refused_reload: self.control.notes.refused_reload().as_ref().map(error_status),
            cluster: self.control.notes.cluster(),
            keys: self.control.notes.keys(),
            no_upgrades: self.control.notes.no_upgrades().as_ref().map(error_status),
            unresolved_names: unresolved_names(&self.control.notes),
            certificates: self.control.notes.certificates().into_iter().map(certificate_status).collect(),
            log_lines_left_out: quiet::LineKind::ALL
                .into_iter()
                .map(|kind| (kind.as_str().to_owned(), kind.left_out()))
                .collect(),
            shield: shield::status(&self.shield),
            session_store: self.session_store(),
            totals: self.totals(),
            session_table: None,
            worker_loads: (0..self.workers.len()).map(|worker| worker_load(&self.loads, worker)).collect(),
            listeners: snapshot
                .listeners
                .iter()
                .map(|listener| listener_status(listener, &snapshot))
                .collect(),
            target_groups: snapshot.groups.iter().map(|group| self.group_status(group)).collect(),
        }
    }

    fn totals(&self) -> Totals {
        let listeners = self.listeners.all();
        let dropped = self.workers.iter().map(|worker| &worker.log_lines_dropped);
        Totals {
            // How long requests took is told by listener.
            traffic: Traffic {
                request_duration: HistogramStatus::default(),
                ..ListenerShard::sum(listeners.iter().flat_map(|listener| listener.shards()))
            },
            work: Work {
                panics: panics::count(),
                internal_errors: internal_errors::count(),
                http2_buffer_bytes: BUDGET.held(),
                http2_buffer_limit_bytes: BUDGET.limit(),
                http2_connections_sent_away: BUDGET.sent_away(),
                http2_streams_refused: BUDGET.refused(),
                log_lines_written: self.log_files.lines(),
                ..WorkerCounters::sum(self.workers.iter().map(|worker| &**worker))
            },
            log_lines_dropped: Counter::sum(dropped.chain([&self.control.log_lines_dropped])),
            log_lines_lost: self.log_files.lost(),
        }
    }

    /// `glance`: it may be some time old.
    fn session_table(&self, glance: bool) -> Option<SessionTable> {
        let begun = Counter::sum(self.workers.iter().map(|worker| &worker.sessions_begun));
        let (now, count) = (clock::monotonic_now(), || self.slots.session_table());
        let table = if glance {
            self.session_count.lately(begun, now, count)?
        } else {
            self.session_count.at(begun, now, count)?
        };
        let counted = SessionTableShard::sum(self.workers.iter().map(|worker| &worker.session_table));
        Some(SessionTable { evicted: counted.evicted, ..table })
    }

    fn group_status(&self, group: &GroupView) -> GroupStatus {
        let shards = group.runtime.shards();
        let everywhere = self.sessions_everywhere(group);
        let targets: Vec<_> = group
            .targets
            .iter()
            .enumerate()
            .zip(everywhere)
            .map(|(target, everywhere)| self.target_status(group, target, everywhere))
            .collect();
        let stickiness = StickinessShard::sum(shards.iter().map(|shard| &shard.stickiness));
        GroupStatus {
            name: group.settings.name.clone(),
            algorithm: group.settings.algorithm.as_str().to_owned(),
            anomaly_mitigation: group.settings.anomaly_mitigation,
            health_checks: group.settings.health_check.enabled,
            checked_by: self.checked_by(group),
            deregistration_delay_seconds: group.settings.deregistration_delay.as_secs(),
            routing: Routing {
                failing_open: group.failing_open,
                anomalous_hosts: count(group, |target| target.watch.is_anomalous()),
                mitigated_hosts: count(group, |target| target.watch.is_mitigated()),
                load_skew: load_skew(group, &targets),
                ..RoutingShard::sum(shards.iter().map(|shard| &shard.routing))
            },
            last_deployment: group.runtime.deployment.last().map(|last| deployment_status(group, &last)),
            source: self.control.notes.source(&group.settings.name).map(source_status),
            answers: AnswersShard::sum(shards.iter().map(|shard| &shard.answers)),
            stickiness: StickinessStatus {
                figures: Stickiness { pinned_share: pinned_share(&stickiness), ..stickiness },
                ..stickiness_status(group.settings.stickiness.as_ref())
            },
            targets,
        }
    }

    fn target_status(
        &self,
        group: &GroupView,
        (index, target): (usize, &TargetView),
        everywhere: Option<SessionsEverywhere>,
    ) -> TargetStatus {
        TargetStatus {
            id: target.endpoint.id(),
            port: target.endpoint.port(),
            slot: target.slot.0,
            state: target.state.as_str().to_owned(),
            reason: target.reason.map(|reason| reason.code().to_owned()),
            description: target.reason.map(|reason| reason.description()),
            slow_start: group.slow_start.is_some() && target.slow_since.is_some(),
            figures: TargetFigures {
                weight: weight(group, index, target),
                drained: target.hold.drained,
                set_weight: target.hold.percent.map(|percent| f64::from(percent) / 100.0),
                anomaly: anomaly_status(target),
                sessions: group.stickiness.as_ref().map(|_| target.runtime.sessions.count(clock::unix_now())),
                sessions_everywhere: everywhere,
                outstanding_requests: self.slots.outstanding(target.slot),
                ..TargetShard::sum(target.runtime.shards().iter())
            },
            last_error: target.runtime.last_error.get().as_ref().map(error_status),
            check_error: target.runtime.check_error.get().as_ref().map(error_status),
            connections: self.slots.connections(target.slot),
        }
    }
}

fn worker_load(loads: &WorkerLoads, worker: usize) -> WorkerFigures {
    let told = loads.read(worker);
    WorkerFigures {
        connections: told.connections,
        connections_accepted: told.accepted,
        requests_in_flight: told.requests_in_flight,
        busy_ratio: told.busy_share,
        busy_seconds: told.busy.as_secs_f64(),
        passed_over: told.passed_over,
    }
}

fn error_status(error: &LastError) -> ErrorStatus {
    ErrorStatus {
        cause: error.cause.to_owned(),
        error: error.text.as_ref().to_owned(),
        age_seconds: clock::monotonic_now().saturating_duration_since(error.at).as_secs(),
    }
}

fn source_status(note: SourceNote) -> SourceStatus {
    SourceStatus {
        figures: note.figures(clock::monotonic_now()),
        error: note.error.as_ref().map(error_status),
        left_out: (!note.left_out.is_empty()).then_some(note.left_out),
        kind: note.kind.to_owned(),
        source: note.source,
    }
}

fn unresolved_names(notes: &Notes) -> BTreeMap<String, ErrorStatus> {
    notes.unresolved_names().into_iter().map(|(name, error)| (name, error_status(&error))).collect()
}

fn certificate_status(certificate: CertificateNote) -> CertificateStatus {
    let CertificateNote { name, listener, not_after } = certificate;
    let micros = u64::try_from(not_after).unwrap_or(0).saturating_mul(1_000_000);
    let expires_in_seconds = not_after.saturating_sub(i64::from(clock::unix_now().0));
    CertificateStatus {
        name,
        listener,
        not_after: UnixMicros(micros).to_string().replace(".000000", ""),
        not_after_seconds: not_after,
        expires_in_seconds,
    }
}

/// Requests that went to the target they were bound to, of all decisions.
fn pinned_share(told: &Stickiness) -> Option<f64> {
    let pinned = told.decisions.get(Outcome::Pinned.as_str()).copied().unwrap_or(0);
    ratio(pinned.saturating_sub(told.spilled_requests), told.decisions.values().sum())
}

/// Over the targets that may get requests, those that drain left out.
fn load_skew(group: &GroupView, targets: &[TargetStatus]) -> LoadSkew {
    let routable =
        || group.targets.iter().zip(targets).filter(|(view, _)| view.routable).map(|(_, told)| told);
    let skew = |figure: fn(&TargetStatus) -> u64| {
        let most = routable().map(figure).max()?;
        let count = u64::try_from(routable().count()).ok()?;
        ratio(most.saturating_mul(count), routable().map(figure).sum())
    };
    LoadSkew {
        outstanding_requests: skew(|target| target.figures.outstanding_requests),
        requests: skew(|target| target.figures.requests),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people, not for reckoning on")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn count(group: &GroupView, what: impl Fn(&TargetView) -> bool) -> u64 {
    group.targets.iter().map(|target| u64::from(what(target))).sum()
}

/// What the target gets beside the others of its group, of requests that are bound to none; the picks themselves go by the
/// group's compiled state.
fn weight(group: &GroupView, index: usize, target: &TargetView) -> f64 {
    if !target.routable {
        return 0.0;
    }
    let thousandths = match (&group.slow_start, group.settings.slow_start, target.slow_since) {
        (Some(_), Some(duration), Some(since)) => {
            share_in_thousandths(since, clock::monotonic_now(), duration)
        }
        _ if group.weights.is_some() => target.hold.of(target.watch.weight()),
        _ => PARITY,
    };
    let part = group.parts.as_ref().map_or(1.0, |parts| parts.of_the_most(index));
    part * f64::from(thousandths) / f64::from(PARITY)
}

fn deployment_status(group: &GroupView, last: &Deployment) -> DeploymentStatus {
    let (now, lost) = (clock::monotonic_now(), group.runtime.lost_sessions());
    DeploymentStatus {
        began_seconds_ago: now.saturating_duration_since(last.began).as_secs(),
        changed_seconds_ago: now.saturating_duration_since(last.changed).as_secs(),
        targets_came: last.came,
        targets_went: last.went,
        lost_unhealthy: lost.unhealthy.saturating_sub(last.before.unhealthy),
        lost_draining: lost.draining.saturating_sub(last.before.draining),
        lost_unknown_target: lost.unknown_target.saturating_sub(last.before.unknown_target),
    }
}

fn anomaly_status(target: &TargetView) -> AnomalyStatus {
    let result = if target.watch.is_anomalous() { "anomalous" } else { "normal" };
    AnomalyStatus { result: result.to_owned(), mitigation_in_effect: target.watch.is_mitigated() }
}

fn listener_status(listener: &ListenerView, snapshot: &Snapshot) -> ListenerStatus {
    let name = |group: usize| {
        snapshot.groups.get(group).map(|group| group.settings.name.clone()).unwrap_or_default()
    };
    let groups = |action: &Action| match action {
        Action::Forward(forward) => forward
            .groups
            .iter()
            .map(|group| WeightStatus { target_group: name(group.group), weight: group.weight })
            .collect(),
        Action::Redirect(_) | Action::FixedResponse(_) => Vec::new(),
    };
    let only = |action: &Action| match groups(action).as_slice() {
        [only] => only.target_group.clone(),
        _ => String::new(),
    };
    let rules = listener.rules.rules().iter().enumerate().map(|(index, rule)| RuleStatus {
        figures: listener.rules.figures(index),
        name: rule.name.clone(),
        priority: rule.priority,
        conditions: rule.conditions.clone(),
        target_group: only(&rule.action),
        action: rule.action.describe(name),
        target_groups: groups(&rule.action),
    });
    ListenerStatus {
        traffic: ListenerShard::sum(listener.runtime.shards().iter()),
        name: listener.name.clone(),
        protocol: if listener.tls.is_some() { "HTTPS" } else { "HTTP" }.to_owned(),
        port: listener.port,
        load_balancer: listener.load_balancer.name.clone(),
        target_group: only(listener.rules.default_action()),
        action: listener.rules.default_action().describe(name),
        default_action_requests: listener.rules.figures(listener.rules.rules().len()).requests,
        target_groups: groups(listener.rules.default_action()),
        rules: rules.collect(),
    }
}

fn stickiness_status(settings: Option<&StickinessSettings>) -> StickinessStatus {
    let (mut cookie_name, mut header_name) = (None, None);
    if let Some(settings) = settings {
        match &settings.kind {
            StickinessKind::LoadBalancerCookie => cookie_name = Some(settings.attributes.prefix.clone()),
            StickinessKind::ApplicationCookie { cookie_name: name } => cookie_name = Some(name.clone()),
            StickinessKind::ApplicationHeader { header_name: name } => header_name = Some(name.clone()),
        }
    }
    StickinessStatus {
        enabled: settings.is_some(),
        kind: settings.map(|settings| settings.kind.as_str().to_owned()),
        cookie_name,
        header_name,
        duration_seconds: settings.map(|settings| settings.duration_seconds),
        cookie_secure: settings.map(|settings| settings.attributes.secure),
        keeps_draining: settings.map(|settings| settings.extras.keeps_draining),
        ..StickinessStatus::default()
    }
}

#[cfg(test)]
pub(super) mod tests;
