//! The only place where rooms are wired together. A request's life in one breath: a worker's `listener`
//! accepts, `http` reads the head and has `rules` name the group, the group's `stickiness` names the target or
//! `balance` picks one, `upstream` connects, `http` moves both bodies, `response` composes what goes back.
//! The control side (configuration, health, kernel events, admin) stands beside it and publishes snapshots.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use tokio::{
    runtime::Runtime,
    sync::{
        Notify,
        mpsc::{Sender, unbounded_channel},
        oneshot, watch,
    },
    time::{Duration, sleep, timeout},
};

mod predecessor;
mod workers;

use self::{
    predecessor::{Claims, LEFT_BEHIND, claim, kernel_options, sockets},
    workers::Workers,
};
use crate::{
    clock::monotonic_now,
    config,
    control::{
        admin::{Admin, AdminToken},
        cluster::{ConfigOrigin, ConfigSource, First, Follower, first},
        control_api::{self, ApiBook, ApiCall, ApiSide, ControlApi},
        controller::{ControlCommand, Controller, Parts, SharedTable},
        descriptors, key_file,
        log_files::{LogFiles, Outputs},
        notify,
        privileges::Account,
        signals::{EarlySignals, Signal, Signals, reopen_logs_of},
        system_calls,
        upgrade::{
            Door, Handover, HandoverFacts, Inheritance, Invocation, Label, StartAgain, Starter, Upgrades,
        },
    },
    counters::{ControlCounters, ListenerRuntimes},
    kernel::{Assist, InstanceFolder, Kernel, give_back},
    listener::{self, Relief, Worker},
    logs,
    model::Configuration,
    panics,
    safe_file::Owner,
    session_store::Sharing,
    snapshot::{Snapshot, WorkerMessage},
    telemetry::inspect::{CurrentSnapshot, Inspector, KernelSide, SessionCount, VERSION},
    wire::http2,
};

/// How often a process that another has taken the place of tells what it has still.
const NOTE: Duration = Duration::from_secs(1);

/// How long the last words may take to whoever asked for an upgrade.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs a balancer with the configuration from `source`, in this thread, until a signal ends it. `upgradable`: whether the program,
/// started anew with the same arguments, does the same.
///
/// # Errors
/// [`config::ConfigErrors`] when the configuration is wrong; anything else that keeps it from starting, named
/// in one line. Nothing runs half-started.
pub fn run(source: &ConfigSource, upgradable: bool) -> anyhow::Result<()> {
    // Without a thread of its own: those that are made have the rights that are left by then.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control thread's runtime")?;
    let signals = {
        let _inside = runtime.enter();
        EarlySignals::new().context("cannot take over signals")?
    };
    let mut predecessor = match Inheritance::wanted() {
        Some(folder) if upgradable => Some(
            runtime
                .block_on(Inheritance::claim(&folder))
                .context("cannot take over from a running process")?,
        ),
        _ => None,
    };
    let result = prepare(source, upgradable, &runtime, &mut predecessor)
        .and_then(|prepared| runtime.block_on(serve(prepared, signals, &mut predecessor)));
    if let (Err(error), Some(predecessor)) = (&result, &mut predecessor) {
        let configuration = error.downcast_ref::<config::ConfigErrors>();
        let text = configuration.map_or_else(|| format!("{error:#}"), ToString::to_string);
        runtime.block_on(predecessor.fail(configuration.is_some(), text));
    }
    result
}

/// A balancer that is ready to serve.
struct Prepared {
    parts: Parts,
    admin: Option<Admin>,
    token: Option<AdminToken>,
    /// The ELBv2 API, and where its calls go.
    api: Option<(ControlApi, Sender<ApiCall>)>,
    inspector: Arc<Inspector>,
    pool: Workers,
    counters: Arc<ControlCounters>,
    upgrades: Option<(Door, Starter, Option<StartAgain>)>,
    /// Listeners of the process before that this one does not have.
    gone: Vec<SocketAddr>,
    /// Who looks for other configurations, where they come from etcd.
    follower: Option<Follower>,
}

fn prepare(
    source: &ConfigSource,
    upgradable: bool,
    runtime: &Runtime,
    predecessor: &mut Option<Inheritance>,
) -> anyhow::Result<Prepared> {
    let First { configuration, origin, follower, warnings } = first(source, runtime)?;
    let settings = configuration.balancer.clone();
    logs::own::init(settings.log_format, settings.log_level)?;
    http2::BUDGET.limit_to(settings.http2_buffer_limit);
    for warning in warnings.iter().chain(&config::warnings(&configuration)) {
        tracing::warn!("{warning}");
    }
    let account = settings.user.as_deref().map(Account::find).transpose()?;
    let inherited = match predecessor {
        Some(predecessor) => Some(runtime.block_on(predecessor.receive())?),
        None => None,
    };
    let Claims {
        folder,
        door,
        admin: admin_socket,
        control_api: api_socket,
        listeners: mut inherited_sockets,
        facts,
        shield,
    } = claim(&settings, inherited)?;
    // With the rights that a start has, and outside of the cgroup that is counted.
    let counters = Arc::new(ControlCounters::default());
    // A user that it becomes, or a filter, is for good.
    let keeps_rights = account.is_none() && !settings.seccomp;
    let prepare = || prepare_upgrades(&folder, door, keeps_rights, &counters);
    let upgrades = upgradable.then(prepare).flatten();
    let owner = account.as_ref().and_then(Account::owner);
    let shared = origin.keyring().map_err(|fault| config::ConfigErrors(vec![fault]))?;
    let keyring = shared.map_or_else(|| key_file::load(&settings, owner), Ok)?;
    let (configuration, book) = with_what_was_made(configuration, &origin, owner)?;
    let workers = settings.workers;
    let patience = if predecessor.is_some() { LEFT_BEHIND } else { Duration::ZERO };
    let sockets = sockets(&configuration, workers, &mut inherited_sockets, patience)?;
    // What is left of these the process before ends itself, if there is one.
    let gone = inherited_sockets.into_keys().collect();
    // While it may be read: the user that the process becomes need not be able to.
    let token = settings.admin_token_file.as_deref().filter(|_| settings.admin_address.is_some());
    let token = token.map(|path| AdminToken::load(path, owner)).transpose()?;
    let admin = match (settings.admin_address, admin_socket) {
        (Some(address), Some((inherited, socket))) if address == inherited => {
            Some(Admin::inherit(socket, address, &settings.admin_hosts).context("the admin endpoint")?)
        }
        (Some(address), _) => Some(
            Admin::bind(address, &settings.admin_hosts)
                .with_context(|| format!("cannot listen on {address} (admin_address)"))?,
        ),
        (None, _) => None,
    };
    let api = configuration.control_api.as_ref();
    let api =
        api.map(|settings| ControlApi::open(settings, same(api_socket, settings.address))).transpose()?;
    // As the user that the process starts as: it may be allowed what a later one is not.
    let outputs = Outputs::open(&configuration, owner)?;
    let options = kernel_options(&settings, configuration.shield.as_ref(), facts.as_ref())?;
    let mut kernel = Kernel::open_in(folder, &options)?;
    kernel.shield().inherit(shield);
    let HandoverFacts { without_kernel_side, memory, .. } = facts.unwrap_or_default();
    if let Some(reason) = without_kernel_side {
        kernel.explain(reason);
    }
    if let Some(account) = account {
        account.become_it(*kernel.assist() == Assist::Active)?;
        logs::own::renounce();
    }
    if settings.seccomp
        && let Err(error) = system_calls::restrict(*kernel.assist() == Assist::Active)
    {
        tracing::warn!(reason = %error, "going on without a filter of system calls (seccomp)");
    }
    // From here on there are threads, each with the rights that are left.
    let mut logs = LogFiles::new(&settings.instance, workers);
    let opened = logs.open(&configuration, outputs)?;
    logs.take_up(opened);
    let (pool, relief) = start_workers(&kernel, workers)?;
    let runtimes = Arc::new(ListenerRuntimes::default());
    let empty = Snapshot { listeners: Vec::new(), groups: Vec::new() };
    let current = Arc::new(CurrentSnapshot::new(Arc::new(empty)));
    let sharing = Sharing::off(Box::new(SharedTable::new(kernel.tables().sticky, Arc::clone(&current))));
    let kernel_side = KernelSide::from(kernel.assist());
    let inspector = Inspector {
        instance: settings.instance,
        kernel: if kernel.selects_workers() { kernel_side.selecting_workers() } else { kernel_side },
        started: monotonic_now(),
        workers: pool.workers.iter().map(|worker| Arc::clone(&worker.counters)).collect(),
        listeners: Arc::clone(&runtimes),
        control: Arc::clone(&counters),
        snapshot: Arc::clone(&current),
        log_files: logs.written(),
        slots: Arc::new(kernel.tables()),
        loads: kernel.tables().loads,
        session_count: SessionCount::default(),
        generations: Some(kernel.generations()),
        shield: kernel.shield().view(),
        session_store: Arc::clone(sharing.port()),
    };
    tell_start(&origin, &configuration, (admin.as_ref(), api.as_ref()), &inspector.kernel);
    let (calls, asked) = control_api::channel();
    let api_side = api.as_ref().map(|api| ApiSide { calls: asked, access: api.access() });
    let parts = Parts {
        origin,
        configuration,
        sockets,
        bind: Box::new(move |listener| listener::bind(listener, workers)),
        bind_more: Box::new(listener::bind_more),
        kernel,
        keyring,
        logs,
        workers: pool.workers.iter().map(|worker| worker.messages.clone()).collect(),
        relief,
        counters: Arc::clone(&counters),
        runtimes,
        current,
        sharing,
        memory,
        api: api_side,
        book,
    };
    let api = api.map(|api| (api, calls));
    Ok(Prepared {
        parts,
        admin,
        token,
        api,
        inspector: Arc::new(inspector),
        pool,
        counters,
        upgrades,
        gone,
        follower,
    })
}

/// The configuration with what was made through the API, where it is served.
fn with_what_was_made(
    configuration: Configuration,
    origin: &ConfigOrigin,
    owner: Option<Owner>,
) -> anyhow::Result<(Configuration, Option<ApiBook>)> {
    let Some(settings) = &configuration.control_api else { return Ok((configuration, None)) };
    let (book, configuration) = ApiBook::open(settings, origin, owner)?;
    Ok((configuration, Some(book)))
}

/// The socket of the process before, where it is bound to this address.
fn same(inherited: Option<(SocketAddr, TcpListener)>, address: SocketAddr) -> Option<TcpListener> {
    inherited.filter(|(bound, _)| *bound == address).map(|(_, socket)| socket)
}

/// What makes upgrades possible. Without it the balancer serves all the same.
fn prepare_upgrades(
    folder: &InstanceFolder,
    door: Option<Door>,
    keeps_rights: bool,
    counters: &ControlCounters,
) -> Option<(Door, Starter, Option<StartAgain>)> {
    let prepare = || {
        let door = door.map_or_else(|| Door::open(folder), Ok)?;
        let (invocation, folder) = (Invocation::own()?, folder.path().to_owned());
        let starter = Starter::begin(&invocation, &folder)?;
        let again = move || Starter::begin(&invocation, &folder);
        Ok((door, starter, keeps_rights.then(|| Box::new(again) as StartAgain)))
    };
    let prepared: io::Result<_> = prepare();
    let failed = |error: io::Error| {
        tracing::warn!(%error, "there will be no upgrades of this process");
        counters.notes.upgrades_are_off(&error.to_string());
    };
    prepared.map_err(failed).ok()
}

/// The workers, and who sees to one that stands still, where there is another one.
fn start_workers(kernel: &Kernel, workers: usize) -> anyhow::Result<(Workers, Option<Relief>)> {
    let (farewells, ended) = unbounded_channel();
    let (tables, events) = (kernel.tables(), kernel.event_sender());
    let most_clients = (descriptors::raise() / workers.max(1)).max(1);
    let begin = || Relief::begin(tables.loads.clone(), most_clients);
    let relief =
        (workers > 1).then(begin).transpose().context("cannot start the thread that watches workers")?;
    let spawn = move |index, counters| {
        listener::spawn(index, tables.clone(), events.clone(), counters, most_clients, farewells.clone())
    };
    let pool = (0..workers)
        .map(|index| spawn(index, Arc::default()))
        .collect::<io::Result<Vec<Worker>>>()
        .context("cannot start a worker")?;
    Ok((Workers { workers: pool, spawn: Box::new(spawn), ended, fallen: None, last: None }, relief))
}

/// What an operator looks for when something is not as expected: which build runs what, and where.
fn tell_start(
    origin: &ConfigOrigin,
    configuration: &Configuration,
    (admin, api): (Option<&Admin>, Option<&ControlApi>),
    kernel: &KernelSide,
) {
    let settings = &configuration.balancer;
    tracing::info!(
        version = VERSION,
        config = %origin,
        instance = settings.instance,
        workers = settings.workers,
        listeners = configuration.listeners.len(),
        target_groups = configuration.target_groups.len(),
        "balancer {VERSION} starts"
    );
    for listener in &configuration.listeners {
        let protocol = if listener.tls.is_some() { "HTTPS" } else { "HTTP" };
        tracing::info!(listener = listener.name, address = %listener.address, protocol, "listening");
    }
    match admin.map(Admin::address) {
        Some(Ok(address)) => tracing::info!(%address, "the admin endpoint listens"),
        Some(Err(error)) => tracing::warn!(%error, "the admin endpoint cannot tell its address"),
        None => tracing::info!("there is no admin endpoint (admin_address = \"off\")"),
    }
    match api.map(ControlApi::address) {
        Some(Ok(address)) => tracing::info!(%address, "the ELBv2 API is served"),
        Some(Err(error)) => tracing::warn!(%error, "the ELBv2 API cannot tell its address"),
        None => {}
    }
    let assist = if kernel.active { "on" } else { "off" };
    tracing::info!(kernel_assist = assist, detail = kernel.detail, "kernel side");
}

async fn serve(
    prepared: Prepared,
    signals: EarlySignals,
    predecessor: &mut Option<Inheritance>,
) -> anyhow::Result<()> {
    let Prepared { parts, admin, token, api, inspector, mut pool, counters, upgrades, gone, follower } =
        prepared;
    let mut signals = Signals::new(signals).context("cannot take over signals")?;
    let admin_address = parts.configuration.balancer.admin_address;
    let api_address = parts.configuration.control_api.as_ref().map(|settings| settings.address);
    let mut controller = Controller::start(parts).await?;
    match predecessor {
        Some(inheritance) => {
            tokio::select! {
                biased;
                () = signals.asked_to_end() => bail!("it was asked to end before it served"),
                lost = inheritance.is_lost() => return Err(lost.into()),
                () = controller.await_first_checks() => {}
            }
            tokio::select! {
                biased;
                () = signals.asked_to_end() => bail!("it was asked to end before it served"),
                ready = inheritance.ready(controller.addresses()) => ready?,
            }
            panics::provoke(b"taking over");
            // From the next word on the process before stands aside for them.
            controller.open_sockets();
            inheritance.take(VERSION).await?;
            // There is no way back.
            controller.begin();
            if let Some(inheritance) = predecessor.take() {
                let meanwhile = inheritance.released().await;
                controller.expect_closing(&gone, LEFT_BEHIND);
                controller.take_up(meanwhile.reload);
                if meanwhile.end {
                    tracing::info!("the process before was asked to end, and so this one ends");
                    signals.told_to_end();
                }
            }
        }
        None => controller.begin(),
    }
    gone.into_iter().for_each(notify::forget);
    let (handovers, mut steps) = unbounded_channel();
    let (wanted, upgrades_wanted) = unbounded_channel();
    let (end, end_wanted) = watch::channel(false);
    let mut upgrading = None;
    if let Some((door, starter, again)) = upgrades {
        let lent = admin.as_ref().map(Admin::lend).transpose().context("cannot lend the admin endpoint")?;
        let lent_api =
            api.as_ref().map(|(api, _)| api.lend()).transpose().context("cannot lend the ELBv2 API")?;
        let endpoints =
            [admin_address.map(Label::Admin).zip(lent), api_address.map(Label::ControlApi).zip(lent_api)];
        let endpoints = endpoints.into_iter().flatten().collect();
        let upgrades =
            Upgrades::new(door, starter, endpoints, handovers.clone(), again, Arc::clone(&counters))
                .context("cannot prepare for upgrades")?;
        upgrading = Some(tokio::spawn(upgrades.serve(upgrades_wanted, end_wanted)));
    }
    let (commands, mut receiver) = unbounded_channel();
    let admin = admin.map(|admin| {
        let commands = commands.clone();
        let act = Box::new(move |request| _ = commands.send(ControlCommand::Act(request)));
        let admin = match token {
            Some(token) => admin.with_actions(token, act),
            None => admin,
        };
        tokio::spawn(admin.serve(Arc::clone(&inspector) as _))
    });
    let api = api.map(|(api, calls)| tokio::spawn(api.serve(calls, Arc::clone(&counters))));
    let (again, (asked, mut followed)) = (Arc::new(Notify::new()), unbounded_channel());
    let follow = |follower: Follower| {
        tokio::spawn(follower.run(asked.clone(), Arc::clone(&counters), Arc::clone(&again)))
    };
    let following = follower.map(follow);
    tracing::info!("serving");
    notify::tell("READY=1");
    // What it takes to read the types of the kernel, above all.
    give_back();
    let (mut draining, mut is_ending) = (false, false);
    let mut result = Ok(());
    let begin_to_end = || {
        following.iter().for_each(tokio::task::JoinHandle::abort);
        tracing::info!("ending: requests in flight are finished, a second signal ends at once");
        if !counters.is_succeeded() {
            notify::tell("STOPPING=1");
        }
        counters.begin_draining();
        let _ = commands.send(ControlCommand::Drain);
    };
    {
        let control = controller.run(&mut receiver);
        tokio::pin!(control);
        loop {
            tokio::select! {
                () = &mut control => break,
                signal = signals.next() => match signal {
                    Signal::Reload => {
                        let _ = commands.send(ControlCommand::Reload);
                        again.notify_one();
                    }
                    Signal::Reopen => {
                        let _ = commands.send(ControlCommand::ReopenLogs);
                        if !draining {
                            reopen_logs_of(inspector.older_processes());
                        }
                    }
                    Signal::Upgrade => if wanted.send(()).is_err() {
                        tracing::error!("upgrade: not done, this process cannot be upgraded");
                    },
                    // An upgrade that is under way comes to its end first, and what was started for it goes with it.
                    Signal::Drain if upgrading.as_ref().is_some_and(|task| !task.is_finished()) => {
                        let _ = end.send(true);
                    }
                    Signal::Drain => {
                        begin_to_end();
                        (draining, is_ending) = (true, true);
                    }
                    Signal::Now => break,
                },
                Some(step) = steps.recv() => {
                    let step = match step {
                        Handover::MayEnd if is_ending => continue,
                        Handover::MayEnd => {
                            begin_to_end();
                            (draining, is_ending) = (true, true);
                            continue;
                        }
                        Handover::Release { listeners, done } => {
                            draining = true;
                            // Another process answers there.
                            admin.iter().chain(&api).for_each(tokio::task::JoinHandle::abort);
                            // And speaks for this node.
                            following.iter().for_each(tokio::task::JoinHandle::abort);
                            Handover::Release { listeners, done: note_first(Arc::clone(&inspector), done) }
                        }
                        step => step,
                    };
                    let _ = commands.send(ControlCommand::Succession(step));
                }
                Some(what) = followed.recv() => {
                    let _ = commands.send(ControlCommand::Follow(what));
                }
                watched = pool.watch(draining, &counters) => match watched {
                    Ok(Some(command)) => { let _ = commands.send(command); }
                    Ok(None) => break,
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                },
            }
        }
    }
    // An upgrade that is under way waits for nobody any more. One that is done says so to its end: that this process had nothing
    // left to finish is no order to end for the one that serves.
    if !counters.is_succeeded() {
        let _ = end.send(true);
    }
    drop((steps, receiver));
    for worker in &pool.workers {
        let _ = worker.messages.send(WorkerMessage::Stop);
    }
    for worker in pool.workers {
        if worker.thread.join().is_err() {
            tracing::error!("a worker ended by a bug of its own");
        }
    }
    controller.end_sharing();
    controller.end_book().await;
    controller.flush_logs();
    // Who asked for it is told.
    if let Some(upgrading) = upgrading {
        let _ = timeout(FAREWELL, upgrading).await;
    }
    tracing::info!("ended");
    result
}

/// To be told when another process has it all, which `done` is told then: what this process has still stands where the others
/// can read it by that time, and from then on.
fn note_first(inspector: Arc<Inspector>, done: oneshot::Sender<bool>) -> oneshot::Sender<bool> {
    let (released, is_released) = oneshot::channel();
    tokio::spawn(async move {
        let reload = is_released.await.unwrap_or(false);
        inspector.leave_note();
        let _ = done.send(reload);
        loop {
            sleep(NOTE).await;
            inspector.leave_note();
        }
    });
    released
}
