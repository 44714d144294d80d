//! The tables. Their names, sizes, keys and values are those of `balancer_common`; the loader pins them.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, RingBuf, SkStorage, reuseport_sock_array::ReusePortSockArrayImpl},
    macros::btf_map,
};
use balancer_common::{
    CountedBytes, EVENTS_BYTES, Event, LOAD_ROWS, ListenerKey, ListenerSockets, MAX_LISTENERS, MAX_SLOTS,
    MAX_SOCKETS, OUTSTANDING_WORDS, SocketRecord, StickyBucket, TargetCounters, TargetKey, WorkerLoad,
};

const SLOTS: usize = MAX_SLOTS as usize;
const MAPPABLE: usize = BPF_F_MMAPABLE as usize;

/// Which endpoints are counted, and in which slot.
#[btf_map]
pub static TARGETS: HashMap<TargetKey, u32, SLOTS> = HashMap::new();

/// What is counted.
#[btf_map]
pub static TARGET_COUNTERS: Array<TargetCounters, SLOTS, MAPPABLE> = Array::new();

/// What happened.
#[btf_map]
pub static EVENTS: RingBuf<Event, { EVENTS_BYTES as usize }> = RingBuf::new();

/// The counted connections.
#[btf_map]
pub static SOCKETS: SkStorage<SocketRecord> = SkStorage::new();

/// Sockets that must not be counted. Written by userspace.
#[btf_map]
pub static PROBES: SkStorage<u32> = SkStorage::new();

/// What userspace has counted of connections that are open. Written by userspace.
#[btf_map]
pub static COUNTED: SkStorage<CountedBytes> = SkStorage::new();

/// Requests in flight. Kept here for userspace.
#[btf_map]
pub static OUTSTANDING: Array<u64, { OUTSTANDING_WORDS as usize }, MAPPABLE> = Array::new();

/// Sessions. Kept here for userspace; the loader sets the number of buckets.
#[btf_map]
pub static STICKY: Array<StickyBucket, 128, MAPPABLE> = Array::new();

/// Who accepts at which address. Written by userspace.
#[btf_map]
pub static LISTENERS: HashMap<ListenerKey, ListenerSockets, { MAX_LISTENERS as usize }> = HashMap::new();

/// Listening sockets. Written by userspace, which may read their cookies: hence the size of the values.
#[btf_map]
pub static WORKERS: ReusePortSockArrayImpl<u64, { MAX_SOCKETS as usize }> = ReusePortSockArrayImpl::new();

/// What workers have to do.
#[btf_map]
pub static WORKER_LOAD: Array<WorkerLoad, { LOAD_ROWS as usize }, MAPPABLE> = Array::new();
