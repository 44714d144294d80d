//! `cargo xtask check-ebpf`: builds the kernel programs anew, and compares them with the committed object.
//!
//! With the versions that made the committed object the bytes must be the same. With others they cannot be compared:
//! then the fresh object must pass the tests of the kernel side, where those can run.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{build_ebpf, shell};

/// Runs the command.
///
/// # Errors
/// When the committed object is not what the source gives, or the fresh one does not work.
pub(crate) fn run() -> Result<()> {
    let built = build_ebpf::build()?;
    let (object, versions) = (build_ebpf::committed_object(), build_ebpf::committed_versions());
    let committed = fs::read(&object).with_context(|| object.display().to_string())?;
    let recorded = fs::read_to_string(&versions).with_context(|| versions.display().to_string())?;
    let same = fs::read(&built.object)? == committed;
    if same {
        println!("{} is what the source gives", object.display());
        return Ok(());
    }
    if recorded == built.versions {
        bail!("{} is not what the source gives: cargo xtask build-ebpf", object.display());
    }
    println!(
        "cannot compare: the committed object was made with\n{recorded}and this one with\n{}",
        built.versions
    );
    let mut tests = shell::cargo();
    tests.args(["test", "--quiet", "--package", "balancer", "--test", "integration", "kernel::"]);
    shell::run(tests.env("BALANCER_BPF_OBJ", &built.object))?;
    println!(
        "{} passes the tests of the kernel side (or they said why they cannot run)",
        built.object.display()
    );
    Ok(())
}
