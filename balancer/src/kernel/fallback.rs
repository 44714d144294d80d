//! The shared tables without the kernel side: mapped files in the instance's folder, so that sessions and
//! counters outlive the process as well. Must not know: what the tables hold.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::Path,
};

use balancer_common::{ABI_VERSION, map};
use rustix::fs::{FallocateFlags, fallocate};

use super::{KernelError, TableWords, Words, counters, instance, outstanding, words};

/// Maps the tables stored under `folder`, and makes those that are missing or of another size.
/// Their layout's version is part of the path.
pub(super) fn open(folder: &Path, sticky_words: usize) -> Result<TableWords, KernelError> {
    let folder = folder.join(format!("v{ABI_VERSION}"));
    instance::create_private(&folder)
        .map_err(|source| KernelError::RuntimeDir { path: folder.clone(), source })?;
    let table = |name, len| table(&folder, name, len).map_err(|source| KernelError::Table { name, source });
    Ok(TableWords {
        outstanding: table(map::OUTSTANDING, outstanding::WORDS)?,
        counters: table(map::TARGET_COUNTERS, counters::WORDS)?,
        sticky: table(map::STICKY, sticky_words)?,
    })
}

fn table(folder: &Path, name: &str, len: usize) -> io::Result<Words> {
    let path = folder.join(name);
    let bytes = words::file_bytes(len)?;
    let mut file = instance::open_private(&path)?;
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
        fs::remove_file(&path)?;
        file = instance::open_private(&path)?;
        if let Err(error) = reserve(&file, bytes) {
            // A file of the right size without the room for it would be taken for good next time.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
    }
    Words::of_fd(file.as_fd(), len)
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

    #[test]
    fn tables_keep_their_words_and_a_resized_one_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let tables = open(dir.path(), 1024 * 32).unwrap();
        tables.sticky[1024 * 32 - 1].store(11, Relaxed);
        tables.counters[5].store(12, Relaxed);
        drop(tables);
        let tables = open(dir.path(), 1024 * 32).unwrap();
        assert_eq!(tables.sticky[1024 * 32 - 1].load(Relaxed), 11);
        assert_eq!(tables.counters[5].load(Relaxed), 12);
        drop(tables);
        let tables = open(dir.path(), 2048 * 32).unwrap();
        assert!(tables.sticky.len() == 2048 * 32 && tables.sticky.iter().all(|word| word.load(Relaxed) == 0));
        assert_eq!(tables.counters[5].load(Relaxed), 12, "the others stay");
    }

    #[test]
    fn a_table_without_room_is_an_error_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let huge = usize::try_from(1_u64 << 57).unwrap();
        assert!(matches!(open(dir.path(), huge), Err(KernelError::Table { name: map::STICKY, .. })));
        assert!(!dir.path().join(format!("v{ABI_VERSION}")).join(map::STICKY).exists());
        assert!(open(dir.path(), 1024 * 32).is_ok());
    }
}
