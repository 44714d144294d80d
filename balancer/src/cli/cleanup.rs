//! `balancer cleanup`: removes what outlives the process. Must not know: what that is.
#![allow(clippy::print_stdout, reason = "this is what the command is for")]

use std::path::Path;

use anyhow::Context;

/// Removes what a balancer of this instance left behind, and says what it was.
///
/// # Errors
/// While the instance runs, and when something cannot be removed.
pub(super) fn run(instance: &str, runtime_dir: &Path) -> anyhow::Result<()> {
    let report = crate::kernel::cleanup(instance, runtime_dir)
        .with_context(|| format!("cleaning up after instance {instance:?}"))?;
    if report.removed.is_empty() {
        println!("nothing to remove for instance {instance:?}");
    }
    for path in &report.removed {
        println!("removed {}", path.display());
    }
    Ok(())
}
