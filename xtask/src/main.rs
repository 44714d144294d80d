//! `cargo xtask`: build, check, test and measure balancer.

fn main() {}
