//! Targets in a file: looked at each second, read when it is another one, or was written to, and every interval besides, since
//! not all file systems tell of changes. Must not know: what is in it.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    document::{self, DocumentForm, MAX_DOCUMENT},
    lister::{Listing, SourceFault, TargetLister},
};
use crate::{clock::monotonic_now, model::TargetSource, regular_file};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Tells one state of a file from another: device, inode, size, and when content and inode changed.
type FileState = (u64, u64, u64, [i64; 4]);

/// A look at the file: its state, and what is in it if that is wanted.
#[derive(Debug)]
struct Looked {
    state: Option<FileState>,
    listing: Option<Result<Listing, SourceFault>>,
}

#[derive(Debug)]
pub(super) struct FileLister {
    path: PathBuf,
    port: Option<u16>,
    interval: Duration,
    patience: Duration,
    /// When it was read last, and its state then.
    read: Option<(Instant, Option<FileState>)>,
    /// A look that has taken too long goes on: two would wait for the same disk.
    looking: Option<JoinHandle<Looked>>,
}

impl FileLister {
    pub(super) fn new(path: &Path, source: &TargetSource) -> Self {
        Self {
            path: path.to_owned(),
            port: source.port,
            interval: source.interval,
            patience: source.timeout,
            read: None,
            looking: None,
        }
    }

    async fn look(&mut self) -> Result<Looked, SourceFault> {
        let (path, port) = (self.path.clone(), self.port);
        let known = self.read.filter(|(at, _)| monotonic_now() < *at + self.interval).map(|(_, state)| state);
        let looking =
            self.looking.get_or_insert_with(|| tokio::task::spawn_blocking(move || look(&path, port, known)));
        let looked = timeout(self.patience, looking).await;
        let late = |_| SourceFault::away(format!("{}: not read in time", self.path.display()));
        let looked = looked.map_err(late)?;
        self.looking = None;
        looked.map_err(|error| SourceFault::away(error.to_string()))
    }
}

impl TargetLister for FileLister {
    async fn next(&mut self) -> Result<Listing, SourceFault> {
        loop {
            if self.read.is_some() {
                sleep(LOOK).await;
            }
            let looked = self.look().await;
            let Looked { state, listing } = match looked {
                Ok(looked) => looked,
                Err(fault) => {
                    self.read = Some((monotonic_now(), None));
                    return Err(fault);
                }
            };
            if let Some(listing) = listing {
                self.read = Some((monotonic_now(), state));
                return listing;
            }
        }
    }

    /// It is looked at all the time: one that is mended is found at once.
    fn rests(&self) -> bool {
        false
    }
}

fn state(path: &Path) -> Option<FileState> {
    let found = fs::metadata(path).ok()?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    Some((found.dev(), found.ino(), found.size(), times))
}

/// `known`: the state in which it need not be read.
fn look(path: &Path, port: Option<u16>, known: Option<Option<FileState>>) -> Looked {
    let state = state(path);
    if known == Some(state) {
        return Looked { state, listing: None };
    }
    Looked { state, listing: Some(read(path, port)) }
}

/// What is in a list.
pub(super) fn read(path: &Path, port: Option<u16>) -> Result<Listing, SourceFault> {
    let form = if path.extension().is_some_and(|ending| ending == "json") {
        DocumentForm::Json
    } else {
        DocumentForm::Yaml
    };
    let (bytes, _) =
        regular_file::read(path, MAX_DOCUMENT).map_err(|fault| SourceFault::away(format!("it {fault}")))?;
    document::read(&bytes, form, port)
}
