//! Whether tests of the kernel side can run here.

use std::{env, sync::OnceLock};

use crate::{Balancer, Config, Target};

/// Whether the kernel side can be had. Where it cannot, a test that needs it prints why and passes without a check,
/// unless `BALANCER_REQUIRE_KERNEL` is set: then it fails.
///
/// # Panics
/// When it is required and cannot be had.
#[must_use]
pub fn available() -> bool {
    static AVAILABLE: OnceLock<Result<(), String>> = OnceLock::new();
    let available = AVAILABLE.get_or_init(probe);
    match available {
        Ok(()) => true,
        Err(reason) => {
            assert!(
                env::var_os("BALANCER_REQUIRE_KERNEL").is_none(),
                "the kernel side is required: {reason}"
            );
            eprintln!("skipped: no kernel side: {reason}");
            false
        }
    }
}

/// Whether we are root; as [`available`] where not.
///
/// # Panics
/// When it is required and we are not.
#[must_use]
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || env::var_os("BALANCER_REQUIRE_KERNEL").is_none(), "root is required");
    if !root {
        eprintln!("skipped: not root");
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
