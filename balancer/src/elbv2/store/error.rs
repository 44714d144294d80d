//! What is wrong with a database of records, in words for whoever has to mend it. Must not know: what is done with it.

use std::{fmt, io, path::PathBuf};

use super::migration::SCHEMA;

/// Why records cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{0}: another process has it open, and one at a time changes it")]
    InUse(PathBuf),
    /// It is not what was written.
    #[error("{path}: the database is damaged ({why}){copy}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
        /// Where the last good state is.
        copy: KeptCopy,
    },
    /// It is not there, and was.
    #[error("{path}: there is no database, and there was one{copy}; to begin anew, remove {path}.json", path = .path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// Where the last good state is.
        copy: KeptCopy,
    },
    /// It was written by a newer version.
    #[error("{path}: was written by a newer version (form {found}); allowed: forms up to {SCHEMA}", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u64,
    },
    /// The system refuses.
    #[error("{path}: {source}", path = .path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is to be read in is none of ours.
    #[error("{path}: is no state of a balancer ({why})", path = .path.display())]
    NoState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What is told of the copy, where there is one.
#[derive(Debug)]
pub struct KeptCopy(pub(super) Option<(PathBuf, u64)>);

impl fmt::Display for KeptCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((copy, revision)) => write!(
                f,
                "; the last good state (change {revision}) is kept in {0}: `balancer state import {0} -c CONFIG` puts it back",
                copy.display()
            ),
            None => f.write_str("; there is no copy of the last good state"),
        }
    }
}
