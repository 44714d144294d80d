//! The kernel programs of balancer. Each is in a file of its own; their tables are in `maps`.
//!
//! Built for `bpfel-unknown-none` by `cargo xtask build-ebpf`.
#![no_std]
#![no_main]
// There is no compare-and-swap on this target, hence no `AtomicU64::fetch_add`: the one instruction that
// does it is written out. The gate is open for aya-ebpf anyway.
#![feature(asm_experimental_arch)]

mod atomic;
mod maps;
mod target_counters;
mod worker_select;

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
