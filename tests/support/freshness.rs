//! Whether the program under test was built from the sources that are here. Must not know: how it is built.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// For a program that is not to be what the sources say: another build, to compare with.
const ANY: &str = "BALANCER_BIN_OF_ANY_AGE";

/// Refuses a program that is older than a source of it, for which nothing that a test says would hold.
///
/// # Panics
/// When it is.
pub fn assert_fresh(program: &Path) {
    static STALE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let stale = STALE.get_or_init(|| if env::var_os(ANY).is_some() { None } else { newer_source(program) });
    if let Some(source) = stale {
        panic!(
            "{} is older than {}: cargo build -p balancer (or set {ANY}=1 where another build is to be tested)",
            program.display(),
            source.display()
        );
    }
}

/// A source that was changed, or is gone, since the program was built.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let built = modified(program)?;
    let sources =
        fs::read_to_string(program.with_extension("d")).map_or_else(|_| sources(), |rule| parse(&rule));
    sources.into_iter().find(|source| modified(source).is_none_or(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// What stands behind the colon of a rule as cargo writes it beside a program: files, with a backslash before spaces.
fn parse(rule: &str) -> Vec<PathBuf> {
    let (_, files) = rule.trim_end().split_once(": ").unwrap_or_default();
    let (mut found, mut file) = (Vec::new(), String::new());
    for piece in files.split(' ') {
        match piece.strip_suffix('\\') {
            Some(start) => file.extend([start, " "]),
            None => found.push(PathBuf::from(std::mem::take(&mut file) + piece)),
        }
    }
    found
}

/// Where no rule is beside the program.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> = ["balancer/src", "balancer-common/src"].map(|folder| root.join(folder)).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
