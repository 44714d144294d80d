//! One worker: a thread with a runtime of its own that accepts, serves, keeps time and hears the control
//! side. Nothing on its request path is shared but the snapshot and the mapped tables.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Display,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, LocalOptions, LocalRuntime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, spawn_local},
};

use super::{
    bind::{accept_waiting, admit_nobody},
    handshake::admit,
    rest::{self, Pace, TICK},
};
use crate::{
    counters::WorkerCounters,
    http::{Context, wake_parked},
    kernel::{EventSender, Tables, Timers},
    snapshot::{Heirs, ListenerId, WorkerMessage},
};

/// How many idle connections are closed in a tick to make room for others.
const CLOSED_FOR_ROOM: usize = 64;

/// How long nothing is logged of another shortage of file descriptors or memory, in milliseconds.
const TELL_AGAIN_MILLIS: u64 = 60_000;

/// Milliseconds between looks at idle target connections.
const POOL_MILLIS: u64 = 1000;

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

/// Ends what is parked when the worker does, however it came to that: no task has it.
struct Parked(Rc<Context>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.close_parked();
    }
}

/// Starts worker number `index`, which counts on in `counters`, has no more than `most_clients` requests and connections of
/// clients open, and is told of in `ended` when its thread is over.
///
/// # Errors
/// The system's, when there is no thread or no epoll instance to be had.
pub fn spawn(
    index: usize,
    tables: Tables,
    events: EventSender,
    counters: Arc<WorkerCounters>,
    most_clients: usize,
    ended: UnboundedSender<usize>,
) -> io::Result<Worker> {
    let (messages, receiver) = unbounded_channel();
    let runtime_counters = Arc::clone(&counters);
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        // Last of all to go.
        let _farewell = Farewell { index, ended };
        let load = tables.loads.worker(index);
        load.begin();
        let (sleeping, woken) = (load.clone(), load.clone());
        let mut builder = builder();
        builder.on_thread_park(move || sleeping.sleeps()).on_thread_unpark(move || rest::woken(&woken));
        let (runtime, timers) = match start(&mut builder) {
            Ok(started) => started,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let context = Rc::new(Context::new(index, timers, tables, events, runtime_counters));
        let _parked = Parked(Rc::clone(&context));
        runtime.block_on(async {
            // As a task like the others: waking the outermost future takes system calls.
            if let Err(error) = spawn_local(run(context, receiver, most_clients)).await
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        });
        // What is left goes as well, and may take a while.
        drop(runtime);
        // It has nothing to do any more, and is watched no longer. One that a bug has ended stays at work for those who look: it
        // is given nobody, and who waits for it is served by others until another one is in its place.
        load.sleeps();
    })?;
    started.recv().map_err(|_| io::Error::other("the worker ended at once"))??;
    Ok(Worker { messages, counters, thread })
}

/// What becomes the runtime of a worker. What the control side says goes before what clients do: who comes after a reload is served
/// by what it brought, however busy the worker is. It has no timers of its own: they would read the clock four times at each
/// wake-up. A worker has [`Timers`] in their place.
fn builder() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_io().global_queue_interval(1);
    builder
}

/// The runtime of this thread, and what keeps the time in it.
fn start(builder: &mut Builder) -> io::Result<(LocalRuntime, Timers)> {
    let runtime = builder.build_local(LocalOptions::default())?;
    let timers = {
        let _entered = runtime.enter();
        Timers::new()?
    };
    Ok((runtime, timers))
}

/// How long who has connected as the process begins to end, or its listener does, is waited for: its first request may be
/// under way.
const NEW: Duration = Duration::from_secs(1);

/// How long tunnels may take to be told that their time is over.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a handshake that had begun when others took the place of a socket is waited for there.
const HANDSHAKE_ENDS: Duration = Duration::from_millis(500);

/// A socket that is listened on, and the task that accepts.
struct Acceptor {
    socket: Rc<tokio::net::TcpListener>,
    task: AbortHandle,
}

/// What a worker listens on.
#[derive(Default)]
struct Acceptors {
    open: RefCell<HashMap<ListenerId, Vec<Acceptor>>>,
    /// Sockets that are being closed.
    closing: Rc<Cell<usize>>,
}

impl Acceptors {
    fn add(&self, id: ListenerId, acceptor: Acceptor) {
        self.open.borrow_mut().entry(id).or_default().push(acceptor);
    }

    /// Whether sockets are being closed.
    fn are_closing(&self) -> bool {
        self.closing.get() > 0
    }

    /// Closes the sockets of one listener, or of all, in such a way that nobody is turned away who has connected.
    fn close(&self, context: &Rc<Context>, only: Option<ListenerId>, held: Option<&Arc<()>>) {
        let is_meant = |id: &ListenerId, _: &mut Vec<Acceptor>| only.is_none_or(|only| *id == only);
        for (id, acceptors) in self.open.borrow_mut().extract_if(is_meant) {
            for Acceptor { socket, task } in acceptors {
                task.abort();
                self.closing.set(self.closing.get() + 1);
                let (context, closing, held) = (Rc::clone(context), Rc::clone(&self.closing), held.cloned());
                spawn_local(async move {
                    close(context, id, socket, closing).await;
                    drop(held);
                });
            }
        }
    }

    /// Goes on accepting for a moment at the sockets of a listener that nobody new comes to, for its heirs, and closes them then.
    fn step_aside(&self, context: &Rc<Context>, id: ListenerId, heirs: &Heirs) {
        for Acceptor { socket, task } in self.open.borrow_mut().remove(&id).unwrap_or_default() {
            task.abort();
            self.closing.set(self.closing.get() + 1);
            let closing = Rc::clone(&self.closing);
            spawn_local(finish(Rc::clone(context), id, heirs.clone(), socket, closing));
        }
    }

    /// Stops accepting at sockets that another process goes on with: who waits at them, waits for that one.
    fn let_go(&self, listeners: &[ListenerId]) {
        for id in listeners {
            for acceptor in self.open.borrow_mut().remove(id).unwrap_or_default() {
                acceptor.task.abort();
            }
        }
    }
}

/// The end of a worker.
struct Ending {
    began: Instant,
    most: Instant,
    /// Whether idle connections are closed, and not left until their next request or until their time is over.
    in_haste: bool,
    /// Whether the time is over, and what there is still is told so.
    is_over: bool,
}

impl Ending {
    fn is_due(&self) -> bool {
        self.most <= Instant::now()
    }

    /// The time is over: tunnels are told so. False: they have been, and that time is over as well.
    fn says_farewell(&mut self, context: &Context) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        context.watches.close_tunnels();
        self.most += FAREWELL;
        true
    }
}

async fn run(context: Rc<Context>, mut messages: UnboundedReceiver<WorkerMessage>, most_clients: usize) {
    let acceptors = Acceptors::default();
    let (mut pace, mut upkeep) = (Pace::of(&context), Upkeep::default());
    let mut ending: Option<Ending> = None;
    let mut waking = pin!(wake_parked(Rc::clone(&context)));
    let mut timing = pin!(context.timers.run());
    loop {
        if ending.is_some() && !acceptors.are_closing() && !context.has_clients() {
            return;
        }
        tokio::select! {
            biased;
            message = messages.recv() => match message {
                None | Some(WorkerMessage::Stop) => return,
                Some(WorkerMessage::Drain(most)) => {
                    let began = Instant::now();
                    context.draining.set(true);
                    context.hands_over.set(false);
                    acceptors.close(&context, None, None);
                    context.close_idle(None, true);
                    // Who has less time already gets no more.
                    let most = ending.as_ref().map_or(began + most, |ending| ending.most.min(began + most));
                    let is_over = ending.as_ref().is_some_and(|ending| ending.is_over);
                    ending = Some(Ending { began, most, in_haste: true, is_over });
                }
                Some(WorkerMessage::HandOver(kept, most)) => {
                    let began = Instant::now();
                    context.draining.set(true);
                    context.hands_over.set(true);
                    acceptors.let_go(&kept);
                    acceptors.close(&context, None, None);
                    context.close_graceful();
                    ending = Some(Ending { began, most: began + most, in_haste: false, is_over: false });
                }
                Some(message) => obey(&context, &acceptors, most_clients, message),
            },
            () = &mut waking => {}
            error = &mut timing => {
                tracing::error!(%error, "a worker that cannot tell the time makes room for another");
                return;
            }
            () = pace.due(&context.timers) => {
                tick(&context, &mut upkeep, pace.is_quiet(), ending.as_ref());
                context.close_left(NEW, acceptors.are_closing());
                let may_rest = context.under_way() == 0
                    && ending.is_none()
                    && !acceptors.are_closing()
                    && !context.has_left();
                pace.ticked(&context, may_rest).await;
                // That it ends keeps it ticking.
                if ending.as_mut().is_some_and(|ending| ending.is_due() && !ending.says_farewell(&context)) {
                    return;
                }
            }
        }
    }
}

/// What is done in some ticks alone, or needs the tick before.
#[derive(Default)]
struct Upkeep {
    pools_at: u64,
    told_at: Option<Instant>,
    busy: Duration,
}

impl Upkeep {
    /// Tells what the worker has to do.
    fn tell(&mut self, context: &Context) {
        let (now, busy) = (Instant::now(), Handle::current().metrics().worker_total_busy_duration(0));
        let before = self.told_at.replace(now);
        let span = before.map_or(Duration::ZERO, |before| now - before);
        context.load.tell(context.under_way(), busy.saturating_sub(self.busy), span);
        self.busy = busy;
    }
}

/// `is_quiet`: what has moved is counted.
fn tick(context: &Context, upkeep: &mut Upkeep, is_quiet: bool, ending: Option<&Ending>) {
    context.clock.tick();
    context.load.moves_on();
    upkeep.tell(context);
    let now = context.clock.millis();
    context.sweep();
    context.count_moved();
    if !is_quiet {
        context.counting.count_moved();
    }
    context.hand_over_logs();
    if let Some(ending) = ending
        && ending.in_haste
    {
        context.close_idle(None, ending.began.elapsed() < NEW);
    }
    if now >= upkeep.pools_at {
        upkeep.pools_at = now + POOL_MILLIS;
        context.pool.borrow_mut().sweep(now, POOL_IDLE);
        context.multiplexed.borrow_mut().sweep(now, POOL_IDLE);
    }
}

/// Takes everybody in who has connected before it closes the socket: whoever waits to be accepted would be reset. New
/// ones ask once more in a second, by which time somebody else may listen, or nobody.
async fn close(
    context: Rc<Context>,
    id: ListenerId,
    socket: Rc<tokio::net::TcpListener>,
    closing: Rc<Cell<usize>>,
) {
    if let Err(error) = admit_nobody(&socket) {
        tracing::debug!(%error, "a socket that is about to be closed goes on taking connections in");
    }
    // Twice: whose handshake was under way has ended it by then.
    for pause in [TICK, Duration::ZERO] {
        while let Some((stream, peer)) = accept_waiting(&socket) {
            admit(&context, stream, peer, None, id);
        }
        context.timers.sleep(pause).await;
    }
    drop(socket);
    closing.set(closing.get().saturating_sub(1));
}

/// Takes in whoever has begun to connect to a socket that nobody new comes to, and closes it.
async fn finish(
    context: Rc<Context>,
    id: ListenerId,
    heirs: Heirs,
    socket: Rc<tokio::net::TcpListener>,
    closing: Rc<Cell<usize>>,
) {
    let take = |(stream, peer): (TcpStream, SocketAddr)| {
        let heir = stream.local_addr().ok().and_then(|local| heirs.of(local.ip()));
        admit(&context, stream, peer, None, heir.unwrap_or(id));
    };
    let mut over = pin!(context.timers.sleep(HANDSHAKE_ENDS));
    loop {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok(accepted) => take(accepted),
                Err(error) if is_shortage(&error) => context.timers.sleep(TICK).await,
                Err(_) => {}
            },
            () = &mut over => break,
        }
    }
    while let Some(accepted) = accept_waiting(&socket) {
        take(accepted);
    }
    drop(socket);
    closing.set(closing.get().saturating_sub(1));
}

fn obey(context: &Rc<Context>, acceptors: &Acceptors, most_clients: usize, message: WorkerMessage) {
    match message {
        WorkerMessage::Snapshot(snapshot) => context.publish(snapshot),
        // Nothing new is begun while the process ends.
        WorkerMessage::Listen(..) if context.draining.get() => {}
        WorkerMessage::Listen(id, socket) => {
            let socket = match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => Rc::new(socket),
                Err(error) => {
                    tracing::error!(%error, "a listening socket cannot be used");
                    return;
                }
            };
            let task =
                spawn_local(accept(Rc::clone(context), id, Rc::clone(&socket), most_clients)).abort_handle();
            acceptors.add(id, Acceptor { socket, task });
        }
        WorkerMessage::TakeOver(id, stream, peer) => take_over(context, id, stream, peer),
        WorkerMessage::StepAside(id, heirs) => acceptors.step_aside(context, id, &heirs),
        WorkerMessage::Unlisten(id, held) => acceptors.close(context, Some(id), Some(&held)),
        WorkerMessage::Cut(registration) => context.watches.cut(registration),
        WorkerMessage::MoveAway { registration, sent } => context.watches.move_away(registration, sent),
        WorkerMessage::Drain(_) | WorkerMessage::HandOver(..) | WorkerMessage::Stop => {}
    }
}

/// Serves who was accepted in another worker's place.
fn take_over(context: &Rc<Context>, id: ListenerId, stream: std::net::TcpStream, peer: SocketAddr) {
    match TcpStream::from_std(stream) {
        Ok(stream) => {
            context.counters.connections_taken_over.inc();
            admit(context, stream, peer, None, id);
        }
        Err(error) => tracing::error!(%error, "a connection that was taken over cannot be used"),
    }
}

async fn accept(
    context: Rc<Context>,
    id: ListenerId,
    listener: Rc<tokio::net::TcpListener>,
    most_clients: usize,
) {
    let mut shortage = Shortage::default();
    // Where all connect to one address nobody has to be asked for it.
    let here = listener.local_addr().ok().filter(|here| !here.ip().is_unspecified());
    loop {
        // What is left of the file descriptors is for connections to targets, and for the control side.
        if context.held() >= most_clients {
            shortage.tell(&context, &"the file descriptors allowed are for no more clients");
            context.close_longest_idle(CLOSED_FOR_ROOM);
            context.timers.sleep(TICK).await;
            continue;
        }
        // Nobody else waits at this socket, for which this costs less than what lets many do so.
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok((stream, peer)) => {
                shortage.is_over();
                admit(&context, stream, peer, here, id);
            }
            Err(error) if is_shortage(&error) => {
                shortage.tell(&context, &error);
                context.close_longest_idle(CLOSED_FOR_ROOM);
                context.timers.sleep(TICK).await;
            }
            // The connection was gone before it was accepted (accept(2), "Error handling").
            Err(_) => {}
        }
    }
}

/// That nobody can be accepted for want of something.
#[derive(Default)]
struct Shortage {
    pausing: bool,
    told: Option<u64>,
}

impl Shortage {
    /// Counts it. One that comes and goes is told once, not at each turn.
    fn tell(&mut self, context: &Context, error: &dyn Display) {
        context.counters.accept_pauses.inc();
        let now = context.clock.millis();
        let due = self.told.is_none_or(|at| now.saturating_sub(at) >= TELL_AGAIN_MILLIS);
        if !std::mem::replace(&mut self.pausing, true) && due {
            self.told = Some(now);
            tracing::warn!(%error, "accepting connections pauses, and goes on as soon as it can");
        }
    }

    fn is_over(&mut self) {
        self.pausing = false;
    }
}

/// Whether accepting failed for want of file descriptors or memory.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn what_another_thread_says_goes_before_what_wakes_the_worker_itself() {
        let runtime = builder().build_local(LocalOptions::default()).unwrap();
        let (messages, mut receiver) = unbounded_channel();
        let (client, order) = (Rc::new(Notify::new()), Rc::new(RefCell::new(Vec::new())));
        runtime.block_on(async {
            // The order has to hold wherever the runtime is in its turns.
            for turn in 0..70 {
                let (woken, seen) = (Rc::clone(&client), Rc::clone(&order));
                let served = spawn_local(async move {
                    woken.notified().await;
                    seen.borrow_mut().push("client");
                });
                let (seen, messages) = (Rc::clone(&order), messages.clone());
                let heard = spawn_local(async move {
                    receiver.recv().await;
                    seen.borrow_mut().push("message");
                    receiver
                });
                tokio::task::yield_now().await;
                thread::spawn(move || messages.send(())).join().unwrap().unwrap();
                client.notify_one();
                served.await.unwrap();
                receiver = heard.await.unwrap();
                assert_eq!(order.take(), ["message", "client"], "in turn {turn}");
            }
        });
    }
}
