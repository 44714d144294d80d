//! The shield's tables. Their names, sizes, keys and values are those of `balancer_common::shield`.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use balancer_common::shield::{
    ACTIONS, ExactV4, MAX_PREFIXES, MAX_RUNTIME, MAX_SERVICES, MAX_SOURCES, PORT_WORDS, Packets, Policy,
    Prefix, SAMPLES_BYTES, Sample, Service, Until,
};

/// Tables that are mostly empty take memory as they fill.
const AS_IT_FILLS: usize = BPF_F_NO_PREALLOC as usize;

/// What is to be done.
#[btf_map]
pub static SHIELD_POLICY: Array<Policy, 1> = Array::new();

/// Ports that listeners have.
#[btf_map]
pub static SHIELD_PORTS: Array<u64, { PORT_WORDS as usize }> = Array::new();

/// Where listeners can be reached.
#[btf_map]
pub static SHIELD_SERVICES: HashMap<Service, u32, { MAX_SERVICES as usize }, AS_IT_FILLS> = HashMap::new();

/// Who is allowed and who is denied, of lengths that many are of.
#[btf_map]
pub static SHIELD_EXACT_V4: HashMap<ExactV4, Until, { MAX_PREFIXES as usize }, AS_IT_FILLS> = HashMap::new();

/// The same of IPv6.
#[btf_map]
pub static SHIELD_EXACT_V6: HashMap<Prefix, Until, { MAX_PREFIXES as usize }, AS_IT_FILLS> = HashMap::new();

/// And of other lengths.
#[btf_map]
pub static SHIELD_PREFIXES_V4: LpmTrie<[u8; 4], Until, { MAX_PREFIXES as usize }> = LpmTrie::new();

/// The same of IPv6.
#[btf_map]
pub static SHIELD_PREFIXES_V6: LpmTrie<[u8; 16], Until, { MAX_PREFIXES as usize }> = LpmTrie::new();

/// How far sources are ahead of their time.
#[btf_map]
pub static SHIELD_SOURCES: LruHashMap<[u32; 4], u64, { MAX_SOURCES as usize }> = LruHashMap::new();

/// What is counted, by action.
#[btf_map]
pub static SHIELD_PACKETS: PerCpuArray<Packets, { ACTIONS as usize }> = PerCpuArray::new();

/// Some of what was dropped.
#[btf_map]
pub static SHIELD_SAMPLES: RingBuf<Sample, { SAMPLES_BYTES as usize }> = RingBuf::new();

/// Who was denied at run time. Kept here for userspace.
#[btf_map]
pub static SHIELD_RUNTIME: HashMap<Prefix, u64, { MAX_RUNTIME as usize }, AS_IT_FILLS> = HashMap::new();
