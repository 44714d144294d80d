//! One worker: a thread with a runtime of its own that accepts, serves, keeps time and hears the control
//! side. Nothing on its request path is shared but the snapshot and the mapped tables.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::TcpListener,
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, spawn_local},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::handshake::begin;
use crate::{
    counters::WorkerCounters,
    http::Context,
    kernel::{EventSender, Tables},
    snapshot::{ListenerId, WorkerMessage},
};

/// How often deadlines are looked at: their precision.
const TICK: Duration = Duration::from_millis(100);

/// How long nothing is logged of another shortage of file descriptors or memory, in milliseconds.
const TELL_AGAIN_MILLIS: u64 = 60_000;

/// Ticks between looks at idle target connections.
const POOL_TICKS: u32 = 10;

/// How long a connection to a target may be idle: as long as ALB's default idle timeout.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// A running worker, seen from outside.
#[derive(Debug)]
pub struct Worker {
    /// Where it hears.
    pub messages: UnboundedSender<WorkerMessage>,
    /// What it counts.
    pub counters: Arc<WorkerCounters>,
    /// Its thread; ends after [`WorkerMessage::Stop`] or a finished drain.
    pub thread: JoinHandle<()>,
}

/// Says that a worker has ended, however it came to that.
struct Farewell {
    index: usize,
    ended: UnboundedSender<usize>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody may be waiting any more.
        let _ = self.ended.send(self.index);
    }
}

/// Starts worker number `index`, which counts on in `counters`, and is told of in `ended` when its thread is over.
///
/// # Errors
/// The system's, when there is no thread or no epoll instance to be had.
pub fn spawn(
    index: usize,
    tables: Tables,
    events: EventSender,
    counters: Arc<WorkerCounters>,
    ended: UnboundedSender<usize>,
) -> io::Result<Worker> {
    let (messages, receiver) = unbounded_channel();
    let runtime_counters = Arc::clone(&counters);
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        // Last of all to go.
        let _farewell = Farewell { index, ended };
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let context = Rc::new(Context::new(index, tables, events, runtime_counters));
        runtime.block_on(run(context, receiver));
    })?;
    started.recv().map_err(|_| io::Error::other("the worker ended at once"))??;
    Ok(Worker { messages, counters, thread })
}

type Acceptors = RefCell<HashMap<ListenerId, Vec<AbortHandle>>>;

async fn run(context: Rc<Context>, mut messages: UnboundedReceiver<WorkerMessage>) {
    let acceptors = Acceptors::default();
    let mut ticker = interval(TICK);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    let mut end: Option<Instant> = None;
    loop {
        let finished = end.is_some() && context.watches.is_empty();
        if finished {
            return;
        }
        let deadline = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = messages.recv() => match message {
                None | Some(WorkerMessage::Stop) => return,
                Some(WorkerMessage::Drain(most)) => {
                    begin_drain(&context, &acceptors);
                    end = Some(Instant::now() + most);
                }
                Some(message) => obey(&context, &acceptors, message),
            },
            _ = ticker.tick() => {
                ticks = ticks.wrapping_add(1);
                tick(&context, ticks, end.is_some());
            }
            () = deadline => return,
        }
    }
}

fn tick(context: &Context, ticks: u32, draining: bool) {
    context.clock.tick();
    let now = context.clock.millis();
    context.watches.sweep(now);
    context.count_moved();
    context.counting.count_moved();
    context.hand_over_logs();
    if draining {
        context.watches.close_idle(None);
    }
    if ticks.is_multiple_of(POOL_TICKS) {
        context.pool.borrow_mut().sweep(now, POOL_IDLE);
        context.multiplexed.borrow_mut().sweep(now, POOL_IDLE);
    }
}

fn begin_drain(context: &Context, acceptors: &Acceptors) {
    context.draining.set(true);
    for handle in acceptors.borrow_mut().drain().flat_map(|(_, handles)| handles) {
        handle.abort();
    }
    context.watches.close_idle(None);
}

fn obey(context: &Rc<Context>, acceptors: &Acceptors, message: WorkerMessage) {
    match message {
        WorkerMessage::Snapshot(snapshot) => context.publish(snapshot),
        // Nothing new is begun while the process ends.
        WorkerMessage::Listen(..) if context.draining.get() => {}
        WorkerMessage::Listen(id, socket) => {
            let task = spawn_local(accept(Rc::clone(context), id, socket));
            acceptors.borrow_mut().entry(id).or_default().push(task.abort_handle());
        }
        WorkerMessage::Unlisten(id) => {
            for handle in acceptors.borrow_mut().remove(&id).unwrap_or_default() {
                handle.abort();
            }
            context.watches.close_idle(Some(id.0));
        }
        WorkerMessage::Cut(registration) => context.watches.cut(registration),
        WorkerMessage::Drain(_) | WorkerMessage::Stop => {}
    }
}

async fn accept(context: Rc<Context>, id: ListenerId, socket: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listening socket cannot be used");
            return;
        }
    };
    let mut pausing = false;
    let mut told: Option<u64> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pausing = false;
                spawn_local(begin(Rc::clone(&context), stream, peer, id));
            }
            Err(error) if is_shortage(&error) => {
                context.counters.accept_pauses.inc();
                // A shortage that comes and goes is told once, not at each turn.
                let now = context.clock.millis();
                let due = told.is_none_or(|at| now.saturating_sub(at) >= TELL_AGAIN_MILLIS);
                if !std::mem::replace(&mut pausing, true) && due {
                    told = Some(now);
                    tracing::warn!(%error, "accepting connections pauses, and goes on as soon as it can");
                }
                tokio::time::sleep(TICK).await;
            }
            // The connection was gone before it was accepted (accept(2), "Error handling").
            Err(_) => {}
        }
    }
}

/// Whether accepting failed for want of file descriptors or memory.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
