//! What all connections of one worker share.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::Deref,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::{
    connected::ConnectionIds, decide::trace::TraceIds, parked::ParkedClients, request_store::RequestStore,
};
use crate::{
    balance::Random,
    clock::CoarseClock,
    counters::{GroupShard, ListenerShard, TargetShard, WorkerCounters},
    id::Slot,
    internal_errors,
    kernel::{EventSender, LateWords, Tables, Timers, WorkerLoad},
    logs::{access_log::Record, sink::Batches},
    model::HeaderEdits,
    response::answer::{Answer, AnswerKind},
    snapshot::{ListenerId, ListenerView, Snapshot},
    stickiness::SessionTable,
    target_group::{GroupView, TargetState, TargetView},
    upstream::{Counting, Pool, TlsSessions, multiplex::Multiplexed},
    wire::{
        buffer::{BufferStore, HeadStore},
        deadline::Watches,
        http2,
    },
};

/// Most entries of log lines whose memory a worker keeps at rest.
const SPARE_AT_REST: usize = 8;

/// A snapshot as one worker holds it: counting who uses it, or one of its groups, touches no memory that other workers do.
#[derive(Debug)]
pub struct WorkerSnapshot {
    snapshot: Arc<Snapshot>,
    groups: Vec<Rc<WorkerGroup>>,
}

impl WorkerSnapshot {
    fn new(snapshot: Arc<Snapshot>) -> Rc<Self> {
        let groups = snapshot.groups.iter().map(|group| Rc::new(WorkerGroup(Arc::clone(group)))).collect();
        Rc::new(Self { snapshot, groups })
    }

    /// The group of that number.
    pub(super) fn group(&self, index: usize) -> Option<&Rc<WorkerGroup>> {
        self.groups.get(index)
    }
}

impl Deref for WorkerSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

/// A group as one worker holds it.
#[derive(Debug)]
pub(super) struct WorkerGroup(Arc<GroupView>);

impl WorkerGroup {
    fn has(&self, index: usize) -> bool {
        let has = index < self.0.targets.len();
        if !has {
            internal_errors::note("the target of a request is one of its group");
        }
        has
    }
}

impl Deref for WorkerGroup {
    type Target = GroupView;

    fn deref(&self) -> &GroupView {
        &self.0
    }
}

/// A target of a group as one worker holds it. It is there: an index is looked at before it is kept, and groups do not change.
#[derive(Debug)]
pub(super) struct WorkerTarget {
    group: Rc<WorkerGroup>,
    index: usize,
}

impl WorkerTarget {
    /// The target of `group` with that index. None is an internal error.
    #[inline]
    pub(super) fn new(group: &Rc<WorkerGroup>, index: usize) -> Option<Self> {
        group.has(index).then(|| Self { group: Rc::clone(group), index })
    }

    /// Its group.
    pub(super) fn group(&self) -> &GroupView {
        &self.group
    }

    /// Which one of its group it is.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Becomes the one of its group with that index. False is an internal error.
    pub(super) fn turn_to(&mut self, index: usize) -> bool {
        let is_there = self.group.has(index);
        if is_there {
            self.index = index;
        }
        is_there
    }
}

impl Deref for WorkerTarget {
    type Target = TargetView;

    #[allow(clippy::indexing_slicing, reason = "what has no target at its index is not made")]
    fn deref(&self) -> &TargetView {
        &self.group.targets[self.index]
    }
}

/// One worker's state; never leaves its thread.
#[derive(Debug)]
pub struct Context {
    /// Number of the worker, from 0.
    pub worker: usize,
    /// Its clock.
    pub clock: CoarseClock,
    /// What waits for times that are not a connection's.
    pub timers: Timers,
    /// The tables that all workers share.
    pub tables: Tables,
    /// What this worker has to do, as others see it.
    pub load: WorkerLoad,
    /// The session table.
    pub sessions: SessionTable<LateWords>,
    /// Its counters.
    pub counters: Arc<WorkerCounters>,
    /// Idle connections to targets.
    pub pool: RefCell<Pool>,
    /// Connections to targets that speak HTTP/2.
    pub multiplexed: RefCell<Multiplexed>,
    /// TLS sessions with targets.
    pub tls_sessions: RefCell<TlsSessions>,
    /// Deadlines of its connections.
    pub watches: Rc<Watches>,
    /// Connections that have been idle for a while.
    pub parked: ParkedClients,
    /// How many connections of clients there are, with those that are accepted and have had no turn yet.
    pub connections: Cell<usize>,
    /// Spare buffers.
    pub buffers: BufferStore,
    /// Spare memory for heads.
    pub heads: HeadStore,
    /// Spare memory for requests under way.
    pub(super) requests: Rc<RequestStore>,
    /// Userspace counting of connections.
    pub counting: Counting,
    /// Random numbers for picks.
    pub random: RefCell<Random>,
    /// Names for requests.
    pub(super) trace_ids: RefCell<TraceIds>,
    /// Log lines on their way to files.
    pub logs: RefCell<Batches>,
    /// Memory for the entries of log lines.
    #[allow(clippy::vec_box, reason = "they go from here into entries and back as they are")]
    pub(super) spare_records: RefCell<Vec<Box<Record>>>,
    /// Memory for what a response's head is given.
    pub(super) edits: RefCell<HeaderEdits>,
    /// Names for client connections.
    pub(super) connection_ids: ConnectionIds,
    /// Whether the process is ending.
    pub draining: Cell<bool>,
    /// Whether it ends for another that takes its place, so that nobody has to be hurried.
    pub hands_over: Cell<bool>,
    snapshot: RefCell<Rc<WorkerSnapshot>>,
    left: RefCell<Vec<Left>>,
}

/// A listener that a reload has removed, for who is still connected to it.
#[derive(Debug)]
struct Left {
    id: ListenerId,
    since_millis: u64,
    /// The last one that it was in.
    snapshot: Rc<WorkerSnapshot>,
}

impl Context {
    /// The state of worker number `worker`, serving from an empty snapshot.
    #[must_use]
    pub fn new(
        worker: usize,
        timers: Timers,
        tables: Tables,
        events: EventSender,
        counters: Arc<WorkerCounters>,
    ) -> Self {
        let empty = Snapshot { listeners: Vec::new(), groups: Vec::new() };
        Self {
            worker,
            clock: CoarseClock::new(),
            timers,
            sessions: SessionTable::new(tables.sticky.clone()).counting(Arc::clone(&counters)),
            counting: Counting::new(tables.counters.clone(), events),
            load: tables.loads.worker(worker),
            tables,
            counters,
            pool: RefCell::default(),
            multiplexed: RefCell::default(),
            tls_sessions: RefCell::default(),
            watches: Rc::default(),
            parked: ParkedClients::default(),
            connections: Cell::new(0),
            buffers: BufferStore::default(),
            heads: HeadStore::default(),
            requests: Rc::default(),
            random: RefCell::new(Random::new(RandomState::new().hash_one(worker))),
            trace_ids: RefCell::default(),
            logs: RefCell::new(Batches::new(worker)),
            spare_records: RefCell::default(),
            edits: RefCell::default(),
            connection_ids: ConnectionIds::default(),
            draining: Cell::new(false),
            hands_over: Cell::new(false),
            snapshot: RefCell::new(WorkerSnapshot::new(Arc::new(empty))),
            left: RefCell::default(),
        }
    }

    /// The snapshot to start a request with.
    #[must_use]
    pub fn snapshot(&self) -> Rc<WorkerSnapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    /// The listener of that number and the snapshot that it is of: the one in force, or else the last one that had it. None:
    /// it is gone, and so are all who were connected to it.
    #[must_use]
    pub fn view(&self, id: ListenerId) -> Option<(Rc<WorkerSnapshot>, Arc<ListenerView>)> {
        let snapshot = self.snapshot();
        match snapshot.listener(id).map(Arc::clone) {
            Some(listener) => Some((snapshot, listener)),
            None => self.left_view(id),
        }
    }

    #[cold]
    fn left_view(&self, id: ListenerId) -> Option<(Rc<WorkerSnapshot>, Arc<ListenerView>)> {
        let left = self.left.borrow();
        let snapshot = &left.iter().find(|left| left.id == id)?.snapshot;
        Some((Rc::clone(snapshot), Arc::clone(snapshot.listener(id)?)))
    }

    /// How many requests and connections of clients are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.watches.len() + self.parked.len()
    }

    /// A connection of a client is gone.
    pub(super) fn is_gone(&self) {
        self.load.went();
        self.connections.set(self.connections.get().saturating_sub(1));
    }

    /// Those whose time is over end, or are told so.
    pub fn sweep(&self) {
        let now = self.clock.millis();
        self.watches.sweep(now);
        if http2::BUDGET.sends_away() {
            self.watches.wake_graceful();
        }
        (0..self.parked.sweep(now)).for_each(|_| self.is_gone());
    }

    /// When a connection has to be looked at next.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.watches.next_due().min(self.parked.next_due())
    }

    /// Ends idle connections: all, or those of one listener. `spare_new`: not those that nothing was heard of, whose first
    /// request may be under way.
    pub fn close_idle(&self, listener: Option<ListenerId>, spare_new: bool) {
        self.watches.close_idle(listener.map(|listener| listener.0), spare_new);
        (0..self.parked.close_idle(listener, spare_new)).for_each(|_| self.is_gone());
    }

    /// Ends so many connections that were idle for a moment: those first that nothing was ever heard of, and of each kind those
    /// that were idle for longest.
    pub fn close_longest_idle(&self, count: usize) {
        let closed = self.parked.close_longest_idle(&self.watches, count, self.clock.millis());
        (0..closed).for_each(|_| self.is_gone());
    }

    /// Has connections end that are told so.
    pub fn close_graceful(&self) {
        self.watches.close_graceful();
        self.parked.close_graceful();
    }

    /// Ends all that are parked: the worker ends.
    pub fn close_parked(&self) {
        (0..self.parked.close_all()).for_each(|_| self.is_gone());
    }

    /// Requests under way, tunnels included.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let snapshot = self.snapshot();
        let streams = snapshot.listeners.iter().map(|it| self.listener_shard(it).http2_streams_active.get());
        self.watches.under_way() + streams.sum::<u64>()
    }

    /// Whether there is a client still, or a request of one that is gone.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        self.connections.get() > 0 || !self.watches.is_empty()
    }

    /// Whether there are connections of listeners that a reload has removed.
    #[must_use]
    pub fn has_left(&self) -> bool {
        !self.left.borrow().is_empty()
    }

    /// Goes on closing the idle connections of listeners that a reload has removed; new ones have `moment` for their first
    /// request. Forgets a listener that nobody is connected to any more, unless sockets that are `closing` may have somebody.
    pub fn close_left(&self, moment: Duration, closing: bool) {
        let mut left = self.left.borrow_mut();
        if left.is_empty() {
            return;
        }
        let now = self.clock.millis();
        left.retain(|Left { id, since_millis, .. }| {
            let is_new = u128::from(now.saturating_sub(*since_millis)) < moment.as_millis();
            self.close_idle(Some(*id), is_new);
            is_new || closing || self.watches.has(id.0) || self.parked.has(*id)
        });
    }

    /// Serves from `snapshot` from now on; idle connections to targets that get no requests any more are dropped.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let used: HashSet<Slot> = snapshot
            .groups
            .iter()
            .flat_map(|group| &group.targets)
            .filter(|target| target.state != TargetState::Draining || target.keeps_sessions)
            .map(|target| target.slot)
            .collect();
        let sticky = snapshot.groups.iter().filter_map(|group| group.stickiness.as_ref());
        let longest = sticky.filter_map(|sticky| sticky.table_remembers_for()).max();
        self.sessions.count_for(longest.unwrap_or(u32::MAX), self.clock.unix());
        self.pool.borrow_mut().keep_only(&used);
        self.multiplexed.borrow_mut().keep_only(&used);
        self.tls_sessions.borrow_mut().keep_only(&used);
        let before = self.snapshot.replace(WorkerSnapshot::new(snapshot));
        let now = self.snapshot();
        for listener in &before.listeners {
            let differs = |now: &ListenerView| {
                now.asked != listener.asked || now.tls.is_some() != listener.tls.is_some()
            };
            match now.listener(listener.id) {
                Some(now) if differs(now) => self.close_idle(Some(listener.id), false),
                Some(_) => {}
                None => {
                    let (id, since_millis) = (listener.id, self.clock.millis());
                    self.left.borrow_mut().push(Left { id, since_millis, snapshot: Rc::clone(&before) });
                    self.close_idle(Some(id), true);
                }
            }
        }
    }

    /// Lets go of spare memory but for what a few requests take.
    pub fn shrink(&self) {
        self.buffers.shrink();
        self.heads.shrink();
        self.requests.shrink();
        self.watches.shrink();
        self.multiplexed.borrow().rest();
        let mut records = self.spare_records.borrow_mut();
        records.truncate(SPARE_AT_REST);
        records.shrink_to_fit();
    }

    /// Counts an answer of the balancer's own.
    pub fn count_answer(&self, listener: &ListenerView, answer: &Answer) {
        let shard = self.listener_shard(listener);
        match answer.reason {
            AnswerKind::Error(cause) => shard.own(cause),
            AnswerKind::Redirect => shard.redirects.inc(),
            AnswerKind::FixedResponse => shard.fixed(answer.status),
        }
    }

    /// Counts what has moved on connections whose requests are under way.
    pub fn count_moved(&self) {
        let snapshot = self.snapshot();
        self.watches.count_moved(|listener, is_ipv6, received, sent| {
            let (id, left) = (ListenerId(listener), OnceCell::new());
            let last = || left.get_or_init(|| self.left_view(id)).as_ref().map(|(_, listener)| listener);
            let Some(listener) = snapshot.listener(id).or_else(last) else { return false };
            let shard = self.listener_shard(listener);
            shard.bytes_received.add(received);
            shard.bytes_sent.add(sent);
            if is_ipv6 {
                shard.ipv6_bytes.add(received + sent);
            }
            true
        });
    }

    /// Hands the log lines that have come together to the threads that write them.
    pub fn hand_over_logs(&self) {
        self.counters.log_lines_dropped.add(self.logs.borrow_mut().flush());
    }

    /// This worker's shard of a listener's figures.
    #[must_use]
    pub fn listener_shard<'l>(&self, listener: &'l ListenerView) -> &'l ListenerShard {
        listener.runtime.shard(self.worker)
    }

    /// This worker's shard of a group's figures.
    #[must_use]
    pub fn group_shard<'g>(&self, group: &'g GroupView) -> Option<&'g GroupShard> {
        group.runtime.shard(self.worker)
    }

    /// This worker's shard of a target's figures.
    #[must_use]
    pub fn target_shard<'t>(&self, target: &'t TargetView) -> Option<&'t TargetShard> {
        target.runtime.shard(self.worker)
    }
}
