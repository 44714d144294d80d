//! Parses arguments, runs a command, exits with its code; nothing else.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request of HTTP/2 takes some forty pieces of memory, one of them large: with this allocator it costs less processor
/// time than with the C library's. Huge pages are not asked for: they made a queue of 8 MiB take 18 of memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    balancer::cli::main()
}
