//! The session table goes over between runs with the kernel side, which pin it, and runs without, which keep it in a file: what
//! a run finds must be what the one before left. A session that is lost begins anew, but one of two runs ago would go to
//! the target that it has left.
//! Must not know: what is in the table, how it is mapped.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::fd::AsFd,
    sync::atomic::Ordering::Relaxed,
};

use balancer_common::{ABI_VERSION, map};

use super::{KernelError, LateWords, Words, bpf, fallback, words};
use crate::safe_file::Folder;

/// A file that a run with the kernel side leaves; one without removes it.
const WITH_KERNEL_SIDE: &str = "with-kernel-side";

/// For a run with the kernel side: what the run before left in a file becomes what is in the pinned `sticky`.
pub(super) fn to_kernel_side(folder: &Folder, sticky: &LateWords) -> Result<(), KernelError> {
    in_tables(folder, |tables| {
        if let Some(file) = tables.look_at(map::STICKY)? {
            take_over(&file, sticky)?;
            tables.remove(map::STICKY)?;
        }
        tables.private_file(WITH_KERNEL_SIDE).map(drop)
    })
}

/// For a run without: what the run before left pinned for `instance` goes into `sticky`, where it can be had.
pub(super) fn from_kernel_side(
    folder: &Folder,
    instance: &str,
    sticky: &LateWords,
) -> Result<(), KernelError> {
    in_tables(folder, |tables| {
        if tables.look_at(WITH_KERNEL_SIDE)?.is_none() {
            return Ok(());
        }
        let pinned = bpf::pinned_sessions(instance, sticky.count());
        match pinned.and_then(|pinned| Words::of_fd(pinned.as_fd(), sticky.count()).ok()) {
            Some(pinned) => {
                fill(sticky, |index| Ok(pinned.get(index).map_or(0, |word| word.load(Relaxed))))?;
                tracing::info!("the session table of the run with the kernel side is taken over");
            }
            None => tracing::warn!(
                "the session table of the run with the kernel side cannot be had: clients that return the application's \
                 cookie alone begin new sessions"
            ),
        }
        tables.remove(WITH_KERNEL_SIDE)
    })
}

fn in_tables(folder: &Folder, work: impl FnOnce(&Folder) -> io::Result<()>) -> Result<(), KernelError> {
    let version = format!("v{ABI_VERSION}");
    fallback::open_folder(folder, &version)
        .and_then(|tables| work(&tables))
        .map_err(|source| KernelError::RuntimeDir { path: folder.path_of(&version), source })
}

/// Reads `sticky` from a file of its size; from another one nothing, so that it is empty.
fn take_over(file: &File, sticky: &LateWords) -> io::Result<()> {
    let is_of_size = file.metadata()?.len() == words::file_bytes(sticky.count())?;
    if !is_of_size {
        tracing::warn!(
            "the session table of the run without the kernel side is of another size: starting with an empty one"
        );
        return fill(sticky, |_| Ok(0));
    }
    let mut words = BufReader::new(file);
    fill(sticky, |_| {
        let mut word = [0; size_of::<u64>()];
        words.read_exact(&mut word)?;
        Ok(u64::from_ne_bytes(word))
    })?;
    tracing::info!("the session table of the run without the kernel side is taken over");
    Ok(())
}

fn fill(sticky: &LateWords, mut value: impl FnMut(usize) -> io::Result<u64>) -> io::Result<()> {
    for (index, word) in sticky.iter().enumerate() {
        let value = value(index)?;
        // Most of a table is empty: what is not touched takes no memory.
        if word.load(Relaxed) != value {
            word.store(value, Relaxed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_without_the_kernel_side_left_takes_the_place_of_what_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let (files, _) = fallback::open(&folder, 1024 * 32, false).unwrap();
        files.sticky[7].store(70, Relaxed);
        drop(files);
        let pinned = LateWords::from(Words::in_memory(1024 * 32).unwrap());
        pinned[7].store(1, Relaxed);
        pinned[8].store(2, Relaxed);
        to_kernel_side(&folder, &pinned).unwrap();
        assert_eq!((pinned[7].load(Relaxed), pinned[8].load(Relaxed)), (70, 0));
        pinned[9].store(3, Relaxed);
        to_kernel_side(&folder, &pinned).unwrap();
        assert_eq!(pinned[9].load(Relaxed), 3, "once");
        let (files, _) = fallback::open(&folder, 1024 * 32, false).unwrap();
        assert!(files.sticky.iter().all(|word| word.load(Relaxed) == 0), "the file is not found again");
        from_kernel_side(&folder, "no-such-instance", &files.sticky).unwrap();
        drop(files);
        // Of another size.
        to_kernel_side(&folder, &Words::in_memory(2048 * 32).unwrap().into()).unwrap();
    }
}
