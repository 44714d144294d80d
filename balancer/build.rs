//! Hands the object with the kernel programs to the library: the committed one, or the one that
//! `BALANCER_BPF_OBJ` names. Building balancer takes no toolchain for kernel programs.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=BALANCER_BPF_OBJ");
    let committed = || PathBuf::from("../balancer-ebpf/prebuilt/balancer-kernel.o");
    let object = env::var_os("BALANCER_BPF_OBJ").map_or_else(committed, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    fs::copy(&object, PathBuf::from(out).join("balancer-kernel.o"))
        .map_err(|error| format!("{}: {error}; cargo xtask build-ebpf makes it", object.display()))?;
    Ok(())
}
