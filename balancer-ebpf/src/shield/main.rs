//! The shield, in an object of its own: loaded only where one is configured.
//!
//! `balancer_shield` sits on interfaces (XDP), before the kernel makes anything of a packet. It looks at TCP to the addresses
//! and ports of listeners and lets everything else pass, as early as that can be told. What it looks at, in this order:
//!
//! ```text
//! no segment that TCP knows ▶ dropped   source in a prefix ▶ allowed, or dropped until the prefix's time
//! a new connection beyond its source's rate ▶ dropped   everything else ▶ passes
//! ```
//!
//! Fragments but the first have no ports and pass: without the first, which is looked at, nothing becomes of them.
#![no_std]
#![no_main]
// See `../main.rs`.
#![feature(asm_experimental_arch)]

mod judge;
mod maps;
mod parse;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::bpf_jiffies64,
    macros::xdp,
    programs::XdpContext,
};
use balancer_common::shield::{ALLOW, PASS, POLICY_DRY_RUN, Sample};

use crate::{
    maps::{SHIELD_PACKETS, SHIELD_POLICY, SHIELD_SAMPLES},
    parse::Segment,
};

/// Jiffies between two packets of an action that are told of by a CPU: 32 to 320 ms, as the kernel was built.
const BETWEEN_SAMPLES: u64 = 32;

/// Judges a packet; see the head of the file.
#[xdp(frags)]
pub fn balancer_shield(ctx: XdpContext) -> u32 {
    let Some(segment) = parse::segment(&ctx) else { return XDP_PASS };
    let Some(policy) = SHIELD_POLICY.get(0) else { return XDP_PASS };
    let action = judge::judge(&segment, policy);
    let is_dropped = action != PASS && action != ALLOW;
    count(&ctx, &segment, action, is_dropped);
    if is_dropped && policy.flags & POLICY_DRY_RUN == 0 { XDP_DROP } else { XDP_PASS }
}

#[inline(always)]
fn count(ctx: &XdpContext, segment: &Segment, action: u32, is_dropped: bool) {
    let Some(counted) = SHIELD_PACKETS.get_ptr_mut(action) else { return };
    // SAFETY: the row is this CPU's, and a program of this kind is not interrupted by another of its kind.
    let counted = unsafe { &mut *counted };
    counted.packets += 1;
    if is_dropped {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_jiffies64() };
        if now.wrapping_sub(counted.told) >= BETWEEN_SAMPLES {
            counted.told = now;
            // SAFETY: a plain field of the kernel's context.
            let interface = unsafe { (*ctx.ctx).ingress_ifindex };
            let sample = Sample {
                source: segment.source_bytes(),
                port: segment.port,
                action: action as u16,
                interface,
            };
            // When nobody reads, the ring is full and nothing is told.
            let _ = SHIELD_SAMPLES.output(sample, 0);
        }
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could get here.
    loop {}
}

/// The kernel lends some of its functions to programs under the GPL only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
