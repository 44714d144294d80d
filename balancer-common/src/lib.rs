//! The binary interface between the kernel programs and userspace: names, sizes, keys and values of the
//! shared tables. Must not know: how a table is created, mapped, pinned or used.
//!
//! Everything here is laid out as C would lay it out, and the sizes are asserted. A change of any layout
//! needs a new [`ABI_VERSION`]: tables of another version are never reused.
#![no_std]

pub mod shield;

/// Version of every layout below. Part of the path that tables are pinned or stored under.
pub const ABI_VERSION: u32 = 1;

/// How many endpoints the shared tables have rows for.
pub const MAX_SLOTS: u32 = 16_384;

/// How many processes of one instance can count requests in flight at the same time.
pub const GENERATIONS: u32 = 4;

/// Words of OUTSTANDING: one row of [`MAX_SLOTS`] words a generation (index `generation * MAX_SLOTS + slot`),
/// then the words from [`LIVE_GENERATIONS`] on.
pub const OUTSTANDING_WORDS: u32 = LIVE_GENERATIONS + 8;

/// Index in OUTSTANDING of the word whose bit `g` says that the row of generation `g` counts.
pub const LIVE_GENERATIONS: u32 = GENERATIONS * MAX_SLOTS;

/// Bytes of the ring that events are written to; one event takes 16 of them.
pub const EVENTS_BYTES: u32 = 64 * 1024;

/// Entries of one bucket of STICKY.
pub const STICKY_ENTRIES_PER_BUCKET: u32 = 8;

/// Words of one entry of STICKY. Their meaning belongs to the session table.
pub const STICKY_WORDS_PER_ENTRY: u32 = 4;

/// How many workers of one process are told apart.
pub const MAX_WORKERS: u32 = 256;

/// Rows of WORKER_LOAD: [`MAX_WORKERS`] a generation (index `generation * MAX_WORKERS + worker`).
pub const LOAD_ROWS: u32 = GENERATIONS * MAX_WORKERS;

/// Listening sockets that WORKERS has room for, of all listeners.
pub const MAX_SOCKETS: u32 = 8192;

/// Addresses that LISTENERS has room for.
pub const MAX_LISTENERS: u32 = 1024;

/// Names of the maps, in the object file and in the folder they are pinned in.
pub mod map {
    /// Hash: [`TargetKey`](super::TargetKey) to slot (`u32`). Written by userspace.
    pub const TARGETS: &str = "TARGETS";
    /// Mappable array: slot to [`TargetCounters`](super::TargetCounters).
    pub const TARGET_COUNTERS: &str = "TARGET_COUNTERS";
    /// Mappable array of words: requests in flight. The kernel only stores it.
    pub const OUTSTANDING: &str = "OUTSTANDING";
    /// Mappable array of [`StickyBucket`](super::StickyBucket)s. The kernel only stores it.
    pub const STICKY: &str = "STICKY";
    /// Ring buffer of [`Event`](super::Event)s.
    pub const EVENTS: &str = "EVENTS";
    /// Socket storage: [`SocketRecord`](super::SocketRecord) of every counted connection.
    pub const SOCKETS: &str = "SOCKETS";
    /// Socket storage: a mark (`u32`) on sockets that must not be counted.
    pub const PROBES: &str = "PROBES";
    /// Socket storage: [`CountedBytes`](super::CountedBytes) of connections that are open. Written by userspace, removed
    /// when the connection closes.
    pub const COUNTED: &str = "COUNTED";
    /// Hash: [`ListenerKey`](super::ListenerKey) to [`ListenerSockets`](super::ListenerSockets). Written by userspace.
    pub const LISTENERS: &str = "LISTENERS";
    /// Array of listening sockets, of which userspace reads the cookies. Written by userspace.
    pub const WORKERS: &str = "WORKERS";
    /// Mappable array: worker to [`WorkerLoad`](super::WorkerLoad).
    pub const WORKER_LOAD: &str = "WORKER_LOAD";
}

/// Names of the programs in the object file.
pub mod program {
    /// `sock_ops`: counts connections.
    pub const TARGET_COUNTERS: &str = "target_counters";
    /// `tp_btf/tcp_receive_reset`: counts resets.
    pub const RESET_COUNTER: &str = "reset_counter";
    /// `sk_reuseport`: gives new connections to workers.
    pub const WORKER_SELECT: &str = "worker_select";
}

/// Where a connection goes: key of TARGETS.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// IPv6 address in network order; IPv4 ones mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2).
    pub address: [u8; 16],
    /// Port, in host order.
    pub port: u16,
    /// Zero.
    pub padding: u16,
    /// Index of the interface for link-local addresses (`fe80::/10`), else zero.
    pub interface: u32,
}

/// What is counted for one endpoint: value of TARGET_COUNTERS.
///
/// `connects = connecting + opened + failed`, and `opened = closed +` connections that are open or closing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetCounters {
    /// Connection attempts begun.
    pub connects: u64,
    /// Attempts without an outcome yet (a SYN is in flight).
    pub connecting: u64,
    /// Connections established now, without those that one side has begun to close.
    pub open: u64,
    /// Attempts that became connections.
    pub opened: u64,
    /// Attempts that did not: refused, unreachable, timed out, given up.
    pub failed: u64,
    /// Those of `failed` that were answered by a reset. Kernel only.
    pub refused: u64,
    /// Resets received on connections that had been established.
    pub resets: u64,
    /// Connections that ended without a FIN of either side.
    pub aborted: u64,
    /// Segments sent again, SYNs included. Kernel only.
    pub retransmits: u64,
    /// Smoothed round-trip time in microseconds over all connections of the endpoint. Kernel only.
    pub srtt_us: u64,
    /// Payload bytes received from the endpoint, added when a connection closes, but for what userspace has added before.
    pub bytes_in: u64,
    /// Payload bytes the endpoint has acknowledged, added in the same way.
    pub bytes_out: u64,
    /// Connections that are gone altogether.
    pub closed: u64,
    /// Fingerprint of the endpoint the row belongs to; zero: free. Written by userspace alone.
    pub endpoint: u64,
    /// Retransmission timeouts: that nothing was answered for as long as an answer may take. Kernel only.
    pub timeouts: u64,
    /// When userspace was last told that the endpoint does not answer, nanoseconds since the host started. Kernel only.
    pub silence_told: u64,
}

/// Words of one [`TargetCounters`].
pub const COUNTER_WORDS: usize = size_of::<TargetCounters>() / size_of::<u64>();

/// Something happened to a connection: record of EVENTS.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The endpoint's slot.
    pub slot: u32,
    /// One of the `EVENT_` values.
    pub kind: u32,
}

/// [`Event::kind`]: a connection attempt failed.
pub const EVENT_CONNECT_FAILED: u32 = 1;
/// [`Event::kind`]: an established connection was reset by the endpoint.
pub const EVENT_RESET: u32 = 2;
/// [`Event::kind`]: the endpoint does not answer what it was sent on a connection.
pub const EVENT_DATA_UNANSWERED: u32 = 3;
/// [`Event::kind`]: the endpoint does not answer an attempt to connect.
pub const EVENT_CONNECT_UNANSWERED: u32 = 4;
/// How much time is between two events of an endpoint that does not answer, nanoseconds.
pub const SILENCE_GAP: u64 = 100_000_000;

/// What the kernel remembers of a counted connection: value of SOCKETS.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRecord {
    /// The endpoint's slot.
    pub slot: u32,
    /// One of the `PHASE_` values.
    pub phase: u16,
    /// Any of the `FIN_` bits.
    pub fins: u16,
    /// `bytes_received` when the peer had acknowledged our FIN and not yet sent its own.
    pub received_before_fin: u64,
}

/// What userspace has counted of a connection that is open: value of COUNTED.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedBytes {
    /// Payload bytes received.
    pub received: u64,
    /// Payload bytes acknowledged.
    pub acknowledged: u64,
}

/// [`SocketRecord::phase`]: nothing is counted any more.
pub const PHASE_DONE: u16 = 0;
/// [`SocketRecord::phase`]: a SYN is in flight.
pub const PHASE_CONNECTING: u16 = 1;
/// [`SocketRecord::phase`]: established.
pub const PHASE_OPEN: u16 = 2;
/// [`SocketRecord::phase`]: one side has sent a FIN.
pub const PHASE_CLOSING: u16 = 3;

/// [`SocketRecord::fins`]: we have sent one.
pub const FIN_SENT: u16 = 1;
/// [`SocketRecord::fins`]: the peer's has arrived.
pub const FIN_RECEIVED: u16 = 2;
/// [`SocketRecord::fins`]: ours is acknowledged, `received_before_fin` is set.
pub const FIN_WAITED_FOR: u16 = 4;

/// Where connections come in: key of LISTENERS.
pub type ListenerKey = TargetKey;

/// Who accepts at an address: value of LISTENERS. Socket `n` of its sockets is worker `n % workers`'s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerSockets {
    /// Index of the first socket in WORKERS; the others follow.
    pub first_socket: u32,
    /// How many there are.
    pub sockets: u32,
    /// Row of the first worker in WORKER_LOAD; the others follow.
    pub first_load: u32,
    /// How many there are.
    pub workers: u32,
}

/// What a worker has to do: value of WORKER_LOAD. The first half is the worker's to write, the other one the program's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerLoad {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted so far.
    pub accepted: u64,
    /// Goes up whenever it gets on: odd while it works, even while it sleeps.
    pub moves: u64,
    /// Requests under way a moment ago.
    pub requests_in_flight: u64,
    /// Share of the last moment in which it worked, in parts of [`WHOLE`].
    pub busy: u64,
    /// Microseconds in which it has worked so far.
    pub busy_us: u64,
    /// Zero.
    pub reserved: [u64; 2],
    /// Connections that were given to it; of those that never came, userspace takes off again.
    pub given: u64,
    /// `moves` when the program looked last and found it at work.
    pub seen_moves: u64,
    /// When it first found that, by the clock that stands still in suspension, in nanoseconds.
    pub seen_at_ns: u64,
    /// How often it was passed over since it did not get on.
    pub passed_over: u64,
    /// Zero.
    pub reserved_too: [u64; 4],
}

/// [`WorkerLoad::busy`] of a worker that is never idle.
pub const WHOLE: u64 = 1024;

/// Words of one [`WorkerLoad`].
pub const LOAD_WORDS: usize = size_of::<WorkerLoad>() / size_of::<u64>();

/// One entry of STICKY: plain words.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickyEntry {
    /// The words.
    pub words: [u64; STICKY_WORDS_PER_ENTRY as usize],
}

/// One bucket of STICKY.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickyBucket {
    /// The entries.
    pub entries: [StickyEntry; STICKY_ENTRIES_PER_BUCKET as usize],
}

/// Words of one [`StickyBucket`].
pub const STICKY_BUCKET_WORDS: usize = size_of::<StickyBucket>() / size_of::<u64>();

const _: () = {
    assert!(size_of::<TargetKey>() == 24);
    assert!(size_of::<TargetCounters>() == 128);
    assert!(core::mem::offset_of!(TargetCounters, endpoint) == 13 * 8);
    assert!(size_of::<Event>() == 8);
    assert!(size_of::<SocketRecord>() == 16);
    assert!(size_of::<CountedBytes>() == 16);
    assert!(size_of::<ListenerSockets>() == 16);
    assert!(size_of::<WorkerLoad>() == 128);
    assert!(core::mem::offset_of!(WorkerLoad, given) == 64, "a line of the caches each");
    assert!(size_of::<StickyEntry>() == 32);
    assert!(size_of::<StickyBucket>() == 256);
    assert!(GENERATIONS <= 64, "one bit each in a word");
    assert!(EVENTS_BYTES.is_power_of_two() && EVENTS_BYTES.is_multiple_of(4096));
};
