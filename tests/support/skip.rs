//! Tests that cannot run here say so, where it is seen. Must not know: what they need.

use std::{env, fmt::Display, fs::OpenOptions, io::Write, thread};

/// A file that what is skipped is written to, a line each, for who counts.
const FILE: &str = "BALANCER_SKIPS";

/// What a run is that has to be complete.
const COMPLETE: [&str; 2] = ["CI", "BALANCER_REQUIRE_KERNEL"];

/// Says that the test that runs does not check what it is for, or part of it, and why. The test is to return then.
///
/// # Panics
/// Under CI, where nothing may be skipped.
pub fn skip(reason: &dyn Display) {
    let is_set = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "false");
    if let Some(name) = COMPLETE.iter().find(is_set) {
        panic!("{name} is set, and this cannot run here: {reason}");
    }
    tell(reason);
}

/// As [`skip`], of what no machine can be made to have: also where nothing may be skipped else.
///
/// # Panics
/// When what is skipped cannot be written down.
pub fn skip_anywhere(reason: &dyn Display) {
    tell(reason);
}

fn tell(reason: &dyn Display) {
    let thread = thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    // Not by `eprint!`, which is kept back for tests that pass.
    let _ = std::io::stderr().write_all(format!("skipped: {line}").as_bytes());
    if let Some(file) = env::var_os(FILE) {
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
    }
}
