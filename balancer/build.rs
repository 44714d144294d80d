//! Hands the objects with the kernel programs to the library: the committed ones, or those that `BALANCER_BPF_OBJ` and
//! `BALANCER_SHIELD_OBJ` name. Building balancer takes no toolchain for kernel programs.

use std::{env, error::Error, fs, path::PathBuf};

const OBJECTS: [(&str, &str); 2] =
    [("BALANCER_BPF_OBJ", "balancer-kernel.o"), ("BALANCER_SHIELD_OBJ", "balancer-shield.o")];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    for (variable, name) in OBJECTS {
        println!("cargo::rerun-if-env-changed={variable}");
        let committed = || PathBuf::from("../balancer-ebpf/prebuilt").join(name);
        let object = env::var_os(variable).map_or_else(committed, PathBuf::from);
        println!("cargo::rerun-if-changed={}", object.display());
        fs::copy(&object, out.join(name))
            .map_err(|error| format!("{}: {error}; cargo xtask build-ebpf makes it", object.display()))?;
    }
    Ok(())
}
