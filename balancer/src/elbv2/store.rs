//! Records on disk: an embedded database (redb), one transaction a change, and a copy of the last good state in JSON beside it.
//! Must not know: what is in a record, and what becomes of it.

mod copy;
mod error;
mod migration;

use std::{
    any::Any,
    collections::BTreeMap,
    ffi::OsStr,
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, ReadableTable, Table,
    TableDefinition, TableError, backends::FileBackend,
};
use serde_json::Value;

pub use self::{
    copy::{StateCopy, copy_path},
    error::StoreError,
};
use self::{
    error::KeptCopy,
    migration::{SCHEMA, migrated},
};
use super::records::Records;
use crate::safe_file::{self, Folder, Owner, Sight, could_update};

/// A record's kind and ARN, and itself in JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// Numbers of the whole.
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
/// The version of the form of records.
const SCHEMA_FACT: &str = "schema";
/// How many changes there were.
const REVISION_FACT: &str = "revision";

/// Memory for what was read: all there is is in memory anyway.
const CACHE: usize = 4 * 1024 * 1024;

/// Records by kind and ARN, as they are stored.
type Rows = BTreeMap<String, Vec<u8>>;

/// The database, open.
pub struct Store {
    path: PathBuf,
    database: Option<Database>,
    rows: Rows,
    revision: u64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `path`, and makes it where there is none and never was, for `owner` if there is one. Every page of
    /// it is held against its checksum.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path, owner: Option<Owner>) -> Result<(Self, Records), StoreError> {
        let there = safe_file::read(path, owner).map_err(|error| system(path, error))?;
        let length = there.map_or(Ok(0), |file| file.metadata().map(|found| found.len()));
        let is_new = length.map_err(|error| system(path, error))? == 0;
        if is_new && copy_path(path).exists() {
            return Err(StoreError::Gone { path: path.to_owned(), copy: kept_copy(path) });
        }
        Self::create(path, owner, is_new)
    }

    fn create(path: &Path, owner: Option<Owner>, is_new: bool) -> Result<(Self, Records), StoreError> {
        let file = safe_file::update(path, 0o600, owner).map_err(|error| system(path, error))?;
        let database = guarded(path, || {
            let mut builder = builder();
            builder.set_check_integrity_on_open(true);
            Ok(builder.create_with_backend(FileBackend::new(file)?)?)
        })?;
        let mut store =
            Self { path: path.to_owned(), database: Some(database), rows: Rows::new(), revision: 0 };
        if is_new {
            store.write(&Rows::new(), 0)?;
        }
        let records = store.reread()?;
        Ok((store, records))
    }

    /// Looks whether [`Self::open`] would be refused, as far as that can be seen. Nothing is made, mended or changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn could_open(path: &Path, owner: Option<Owner>) -> Result<(), StoreError> {
        let failed = |error| system(path, error);
        let is_there = could_update(path, owner).map_err(failed)? == Sight::File;
        let is_new = !is_there || fs::metadata(path).map_err(failed)?.len() == 0;
        if is_new {
            return match copy_path(path).exists() {
                true => Err(StoreError::Gone { path: path.to_owned(), copy: kept_copy(path) }),
                false => Ok(()),
            };
        }
        guarded(path, || match builder().open_read_only(path) {
            // Left as it was when a process ended without a word, which opening puts right; or its process runs.
            Ok(_) | Err(DatabaseError::RepairAborted | DatabaseError::DatabaseAlreadyOpen) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }

    /// Begins with an empty database in the place of one that is damaged or gone. What is there is kept, with `.damaged` behind its
    /// name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_anew(path: &Path, owner: Option<Owner>) -> Result<(Self, Records), StoreError> {
        let failed = |error| system(path, error);
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput).map_err(|kind| failed(kind.into()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = Folder::open(folder).map_err(failed)?;
        match folder.rename_over(&name, OsStr::new(&format!("{name}.damaged"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        Self::create(path, owner, true)
    }

    /// The records of a database that another process may have open for changing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(path: &Path) -> Result<StateCopy, StoreError> {
        if safe_file::read(path, None).map_err(|error| system(path, error))?.is_none() {
            return Err(system(path, io::ErrorKind::NotFound.into()));
        }
        let read = guarded(path, || {
            let database = builder().open_read_only(path)?;
            read_all(&database)
        });
        match read {
            Ok((rows, schema, revision)) => {
                let records = records_of(path, &rows, schema)?;
                Ok(StateCopy::new(revision, records))
            }
            // It was left as it was when a process ended without a word: whoever opens it to change it puts that right.
            Err(StoreError::Damaged { .. }) => {
                let (store, records) = Self::open(path, None)?;
                Ok(StateCopy::new(store.revision, records))
            }
            Err(error) => Err(error),
        }
    }

    /// How many changes there were.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Writes records in the place of those before: all of it or nothing, on disk when it returns.
    ///
    /// # Errors
    /// [`StoreError`]: then what was there before is there, as far as that can be.
    pub fn commit(&mut self, records: &Records) -> Result<(), StoreError> {
        let rows = rows_of(records).map_err(|error| damaged(&self.path, error))?;
        if rows == self.rows && self.database.is_some() {
            return Ok(());
        }
        self.reopen()?;
        let revision = self.revision + 1;
        match self.write(&rows, revision) {
            Ok(()) => {
                (self.rows, self.revision) = (rows, revision);
                Ok(())
            }
            Err(error) => {
                // What an error leaves there is not known: it is found out before the next change.
                self.database = None;
                Err(error)
            }
        }
    }

    /// Closes the database, so that another process can open it.
    pub fn close(&mut self) {
        self.database = None;
    }

    /// Opens it again where it is closed, and puts back what was acknowledged if anything else is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        if self.database.is_some() {
            return Ok(());
        }
        let (other, _) = Self::open(&self.path, None)?;
        let (rows, revision) = (std::mem::take(&mut self.rows), self.revision.max(other.revision));
        *self = other;
        if self.rows != rows {
            let put_back = self.write(&rows, revision + 1);
            self.rows = rows;
            if let Err(error) = put_back {
                self.database = None;
                return Err(error);
            }
            self.revision = revision + 1;
        }
        Ok(())
    }

    fn reread(&mut self) -> Result<Records, StoreError> {
        let Some(database) = &self.database else { return Err(damaged(&self.path, "it is closed")) };
        let (rows, schema, revision) = guarded(&self.path, || read_all(database))?;
        let records = records_of(&self.path, &rows, schema)?;
        // In an older form all of them are written anew with the next change.
        (self.rows, self.revision) = (rows, revision);
        Ok(records)
    }

    fn write(&self, rows: &Rows, revision: u64) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Err(damaged(&self.path, "it is closed")) };
        guarded(&self.path, || {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(RECORDS)?;
                put_all(&mut table, &self.rows, rows)?;
                let mut facts = transaction.open_table(FACTS)?;
                facts.insert(SCHEMA_FACT, SCHEMA)?;
                facts.insert(REVISION_FACT, revision)?;
            }
            Ok(transaction.commit()?)
        })
    }
}

fn put_all(table: &mut Table<'_, &str, &[u8]>, before: &Rows, after: &Rows) -> Result<(), redb::Error> {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        table.remove(&**key)?;
    }
    for (key, row) in after.iter().filter(|(key, row)| before.get(*key) != Some(row)) {
        table.insert(&**key, &**row)?;
    }
    Ok(())
}

/// All rows, their form, and how many changes there were.
fn read_all(database: &impl ReadableDatabase) -> Result<(Rows, u64, u64), redb::Error> {
    let transaction = database.begin_read()?;
    let facts = match transaction.open_table(FACTS) {
        Ok(facts) => facts,
        // It was made, and no more.
        Err(TableError::TableDoesNotExist(_)) => return Ok((Rows::new(), SCHEMA, 0)),
        Err(error) => return Err(error.into()),
    };
    let fact = |name: &str| Ok::<_, redb::Error>(facts.get(name)?.map_or(0, |fact| fact.value()));
    let mut rows = Rows::new();
    for row in transaction.open_table(RECORDS)?.iter()? {
        let (key, row) = row?;
        rows.insert(key.value().to_owned(), row.value().to_vec());
    }
    Ok((rows, fact(SCHEMA_FACT)?, fact(REVISION_FACT)?))
}

fn rows_of(records: &Records) -> Result<Rows, serde_json::Error> {
    let mut rows = Rows::new();
    let Value::Object(kinds) = serde_json::to_value(records)? else { return Ok(rows) };
    for (kind, of_kind) in kinds {
        let Value::Object(of_kind) = of_kind else { continue };
        for (arn, record) in of_kind {
            rows.insert(format!("{kind} {arn}"), serde_json::to_vec(&record)?);
        }
    }
    Ok(rows)
}

fn records_of(path: &Path, rows: &Rows, schema: u64) -> Result<Records, StoreError> {
    let mut all = serde_json::to_value(Records::default()).map_err(|error| damaged(path, error))?;
    for (key, row) in rows {
        let (kind, arn) = key.split_once(' ').unwrap_or((key, ""));
        let record: Value = serde_json::from_slice(row).map_err(|error| damaged(path, error))?;
        match all.get_mut(kind).and_then(Value::as_object_mut) {
            Some(of_kind) => drop(of_kind.insert(arn.to_owned(), record)),
            None => return Err(damaged(path, format_args!("it holds {kind}, which is no kind of record"))),
        }
    }
    match migrated(all, schema) {
        Ok(records) => Ok(records),
        Err(None) => Err(StoreError::Newer { path: path.to_owned(), found: schema }),
        Err(Some(why)) => Err(damaged(path, why)),
    }
}

/// How the database is used: one process changes it, others may look.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Does something with the database. What is damaged may be so in ways that it does not look for: then it panics.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(StoreError::InUse(path.to_owned())),
        Ok(Err(redb::Error::Io(source))) if !is_of_content(&source) => Err(system(path, source)),
        Ok(Err(error)) => Err(damaged(path, error)),
        Err(panic) => Err(damaged(path, words_of(&*panic))),
    }
}

/// Whether what was read is wrong, and not that it could not be.
fn is_of_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default()
}

/// The copy of the last good state of a database.
fn kept_copy(path: &Path) -> KeptCopy {
    let copy = copy_path(path);
    KeptCopy(StateCopy::read(&copy).ok().map(|read| (copy, read.revision)))
}

fn damaged(path: &Path, why: impl fmt::Display) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), why: why.to_string(), copy: kept_copy(path) }
}

fn system(path: &Path, source: io::Error) -> StoreError {
    StoreError::System { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
