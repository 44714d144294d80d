//! `cargo xtask house`: holds the source of the balancer to what ARCHITECTURE.md says of it. No ring of files that import
//! each other, no import from a room further up in the table of rooms, `unsafe` in `kernel` alone, no file that is too
//! long, no name that is that of types in two files. What it reads are the declarations, imports and paths that are written
//! down, outside tests.

mod imports;
mod modules;
mod paths;
mod rings;
mod rooms;
mod types;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use self::{modules::Tree, rooms::Rooms};
use crate::shell;

/// Lines that a file may have, its tests included.
const LONGEST: usize = 600;

/// The room that may hold `unsafe`.
const UNSAFE_ROOM: &str = "kernel";

pub(crate) fn run() -> Result<()> {
    let root = shell::workspace_root();
    let architecture = root.join("ARCHITECTURE.md");
    let architecture = fs::read_to_string(&architecture)
        .with_context(|| format!("cannot read {}", architecture.display()))?;
    let (files, faults) = inspect(&root.join("balancer/src"), &architecture)?;
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        bail!("{} faults; ARCHITECTURE.md says what holds", faults.len());
    }
    println!("{files} files hold their direction");
    Ok(())
}

/// How many files are in the folder, and what is wrong with them.
fn inspect(source: &Path, architecture: &str) -> Result<(usize, Vec<String>)> {
    let tree = Tree::read(source)?;
    let rooms = Rooms::read(architecture)?;
    let imports = imports::of(&tree);
    let mut faults = rooms.faults(&tree);
    for file in tree.files() {
        if file.lines > LONGEST {
            faults.push(format!("{}: {} lines; allowed: {LONGEST} at most", file.path, file.lines));
        }
        if rooms.of(&file.path).is_none_or(|(_, room)| room != UNSAFE_ROOM) {
            let lines = file.unsafe_lines.iter();
            faults.extend(
                lines.map(|line| format!("{}:{line}: `unsafe` outside of `{UNSAFE_ROOM}`", file.path)),
            );
        }
    }
    faults.extend(rooms.upward(&imports));
    let modules = tree.modules.values();
    let types =
        modules.flat_map(|module| module.types.iter().map(|declared| (module.file.as_str(), declared)));
    faults.extend(types::in_several_files(types));
    faults.extend(rings::among(&imports).iter().map(ToString::to_string));
    Ok((tree.files().count(), faults))
}

#[cfg(test)]
mod tests;
