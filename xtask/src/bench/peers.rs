//! Where the programs are that balancer is compared with: those that `cargo xtask bench --fetch-peers` has put into
//! `target/peers`, or else those that are installed. Must not know: what they are configured to do.

pub(crate) mod fetch;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::process;
use crate::shell;

/// A program that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What is run, and what comes before the program's own arguments.
    words: Vec<OsString>,
    pub(crate) version: String,
}

impl Program {
    /// It on this core alone.
    pub(crate) fn pinned(&self, core: usize) -> Command {
        let mut command = process::alone(core);
        command.args(&self.words);
        command
    }

    fn new(path: &Path) -> Self {
        Self { words: vec![path.into()], version: String::new() }
    }

    /// One of Debian's that is newer than the C library here: started by the loader that came with it.
    fn unpacked(name: &str) -> Option<Self> {
        let root = folder().join("debian");
        let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
        let loader = libraries.join(LOADER);
        let program = root.join("usr/sbin").join(name);
        let words =
            vec![loader.clone().into(), "--library-path".into(), libraries.into(), program.clone().into()];
        (loader.is_file() && program.is_file()).then(|| Self { words, version: String::new() })
    }

    /// With what it says of its version behind these, one after the other.
    fn with_version(mut self, arguments: &[&str], after: &[&str]) -> Result<Self> {
        let mut words = self.words.iter();
        let output = Command::new(words.next().context("a program")?).args(words).args(arguments).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let mut rest = &*text;
        for mark in after {
            (_, rest) = rest.split_once(mark).with_context(|| format!("no version: {text}"))?;
        }
        self.version = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        Ok(self)
    }
}

const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "ld-linux-aarch64.so.1" } else { "ld-linux-x86-64.so.2" };

/// Where they are put.
pub(crate) fn folder() -> PathBuf {
    shell::target_dir().join("peers")
}

/// The program of this peer; none where it cannot be had here.
pub(crate) fn find(name: &str) -> Option<Program> {
    let ours = folder();
    let file = |path: PathBuf| path.is_file().then(|| Program::new(&path));
    let installed = || shell::find_program(name).map(|path| Program::new(&path));
    let (program, arguments, after): (_, &[&str], &[&str]) = match name {
        "nginx" => (Program::unpacked(name).or_else(installed), &["-v"], &["nginx/"]),
        "haproxy" => (Program::unpacked(name).or_else(installed), &["-v"], &["version "]),
        "envoy" => {
            // What is in `bin` is a script of Python's that starts the program.
            let found = find_below(&ours.join("python"), "envoy/_bin/envoy");
            (found.and_then(file).or_else(installed), &["--version"], &["version: ", "/"])
        }
        "traefik" => (file(ours.join("python/bin/traefik")).or_else(installed), &["version"], &["Version:"]),
        "caddy" => (file(ours.join("python/bin/caddy")).or_else(installed), &["version"], &["v"]),
        "sozu" => (file(ours.join("cargo/bin/sozu")).or_else(installed), &["--version"], &["sozu "]),
        "pingora" => {
            let program = file(ours.join("cargo/bin/bench-pingora"))?;
            return Some(Program { version: fetch::PINGORA.to_owned(), ..program });
        }
        _ => (None, &[], &[]),
    };
    program?.with_version(arguments, after).ok()
}

/// The file `end` in the packages of a Python environment, whatever its version.
fn find_below(environment: &Path, end: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(environment.join("lib")).ok()?.flatten();
    versions.map(|version| version.path().join("site-packages").join(end)).find(|path| path.is_file())
}

/// Whether a version such as "1.29.6" is at least this one.
pub(crate) fn is_at_least(version: &str, wanted: [u32; 3]) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let have: [u32; 3] = std::array::from_fn(|_| parts.next().unwrap_or(0));
    have >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_at_least("1.30.6", [1, 29, 6]) && is_at_least("1.29.6", [1, 29, 6]));
        assert!(!is_at_least("1.22.1", [1, 29, 6]) && !is_at_least("1.9.10", [1, 29, 6]));
        assert!(is_at_least("2.0", [1, 29, 6]) && !is_at_least("", [1, 29, 6]));
    }

    #[test]
    fn what_nobody_makes_is_not_found() {
        assert!(find("no-such-proxy").is_none());
    }

    #[test]
    fn versions_are_read_from_what_programs_say() {
        let program = Program { words: vec!["echo".into()], version: String::new() };
        let program = program.with_version(&["HAProxy version 3.2.26-1 2026/10/14"], &["version "]).unwrap();
        assert_eq!(program.version, "3.2.26");
        assert!(program.with_version(&["nothing"], &["version "]).is_err());
    }
}
