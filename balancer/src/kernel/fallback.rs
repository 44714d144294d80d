//! The shared tables without the kernel side: mapped files in the instance's folder, so that sessions and
//! counters outlive the process as well. Must not know: what the tables hold.

use std::{fs::File, io, os::fd::AsFd};

use balancer_common::{ABI_VERSION, map};
use rustix::fs::{FallocateFlags, fallocate};

use super::{KernelError, Words, counters, late_words::TableWords, load, outstanding, words};
use crate::safe_file::Folder;

/// Maps the tables stored under `folder`, and makes those that are missing or of another size.
/// Their layout's version is part of the path.
/// `inherited`: another process counts in them, and what does not fit is an error.
pub(super) fn open(
    folder: &Folder,
    sticky_words: usize,
    inherited: bool,
) -> Result<(TableWords, TableFiles), KernelError> {
    let version = format!("v{ABI_VERSION}");
    let folder = open_folder(folder, &version)
        .map_err(|source| KernelError::RuntimeDir { path: folder.path_of(&version), source })?;
    let mut files = TableFiles(Vec::new());
    let mut table = |name, len| {
        let failed = |source| KernelError::Table { name, source };
        if inherited && !fits(&folder, name, len).map_err(failed)? {
            return Err(KernelError::Changed { setting: "session_table_size" });
        }
        let (file, words) = table(&folder, name, len).map_err(failed)?;
        files.0.push(TableFile { name, file, words: words.clone(), told: false });
        Ok(words)
    };
    let words = TableWords {
        outstanding: table(map::OUTSTANDING, outstanding::WORDS)?,
        counters: table(map::TARGET_COUNTERS, counters::WORDS)?,
        // A file's pages come when they are touched.
        sticky: table(map::STICKY, sticky_words)?.into(),
        // Of one process, and nobody else looks at it.
        loads: Words::in_memory(load::WORDS)
            .map_err(|source| KernelError::Table { name: map::WORKER_LOAD, source })?,
    };
    Ok((words, files))
}

/// The files behind the tables: others may do to them what they like.
#[derive(Debug)]
pub(super) struct TableFiles(Vec<TableFile>);

#[derive(Debug)]
struct TableFile {
    name: &'static str,
    file: File,
    words: Words,
    /// That it cannot be made whole.
    told: bool,
}

impl TableFiles {
    /// Makes files that were cut short whole again; true if there was one. What they held is lost, and counted anew.
    pub(super) fn repair(&mut self) -> bool {
        // All of them: each is to be looked at.
        self.0.iter_mut().map(TableFile::repair).fold(false, |any, found| any | found)
    }
}

impl TableFile {
    fn repair(&mut self) -> bool {
        let Ok(bytes) = words::file_bytes(self.words.len()) else { return false };
        let is_short = self.file.metadata().is_ok_and(|found| found.len() < bytes);
        if !is_short && !self.words.is_torn() {
            return false;
        }
        match reserve(&self.file, bytes).and_then(|()| self.words.put_back(&self.file)) {
            Ok(()) => {
                self.told = false;
                tracing::warn!(
                    table = self.name,
                    "the file of a table was cut short by somebody: what it held is lost, and it is whole again"
                );
            }
            Err(error) if !self.told => {
                self.told = true;
                tracing::error!(table = self.name, %error, "the file of a table was cut short by somebody and cannot be made whole");
            }
            Err(_) => {}
        }
        true
    }
}

/// The folder of the tables of a version of their layout, which is made where it is missing.
pub(super) fn open_folder(folder: &Folder, version: &str) -> io::Result<Folder> {
    let mut tables = folder.child(version, 0o700)?;
    if tables.can_be_taken() {
        tables.take()?;
    }
    Ok(tables)
}

/// Whether the file of a table is there and of the size that it is to have.
fn fits(folder: &Folder, name: &str, len: usize) -> io::Result<bool> {
    let bytes = words::file_bytes(len)?;
    Ok(folder.look_at(name)?.is_some_and(|file| file.metadata().is_ok_and(|found| found.len() == bytes)))
}

fn table(folder: &Folder, name: &str, len: usize) -> io::Result<(File, Words)> {
    let bytes = words::file_bytes(len)?;
    let mut file = folder.private_file(name)?;
    let found = file.metadata()?.len();
    if found != bytes {
        if found != 0 {
            tracing::warn!(
                table = name,
                found,
                wanted = bytes,
                "table is of another size: starting with an empty one"
            );
        }
        folder.remove(name)?;
        file = folder.private_file(name)?;
        if let Err(error) = reserve(&file, bytes) {
            // A file of the right size without the room for it would be taken for good next time.
            let _ = folder.remove(name);
            return Err(error);
        }
    }
    let words = Words::of_file(file.as_fd(), len)?;
    Ok((file, words))
}

/// Takes the room now: writing to a mapping that the file system has no room for kills the process.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // Not every file system can; those that cannot are not used for /run.
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    fn opened(dir: &tempfile::TempDir, sticky_words: usize) -> Result<TableWords, KernelError> {
        Ok(open(&Folder::open(dir.path()).unwrap(), sticky_words, false)?.0)
    }

    #[test]
    fn tables_keep_their_words_and_a_resized_one_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let tables = opened(&dir, 1024 * 32).unwrap();
        tables.sticky[1024 * 32 - 1].store(11, Relaxed);
        tables.counters[5].store(12, Relaxed);
        drop(tables);
        let tables = opened(&dir, 1024 * 32).unwrap();
        assert_eq!(tables.sticky[1024 * 32 - 1].load(Relaxed), 11);
        assert_eq!(tables.counters[5].load(Relaxed), 12);
        drop(tables);
        let tables = opened(&dir, 2048 * 32).unwrap();
        assert!(tables.sticky.len() == 2048 * 32 && tables.sticky.iter().all(|word| word.load(Relaxed) == 0));
        assert_eq!(tables.counters[5].load(Relaxed), 12, "the others stay");
    }

    #[test]
    fn a_table_without_room_is_an_error_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let huge = usize::try_from(1_u64 << 57).unwrap();
        assert!(matches!(opened(&dir, huge), Err(KernelError::Table { name: map::STICKY, .. })));
        assert!(!dir.path().join(format!("v{ABI_VERSION}")).join(map::STICKY).exists());
        assert!(opened(&dir, 1024 * 32).is_ok());
    }
}
