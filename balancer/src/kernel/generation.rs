//! Who owns which row of the table of requests in flight: a generation is a process of the instance, and several live while
//! one that was succeeded ends.
//!
//! A row is owned by whoever holds the flock(2) on its file, so the row of a process that was killed is
//! known by its lock being free: what it counted is then cleared. All files are opened at the start, so that
//! this works on after root has been given up. Must not know: slots, what a request is.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    KernelError, Words,
    file_lock::{FileLock, holder_by_system},
    outstanding::{LIVE, Outstanding, ROWS, row_of, set_live},
};
use crate::safe_file::Folder;

/// Most that is read of what another process says of itself.
const LONGEST_NOTE: usize = 4096;

/// The rows as one process sees them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Generations {
    files: Vec<Arc<File>>,
    own: usize,
    lock: Arc<FileLock>,
    words: Words,
}

impl Generations {
    /// Takes a free row, clears it and makes it count. The lock files are in `folder`.
    pub(super) fn claim(folder: &Folder, words: Words) -> Result<Self, KernelError> {
        let mut files = Vec::with_capacity(ROWS);
        for row in 0..ROWS {
            let name = format!("generation-{row}");
            let file = folder
                .private_file(&name)
                .map_err(|source| KernelError::RuntimeDir { path: folder.path_of(&name), source })?;
            files.push(Arc::new(file));
        }
        let mut rows = files.iter().enumerate();
        let (own, lock) =
            rows.find_map(|(row, file)| Some((row, take(file)?))).ok_or(KernelError::NoGeneration)?;
        // What an earlier owner said of itself.
        let _ = lock.file().set_len(0);
        row_of(&words, own).iter().for_each(|word| word.store(0, Relaxed));
        set_live(&words, own, true);
        let generations = Self { files, own, lock: Arc::new(lock), words };
        generations.clear_dead();
        Ok(generations)
    }

    /// That no process counts.
    pub(super) fn demand_none(folder: &Folder, instance: &str) -> Result<(), KernelError> {
        for row in 0..ROWS {
            let name = format!("generation-{row}");
            let failed = |source| KernelError::RuntimeDir { path: folder.path_of(&name), source };
            let Some(file) = folder.look_at(&name).map_err(failed)?.map(Arc::new) else { continue };
            if FileLock::try_take(&file).map_err(failed)?.is_none() {
                return Err(KernelError::Running {
                    instance: instance.to_owned(),
                    pid: holder_by_system(&file),
                });
            }
        }
        Ok(())
    }

    /// Number of the row of this process.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// The table for the workers of this process. The row stays taken until the last handle is gone.
    pub(super) fn outstanding(&self) -> Outstanding {
        Outstanding::new(self.words.clone(), self.own, Arc::clone(&self.lock))
    }

    /// Clears the rows of processes that are gone.
    pub(super) fn clear_dead(&self) {
        for (row, file) in self.files.iter().enumerate().filter(|&(row, _)| row != self.own) {
            if !self.is_live(row) {
                continue;
            }
            if let Some(_lock) = take(file) {
                set_live(&self.words, row, false);
                row_of(&self.words, row).iter().for_each(|word| word.store(0, Relaxed));
            }
        }
    }

    /// How many processes count, this one included.
    pub(super) fn live(&self) -> usize {
        self.clear_dead();
        1 + (0..ROWS).filter(|&row| row != self.own && self.is_live(row)).count()
    }

    /// Requests in flight of this process.
    #[must_use]
    pub fn own_requests(&self) -> u64 {
        let words = row_of(&self.words, self.own).iter().map(|word| word.load(Relaxed));
        words.fold(0, u64::wrapping_add)
    }

    /// Leaves a note for the other processes, up to 4 KiB.
    ///
    /// # Errors
    /// The system's.
    pub fn leave_note(&self, note: &[u8]) -> io::Result<()> {
        let file = self.lock.file();
        file.write_all_at(note, 0)?;
        file.set_len(note.len() as u64)
    }

    /// What the other processes that count say of themselves.
    #[must_use]
    pub fn notes_of_others(&self) -> Vec<Vec<u8>> {
        let others = self.files.iter().enumerate().filter(|&(row, _)| row != self.own && self.is_live(row));
        let read = |file: &Arc<File>| {
            let mut note = vec![0; LONGEST_NOTE];
            let len = file.read_at(&mut note, 0).ok()?;
            note.truncate(len);
            Some(note)
        };
        others.filter_map(|(_, file)| read(file)).filter(|note| !note.is_empty()).collect()
    }

    /// Whether other processes count too.
    pub(super) fn others_live(&self) -> bool {
        (0..ROWS).any(|row| row != self.own && self.is_live(row))
    }

    fn is_live(&self, row: usize) -> bool {
        self.words.get(LIVE).is_some_and(|word| word.load(Relaxed) & (1 << row) != 0)
    }
}

fn take(file: &Arc<File>) -> Option<FileLock> {
    match FileLock::try_take(file) {
        Ok(lock) => lock,
        Err(error) => {
            tracing::warn!(%error, "locking a row of requests in flight failed: taking it for another process's");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        os::fd::AsFd,
        path::Path,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::{
        id::Slot,
        kernel::{outstanding, words},
    };

    const CHILD: &str = "BALANCER_TEST_GENERATION_FOLDER";

    fn shared(folder: &Path) -> Words {
        let file = Folder::open(folder).unwrap().private_file("table").unwrap();
        file.set_len(words::file_bytes(outstanding::WORDS).unwrap()).unwrap();
        Words::of_fd(file.as_fd(), outstanding::WORDS).unwrap()
    }

    /// Not a test of its own: the other process of the test below.
    #[test]
    fn other_process() {
        let Some(folder) = std::env::var_os(CHILD) else { return };
        let folder = Path::new(&folder);
        let generations = Generations::claim(&Folder::open(folder).unwrap(), shared(folder)).unwrap();
        let table = generations.outstanding();
        for _ in 0..3 {
            std::mem::forget(table.begin(Slot(5)));
        }
        println!("\nseen {}", table.get(Slot(5)));
        std::thread::park();
    }

    #[test]
    fn two_processes_add_up_and_a_killed_ones_row_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let here = Generations::claim(&Folder::open(folder.path()).unwrap(), shared(folder.path())).unwrap();
        let table = here.outstanding();
        let _in_flight = table.begin(Slot(5));
        assert!(!here.others_live());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kernel::generation::tests::other_process", "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("seen ").map(str::to_owned));
        assert_eq!(seen.as_deref(), Some("4"), "the other process sees ours");
        assert_eq!(table.get(Slot(5)), 4, "and we see its");
        here.clear_dead();
        assert!(here.others_live());
        assert_eq!(table.get(Slot(5)), 4, "a living process keeps its row");
        child.kill().unwrap();
        child.wait().unwrap();
        here.clear_dead();
        assert_eq!(table.get(Slot(5)), 1);
        assert!(!here.others_live());
    }

    #[test]
    fn there_are_as_many_rows_as_said_and_they_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let words = Words::in_memory(outstanding::WORDS).unwrap();
        let claim = || Generations::claim(&Folder::open(folder.path()).unwrap(), words.clone());
        let mut taken: Vec<_> = (0..ROWS).map(|_| claim().unwrap()).collect();
        assert!(matches!(claim(), Err(KernelError::NoGeneration)));
        let row = taken.pop().unwrap();
        let table = row.outstanding();
        std::mem::forget(table.begin(Slot(1)));
        drop(row);
        assert!(matches!(claim(), Err(KernelError::NoGeneration)), "workers may still count in it");
        drop(table);
        let again = claim().unwrap();
        assert_eq!(again.outstanding().get(Slot(1)), 0, "a row starts from zero");
    }
}
