//! `cargo xtask check-ebpf`: builds the kernel programs anew, and compares them with the committed objects.
//!
//! With the versions that made the committed object the bytes must be the same. With others they cannot be compared:
//! then the fresh objects must pass the tests of the kernel side, where those can run.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{build_ebpf, shell};

/// Runs the command.
///
/// # Errors
/// When a committed object is not what the source gives, or a fresh one does not work.
pub(crate) fn run() -> Result<()> {
    let mut differing = Vec::new();
    for built in build_ebpf::build()? {
        let (object, versions) =
            (build_ebpf::committed_object(built.program), build_ebpf::committed_versions(built.program));
        let committed = fs::read(&object).with_context(|| object.display().to_string())?;
        let recorded = fs::read_to_string(&versions).with_context(|| versions.display().to_string())?;
        if fs::read(&built.object)? == committed {
            println!("{} is what the source gives", object.display());
            continue;
        }
        if recorded == built.versions {
            bail!("{} is not what the source gives: cargo xtask build-ebpf", object.display());
        }
        println!(
            "cannot compare: the committed object was made with\n{recorded}and this one with\n{}",
            built.versions
        );
        differing.push(built);
    }
    if differing.is_empty() {
        return Ok(());
    }
    let mut tests = shell::cargo();
    for built in &differing {
        tests.env(build_ebpf::variable(built.program), &built.object);
    }
    tests.args(["test", "--quiet", "--package", "balancer", "--test", "integration", "kernel::"]);
    shell::run(&mut tests)?;
    let mut tests = shell::cargo();
    for built in &differing {
        tests.env(build_ebpf::variable(built.program), &built.object);
    }
    shell::run(tests.args(["test", "--quiet", "--package", "balancer", "--lib", "kernel::shield"]))?;
    println!("the fresh objects pass the tests of the kernel side (or they said why they cannot run)");
    Ok(())
}
