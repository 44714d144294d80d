//! Counts the connections that the balancer makes to its targets.
//!
//! `target_counters` sits on the balancer's cgroup. A connection is counted if its destination is in TARGETS and
//! its socket is not in PROBES: then its socket gets a record in SOCKETS, and asks to be told of each change of
//! state. What is counted follows from the record's phase alone, so the figures of a slot add up whatever happens:
//!
//! ```text
//! connect: connecting ─▶ open ─▶ closing ─▶ done      connects = connecting + opened + failed
//!               └─▶ done (failed)  └──────────▲       opened = open + closing + closed
//! ```
//!
//! All programs of one socket run one after the other: the kernel holds its lock.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_SK_STORAGE_GET_F_CREATE, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG,
        BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_RTO_CB_FLAG, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
        BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_TCP_CLOSE, BPF_TCP_CLOSE_WAIT, BPF_TCP_CLOSING, BPF_TCP_ESTABLISHED,
        BPF_TCP_FIN_WAIT1, BPF_TCP_FIN_WAIT2, BPF_TCP_LAST_ACK, bpf_sock,
    },
    btf_maps::SkStorage,
    helpers::{bpf_ktime_get_ns, bpf_sk_storage_get},
    macros::{btf_tracepoint, sock_ops},
    programs::{BtfTracePointContext, SockOpsContext},
};
use aya_log_ebpf::{debug, warn};
use balancer_common::{
    CountedBytes, EVENT_CONNECT_FAILED, EVENT_CONNECT_UNANSWERED, EVENT_DATA_UNANSWERED, EVENT_RESET, Event,
    FIN_RECEIVED, FIN_SENT, FIN_WAITED_FOR, PHASE_CLOSING, PHASE_CONNECTING, PHASE_DONE, PHASE_OPEN,
    SILENCE_GAP, SocketRecord, TargetCounters, TargetKey,
};

use crate::{
    atomic::atomic_add,
    maps::{COUNTED, EVENTS, PROBES, SOCKETS, TARGET_COUNTERS, TARGETS},
};

/// Address family of IPv4 (`AF_INET`).
const IPV4: u32 = 2;

/// Adds to a field of a row of counters, all CPUs at once.
macro_rules! add {
    ($counters:expr, $field:ident, $amount:expr) => {
        // SAFETY: the row is a value of TARGET_COUNTERS, which is never freed, and the field is an aligned u64.
        unsafe { atomic_add(&raw mut (*$counters).$field, $amount) }
    };
}

const MINUS_ONE: u64 = u64::MAX;

/// Counts; see the head of the file. The return value has no meaning for these callbacks.
#[sock_ops]
pub fn target_counters(ctx: SockOpsContext) -> u32 {
    // SAFETY: the context is the kernel's and holds a union of pointers to the one socket.
    let socket = unsafe { (*ctx.ops).__bindgen_anon_2.sk };
    if !socket.is_null() {
        match ctx.op() {
            BPF_SOCK_OPS_TCP_CONNECT_CB => connect(&ctx, socket),
            BPF_SOCK_OPS_STATE_CB => change_state(&ctx, socket),
            BPF_SOCK_OPS_RETRANS_CB => retransmit(&ctx, socket),
            BPF_SOCK_OPS_RTO_CB => time_out(socket),
            _ => {}
        }
    }
    1
}

/// Counts resets by the peer. Optional: nothing else depends on it.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn reset_counter(ctx: BtfTracePointContext) -> i32 {
    let socket = ctx.arg::<*const c_void>(0).cast_mut();
    if let Some((record, counters)) = counted(socket) {
        // SAFETY: `record` is a value of SOCKETS.
        let (slot, phase) = unsafe { ((*record).slot, (*record).phase) };
        match phase {
            // The failure itself is told of by the change of state that follows.
            PHASE_CONNECTING => add!(counters, refused, 1),
            PHASE_OPEN | PHASE_CLOSING => {
                add!(counters, resets, 1);
                debug!(&ctx, "a connection to slot {} was reset", slot);
                tell(slot, EVENT_RESET);
            }
            _ => {}
        }
    }
    0
}

/// A SYN is about to be sent.
#[inline(always)]
fn connect(ctx: &SockOpsContext, socket: *mut bpf_sock) {
    if stored(&PROBES, socket.cast(), false).is_some() {
        return;
    }
    let key = destination(ctx, socket);
    // SAFETY: the slot is copied at once; userspace may change the entry, which is one aligned word.
    let Some(&slot) = (unsafe { TARGETS.get(&key) }) else {
        if ctx.cb_flags() != 0 {
            // A socket that is used for a second connection, to somebody else: its record is of the first.
            // SAFETY: the socket is the kernel's, alive and locked.
            let _ = unsafe { SOCKETS.delete(socket) };
        }
        return;
    };
    let Some(counters) = TARGET_COUNTERS.get_ptr_mut(slot) else { return };
    // Before anything is counted: the end of a connection that tells of no change would never be counted, and its
    // slot would be connecting for ever.
    let flags = BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG;
    if ctx.set_cb_flags(flags as i32).is_err() {
        warn!(ctx, "a connection to slot {} is not counted: the kernel would not tell of its end", slot);
        // One that is there is of the socket's connection before.
        // SAFETY: the socket is the kernel's, alive and locked.
        let _ = unsafe { SOCKETS.delete(socket) };
        return;
    }
    let Some(record) = stored(&SOCKETS, socket.cast(), true) else {
        warn!(ctx, "no memory to count a connection to slot {}", slot);
        return;
    };
    let begun = SocketRecord { slot, phase: PHASE_CONNECTING, fins: 0, received_before_fin: 0 };
    // SAFETY: `record` is a value of SOCKETS, and the socket is locked.
    unsafe { record.write(begun) };
    add!(counters, connects, 1);
    add!(counters, connecting, 1);
}

/// The socket goes from one TCP state to another.
#[inline(always)]
fn change_state(ctx: &SockOpsContext, socket: *mut bpf_sock) {
    let Some((record, counters)) = counted(socket.cast()) else { return };
    let state = ctx.arg(1);
    // SAFETY: `record` is a value of SOCKETS, and the socket is locked.
    let record = unsafe { &mut *record };
    if record.phase == PHASE_CONNECTING {
        if state == BPF_TCP_ESTABLISHED {
            record.phase = PHASE_OPEN;
            add!(counters, connecting, MINUS_ONE);
            add!(counters, opened, 1);
            add!(counters, open, 1);
            smooth_round_trip(ctx, counters);
        } else if state == BPF_TCP_CLOSE {
            record.phase = PHASE_DONE;
            add!(counters, connecting, MINUS_ONE);
            add!(counters, failed, 1);
            debug!(ctx, "a connection to slot {} failed", record.slot);
            tell(record.slot, EVENT_CONNECT_FAILED);
        }
        return;
    }
    if record.phase == PHASE_OPEN && state != BPF_TCP_ESTABLISHED {
        record.phase = PHASE_CLOSING;
        add!(counters, open, MINUS_ONE);
        if state == BPF_TCP_CLOSE {
            add!(counters, aborted, 1);
        }
    }
    if record.phase == PHASE_CLOSING {
        note_fins(ctx, record, state);
        if state == BPF_TCP_CLOSE {
            record.phase = PHASE_DONE;
            let counted = take_counted(socket);
            add!(counters, bytes_in, payload_received(ctx, record).saturating_sub(counted.received));
            add!(counters, bytes_out, payload_acknowledged(ctx, record).saturating_sub(counted.acknowledged));
            smooth_round_trip(ctx, counters);
            add!(counters, closed, 1);
        }
    }
}

/// Segments were sent again. Where the peer has acknowledged nothing behind what it lacks (RFC 2018), nothing says that it is
/// still there: the first is sent as a probe of that, two round trips after the one before (RFC 8985, section 7).
#[inline(always)]
fn retransmit(ctx: &SockOpsContext, socket: *mut bpf_sock) {
    let Some((record, counters)) = counted(socket.cast()) else { return };
    add!(counters, retransmits, u64::from(ctx.arg(1)));
    // SAFETY: a plain field of the kernel's context.
    if unsafe { (*ctx.ops).sacked_out } == 0 {
        tell_silence(record, counters);
    }
}

/// Nothing was acknowledged for as long as that may take (RFC 6298).
#[inline(always)]
fn time_out(socket: *mut bpf_sock) {
    let Some((record, counters)) = counted(socket.cast()) else { return };
    add!(counters, timeouts, 1);
    tell_silence(record, counters);
}

/// Tells that an endpoint does not answer, which one of many connections is enough for.
#[inline(always)]
fn tell_silence(record: *mut SocketRecord, counters: *mut TargetCounters) {
    // SAFETY: `record` is a value of SOCKETS, and a helper without arguments.
    let (slot, phase, now) = unsafe { ((*record).slot, (*record).phase, bpf_ktime_get_ns()) };
    // SAFETY: the row is a value of TARGET_COUNTERS, which is never freed. Of two CPUs at once both tell.
    let told = unsafe { (&raw const (*counters).silence_told).read_volatile() };
    if now.wrapping_sub(told) < SILENCE_GAP {
        return;
    }
    let kind = match phase {
        PHASE_CONNECTING => EVENT_CONNECT_UNANSWERED,
        PHASE_OPEN => EVENT_DATA_UNANSWERED,
        // What is left of a connection that is over matters to nobody.
        _ => return,
    };
    // SAFETY: as above.
    unsafe { (&raw mut (*counters).silence_told).write_volatile(now) };
    tell(slot, kind);
}

/// What userspace has counted of the connection; it counts no more of it, as it finds nothing to change.
#[inline(always)]
fn take_counted(socket: *mut bpf_sock) -> CountedBytes {
    let Some(counted) = stored(&COUNTED, socket.cast(), false) else { return CountedBytes::default() };
    // SAFETY: `counted` is a value of COUNTED.
    let counted = unsafe { *counted };
    // SAFETY: the socket is the kernel's, alive and locked.
    let _ = unsafe { COUNTED.delete(socket) };
    counted
}

/// Keeps track of who has sent a FIN, for a FIN takes a number as if it were a byte (RFC 9293, section 3.4).
#[inline(always)]
fn note_fins(ctx: &SockOpsContext, record: &mut SocketRecord, state: u32) {
    match state {
        BPF_TCP_FIN_WAIT1 => record.fins |= FIN_SENT,
        BPF_TCP_FIN_WAIT2 => {
            record.fins |= FIN_WAITED_FOR;
            record.received_before_fin = bytes_received(ctx);
        }
        BPF_TCP_CLOSE_WAIT | BPF_TCP_CLOSING => record.fins |= FIN_RECEIVED,
        BPF_TCP_LAST_ACK => record.fins |= FIN_SENT,
        _ => {}
    }
}

/// Payload from the peer. From FIN-WAIT-2 a socket is closed by the peer's FIN, or by a deadline: it was a FIN if
/// something was received since. (Half a connection may then count one byte short: one that we had shut down, that
/// brought data and then was closed without waiting for the peer's FIN.)
#[inline(always)]
fn payload_received(ctx: &SockOpsContext, record: &SocketRecord) -> u64 {
    let received = bytes_received(ctx);
    let fin = record.fins & FIN_RECEIVED != 0
        || record.fins & FIN_WAITED_FOR != 0 && received > record.received_before_fin;
    received.saturating_sub(u64::from(fin))
}

/// Payload the peer has acknowledged: what was, without SYN and FIN.
#[inline(always)]
fn payload_acknowledged(ctx: &SockOpsContext, record: &SocketRecord) -> u64 {
    // SAFETY: plain fields of the kernel's context.
    let (acked, first_open, next) =
        unsafe { ((*ctx.ops).bytes_acked, (*ctx.ops).snd_una, (*ctx.ops).snd_nxt) };
    let fin = record.fins & FIN_SENT != 0 && first_open == next;
    acked.saturating_sub(1 + u64::from(fin))
}

#[inline(always)]
fn bytes_received(ctx: &SockOpsContext) -> u64 {
    // SAFETY: a plain field of the kernel's context.
    unsafe { (*ctx.ops).bytes_received }
}

/// Folds the connection's round-trip time into the endpoint's: 7 parts old, 1 part new, as RFC 6298 does it.
/// Two CPUs at once may lose one of two samples.
#[inline(always)]
fn smooth_round_trip(ctx: &SockOpsContext, counters: *mut TargetCounters) {
    // SAFETY: a plain field of the kernel's context; the kernel keeps eight times the microseconds in it.
    let sample = u64::from(unsafe { (*ctx.ops).srtt_us } >> 3);
    if sample != 0 {
        // SAFETY: the row is a value of TARGET_COUNTERS, which is never freed.
        unsafe {
            let old = (&raw const (*counters).srtt_us).read_volatile();
            let new = if old == 0 { sample } else { (old * 7 + sample) >> 3 };
            (&raw mut (*counters).srtt_us).write_volatile(new);
        }
    }
}

/// Tells userspace. When it is not there or does not keep up, the ring is full and nothing is told.
#[inline(always)]
fn tell(slot: u32, kind: u32) {
    let _ = EVENTS.output(Event { slot, kind }, 0);
}

/// The record and the row of a counted socket.
#[inline(always)]
fn counted(socket: *mut c_void) -> Option<(*mut SocketRecord, *mut TargetCounters)> {
    let record = stored(&SOCKETS, socket, false)?;
    // SAFETY: `record` is a value of SOCKETS.
    let counters = TARGET_COUNTERS.get_ptr_mut(unsafe { (*record).slot })?;
    Some((record, counters))
}

/// What `map` holds for the socket; made, zeroed, if asked for and there is memory.
#[inline(always)]
fn stored<T>(map: &'static SkStorage<T>, socket: *mut c_void, create: bool) -> Option<*mut T> {
    let map = ptr::from_ref(map).cast_mut().cast();
    let flags = if create { u64::from(BPF_SK_STORAGE_GET_F_CREATE) } else { 0 };
    // SAFETY: the map is a socket storage of T, and the socket comes from the kernel.
    let value = unsafe { bpf_sk_storage_get(map, socket, ptr::null_mut(), flags) }.cast::<T>();
    if value.is_null() { None } else { Some(value) }
}

/// Where the connection goes. A mapped address looks the same from a socket of either family.
#[inline(always)]
fn destination(ctx: &SockOpsContext, socket: *const bpf_sock) -> TargetKey {
    // SAFETY: plain fields of the kernel's context. The verifier wants words of an address read one by one,
    // which volatile reads are.
    let words = unsafe {
        if ctx.family() == IPV4 {
            [0, 0, 0xffff_u32.to_be(), (*ctx.ops).remote_ip4]
        } else {
            let words = (&raw const (*ctx.ops).remote_ip6).cast::<u32>();
            [
                words.read_volatile(),
                words.add(1).read_volatile(),
                words.add(2).read_volatile(),
                words.add(3).read_volatile(),
            ]
        }
    };
    let link_local = u32::from_be(words[0]) & 0xffc0_0000 == 0xfe80_0000;
    // SAFETY: a plain field of the kernel's socket.
    let interface = if link_local { unsafe { (*socket).bound_dev_if } } else { 0 };
    // SAFETY: both are 16 bytes without padding.
    let address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
    TargetKey { address, port: u32::from_be(ctx.remote_port()) as u16, padding: 0, interface }
}
