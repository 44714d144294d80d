//! The only place where rooms are wired together. A request's life in one breath: a worker's `listener`
//! accepts, `http` reads the head and has `rules` name the group, the group's `stickiness` names the target or
//! `balance` picks one, `upstream` connects, `http` moves both bodies, `response` composes what goes back.
//! The control side (configuration, health, kernel events, admin) stands beside it and publishes snapshots.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    clock::{monotonic_now, until},
    config,
    control::{
        admin::Admin,
        controller::{ControlCommand, Controller, Parts},
        descriptors, key_file,
        log_files::{LogFiles, Outputs},
        privileges::Account,
        signals::{EarlySignals, Signal, Signals},
        system_calls,
    },
    counters::{ControlCounters, ListenerRuntimes, WorkerCounters},
    kernel::{Assist, InstanceFolder, Kernel, KernelOptions},
    listener::{self, Worker},
    logs,
    model::Configuration,
    snapshot::{Snapshot, WorkerMessage},
    telemetry::inspect::{CurrentSnapshot, Inspector, KernelSide, SessionCount, VERSION},
};

/// Least time between two workers that are started in the place of others.
const RESTART: Duration = Duration::from_secs(1);

/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Runs a balancer from the configuration at `path`, in this thread, until a signal ends it.
///
/// # Errors
/// [`config::ConfigErrors`] when the configuration is wrong; anything else that keeps it from starting, named
/// in one line. Nothing runs half-started.
pub fn run(path: &Path) -> anyhow::Result<()> {
    // Without a thread of its own: those that are made have the rights that are left by then.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control thread's runtime")?;
    let signals = {
        let _inside = runtime.enter();
        EarlySignals::new().context("cannot take over signals")?
    };
    let configuration = config::load(path)?;
    let settings = configuration.balancer.clone();
    logs::own::init(settings.log_format, settings.log_level)?;
    for warning in config::warnings(&configuration) {
        tracing::warn!("{warning}");
    }
    let account = settings.user.as_deref().map(Account::find).transpose()?;
    // First of all: a second balancer of the instance changes nothing.
    let folder = InstanceFolder::lock(&settings.instance, &settings.runtime_dir)?;
    let owner = account.as_ref().and_then(Account::owner);
    let keyring = key_file::load(&settings, owner)?;
    let workers = settings.workers;
    let sockets = bind_all(&configuration, workers)?;
    let admin = match settings.admin_address {
        Some(address) => Some(
            Admin::bind(address, &settings.admin_hosts)
                .with_context(|| format!("cannot listen on {address} (admin_address)"))?,
        ),
        None => None,
    };
    // As the user that the process starts as: it may be allowed what a later one is not.
    let outputs = Outputs::open(&configuration, owner)?;
    let options = KernelOptions {
        instance: settings.instance.clone(),
        runtime_dir: settings.runtime_dir.clone(),
        assist: settings.kernel_assist,
        session_table_size: settings.session_table_size,
    };
    let kernel = Kernel::open_in(folder, &options)?;
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
    let (farewells, ended) = unbounded_channel();
    let (tables, events) = (kernel.tables(), kernel.event_sender());
    let most_clients = (descriptors::raise() / workers.max(1)).max(1);
    let spawn = move |index, counters| {
        listener::spawn(index, tables.clone(), events.clone(), counters, most_clients, farewells.clone())
    };
    let pool = (0..workers)
        .map(|index| spawn(index, Arc::default()))
        .collect::<io::Result<Vec<Worker>>>()
        .context("cannot start a worker")?;
    let counters = Arc::new(ControlCounters::default());
    let runtimes = Arc::new(ListenerRuntimes::default());
    let empty = Snapshot { listeners: Vec::new(), groups: Vec::new() };
    let current = Arc::new(CurrentSnapshot::new(Arc::new(empty)));
    let inspector = Inspector {
        instance: settings.instance,
        kernel: KernelSide::from(kernel.assist()),
        started: monotonic_now(),
        workers: pool.iter().map(|worker| Arc::clone(&worker.counters)).collect(),
        listeners: Arc::clone(&runtimes),
        control: Arc::clone(&counters),
        snapshot: Arc::clone(&current),
        log_files: logs.written(),
        slots: Arc::new(kernel.tables()),
        session_count: SessionCount::default(),
    };
    tell_start(path, &configuration, admin.as_ref(), &inspector.kernel);
    let parts = Parts {
        config_path: path.to_owned(),
        configuration,
        sockets,
        bind: Box::new(move |listener| listener::bind(listener, workers)),
        kernel,
        keyring,
        logs,
        workers: pool.iter().map(|worker| worker.messages.clone()).collect(),
        counters: Arc::clone(&counters),
        runtimes,
        current,
    };
    let pool = Workers { workers: pool, spawn: Box::new(spawn), ended, fallen: None, last: None };
    runtime.block_on(serve(parts, signals, admin, Arc::new(inspector), pool, &counters))
}

/// What an operator looks for when something is not as expected: which build runs what, and where.
fn tell_start(path: &Path, configuration: &Configuration, admin: Option<&Admin>, kernel: &KernelSide) {
    let settings = &configuration.balancer;
    tracing::info!(
        version = VERSION,
        config = %path.display(),
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
    let assist = if kernel.active { "on" } else { "off" };
    tracing::info!(kernel_assist = assist, detail = kernel.detail, "kernel side");
}

fn bind_all(
    configuration: &Configuration,
    workers: usize,
) -> anyhow::Result<Vec<Vec<std::net::TcpListener>>> {
    let bind = |listener: &crate::model::Listener| {
        listener::bind(listener, workers)
            .with_context(|| format!("cannot listen on {} (listener {:?})", listener.address, listener.name))
    };
    configuration.listeners.iter().map(bind).collect()
}

/// The worker threads.
struct Workers {
    workers: Vec<Worker>,
    spawn: Box<dyn Fn(usize, Arc<WorkerCounters>) -> io::Result<Worker>>,
    /// Numbers of those that have ended.
    ended: UnboundedReceiver<usize>,
    /// One that is to be replaced.
    fallen: Option<usize>,
    /// When one was last replaced.
    last: Option<Instant>,
}

impl Workers {
    /// Waits for what is to be done about workers: one that ended was replaced, or all have ended a drain. Dropping the
    /// future loses nothing.
    async fn watch(
        &mut self,
        draining: bool,
        counters: &ControlCounters,
    ) -> anyhow::Result<Option<ControlCommand>> {
        if draining {
            drained(&self.workers).await;
            return Ok(None);
        }
        self.replace_ended(counters).await.map(Some)
    }

    /// Waits for a worker to end by itself, and starts another one in its place, which counts on where it stopped.
    /// Not more often than once in [`RESTART`], lest one that cannot live takes the processor from the others.
    /// Dropping the future loses nothing.
    async fn replace_ended(&mut self, counters: &ControlCounters) -> anyhow::Result<ControlCommand> {
        let index = match self.fallen {
            Some(index) => index,
            None => {
                let Some(index) = self.ended.recv().await else { return std::future::pending().await };
                self.fallen = Some(index);
                tracing::error!(worker = index, "a worker ended by a bug of its own, and is replaced");
                counters.worker_restarts.inc();
                index
            }
        };
        if let Some(last) = self.last {
            until(Some(last + RESTART)).await;
        }
        (self.fallen, self.last) = (None, Some(monotonic_now()));
        let ended = self.workers.get_mut(index).context("no worker has that number")?;
        let worker =
            (self.spawn)(index, Arc::clone(&ended.counters)).context("cannot start a worker again")?;
        let messages = worker.messages.clone();
        *ended = worker;
        Ok(ControlCommand::Replace(index, messages))
    }
}

async fn serve(
    parts: Parts,
    signals: EarlySignals,
    admin: Option<Admin>,
    inspector: Arc<Inspector>,
    mut pool: Workers,
    counters: &ControlCounters,
) -> anyhow::Result<()> {
    let mut signals = Signals::new(signals).context("cannot take over signals")?;
    let mut controller = Controller::start(parts).await?;
    if let Some(admin) = admin {
        tokio::spawn(admin.serve(inspector));
    }
    tracing::info!("serving");
    let (commands, mut receiver) = unbounded_channel();
    let mut draining = false;
    let mut result = Ok(());
    {
        let control = controller.run(&mut receiver);
        tokio::pin!(control);
        loop {
            tokio::select! {
                () = &mut control => break,
                signal = signals.next() => match signal {
                    Signal::Reload => { let _ = commands.send(ControlCommand::Reload); }
                    Signal::Reopen => { let _ = commands.send(ControlCommand::ReopenLogs); }
                    Signal::Drain => {
                        tracing::info!("ending: requests in flight are finished, a second signal ends at once");
                        counters.begin_draining();
                        let _ = commands.send(ControlCommand::Drain);
                        draining = true;
                    }
                    Signal::Now => break,
                },
                watched = pool.watch(draining, counters) => match watched {
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
    for worker in &pool.workers {
        let _ = worker.messages.send(WorkerMessage::Stop);
    }
    for worker in pool.workers {
        if worker.thread.join().is_err() {
            tracing::error!("a worker ended by a bug of its own");
        }
    }
    controller.flush_logs();
    tracing::info!("ended");
    result
}

async fn drained(workers: &[Worker]) {
    while !workers.iter().all(|worker| worker.thread.is_finished()) {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    /// A worker whose thread panics where no task of it is.
    fn broken(index: usize, ended: tokio::sync::mpsc::UnboundedSender<usize>) -> Worker {
        let thread = std::thread::spawn(move || {
            struct Farewell(usize, tokio::sync::mpsc::UnboundedSender<usize>);
            impl Drop for Farewell {
                fn drop(&mut self) {
                    self.1.send(self.0).unwrap();
                }
            }
            let _farewell = Farewell(index, ended);
            panic!("this one is meant to");
        });
        Worker { messages: unbounded_channel().0, counters: Arc::default(), thread }
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_replaced_and_its_figures_go_on() {
        let (farewells, ended) = unbounded_channel();
        let tables = crate::kernel::Tables::in_memory(1024).unwrap();
        let first = broken(0, farewells.clone());
        first.counters.accept_pauses.add(7);
        let figures = Arc::clone(&first.counters);
        let events = {
            let folder = tempfile::tempdir().unwrap();
            let options = KernelOptions {
                instance: format!("unit-crew-{}", std::process::id()),
                runtime_dir: folder.path().to_owned(),
                assist: crate::model::KernelAssist::Off,
                session_table_size: 1024,
            };
            Kernel::open(&options).unwrap().event_sender()
        };
        let spawn = move |index, counters| {
            listener::spawn(index, tables.clone(), events.clone(), counters, 64, farewells.clone())
        };
        let mut pool =
            Workers { workers: vec![first], spawn: Box::new(spawn), ended, fallen: None, last: None };
        let counters = ControlCounters::default();
        let command = pool.replace_ended(&counters).await.unwrap();
        let ControlCommand::Replace(0, messages) = command else { panic!("{command:?}") };
        assert_eq!(counters.worker_restarts.get(), 1);
        assert!(Arc::ptr_eq(&pool.workers[0].counters, &figures), "what is counted goes on");
        assert!(!pool.workers[0].thread.is_finished());
        messages.send(WorkerMessage::Stop).unwrap();
        // A real one tells when it is over, too.
        assert_eq!(pool.ended.recv().await, Some(0));
    }
}
