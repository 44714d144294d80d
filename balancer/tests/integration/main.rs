//! The library from outside: configurations, one worker behind real sockets, what it allocates, the kernel side. One program,
//! for each links all that the library stands on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod allocations;
mod bed;
mod config;
mod control_state;
mod etcd;
mod fuzz;
mod import;
mod kernel;
mod outstanding_over_nodes;
mod proxy;
mod session_store;
