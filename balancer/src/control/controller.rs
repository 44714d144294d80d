//! The control side's heart: keeps the book of targets, has them checked, reads the configuration again,
//! and publishes an immutable snapshot whenever something changed. One thread; a request never waits for it.
//! Must not know: how a request is decided, how figures are shown.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

mod acts;
mod addresses;
mod api;
mod api_change;
mod api_work;
mod changes;
mod checks;
mod closing;
mod council;
mod council_side;
mod endpoints;
mod events;
mod examiner;
mod loopback;
mod pending;
mod reload;
mod sharing;
mod shield;
mod succession;
mod succession_step;
mod upkeep;

pub use self::sharing::SharedTable;
use self::{
    api_work::ApiWork,
    closing::Closing,
    council_side::{CouncilSide, next_news},
    events::{next_call, next_event, next_sample},
    loopback::Loopback,
    pending::{Pending, ServerConfigs, TargetTlss, api_place, server_configs, target_tls},
    succession_step::Succession,
    upkeep::UpkeepPace,
};
use super::{
    admin::AdminRequest,
    cluster::{ConfigOrigin, Following, Proposal},
    control_api::{ApiBook, ApiSide},
    crew::Crew,
    discovery::Discovery,
    log_files::LogFiles,
    resolver::Resolver,
    upgrade::{Handover, Memory},
};
use crate::{
    clock::{monotonic_now, until},
    counters::{CertificateNote, ControlCounters, ListenerRuntimes},
    health::{HealthChecks, Prober},
    id::{Slot, TargetId},
    kernel::{Events, Kernel, KernelError, ShieldSamples},
    listener::{self, Relief},
    logs::{quiet, sink::Batches},
    model::{
        Action, BalancerSettings, Certificate, Configuration, Endpoint, Listener, LoadBalancer, TargetGroup,
        TlsFact, TlsFields,
    },
    response::listener_fields::ListenerFields,
    rules::{GroupKeys, RuleTable},
    session_store::{Sharing, StorePort},
    snapshot::{ListenerId, ListenerView, Snapshot, WorkerMessage},
    stickiness::{GroupStickiness, Keyring},
    target_group::{Registry, SlotAllocator, TargetNames, WantedGroup},
    telemetry::inspect::CurrentSnapshot,
    tls::{ServerError, Servers},
    wire::trailers::TrailerFilter,
};

/// How long changes are collected before workers hear of them, unless one is urgent.
const COALESCE: Duration = Duration::from_millis(20);

/// How long a start waits for the session store.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// Why the control side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS for health checks cannot be set up.
    #[error("cannot set up TLS for health checks: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS of listeners cannot be set up.
    #[error(transparent)]
    ListenerTls(#[from] ServerError),
    /// The shared tables have no room for the targets, or cannot be written.
    #[error(transparent)]
    Tables(#[from] KernelError),
}

/// Binds the sockets of a listener, one a worker.
pub type Bind = Box<dyn Fn(&Listener) -> io::Result<Vec<TcpListener>>>;

/// Binds so many more sockets at an address that others are bound to.
pub type BindMore = Box<dyn Fn(SocketAddr, usize) -> io::Result<Vec<TcpListener>>>;

/// What a controller is made of.
pub struct Parts {
    /// What the configuration is read from again.
    pub origin: ConfigOrigin,
    /// The configuration to start with.
    pub configuration: Configuration,
    /// Its listeners' sockets, in the same order.
    pub sockets: Vec<Vec<TcpListener>>,
    /// Binds the listeners of later configurations.
    pub bind: Bind,
    /// Binds so many more sockets where one is bound.
    pub bind_more: BindMore,
    /// The shared tables.
    pub kernel: Kernel,
    /// The stickiness secrets.
    pub keyring: Keyring,
    /// The workers.
    pub workers: Vec<UnboundedSender<WorkerMessage>>,
    /// Who sees to workers that stand still.
    pub relief: Option<Relief>,
    /// The log files of that configuration.
    pub logs: LogFiles,
    /// Counts reloads.
    pub counters: Arc<ControlCounters>,
    /// The figures of listeners.
    pub runtimes: Arc<ListenerRuntimes>,
    /// What status and metrics look at.
    pub current: Arc<CurrentSnapshot>,
    /// Sessions that are shared with other balancers.
    pub sharing: Sharing,
    /// What the process before knew.
    pub memory: Memory,
    /// The ELBv2 API, where it is served.
    pub api: Option<ApiSide>,
    /// What was made through it.
    pub book: Option<ApiBook>,
}

/// What the controller is asked to do.
#[derive(Debug)]
pub enum ControlCommand {
    /// Read the configuration again.
    Reload,
    /// See to documents that several nodes share.
    Follow(Following),
    /// The process ends: begin nothing new.
    Drain,
    /// The worker of this number has ended, and another one that hears there is in its place.
    Replace(usize, UnboundedSender<WorkerMessage>),
    /// Open log files anew.
    ReopenLogs,
    /// Do what an operator asks for over the admin endpoint.
    Act(AdminRequest),
    /// Another process is to take over, or has.
    Succession(Handover),
}

/// The keys, as the book of targets uses them.
struct TargetNaming(Arc<Keyring>, Arc<StorePort>);

impl TargetNames for TargetNaming {
    fn issued(&self, group: &str, endpoint: &Endpoint) -> TargetId {
        self.0.target_id(group, endpoint)
    }

    fn accepted(&self, group: &str, endpoint: &Endpoint) -> Vec<TargetId> {
        self.0.target_ids(group, endpoint).collect()
    }

    fn stickiness(&self, settings: &TargetGroup) -> Option<Arc<GroupStickiness>> {
        let sticky = settings.stickiness.as_ref()?;
        let compiled = GroupStickiness::compile(&settings.name, sticky, Arc::clone(&self.0));
        Some(Arc::new(compiled.shared_through(&self.1)))
    }
}

impl SlotAllocator for Kernel {
    type Error = KernelError;

    fn claim(&mut self, endpoint: &Endpoint) -> Result<Slot, KernelError> {
        self.claim_slot(endpoint)
    }

    fn release(&mut self, slot: Slot) {
        self.release_slot(slot);
    }
}

/// The controller.
pub struct Controller {
    origin: ConfigOrigin,
    /// Documents that are to take the place of those in force, until they are read.
    candidate: Option<Proposal>,
    configuration: Configuration,
    bind: Bind,
    bind_more: BindMore,
    /// Sockets that nobody accepts at yet.
    sockets: Vec<(SocketAddr, Vec<TcpListener>)>,
    succession: Succession,
    kernel: Kernel,
    names: TargetNaming,
    sharing: Option<Sharing>,
    council: CouncilSide,
    registry: Registry,
    discovery: Discovery,
    resolver: Resolver,
    loopback: Loopback,
    checks: HealthChecks,
    events: Option<Events>,
    samples: Option<ShieldSamples>,
    crew: Crew,
    logs: LogFiles,
    /// Lines on health checks on their way to files.
    check_lines: Batches,
    counters: Arc<ControlCounters>,
    current: Arc<CurrentSnapshot>,
    listeners: Vec<(SocketAddr, ListenerId)>,
    next_listener: u32,
    /// Listeners that were removed.
    closing: Vec<Closing>,
    /// When the configuration is read again.
    again_at: Option<Instant>,
    publish_at: Option<Instant>,
    published: Instant,
    /// Of the configuration that the process started with: another one takes effect at the next start.
    started_with: BalancerSettings,
    /// The same of the API.
    started_api: Option<(SocketAddr, PathBuf)>,
    pending: Option<Pending>,
    /// The figures of each listener.
    runtimes: Arc<ListenerRuntimes>,
    /// The rules of each listener, compiled.
    rules: HashMap<SocketAddr, Arc<RuleTable>>,
    servers: Servers,
    /// TLS of the listeners that have it.
    tls: ServerConfigs,
    /// The ELBv2 API, where it is served.
    api: Option<ApiSide>,
    book: Option<ApiBook>,
    api_work: ApiWork,
}

/// Which fields tell targets of the TLS of a listener's clients. A name that any listener of the load balancer uses no
/// client of the others may use: their targets may be the same.
fn tls_fields(configuration: &Configuration, listener: &Listener) -> TlsFields {
    let told = |of: &Listener| {
        let balancer = configuration.load_balancers.get(of.load_balancer);
        let version = balancer.is_some_and(|balancer| balancer.tls_version_and_cipher_suite);
        let key_exchange = balancer.is_some_and(|balancer| balancer.tls_key_exchange);
        let auth = of.tls.as_ref().and_then(|tls| tls.mutual_authentication.as_ref());
        let facts = TlsFact::ALL.into_iter().zip(of.tls_field_names.clone());
        facts
            .filter(move |(fact, _)| match fact {
                TlsFact::Version | TlsFact::CipherSuite => version,
                TlsFact::KeyExchange => key_exchange,
                fact => auth.is_some_and(|auth| auth.tells(*fact)),
            })
            .collect::<Vec<_>>()
    };
    let siblings =
        configuration.listeners.iter().filter(|other| other.load_balancer == listener.load_balancer);
    let mut owned: Vec<String> = siblings.flat_map(told).map(|(_, name)| name).collect();
    owned.sort_unstable();
    owned.dedup();
    TlsFields { told: told(listener), owned }
}

impl Controller {
    /// Takes the configuration into use: resolves host names, claims slots and publishes the first snapshot. Nobody
    /// listens before [`Self::begin`]. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// TLS could not be set up, or the tables have no room for the targets.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let marker = parts.kernel.probe_marker();
        let exempt = Box::new(move |socket: std::os::fd::BorrowedFd<'_>| {
            if let Err(error) = marker.exempt(socket) {
                tracing::debug!(%error, "a health check is counted as a connection");
            }
        });
        let seed = u64::from(std::process::id());
        let mut kernel = parts.kernel;
        let events = kernel.take_events();
        let samples = kernel.shield().take_samples();
        let servers = Servers::new(parts.memory.tickets)?;
        let tls = server_configs(&servers, &parts.configuration)?;
        let check_lines = Batches::new(parts.workers.len());
        let addresses = parts.configuration.listeners.iter().map(|listener| listener.address);
        let sockets = addresses.zip(parts.sockets).collect();
        let mut controller = Self {
            servers,
            tls,
            origin: parts.origin,
            candidate: None,
            started_with: parts.configuration.balancer.clone(),
            started_api: api_place(&parts.configuration),
            registry: Registry::new(parts.workers.len()),
            configuration: parts.configuration,
            bind: parts.bind,
            bind_more: parts.bind_more,
            sockets,
            succession: Succession::default(),
            kernel,
            names: TargetNaming(Arc::new(parts.keyring), Arc::clone(parts.sharing.port())),
            discovery: Discovery::new(Arc::clone(&parts.counters)),
            council: CouncilSide::of(parts.sharing.port().council()),
            sharing: Some(parts.sharing),
            resolver: Resolver::new(),
            loopback: Loopback::default(),
            checks: HealthChecks::new(Prober::new(exempt)?, seed),
            events,
            samples,
            crew: Crew::new(parts.workers, parts.relief),
            check_lines,
            logs: parts.logs,
            counters: parts.counters,
            current: parts.current,
            listeners: Vec::new(),
            next_listener: 0,
            closing: Vec::new(),
            again_at: None,
            publish_at: None,
            published: monotonic_now(),
            pending: None,
            api: parts.api,
            book: parts.book,
            api_work: ApiWork::default(),
            runtimes: parts.runtimes,
            rules: HashMap::new(),
        };
        controller.counters.notes.set_keys(controller.names.0.marks());
        controller.find_targets(&parts.memory.targets).await;
        controller.compile_rules();
        let wanted = controller.wanted(&controller.configuration, &target_tls(&controller.configuration)?);
        controller.recall(parts.memory.targets, &wanted);
        controller.registry.apply(wanted, &controller.names, &mut controller.kernel, monotonic_now())?;
        let addresses: Vec<_> = controller.sockets.iter().map(|(address, _)| *address).collect();
        addresses.into_iter().for_each(|address| controller.number(address));
        // Where nothing listens, targets are shown all the same.
        controller.publish();
        controller.sync_checks();
        controller.note_certificates();
        controller.configure_shield();
        controller.share_sessions();
        if let Some(sharing) = &controller.sharing {
            // Clients of other balancers may come at once.
            sharing.tried(FIRST_LOOK).await;
        }
        Ok(controller)
    }

    /// Runs until the sender of `commands` is gone.
    pub async fn run(&mut self, commands: &mut UnboundedReceiver<ControlCommand>) {
        let mut upkeep = UpkeepPace::new();
        loop {
            let (publish_at, again_at, begin_at) = (self.publish_at, self.again_at, self.api_work.due());
            let expiry = self.registry.next_expiry();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(ControlCommand::Reload) => self.reload(),
                    Some(ControlCommand::Follow(what)) => self.follow(what),
                    Some(ControlCommand::ReopenLogs) => self.logs.reopen(),
                    Some(ControlCommand::Act(request)) => self.act(request),
                    Some(ControlCommand::Drain) => self.drain(),
                    Some(ControlCommand::Succession(step)) => self.succeed(step),
                    Some(ControlCommand::Replace(index, messages)) => {
                        self.crew.replace(index, messages, &self.current.get());
                    }
                    None => return,
                },
                Some(call) = next_call(&mut self.api) => self.answer_call(call),
                progress = self.api_work.progress() => self.go_on_with_changes(progress),
                () = until(begin_at) => self.begin_changes(),
                Some(event) = next_event(&mut self.events) => self.suspect(event),
                sample = next_sample(&mut self.samples) => self.tell_of_packet(sample),
                finished = self.checks.next() => self.take_check(&finished),
                Some(news) = next_news(&mut self.council) => self.hear_council(news),
                host = self.resolver.next(), if !self.succession.is_frozen() => self.readdress(&host),
                group = self.discovery.next(), if !self.succession.is_frozen() => self.rediscover(&group),
                () = until(publish_at) => self.publish(),
                () = until(again_at) => self.reload_again(),
                () = until(expiry), if !self.succession.holds_slots() => self.expire(),
                assess = upkeep.due() => {
                    self.hand_over_check_lines();
                    self.end_checks();
                    self.keep_book();
                    if !self.succession.holds_slots() {
                        self.kernel.reap();
                    }
                    self.counters.notes.set_unresolved(self.resolver.failing());
                    quiet::tell_what_was_left_out();
                    if !self.succession.is_frozen() {
                        self.resolver.look_for_changes(monotonic_now());
                    }
                    if assess {
                        self.assess();
                    }
                }
            }
            self.go_on_with_reload();
        }
    }

    /// Waits for a moment until log lines that workers handed over are written.
    pub fn flush_logs(&mut self) {
        self.hand_over_check_lines();
        self.logs.flush();
    }

    fn hand_over_check_lines(&mut self) {
        self.counters.log_lines_dropped.add(self.check_lines.flush());
    }

    /// Looks for targets that fail more than their peers and has them get less, where that is wanted.
    fn assess(&mut self) {
        let counters = self.kernel.tables().counters;
        let (changed, told) = self.registry.assess(|slot| {
            let seen = counters.read(slot);
            seen.resets.wrapping_add(seen.retransmits)
        });
        for (registration, anomalous) in told {
            if let Some((group, endpoint)) = self.registry.describe(registration) {
                let result = if anomalous { "anomalous" } else { "normal" };
                tracing::info!(group, target = %endpoint, result, "anomaly detection");
            }
        }
        if changed {
            self.publish_soon();
        }
    }

    fn expire(&mut self) {
        for registration in self.registry.expire(&mut self.kernel, monotonic_now()) {
            self.tell(|| WorkerMessage::Cut(registration));
        }
        self.publish();
    }

    /// Compiles the rules of the configuration in force: once, however often snapshots are made of it.
    fn compile_rules(&mut self) {
        let groups = self.configuration.target_groups.iter();
        let keys = GroupKeys {
            ring: Arc::clone(&self.names.0),
            names: groups.map(|group| group.name.clone()).collect(),
            turn: random_turn(),
        };
        let listeners = self.configuration.listeners.iter();
        self.rules = listeners
            .map(|listener| {
                let table = RuleTable::compile(&listener.rules, &listener.default_action, &keys);
                let workers = self.crew.len();
                let table = table.counting(&self.runtimes.of(&listener.name, workers).rules, workers);
                (listener.address, Arc::new(table))
            })
            .collect();
    }

    fn publish_soon(&mut self) {
        self.publish_at.get_or_insert_with(|| monotonic_now() + COALESCE);
    }

    /// At once, unless workers have just been told: when many targets fall ill together, one snapshot serves all.
    fn publish_now(&mut self) {
        let earliest = self.published + COALESCE;
        if monotonic_now() >= earliest {
            self.publish();
        } else {
            self.publish_at = Some(self.publish_at.map_or(earliest, |at| at.min(earliest)));
        }
    }

    fn publish(&mut self) {
        self.publish_at = None;
        self.published = monotonic_now();
        let balancers: Vec<Arc<LoadBalancer>> =
            self.configuration.load_balancers.iter().cloned().map(Arc::new).collect();
        let view = |listener: &Listener| {
            let id = self.listeners.iter().find(|(address, _)| *address == listener.address)?.1;
            let balancer = balancers.get(listener.load_balancer)?;
            let tls_fields = tls_fields(&self.configuration, listener);
            let trailers = TrailerFilter {
                tls_fields: tls_fields.clone(),
                plain_names: balancer.drop_invalid_header_fields,
            };
            Some(Arc::new(ListenerView {
                id,
                name: listener.name.clone(),
                port: listener.address.port(),
                ip: listener.address.ip(),
                tls: self.tls.get(&listener.address).cloned(),
                runtime: self.runtimes.of(&listener.name, self.crew.len()),
                access_log: self.logs.access(&balancer.name),
                load_balancer: Arc::clone(balancer),
                asked: listener.tls.as_ref().and_then(|tls| tls.mutual_authentication.clone()),
                tls_fields,
                trailers: Arc::new(trailers),
                http2_prior_knowledge: listener.http2_prior_knowledge,
                response_fields: ListenerFields::new(&listener.response_fields),
                rules: Arc::clone(self.rules.get(&listener.address)?),
            }))
        };
        let listeners = self.configuration.listeners.iter().filter_map(view).collect();
        let snapshot = Arc::new(Snapshot { listeners, groups: self.registry.views() });
        let mut sticky = snapshot.groups.iter().filter_map(|group| group.stickiness.as_ref());
        if sticky.any(|sticky| sticky.table_remembers_for().is_some()) {
            // Before a request has to wait for it.
            self.kernel.tables().sticky.prepare();
        }
        self.current.set(Arc::clone(&snapshot));
        self.tell(|| WorkerMessage::Snapshot(Arc::clone(&snapshot)));
    }

    /// Keeps the certificates of all listeners where the status shows them.
    fn note_certificates(&self) {
        let each = |listener: &Listener| {
            let tls = listener.tls.iter();
            let all = tls.flat_map(|tls| std::iter::once(&tls.default_certificate).chain(&tls.certificates));
            let mut seen = HashSet::new();
            // The default one may stand among the others, too.
            let all = all.filter(|certificate| seen.insert(certificate.name.as_str()));
            let note = |certificate: &Arc<Certificate>| CertificateNote {
                name: certificate.name.clone(),
                listener: listener.name.clone(),
                not_after: certificate.facts.not_after,
            };
            all.map(note).collect::<Vec<_>>()
        };
        let certificates = self.configuration.listeners.iter().flat_map(each).collect();
        self.counters.notes.set_certificates(certificates);
    }

    fn tell(&self, message: impl Fn() -> WorkerMessage) {
        self.crew.tell(message);
    }

    fn drain(&mut self) {
        self.crew.end();
        self.names.1.council().retire();
        // One that waits for names gives its sockets back.
        if let Some(pending) = self.pending.take() {
            if let Some(change) = pending.change {
                return self.end_change(change);
            }
            tracing::warn!("the configuration that was to be taken up is dropped: the process is ending");
        }
    }

    fn number(&mut self, address: SocketAddr) {
        self.listeners.push((address, ListenerId(self.next_listener)));
        self.next_listener += 1;
    }

    /// Lets clients connect to the sockets that listeners of other addresses stood in the way of.
    fn open(address: SocketAddr, sockets: &mut Vec<TcpListener>) {
        sockets.retain(|socket| {
            let opened = listener::open(socket);
            if let Err(error) = &opened {
                tracing::error!(%address, %error, "a socket cannot be listened on");
            }
            opened.is_ok()
        });
    }

    fn listen(&mut self, address: SocketAddr, sockets: Vec<TcpListener>) {
        if let Some((_, id)) = self.listeners.iter().find(|(known, _)| *known == address) {
            self.kernel.steer(&sockets, self.crew.len());
            self.crew.listen(*id, sockets);
        }
    }

    fn wanted(&self, configuration: &Configuration, tls: &TargetTlss) -> Vec<WantedGroup> {
        let used: HashSet<usize> =
            configuration.listeners.iter().flat_map(Listener::actions).flat_map(Action::groups).collect();
        let groups = configuration.target_groups.iter().enumerate();
        groups
            .map(|(index, group)| WantedGroup {
                settings: Arc::new(group.clone()),
                in_use: used.contains(&index),
                tls: tls.get(&group.name).cloned(),
                targets: self.endpoints(group),
            })
            .collect()
    }
}

fn random_turn() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness draws begin with the first group.
    crate::random::fill(&mut bytes).map_or(0, |()| u32::from_ne_bytes(bytes))
}
