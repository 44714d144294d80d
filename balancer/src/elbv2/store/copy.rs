//! A state in a file of JSON: the copy that is kept beside the database, and what goes out and comes in. Must not know: the database.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::StoreError,
    migration::{SCHEMA, migrated},
};
use crate::{
    elbv2::records::Records,
    regular_file,
    safe_file::{self, Folder, Owner},
};

/// Longest file that is read.
const MOST: u64 = 256 * 1024 * 1024;

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCopy {
    /// The form of its records.
    pub schema: u64,
    /// How many changes there were.
    pub revision: u64,
    /// What was made.
    pub records: Records,
}

/// The same as it was written, of whatever form.
#[derive(Deserialize)]
struct WrittenState {
    schema: u64,
    revision: u64,
    records: Value,
}

/// Where the copy of a database is.
#[must_use]
pub fn copy_path(database: &Path) -> PathBuf {
    with_end(database, ".json")
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

impl StateCopy {
    /// Of these records.
    #[must_use]
    pub fn new(revision: u64, records: Records) -> Self {
        Self { schema: SCHEMA, revision, records }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`StoreError::NoState`], [`StoreError::Newer`].
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::NoState { path: path.to_owned(), why };
        let (bytes, _) = regular_file::read(path, MOST).map_err(|fault| wrong(fault.to_string()))?;
        let WrittenState { schema, revision, records } =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match migrated(records.clone(), schema) {
            // What would be dropped without a word is none of ours.
            Ok(known)
                if schema == SCHEMA
                    && let Some(path) = unknown_in(&records, &known) =>
            {
                Err(wrong(format!("it holds records{path}, which is not known")))
            }
            Ok(records) => Ok(Self { schema: SCHEMA, revision, records }),
            Err(None) => Err(StoreError::Newer { path: path.to_owned(), found: schema }),
            Err(Some(why)) => Err(wrong(why)),
        }
    }

    /// Writes it, for its owner alone, which is `owner` if there is one. What was there stays until it is done.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, path: &Path, owner: Option<Owner>) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = Folder::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        let unfinished = format!("{}.unfinished", name.to_string_lossy());
        match folder.remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let text = serde_json::to_vec_pretty(self)?;
        let file = folder.create_new(&unfinished)?;
        let written = Self::write(file, &text, owner, &folder.path_of(&unfinished))
            .and_then(|()| folder.rename_over(&unfinished, name));
        if let Err(error) = written {
            // On a disk that is full it would take the room of the database.
            let _ = folder.remove(&unfinished);
            return Err(error);
        }
        folder.sync()
    }

    fn write(mut file: File, text: &[u8], owner: Option<Owner>, path: &Path) -> io::Result<()> {
        file.write_all(text)?;
        if let Some(owner) = owner {
            safe_file::give(path, &file, owner)?;
        }
        file.sync_all()
    }
}

/// Where a document has what records have not.
fn unknown_in(given: &Value, known: &Records) -> Option<String> {
    fn unknown(given: &Value, known: &Value) -> Option<String> {
        match (given, known) {
            (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
                let inner =
                    known.get(name).map_or_else(|| Some(String::new()), |known| unknown(value, known))?;
                Some(format!(".{name}{inner}"))
            }),
            (Value::Array(given), Value::Array(known)) => given
                .iter()
                .zip(known)
                .enumerate()
                .find_map(|(index, (given, known))| Some(format!("[{index}]{}", unknown(given, known)?))),
            _ => None,
        }
    }
    unknown(given, &serde_json::to_value(known).ok()?)
}
