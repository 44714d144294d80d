//! Whether tests of the kernel side can run here.

use std::sync::OnceLock;

use crate::{Balancer, Config, Target, skip};

/// Whether the kernel side can be had. Where it cannot, the test is [skipped](fn@skip).
#[must_use]
pub fn available() -> bool {
    static AVAILABLE: OnceLock<Result<(), String>> = OnceLock::new();
    let available = AVAILABLE.get_or_init(probe);
    match available {
        Ok(()) => true,
        Err(reason) => {
            skip(&format_args!("no kernel side: {reason}"));
            false
        }
    }
}

/// Whether we are root. Where not, the test is [skipped](fn@skip).
#[must_use]
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(&"not root");
    }
    root
}

fn probe() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("auto"));
    let status = balancer.status();
    if status.kernel_assist() { Ok(()) } else { Err(status.0["kernel_assist_detail"].to_string()) }
}
