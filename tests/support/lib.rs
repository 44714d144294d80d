//! What the end-to-end tests share: a balancer to start, clients whose bytes are exactly known, targets that follow
//! a script, and readers of what the balancer, the kernel and `ss` say. Nothing here has a fixed port or waits for
//! a fixed time: conditions are polled with a deadline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "a test stops at the first thing that is not as it should be"
)]

pub mod access_log;
pub mod apps;
pub mod authority;
pub mod balancer;
pub mod browser;
pub mod client;
pub mod config;
pub mod corpus;
pub mod etcd;
pub mod freshness;
pub mod haproxy;
pub mod hole;
pub mod http;
pub mod http2;
pub mod http2_target;
pub mod kernel;
pub mod nginx;
pub mod ports;
pub mod redis;
pub mod relay;
pub mod signals;
pub mod skip;
pub mod status;
pub mod stream;
pub mod target;
pub mod tls;
pub mod tools;
pub mod wait;

pub use balancer::Balancer;
pub use client::{Client, Connection};
pub use config::{Config, Group};
pub use hole::Hole;
pub use http::{Request, Response};
pub use redis::Redis;
pub use relay::Relay;
pub use skip::{skip, skip_anywhere};
pub use status::Status;
pub use target::{Answer, Target};
pub use wait::until;
