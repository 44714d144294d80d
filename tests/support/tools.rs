//! What other programs say: `ss` and `bpftool`.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many established connections to `port` the process `pid` has, as `ss` shows them.
#[must_use]
pub fn established_to(port: u16, pid: u32) -> usize {
    let text =
        output(Command::new("ss").args(["-Htnp", "state", "established", &format!("dport = :{port}")]));
    text.lines().filter(|line| line.contains(&format!("pid={pid},"))).count()
}

/// Where the balancer of this instance pins what it keeps in the kernel.
///
/// # Panics
/// When there is no such folder.
#[must_use]
pub fn pins(instance: &str) -> PathBuf {
    let folder = PathBuf::from("/sys/fs/bpf/balancer").join(instance);
    let versions = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    versions.map(|version| version.unwrap().path()).next().expect("a version")
}

/// `bpftool map dump pinned …`, as JSON with the fields that BTF tells.
///
/// # Panics
/// When bpftool fails.
#[must_use]
pub fn map_dump(instance: &str, map: &str) -> Vec<Value> {
    let path = pins(instance).join(map);
    let text = output(Command::new("bpftool").args(["-j", "map", "dump", "pinned"]).arg(path));
    serde_json::from_str(&text).unwrap()
}

/// `bpftool map show pinned …`.
///
/// # Panics
/// When bpftool fails.
#[must_use]
pub fn map_info(instance: &str, map: &str) -> Value {
    let path = pins(instance).join(map);
    let text = output(Command::new("bpftool").args(["-j", "map", "show", "pinned"]).arg(path));
    serde_json::from_str(&text).unwrap()
}
