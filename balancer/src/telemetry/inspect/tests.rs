use std::time::Duration;

use super::*;
use crate::{
    counters::{Cause, OpenNow, Openable},
    id::TargetId,
    kernel::{InterfaceReport, ShieldReport, ShieldView},
    model::{
        Algorithm, Condition, CookieAttributes, CookieRenewal, DesyncMode, Endpoint, HealthCheck,
        HealthCheckPort, ListenerRule, LoadBalancer, Matcher, ProbeProtocol, TargetGroup, TextPattern,
        XffMode,
    },
    response::listener_fields::ListenerFields,
    rules::RuleTable,
    snapshot::ListenerId,
    target_group::{GroupRuntime, HealthReason, TargetRuntime, TargetState},
};

const WEB: &str = "web";

struct Slots;

impl SlotFigures for Slots {
    fn outstanding(&self, slot: Slot) -> u64 {
        u64::from(slot.0) + 100
    }
    fn connections(&self, slot: Slot) -> Connections {
        Connections { open: u64::from(slot.0) + 200, ..Connections::default() }
    }
    fn session_table(&self) -> Option<SessionTable> {
        Some(SessionTable { capacity: 64, entries: 3, ..SessionTable::default() })
    }
}

fn group(stickiness: Option<StickinessKind>) -> TargetGroup {
    TargetGroup {
        name: "app".into(),
        port: 80,
        protocol_version: crate::model::ProtocolVersion::Http1,
        tls: None,
        algorithm: Algorithm::LeastOutstandingRequests,
        forwards_resets: false,
        anomaly_mitigation: false,
        slow_start: None,
        minimum_healthy: Default::default(),
        deregistration_delay: Duration::from_secs(300),
        stickiness: stickiness.map(|kind| StickinessSettings {
            kind,
            duration_seconds: 60,
            attributes: CookieAttributes { prefix: "LB".into(), ..CookieAttributes::default() },
            renewal: CookieRenewal::Always,
            pick: Default::default(),
            extras: Default::default(),
        }),
        health_check: HealthCheck {
            enabled: true,
            protocol: ProbeProtocol::Http,
            protocol_version: crate::model::ProtocolVersion::Http1,
            port: HealthCheckPort::Traffic,
            path: "/".into(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![(200, 200)]),
        },
        targets: Vec::new(),
        source: None,
    }
}

pub(in crate::telemetry) fn inspector() -> Inspector {
    let listeners = Arc::new(ListenerRuntimes::default());
    let load_balancer = Arc::new(LoadBalancer {
        name: "default".into(),
        internal: false,
        idle_timeout: Duration::from_secs(60),
        client_keep_alive: Duration::from_secs(3600),
        connect_timeout: Duration::from_secs(10),
        xff_mode: XffMode::Append,
        xff_client_port: false,
        enable_http2: true,
        tls_version_and_cipher_suite: false,
        tls_key_exchange: false,
        preserve_host_header: false,
        drop_invalid_header_fields: false,
        desync_mitigation_mode: DesyncMode::Defensive,
        upgrade_protocols: Vec::new(),
        access_logs: None,
        health_check_logs: None,
    });
    let endpoint = Endpoint::Tcp("[::1]:9001".parse().unwrap());
    let target = TargetView {
        hold: crate::target_group::Hold::default(),
        endpoint: endpoint.clone(),
        slot: Slot(4),
        id: TargetId(1),
        registration: 1,
        share: Default::default(),
        state: TargetState::Unhealthy,
        reason: Some(HealthReason::ResponseCodeMismatch(503)),
        routable: true,
        keeps_sessions: false,
        slow_since: None,
        watch: Default::default(),
        runtime: Arc::new(TargetRuntime::new(&endpoint, 2)),
    };
    let ring = crate::stickiness::Keyring::from_bytes(&[1; 32]).unwrap();
    let keys = crate::rules::GroupKeys { ring: Arc::new(ring), names: vec!["app".into()], turn: 0 };
    let rule = ListenerRule {
        name: "api".into(),
        priority: 7,
        conditions: vec![Condition::PathPattern(vec![TextPattern::Wildcard("/api/*".into())])],
        action: Action::forward_to(0),
        transforms: Default::default(),
    };
    let snapshot = Snapshot {
        listeners: vec![Arc::new(ListenerView {
            id: ListenerId(0),
            name: WEB.into(),
            port: 8080,
            ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
            load_balancer,
            http2_prior_knowledge: false,
            tls: None,
            asked: None,
            tls_fields: Default::default(),
            trailers: Arc::default(),
            response_fields: ListenerFields::default(),
            runtime: listeners.of(WEB, 2),
            access_log: None,
            rules: Arc::new(
                RuleTable::compile(&[rule], &Action::forward_to(0), &keys)
                    .counting(&listeners.of(WEB, 2).rules, 2),
            ),
        })],
        groups: vec![Arc::new(GroupView::new(
            Arc::new(group(Some(StickinessKind::ApplicationCookie { cookie_name: "SESSION".into() }))),
            vec![target],
            vec![0],
            true,
            [(TargetId(1), 0)],
            None,
            Arc::new(GroupRuntime::new(2)),
        ))],
    };
    Inspector {
        instance: "default".into(),
        kernel: KernelSide { active: false, detail: "not root".into() },
        started: clock::monotonic_now(),
        log_files: Arc::default(),
        workers: vec![Arc::default(), Arc::default()],
        listeners,
        control: Arc::default(),
        snapshot: Arc::new(CurrentSnapshot::new(Arc::new(snapshot))),
        slots: Arc::new(Slots),
        loads: WorkerLoads::in_memory().unwrap(),
        session_count: SessionCount::default(),
        generations: None,
        session_store: StorePort::on_for_tests().0,
        shield: ShieldView::of(ShieldReport {
            off: None,
            dry_run: true,
            deny: 71,
            allow: 72,
            denied_at_run_time: 73,
            interfaces: vec![
                InterfaceReport { name: "eth0".into(), mode: Some("native"), detail: String::new() },
                InterfaceReport {
                    name: "eth1".into(),
                    mode: None,
                    detail: "there is no such interface".into(),
                },
            ],
        }),
    }
}

#[test]
fn shards_of_all_workers_are_added_up() {
    let inspector = inspector();
    inspector.workers[0].retries.add(1);
    inspector.workers[1].retries.add(1);
    let web = inspector.listeners.of(WEB, 2);
    web.shard(0).requests.add(3);
    web.shard(1).requests.add(4);
    let mut open = [0, 0, 0, 1, 1].map(|worker| Some(OpenNow::begin(&web, worker, Openable::Connection)));
    (open[0], open[4]) = (None, None);

    web.shard(1).own(Cause::TargetConnectionRefused);
    // A listener that is gone.
    inspector.listeners.of("gone", 2).shard(0).requests.add(10);
    inspector.control.reloads.inc();
    inspector.control.begin_draining();
    let snapshot = inspector.snapshot.get();
    let group = &snapshot.groups[0];
    group.runtime.shard(0).unwrap().stickiness.decisions[8].add(1);
    group.runtime.shard(1).unwrap().stickiness.decisions[8].add(6);
    group.runtime.shard(1).unwrap().routing.unhealthy_routing_requests.add(9);
    group.targets[0].runtime.shard(0).unwrap().responses[4].add(2);
    group.targets[0].runtime.shard(1).unwrap().responses[4].add(2);
    group.targets[0].runtime.shard(1).unwrap().requests.add(11);

    let status = inspector.status();
    assert_eq!((status.totals.traffic.requests, status.totals.work.retries), (17, 2));
    let [web] = &status.listeners[..] else { panic!("{:?}", status.listeners) };
    assert_eq!(
        (web.traffic.requests, web.traffic.connections_accepted, web.traffic.connections_active),
        (7, 5, 3)
    );
    for traffic in [&web.traffic, &status.totals.traffic] {
        assert_eq!((traffic.own_responses["502"], traffic.own_responses["504"]), (1, 0));
    }
    assert_eq!((status.workers, status.upkeep.reloads, status.draining), (2, 1, true));
    let table = status.session_table.unwrap();
    assert_eq!((table.capacity, table.entries), (64, 3));
    assert_eq!(table.evicted, ["expired", "new", "returned"].map(|kind| (kind.to_owned(), 0)).into());
    assert_eq!((status.kernel_assist, status.kernel_assist_detail.as_str()), (false, "not root"));
    let group = &status.target_groups[0];
    assert_eq!(
        (group.stickiness.figures.decisions["preflight"], group.stickiness.figures.decisions["pinned"]),
        (7, 0)
    );
    assert_eq!((group.routing.unhealthy_routing_requests, group.routing.failing_open), (9, true));
    let target = &group.targets[0];
    assert_eq!(
        (target.figures.requests, target.figures.responses["5xx"], target.figures.responses["1xx"]),
        (11, 4, 0)
    );
    assert_eq!((target.figures.outstanding_requests, target.connections.open, target.slot), (104, 204, 4));
}

#[test]
fn settings_and_states_are_told_in_the_words_of_the_configuration() {
    let status = inspector().status();
    let listener = &status.listeners[0];
    assert_eq!((listener.name.as_str(), listener.port, listener.target_group.as_str()), ("web", 8080, "app"));
    let group = &status.target_groups[0];
    assert_eq!(group.algorithm, "least_outstanding_requests");
    assert_eq!(group.stickiness.kind.as_deref(), Some("app_cookie"));
    assert_eq!(group.stickiness.cookie_name.as_deref(), Some("SESSION"));
    assert_eq!(group.stickiness.duration_seconds, Some(60));
    let target = &group.targets[0];
    assert_eq!((target.id.as_str(), target.port, target.state.as_str()), ("::1", 9001, "unhealthy"));
    assert_eq!(target.reason.as_deref(), Some("Target.ResponseCodeMismatch"));
    assert_eq!(target.description.as_deref(), Some("Health checks failed with these codes: [503]"));
}

#[test]
fn the_kinds_of_stickiness_are_told_apart() {
    let of = |kind| stickiness_status(group(kind).stickiness.as_ref());
    let lb = of(Some(StickinessKind::LoadBalancerCookie));
    assert_eq!(
        (lb.enabled, lb.kind.as_deref(), lb.cookie_name.as_deref()),
        (true, Some("lb_cookie"), Some("LB"))
    );
    assert_eq!(of(None), StickinessStatus::default());
}

#[test]
fn a_new_snapshot_is_seen() {
    let inspector = inspector();
    inspector.snapshot.set(Arc::new(Snapshot { listeners: Vec::new(), groups: Vec::new() }));
    assert!(inspector.status().target_groups.is_empty());
}

#[test]
fn the_shared_tables_are_read_by_slot() {
    let tables = Tables::in_memory(1024).unwrap();
    let _in_flight = tables.outstanding.begin(Slot(3));
    let _open = tables.counters.attempt(Slot(3)).opened();
    let _attempt = tables.counters.attempt(Slot(3));
    assert_eq!((tables.outstanding(Slot(3)), tables.outstanding(Slot(4))), (1, 0));
    let expected = Connections { open: 1, connecting: 1, opened: 1, ..Connections::default() };
    assert_eq!(tables.connections(Slot(3)), expected);
    assert_eq!(tables.connections(Slot(4)), Connections::default());
}

#[test]
fn the_kernel_side_says_why_it_is_off() {
    let off = KernelSide::from(&Assist::Off { reason: "not allowed".into() });
    assert_eq!((off.active, off.detail.as_str()), (false, "not allowed"));
    assert!(KernelSide::from(&Assist::Active).active);
}
