//! The only place where rooms are wired together. A request's life in one breath: a worker's `listener`
//! accepts, `http` reads the head and has `rules` name the group, the group's `stickiness` names the target or
//! `balance` picks one, `upstream` connects, `http` moves both bodies, `response` composes what goes back.
//! The control side (configuration, health, kernel events, admin) stands beside it and publishes snapshots.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    clock::monotonic_now,
    config,
    control::{
        admin::Admin,
        controller::{Command, Controller, Parts},
        log_files::{self, LogFiles},
        privileges::{Account, Belongings},
        signals::{Signal, Signals},
    },
    kernel::{Assist, Kernel, KernelOptions},
    listener::{self, Worker},
    model::Configuration,
    snapshot::{Snapshot, WorkerMessage},
    stickiness::{Keyring, Outcome},
    telemetry::{
        self,
        counters::{ControlCounters, ListenerRuntimes},
        inspect::{CurrentSnapshot, Inspector, KernelSide},
    },
};

/// How often a drain is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Runs a balancer from the configuration at `path`, in this thread, until a signal ends it.
///
/// # Errors
/// [`config::ConfigErrors`] when the configuration is wrong; anything else that keeps it from starting, named
/// in one line. Nothing runs half-started.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let configuration = config::load(path)?;
    if configuration.listeners.is_empty() {
        bail!("{}: no listener is configured, so there is nothing to run", path.display());
    }
    let settings = configuration.balancer.clone();
    telemetry::log::init(settings.log_format, settings.log_level)?;
    for warning in config::warnings(&configuration) {
        tracing::warn!("{warning}");
    }
    let account = settings.user.as_deref().map(Account::find).transpose()?;
    let keyring = Keyring::load_or_create(&settings.key_path())?;
    let workers = settings.workers;
    let sockets = bind_all(&configuration, workers)?;
    let admin = match settings.admin_address {
        Some(address) => Some(
            Admin::bind(address).with_context(|| format!("cannot listen on {address} (admin_address)"))?,
        ),
        None => None,
    };
    // As the user that the process starts as: it may be allowed what a later one is not.
    let mut logs = LogFiles::new(&settings.instance, workers);
    let opened = logs.open(&configuration)?;
    logs.take_up(opened);
    let kernel = Kernel::open(&KernelOptions {
        instance: settings.instance.clone(),
        runtime_dir: settings.runtime_dir.clone(),
        assist: settings.kernel_assist,
        session_table_size: settings.session_table_size,
    })?;
    if let Some(account) = account {
        let folder = settings.runtime_dir.join(&settings.instance);
        let key = settings.key_path();
        let log_paths = log_files::paths(&configuration);
        let files: Vec<&Path> = log_paths.iter().chain([&key]).map(PathBuf::as_path).collect();
        let belongings = Belongings { folders: &[&settings.state_dir, &folder], files: &files };
        account.become_it(belongings, *kernel.assist() == Assist::Active)?;
    }
    let pool = (0..workers)
        .map(|index| listener::spawn(index, kernel.tables(), kernel.event_sender()))
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
        outcomes: Outcome::ALL.map(Outcome::as_str),
    };
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control thread's runtime")?;
    runtime.block_on(serve(parts, admin, Arc::new(inspector), pool, &counters))
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

async fn serve(
    parts: Parts,
    admin: Option<Admin>,
    inspector: Arc<Inspector>,
    workers: Vec<Worker>,
    counters: &ControlCounters,
) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot take over signals")?;
    let mut controller = Controller::start(parts).await?;
    if let Some(admin) = admin {
        tokio::spawn(admin.serve(inspector));
    }
    tracing::info!("serving");
    let (commands, mut receiver) = unbounded_channel();
    let mut draining = false;
    {
        let control = controller.run(&mut receiver);
        tokio::pin!(control);
        loop {
            tokio::select! {
                () = &mut control => break,
                signal = signals.next() => match signal {
                    Signal::Reload => { let _ = commands.send(Command::Reload); }
                    Signal::Reopen => { let _ = commands.send(Command::ReopenLogs); }
                    Signal::Drain => {
                        begin_drain(&workers, counters);
                        draining = true;
                    }
                    Signal::Now => break,
                },
                () = drained(&workers), if draining => break,
            }
        }
    }
    for worker in &workers {
        let _ = worker.messages.send(WorkerMessage::Stop);
    }
    for worker in workers {
        if worker.thread.join().is_err() {
            tracing::error!("a worker ended by a bug of its own");
        }
    }
    controller.flush_logs();
    tracing::info!("ended");
    Ok(())
}

/// Longest time that requests in flight may take when the process ends: the longest that ALB's
/// deregistration delay can be set to.
const DRAIN_MOST: Duration = Duration::from_secs(3600);

fn begin_drain(workers: &[Worker], counters: &ControlCounters) {
    tracing::info!("ending: requests in flight are finished, a second signal ends at once");
    counters.begin_draining();
    for worker in workers {
        let _ = worker.messages.send(WorkerMessage::Drain(DRAIN_MOST));
    }
}

async fn drained(workers: &[Worker]) {
    while !workers.iter().all(|worker| worker.thread.is_finished()) {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}
