//! `balancer`: a self-hosted application load balancer with sticky sessions.
//!
//! A request flows one way: listener → http → rules → target_group → stickiness → balance → upstream.

pub mod app;
mod atomics;
pub mod balance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod counters;
pub mod dial;
pub mod digits;
pub mod elbv2;
pub mod etcd;
pub mod health;
pub mod http;
pub mod id;
pub mod internal_errors;
pub mod kernel;
pub mod listener;
pub mod logs;
pub mod model;
pub mod panics;
pub mod random;
pub mod regular_file;
pub mod response;
pub mod rules;
pub mod safe_file;
pub mod session_store;
pub mod snapshot;
pub mod stickiness;
pub mod target_group;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod wire;
