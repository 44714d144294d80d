//! Reads every counter there is into one [`Status`]. Readable from any thread and off the request path:
//! what it reads are atomics, and the snapshot that the control side took up last.
//! Must not know: sockets, HTTP, how figures are written out.

mod session_count;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

pub use self::session_count::SessionCount;
use super::status::{
    AnomalyStatus, CertificateStatus, Connections, ErrorStatus, GroupStatus, ListenerStatus, LoadSkew,
    RuleStatus, SessionTable, Status, StickinessStatus, TargetStatus, Totals, Traffic, WeightStatus,
};
use crate::{
    balance::{PARITY, share_in_thousandths},
    clock::{self, UnixMicros},
    counters::{
        Cause, Causes, CertificateNote, ClientCertRefusal, ControlCounters, Counter, Histogram, LastError,
        ListenerRuntime, ListenerRuntimes, ListenerShard, Notes, OwnStatus, STICKINESS_OUTCOMES,
        WorkerCounters,
    },
    id::Slot,
    internal_errors,
    kernel::{Assist, Tables},
    logs::{quiet, sink::Written},
    model::{Action, Classification, StickinessKind, StickinessSettings},
    panics,
    snapshot::{ListenerView, Snapshot},
    stickiness::{Evicted, GroupOutcome, Occupancy, Outcome},
    target_group::{GroupView, TargetView},
};

/// Classes that fixed responses are counted by.
const FIXED_CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

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
            srtt_us: values.srtt_us,
            bytes_in: values.bytes_in,
            bytes_out: values.bytes_out,
        }
    }

    fn session_table(&self) -> Option<SessionTable> {
        let table = crate::stickiness::SessionTable::new(&self.sticky[..]);
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
    pub log_files: Arc<Written>,
    /// What is kept by slot.
    pub slots: Arc<dyn SlotFigures>,
    /// How full the table of application sessions was when somebody asked last.
    pub session_count: SessionCount,
    /// Names of the outcomes that stickiness decisions are counted by, in counting order.
    pub outcomes: [&'static str; STICKINESS_OUTCOMES],
}

impl Inspector {
    /// Everything as it is now. Counters are read one after the other, without stopping anyone.
    #[must_use]
    pub fn status(&self) -> Status {
        let snapshot = self.snapshot.get();
        let totals = totals(&self.workers, &self.listeners.all());
        Status {
            version: VERSION.to_owned(),
            instance: self.instance.clone(),
            kernel_assist: self.kernel.active,
            kernel_assist_detail: self.kernel.detail.clone(),
            workers: u64::try_from(self.workers.len()).unwrap_or(u64::MAX),
            uptime_seconds: clock::monotonic_now().saturating_duration_since(self.started).as_secs(),
            draining: self.control.draining(),
            reloads: self.control.reloads.get(),
            reload_failures: self.control.reload_failures.get(),
            worker_restarts: self.control.worker_restarts.get(),
            refused_reload: self.control.notes.refused_reload().as_ref().map(error_status),
            unresolved_names: unresolved_names(&self.control.notes),
            certificates: self.control.notes.certificates().into_iter().map(certificate_status).collect(),
            log_lines_left_out: quiet::Kind::ALL
                .into_iter()
                .map(|kind| (kind.as_str().to_owned(), kind.left_out()))
                .collect(),
            totals: Totals {
                log_lines_written: self.log_files.lines(),
                log_lines_lost: self.log_files.lost(),
                log_lines_dropped: totals.log_lines_dropped + self.control.log_lines_dropped.get(),
                ..totals
            },
            session_table: self.session_table(),
            listeners: snapshot
                .listeners
                .iter()
                .map(|listener| listener_status(listener, &snapshot))
                .collect(),
            target_groups: snapshot.groups.iter().map(|group| self.group_status(group)).collect(),
        }
    }

    fn session_table(&self) -> Option<SessionTable> {
        let begun = sum(self.workers.iter().map(|all| &all.sessions_begun));
        let count = || self.slots.session_table();
        let table = self.session_count.at(begun, clock::monotonic_now(), count)?;
        let evicted = Evicted::ALL.into_iter().map(|kind| {
            let counters = self.workers.iter().filter_map(|all| all.sessions_evicted.get(kind.index()));
            (kind.as_str().to_owned(), sum(counters))
        });
        Some(SessionTable { evicted: evicted.collect(), ..table })
    }

    fn group_status(&self, group: &GroupView) -> GroupStatus {
        let shards = group.runtime.shards();
        let targets: Vec<_> = group.targets.iter().map(|target| self.target_status(group, target)).collect();
        let stickiness = stickiness_status(
            group.settings.stickiness.as_ref(),
            self.outcomes
                .iter()
                .enumerate()
                .map(|(place, &name)| {
                    let counters = shards.iter().filter_map(|shard| shard.stickiness.get(place));
                    (name.to_owned(), sum(counters))
                })
                .collect(),
        );
        let spilled_requests = sum(shards.iter().map(|shard| &shard.stickiness_spilled));
        GroupStatus {
            name: group.settings.name.clone(),
            algorithm: group.settings.algorithm.as_str().to_owned(),
            anomaly_mitigation: group.settings.anomaly_mitigation,
            failing_open: group.failing_open,
            anomalous_hosts: count(group, |target| target.watch.is_anomalous()),
            mitigated_hosts: count(group, |target| target.watch.is_mitigated()),
            requests: sum(shards.iter().map(|shard| &shard.requests)),
            grpc_requests: sum(shards.iter().map(|shard| &shard.grpc_requests)),
            requests_with_target: sum(shards.iter().map(|shard| &shard.chosen)),
            responses: by_class(|class| sum(shards.iter().filter_map(|shard| shard.responses.get(class)))),
            connection_errors: sum(shards.iter().map(|shard| &shard.connection_errors)),
            failures: by_cause(&shards.iter().map(|shard| &shard.failures).collect::<Vec<_>>()),
            response_time: Histogram::sum(shards.iter().map(|shard| &shard.response_time)),
            unhealthy_routing_requests: sum(shards.iter().map(|shard| &shard.unhealthy_routing)),
            stickiness: StickinessStatus {
                pinned_share: pinned_share(&stickiness.decisions, spilled_requests),
                spilled_requests,
                refused_requests: sum(shards.iter().map(|shard| &shard.stickiness_refused)),
                ..stickiness
            },
            load_skew: load_skew(group, &targets),
            targets,
        }
    }

    fn target_status(&self, group: &GroupView, target: &TargetView) -> TargetStatus {
        let shards = target.runtime.shards();
        TargetStatus {
            id: target.endpoint.id(),
            port: target.endpoint.port(),
            slot: target.slot.0,
            state: target.state.as_str().to_owned(),
            reason: target.reason.map(|reason| reason.code().to_owned()),
            description: target.reason.map(|reason| reason.description()),
            weight: weight(group, target),
            anomaly: anomaly_status(target),
            outstanding_requests: self.slots.outstanding(target.slot),
            requests: sum(shards.iter().map(|shard| &shard.requests)),
            responses: by_class(|class| sum(shards.iter().filter_map(|shard| shard.responses.get(class)))),
            connection_errors: sum(shards.iter().map(|shard| &shard.connection_errors)),
            last_error: target.runtime.last_error.get().as_ref().map(error_status),
            check_error: target.runtime.check_error.get().as_ref().map(error_status),
            tls_negotiation_errors: sum(shards.iter().map(|shard| &shard.tls_errors)),
            sessions: group.stickiness.as_ref().map(|_| target.runtime.sessions.count(clock::unix_now())),
            connections: self.slots.connections(target.slot),
        }
    }
}

fn error_status(error: &LastError) -> ErrorStatus {
    ErrorStatus {
        cause: error.cause.to_owned(),
        error: error.text.as_ref().to_owned(),
        age_seconds: clock::monotonic_now().saturating_duration_since(error.at).as_secs(),
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

/// What there was of each cause.
fn by_cause(shards: &[&Causes]) -> BTreeMap<String, u64> {
    let each = |cause: &Cause| {
        let count = shards.iter().fold(0_u64, |total, shard| total.wrapping_add(shard.get(*cause)));
        (count > 0).then(|| (cause.as_str().to_owned(), count))
    };
    Cause::ALL.iter().filter_map(each).collect()
}

/// Requests that went to the target they were bound to, of all decisions.
fn pinned_share(decisions: &BTreeMap<String, u64>, spilled: u64) -> Option<f64> {
    let pinned = decisions.get(Outcome::Pinned.as_str()).copied().unwrap_or(0);
    ratio(pinned.saturating_sub(spilled), decisions.values().sum())
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
        outstanding_requests: skew(|target| target.outstanding_requests),
        requests: skew(|target| target.requests),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people, not for reckoning on")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn count(group: &GroupView, what: impl Fn(&TargetView) -> bool) -> u64 {
    group.targets.iter().map(|target| u64::from(what(target))).sum()
}

/// What the target gets beside the others of its group; the picks themselves go by the group's compiled state.
fn weight(group: &GroupView, target: &TargetView) -> f64 {
    let thousandths = match (&group.slow_start, group.settings.slow_start, target.slow_since) {
        (Some(_), Some(duration), Some(since)) => {
            share_in_thousandths(since, clock::monotonic_now(), duration)
        }
        _ if group.weights.is_some() => target.watch.weight(),
        _ => PARITY,
    };
    f64::from(thousandths) / f64::from(PARITY)
}

fn anomaly_status(target: &TargetView) -> AnomalyStatus {
    let result = if target.watch.is_anomalous() { "anomalous" } else { "normal" };
    AnomalyStatus { result: result.to_owned(), mitigation_in_effect: target.watch.is_mitigated() }
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter>) -> u64 {
    counters.fold(0, |total, counter| total.wrapping_add(counter.get()))
}

fn by_class(count: impl Fn(usize) -> u64) -> BTreeMap<String, u64> {
    (0..5).map(|class| (format!("{}xx", class + 1), count(class))).collect()
}

fn totals(workers: &[Arc<WorkerCounters>], listeners: &[Arc<ListenerRuntime>]) -> Totals {
    let all = |counter: fn(&WorkerCounters) -> &Counter| sum(workers.iter().map(|worker| counter(worker)));
    Totals {
        traffic: traffic(&listeners.iter().flat_map(|listener| listener.shards()).collect::<Vec<_>>()),
        accept_pauses: all(|worker| &worker.accept_pauses),
        panics: panics::count(),
        internal_errors: internal_errors::count(),
        retries: all(|worker| &worker.retries),
        target_connects: all(|worker| &worker.target_connects),
        target_reuses: all(|worker| &worker.target_reuses),
        target_tls_handshakes: all(|worker| &worker.target_tls_handshakes),
        target_tls_resumptions: all(|worker| &worker.target_tls_resumptions),
        log_lines_dropped: all(|worker| &worker.log_lines_dropped),
        log_lines_written: 0,
        log_lines_lost: 0,
    }
}

/// What was counted for clients in all of `shards`.
fn traffic(shards: &[&ListenerShard]) -> Traffic {
    let all = |counter: fn(&ListenerShard) -> &Counter| sum(shards.iter().map(|shard| counter(shard)));
    // One of several counters, under its name.
    let named = |name: &str, counter: &dyn Fn(&ListenerShard) -> Option<&Counter>| {
        (name.to_owned(), sum(shards.iter().filter_map(|shard| counter(shard))))
    };
    // What ended is read before what began, so that the difference is never below zero.
    let connections_closed = all(|shard| &shard.connections_closed);
    let tunnels_closed = all(|shard| &shard.tunnels_closed);
    let http2_streams_closed = all(|shard| &shard.http2_streams_closed);
    let http2_streams_opened = all(|shard| &shard.http2_streams_opened);
    let http2_connections_closed = all(|shard| &shard.http2_connections_closed);
    let http2_connections_opened = all(|shard| &shard.http2_connections_opened);
    let connections_accepted = all(|shard| &shard.connections_accepted);
    let tunnels_opened = all(|shard| &shard.tunnels_opened);
    Traffic {
        connections_accepted,
        connections_active: connections_accepted.saturating_sub(connections_closed),
        requests: all(|shard| &shard.requests),
        own_responses: OwnStatus::ALL
            .into_iter()
            .map(|status| named(&status.code().to_string(), &|shard| shard.own_responses.get(status.index())))
            .collect(),
        errors: by_cause(&shards.iter().map(|shard| &shard.failures).collect::<Vec<_>>()),
        non_compliant_requests: Classification::ALL
            .into_iter()
            .map(|class| named(class.name(), &|shard| shard.non_compliant.get(class.index())))
            .collect(),
        dropped_invalid_header_requests: all(|shard| &shard.invalid_headers_dropped),
        forwarded_invalid_header_requests: all(|shard| &shard.invalid_headers_forwarded),
        redirects: all(|shard| &shard.redirects),
        fixed_responses: FIXED_CLASSES
            .iter()
            .enumerate()
            .map(|(place, class)| named(class, &|shard| shard.fixed_responses.get(place)))
            .collect(),
        group_stickiness: GroupOutcome::ALL
            .into_iter()
            .map(|outcome| named(outcome.as_str(), &|shard| shard.group_stickiness.get(outcome.index())))
            .collect(),
        rule_evaluations: all(|shard| &shard.rule_evaluations),
        tunnels_opened,
        tunnels_active: tunnels_opened.saturating_sub(tunnels_closed),
        http2_connections_opened,
        http2_connections_active: http2_connections_opened.saturating_sub(http2_connections_closed),
        http2_floods: all(|shard| &shard.http2_floods),
        http2_streams_opened,
        http2_streams_active: http2_streams_opened.saturating_sub(http2_streams_closed),
        client_tls_handshakes: all(|shard| &shard.client_tls_handshakes),
        client_tls_resumptions: all(|shard| &shard.client_tls_resumptions),
        client_tls_negotiation_errors: all(|shard| &shard.client_tls_errors),
        client_certificate_refusals: ClientCertRefusal::ALL
            .into_iter()
            .map(|refusal| named(refusal.as_str(), &|shard| shard.client_cert_refusals.get(refusal.index())))
            .collect(),
        grpc_requests: all(|shard| &shard.grpc_requests),
        ipv6_requests: all(|shard| &shard.ipv6_requests),
        ipv6_bytes: all(|shard| &shard.ipv6_bytes),
        bytes_received: all(|shard| &shard.bytes_received),
        bytes_sent: all(|shard| &shard.bytes_sent),
    }
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
    let rules = listener.rules.rules().iter().map(|rule| RuleStatus {
        name: rule.name.clone(),
        priority: rule.priority,
        conditions: rule.conditions.clone(),
        target_group: only(&rule.action),
        action: rule.action.describe(name),
        target_groups: groups(&rule.action),
    });
    let shards = listener.runtime.shards();
    ListenerStatus {
        traffic: traffic(&shards.iter().collect::<Vec<_>>()),
        request_duration: Histogram::sum(shards.iter().map(|shard| &shard.request_duration)),
        name: listener.name.clone(),
        protocol: if listener.tls.is_some() { "HTTPS" } else { "HTTP" }.to_owned(),
        port: listener.port,
        load_balancer: listener.load_balancer.name.clone(),
        target_group: only(listener.rules.default_action()),
        action: listener.rules.default_action().describe(name),
        target_groups: groups(listener.rules.default_action()),
        rules: rules.collect(),
    }
}

fn stickiness_status(
    settings: Option<&StickinessSettings>,
    decisions: BTreeMap<String, u64>,
) -> StickinessStatus {
    let (kind, cookie_name) = match settings.map(|settings| (&settings.kind, &settings.attributes)) {
        None => (None, None),
        Some((StickinessKind::LoadBalancerCookie, attributes)) => {
            (Some("lb_cookie"), Some(attributes.prefix.clone()))
        }
        Some((StickinessKind::ApplicationCookie { cookie_name }, _)) => {
            (Some("app_cookie"), Some(cookie_name.clone()))
        }
    };
    StickinessStatus {
        enabled: settings.is_some(),
        kind: kind.map(str::to_owned),
        cookie_name,
        duration_seconds: settings.map(|settings| settings.duration_seconds),
        decisions,
        ..StickinessStatus::default()
    }
}

#[cfg(test)]
pub(super) mod tests;
