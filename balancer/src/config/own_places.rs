//! Where the balancer keeps what is its own: nothing else is put there, by no setting. What it finds there that it has not
//! made keeps it from starting, and what it has made there it writes anew and clears.
//! Must not know: what is on the disk. Links are followed by none of it.

use std::path::{Component, Path, PathBuf};

use super::value::shown;
use crate::model::BalancerSettings;

/// Where locks of instances are, whatever `runtime_dir` is.
const LOCKS: &str = "/run/balancer";

/// The places of an instance.
pub(super) struct OwnPlaces {
    folder: PathBuf,
    lock: PathBuf,
    key: PathBuf,
    /// The files that the configuration is read from.
    read: Vec<PathBuf>,
    /// Those that it names: certificates, keys, lists.
    named: Vec<PathBuf>,
}

impl OwnPlaces {
    pub(super) fn of(settings: &BalancerSettings) -> Self {
        let instance = &settings.instance;
        Self {
            folder: plain(&settings.runtime_dir.join(instance)),
            lock: Path::new(LOCKS).join(format!("{instance}.lock")),
            key: plain(&settings.key_path()),
            read: Vec::new(),
            named: Vec::new(),
        }
    }

    /// With the files that the configuration is read from.
    pub(super) fn with_files<'p>(self, files: impl Iterator<Item = &'p Path>) -> Self {
        // As they were named: one that goes by the working folder is where it is from here.
        let whole = |path: &Path| plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        Self { read: files.map(whole).collect(), ..self }
    }

    /// With the files that the configuration names and that are read along with it.
    pub(super) fn with_named_files(self, files: &[PathBuf]) -> Self {
        Self { named: files.iter().map(|file| plain(file)).collect(), ..self }
    }

    /// What is wrong with `path` as a place of keys; nothing where it is one.
    pub(super) fn wrong_for_keys(&self, path: &Path) -> Option<String> {
        let wrong = plain(path).starts_with(&self.folder);
        let (path, folder) = (shown(&path.to_string_lossy()), self.folder.display());
        wrong.then(|| {
            format!(
                "{path} is in {folder}, which is kept for the instance and cleared (`runtime_dir` and `instance`); \
                 allowed: a path outside of it"
            )
        })
    }

    /// What is wrong with `path` as a log; nothing where it is one.
    pub(super) fn wrong_for_logs(&self, path: &Path) -> Option<String> {
        let file = plain(path);
        let what = if file == self.key {
            "the key file"
        } else if file == self.lock {
            "the lock of the instance"
        } else if self.read.contains(&file) {
            "a file of the configuration"
        } else if self.named.contains(&file) {
            "a file that the configuration names and that is read along with it"
        } else {
            return self.wrong_for_keys(path);
        };
        Some(format!("{} is {what}; allowed: a file of its own", shown(&path.to_string_lossy())))
    }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
