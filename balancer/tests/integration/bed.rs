//! One worker behind real sockets, without the control side.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use balancer::{
    counters::ListenerRuntime,
    kernel::{Kernel, KernelOptions},
    listener::{Worker, bind, spawn},
    logs::access_log::AccessLog,
    model::{
        Action, Algorithm, DesyncMode, Endpoint, HealthCheck, HealthCheckPort, KernelAssist, Listener,
        LoadBalancer, Matcher, ProbeProtocol, ResponseFields, StickinessSettings, TargetGroup, XffMode,
    },
    response::listener_fields::ListenerFields,
    rules::RuleTable,
    snapshot::{ListenerId, ListenerView, Snapshot, WorkerMessage},
    stickiness::{GroupStickiness, Keyring},
    target_group::{GroupRuntime, GroupView, TargetRuntime, TargetState, TargetView},
};

static INSTANCES: AtomicU32 = AtomicU32::new(0);

/// A worker that forwards to one group.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    pub(crate) worker: Worker,
    pub(crate) kernel: Kernel,
    pub(crate) figures: Arc<ListenerRuntime>,
    /// A second handle of what the worker listens on; does not wait.
    pub(crate) socket: TcpListener,
    _dir: tempfile::TempDir,
}

/// How it treats clients.
pub(crate) struct Conduct {
    /// At which age their connections end.
    pub(crate) client_keep_alive: Duration,
    pub(crate) stickiness: Option<StickinessSettings>,
    pub(crate) access_log: Option<Arc<AccessLog>>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self { client_keep_alive: Duration::from_secs(3600), stickiness: None, access_log: None }
    }
}

fn group() -> TargetGroup {
    TargetGroup {
        name: "app".into(),
        port: 80,
        protocol_version: balancer::model::ProtocolVersion::Http1,
        tls: None,
        algorithm: Algorithm::RoundRobin,
        forwards_resets: false,
        anomaly_mitigation: false,
        slow_start: None,
        minimum_healthy: Default::default(),
        deregistration_delay: Duration::from_secs(1),
        stickiness: None,
        health_check: HealthCheck {
            enabled: false,
            protocol: ProbeProtocol::Http,
            protocol_version: balancer::model::ProtocolVersion::Http1,
            port: HealthCheckPort::Traffic,
            path: "/".into(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![(200, 200)]),
        },
        targets: Vec::new(),
        source: None,
    }
}

impl Balancer {
    /// One for clients that are idle no longer than that; they may begin with HTTP/2.
    pub(crate) fn start(targets: &[SocketAddr], idle: Duration) -> Self {
        Self::made(targets, idle, Conduct::default())
    }

    pub(crate) fn made(targets: &[SocketAddr], idle: Duration, conduct: Conduct) -> Self {
        let Conduct { client_keep_alive, stickiness, access_log } = conduct;
        let dir = tempfile::tempdir().unwrap();
        let mut kernel = Kernel::open(&KernelOptions {
            // Names are the host's.
            instance: format!("proxy-{}-{}", std::process::id(), INSTANCES.fetch_add(1, Relaxed)),
            runtime_dir: dir.path().to_owned(),
            assist: KernelAssist::Off,
            session_table_size: 1024,
            shield: None,
        })
        .unwrap();
        let listener = Listener {
            name: "web".into(),
            address: ([127, 0, 0, 1], 0).into(),
            load_balancer: 0,
            http2_prior_knowledge: false,
            tls: None,
            tls_field_names: Default::default(),
            response_fields: ResponseFields::default(),
            rules: Vec::new(),
            default_action: Action::forward_to(0),
        };
        let socket = bind(&listener, 1).unwrap().pop().unwrap();
        let address = socket.local_addr().unwrap();
        let worker = spawn(
            0,
            kernel.tables(),
            kernel.event_sender(),
            Arc::default(),
            1024,
            tokio::sync::mpsc::unbounded_channel().0,
        )
        .unwrap();
        let ring = Arc::new(Keyring::from_bytes(&[1; 32]).unwrap());
        let views: Vec<TargetView> = targets
            .iter()
            .enumerate()
            .map(|(place, address)| {
                let endpoint = Endpoint::Tcp(*address);
                TargetView {
                    hold: balancer::target_group::Hold::default(),
                    slot: kernel.claim_slot(&endpoint).unwrap(),
                    id: ring.target_id("app", &endpoint),
                    runtime: Arc::new(TargetRuntime::new(&endpoint, 1)),
                    endpoint,
                    registration: place as u64,
                    state: TargetState::Healthy,
                    reason: None,
                    routable: true,
                    keeps_sessions: false,
                    slow_since: None,
                    watch: Default::default(),
                    share: Default::default(),
                }
            })
            .collect();
        let routable = (0..u32::try_from(views.len()).unwrap()).collect();
        let ids: Vec<_> = (0..).zip(&views).map(|(index, view)| (view.id, index)).collect();
        let sticky = stickiness
            .map(|settings| Arc::new(GroupStickiness::compile("app", &settings, Arc::clone(&ring))));
        let group = GroupView::new(
            Arc::new(group()),
            views,
            routable,
            false,
            ids,
            sticky,
            Arc::new(GroupRuntime::new(1)),
        );
        let load_balancer = LoadBalancer {
            name: "default".into(),
            internal: false,
            idle_timeout: idle,
            client_keep_alive,
            connect_timeout: Duration::from_secs(2),
            xff_mode: XffMode::Append,
            xff_client_port: false,
            enable_http2: true,
            tls_version_and_cipher_suite: false,
            tls_key_exchange: false,
            preserve_host_header: false,
            drop_invalid_header_fields: false,
            desync_mitigation_mode: DesyncMode::Defensive,
            upgrade_protocols: vec!["echo".to_owned()],
            access_logs: None,
            health_check_logs: None,
        };
        let keys = balancer::rules::GroupKeys { ring, names: vec!["app".into()], turn: 0 };
        let figures = Arc::new(ListenerRuntime::new(1));
        let view = ListenerView {
            id: ListenerId(0),
            name: "web".into(),
            port: address.port(),
            ip: address.ip(),
            load_balancer: Arc::new(load_balancer),
            http2_prior_knowledge: true,
            asked: None,
            tls_fields: Default::default(),
            trailers: Arc::default(),
            tls: None,
            response_fields: ListenerFields::default(),
            runtime: Arc::clone(&figures),
            access_log,
            rules: Arc::new(RuleTable::compile(&[], &Action::forward_to(0), &keys)),
        };
        let snapshot = Snapshot { listeners: vec![Arc::new(view)], groups: vec![Arc::new(group)] };
        worker.messages.send(WorkerMessage::Snapshot(Arc::new(snapshot))).unwrap();
        let held = socket.try_clone().unwrap();
        worker.messages.send(WorkerMessage::Listen(ListenerId(0), socket)).unwrap();
        Self { address, worker, kernel, figures, socket: held, _dir: dir }
    }
}
