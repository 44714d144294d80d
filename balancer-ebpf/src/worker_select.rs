//! Gives a new connection to the worker that has least to do.
//!
//! `worker_select` sits on the sockets that listen at one address, one a worker, and is asked for each segment that begins a
//! connection. It looks at what the workers say of themselves in WORKER_LOAD, and adds what it has given to a worker that has
//! not accepted it yet, so that many who come at once are spread, too. Connections weigh most: they stay, whatever they ask
//! for. A worker that is at work, or was so much of the time, counts as having a few more. One that is at work and does not
//! get on is passed over while there is another. Where nothing is known the kernel chooses, as it does without this.

use core::ptr;

use aya_ebpf::{
    bindings::{bpf_sock, sk_action::SK_PASS},
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_sk_select_reuseport},
    macros::sk_reuseport,
    programs::SkReuseportContext,
};
use balancer_common::{ListenerKey, ListenerSockets, WHOLE, WorkerLoad};

use crate::{
    atomic::atomic_add,
    maps::{LISTENERS, WORKER_LOAD, WORKERS},
};

/// Address family of IPv4 (`AF_INET`).
const IPV4: u32 = 2;

/// How many workers are looked at, from a random one on: of more, the best of these is good enough. (The verifier goes through
/// each round in every way that there is: 32 take it 650,000 steps of the million that it has.)
const MOST: u32 = 8;

/// How long a worker may be at one thing.
const STUCK_NS: i64 = 20_000_000;

/// Above what any worker's connections weigh.
const PASSED_OVER: u64 = 1 << 48;

/// Offset of the flags in a head of TCP, and two of them (RFC 9293, section 3.1).
const FLAGS: usize = 13;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Chooses; see the head of the file.
#[sk_reuseport]
pub fn worker_select(ctx: SkReuseportContext) -> u32 {
    let _ = choose(&ctx);
    SK_PASS
}

/// Nothing: the choice is the kernel's.
#[inline(always)]
fn choose(ctx: &SkReuseportContext) -> Option<()> {
    // SAFETY: what is there is copied at once; userspace may change the entry, and puts another one in its place then.
    let ListenerSockets { first_socket, sockets, first_load, workers } =
        unsafe { *LISTENERS.get(&listener(ctx.sk().sock))? };
    if sockets == 0 || workers == 0 {
        return None;
    }
    // SAFETY: these helpers take nothing.
    let (now, begin) = unsafe { (bpf_ktime_get_ns(), bpf_get_prandom_u32() % sockets) };
    let mut least = u64::MAX;
    let mut chosen = 0;
    for step in 0..MOST {
        if step >= sockets {
            break;
        }
        let index = (begin + step) % sockets;
        let Some(load) = WORKER_LOAD.get_ptr_mut(first_load + index % workers) else { return None };
        let weight = weight(load, now);
        if weight < least {
            (least, chosen) = (weight, index);
        }
    }
    let mut socket = first_socket + chosen;
    // SAFETY: the context is the kernel's, the map holds sockets, and the key is an index.
    let result = unsafe {
        bpf_sk_select_reuseport(
            ctx.md,
            ptr::from_ref(&WORKERS).cast_mut().cast(),
            (&raw mut socket).cast(),
            0,
        )
    };
    if result == 0 && begins(ctx) {
        let load = WORKER_LOAD.get_ptr_mut(first_load + chosen % workers)?;
        // SAFETY: a row of WORKER_LOAD, which is never freed, and the field is an aligned u64.
        unsafe { atomic_add(&raw mut (*load).given, 1) };
    }
    Some(())
}

/// What speaks against a worker.
#[inline(always)]
fn weight(load: *mut WorkerLoad, now: u64) -> u64 {
    // SAFETY: rows of WORKER_LOAD are never freed; what others write is read once.
    let (open, accepted, moves, busy, given, seen_moves, seen_at) = unsafe {
        (
            (&raw const (*load).connections).read_volatile(),
            (&raw const (*load).accepted).read_volatile(),
            (&raw const (*load).moves).read_volatile(),
            (&raw const (*load).busy).read_volatile(),
            (&raw const (*load).given).read_volatile(),
            (&raw const (*load).seen_moves).read_volatile(),
            (&raw const (*load).seen_at_ns).read_volatile(),
        )
    };
    let waiting = given.wrapping_sub(accepted);
    // Others may have accepted more than was given: then none. Without a branch, as below.
    let waiting = waiting & !((waiting as i64 >> 63) as u64);
    let connections = open.wrapping_add(waiting) & 0xffff_ffff;
    let busy = busy & (2 * WHOLE - 1);
    // Two connections and one in 64 at most, for each of both.
    let some = 2 + connections / 64;
    let mut weight = connections * WHOLE + some * busy;
    if moves & 1 == 1 {
        weight += some * WHOLE;
        if seen_moves != moves {
            // SAFETY: as above. Two CPUs at once write the same, or nearly.
            unsafe {
                (&raw mut (*load).seen_at_ns).write_volatile(now);
                (&raw mut (*load).seen_moves).write_volatile(moves);
            }
        } else if now.wrapping_sub(seen_at) as i64 > STUCK_NS {
            weight += PASSED_OVER;
            // SAFETY: as above, and the field is an aligned u64.
            unsafe { atomic_add(&raw mut (*load).passed_over, 1) };
        }
    }
    weight
}

/// Whether the segment begins a connection.
#[inline(always)]
fn begins(ctx: &SkReuseportContext) -> bool {
    let head = ctx.data();
    if head + FLAGS + 1 > ctx.data_end() {
        return false;
    }
    // SAFETY: it lies within the segment.
    let flags = unsafe { *((head + FLAGS) as *const u8) };
    flags & (SYN | ACK) == SYN
}

/// Where the socket listens.
#[inline(always)]
fn listener(socket: *const bpf_sock) -> ListenerKey {
    // SAFETY: plain fields of the kernel's socket. The verifier wants words of an address read one by one, which volatile
    // reads are, and from where the compiler does not reckon: hence both, before it is known which is wanted.
    let (ip4, ip6) = unsafe {
        let words = (&raw const (*socket).src_ip6).cast::<u32>();
        (
            (&raw const (*socket).src_ip4).read_volatile(),
            [
                words.read_volatile(),
                words.add(1).read_volatile(),
                words.add(2).read_volatile(),
                words.add(3).read_volatile(),
            ],
        )
    };
    // SAFETY: as above.
    let is_ipv4 = unsafe { (*socket).family } == IPV4;
    let words = if is_ipv4 { [0, 0, 0xffff_u32.to_be(), ip4] } else { ip6 };
    let link_local = u32::from_be(words[0]) & 0xffc0_0000 == 0xfe80_0000;
    // SAFETY: plain fields of the kernel's socket.
    let (port, bound_to) = unsafe { ((*socket).src_port, (*socket).bound_dev_if) };
    // SAFETY: both are 16 bytes without padding.
    let address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
    ListenerKey { address, port: port as u16, padding: 0, interface: if link_local { bound_to } else { 0 } }
}
