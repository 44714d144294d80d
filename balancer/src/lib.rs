//! `balancer`: a self-hosted application load balancer with sticky sessions.
//!
//! A request flows one way: listener → http → rules → target_group → stickiness → balance → upstream.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod id;
pub mod kernel;
pub mod model;
pub mod snapshot;
pub mod target_group;
pub mod telemetry;
