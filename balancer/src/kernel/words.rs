//! A shared memory region of 64-bit words: a mapped BPF array, a mapped file, or plain memory.
//! Must not know: what the words mean.

use std::{
    fmt, fs::File, io, ops::Deref, os::fd::BorrowedFd, ptr::NonNull, sync::Arc, sync::atomic::AtomicU64,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::truncation::MappingWatch;

const WORD: usize = size_of::<AtomicU64>();
/// Lengths of mappings are rounded up to this. Any multiple of the page size does.
const PAGE: usize = 64 * 1024;
const SMALLEST_PAGE: usize = 4096;

/// A memory region of 64-bit words that other threads, other processes and the kernel read and write too.
/// Reads and writes are atomic operations on one word each; nothing orders them but what the user asks for.
#[derive(Clone)]
pub struct Words {
    start: NonNull<AtomicU64>,
    len: usize,
    /// Keeps `start` valid.
    mapping: Arc<Mapping>,
}

struct Mapping {
    start: NonNull<AtomicU64>,
    bytes: usize,
    /// Of a file, which somebody may cut short.
    watch: Option<MappingWatch>,
}

// SAFETY: the region is only ever reached as atomics, and the mapping lives as long as any clone.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}
// SAFETY: unmapping is not bound to a thread.
unsafe impl Send for Mapping {}
// SAFETY: nothing can be done with a shared mapping.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.watch = None;
        // SAFETY: start and bytes are what mmap gave, and no `Words` is left that refers to them.
        // An error could only mean that they are not: there is nothing to be done about it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

impl Words {
    /// `len` words of zeroed memory that belong to this process alone: tables for tests and tools.
    ///
    /// # Errors
    /// The system's, when there is no memory.
    pub fn in_memory(len: usize) -> io::Result<Self> {
        let bytes = bytes_of(len)?;
        // Miri, under which tests of the tables run, knows no other than private ones.
        let flags = if cfg!(miri) { MapFlags::PRIVATE } else { MapFlags::SHARED | MapFlags::NORESERVE };
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, access(), flags) }?;
        Self::of_mapping(start, len, bytes)
    }

    /// The first `len` words of the file that `fd` refers to, which is as long as [`file_bytes`] says. When it is cut
    /// short, what is gone reads as zeros, and can be [put back](Self::put_back).
    pub(super) fn of_file(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let mut words = Self::of_fd(fd, len)?;
        if let Some(mapping) = Arc::get_mut(&mut words.mapping) {
            let bytes = usize::try_from(file_bytes(len)?).map_err(io::Error::other)?;
            // The rest of the last page, too.
            let bytes = bytes.min(mapping.bytes.next_multiple_of(SMALLEST_PAGE));
            mapping.watch = Some(MappingWatch::over(mapping.start.as_ptr().expose_provenance(), bytes, fd));
        }
        Ok(words)
    }

    /// Whether part of a file was cut off, and is memory of this process alone now.
    pub(super) fn is_torn(&self) -> bool {
        self.mapping.watch.as_ref().is_some_and(MappingWatch::is_torn)
    }

    /// Puts what was cut off back into the file, which has its length again.
    pub(super) fn put_back(&self, file: &File) -> io::Result<()> {
        self.mapping.watch.as_ref().map_or(Ok(()), |watch| watch.put_back(file))
    }

    /// The first `len` words of what `fd` refers to, which must be that long: an array of the kernel, or a file.
    pub(super) fn of_fd(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let bytes = bytes_of(len)?;
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, access(), MapFlags::SHARED, fd, 0) }?;
        Self::of_mapping(start, len, bytes)
    }

    fn of_mapping(start: *mut std::ffi::c_void, len: usize, bytes: usize) -> io::Result<Self> {
        let start = NonNull::new(start.cast::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, mapping: Arc::new(Mapping { start, bytes, watch: None }) })
    }
}

fn access() -> ProtFlags {
    ProtFlags::READ | ProtFlags::WRITE
}

fn bytes_of(len: usize) -> io::Result<usize> {
    len.checked_mul(WORD).filter(|&bytes| bytes > 0).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Bytes that a file needs for `len` words, so that its mapping can be read to the end.
pub(super) fn file_bytes(len: usize) -> io::Result<u64> {
    let bytes = bytes_of(len)?.checked_next_multiple_of(PAGE).ok_or(io::ErrorKind::InvalidInput)?;
    u64::try_from(bytes).map_err(io::Error::other)
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is at least `len` words long, aligned to a page, and lives as long as self;
        // every bit pattern is a value of AtomicU64.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd, sync::atomic::Ordering::Relaxed};

    #[test]
    fn clones_share_the_memory_and_it_starts_zeroed() {
        let words = Words::in_memory(10_000).unwrap();
        assert!(words.len() == 10_000 && words.iter().all(|word| word.load(Relaxed) == 0));
        let clone = words.clone();
        drop(std::thread::spawn(move || clone[9_999].store(7, Relaxed)).join());
        assert_eq!(words[9_999].load(Relaxed), 7);
    }

    #[test]
    fn two_mappings_of_a_file_show_the_same_words() {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(file_bytes(100).unwrap()).unwrap();
        let one = Words::of_fd(file.as_fd(), 100).unwrap();
        let other = Words::of_fd(file.as_fd(), 100).unwrap();
        one[99].store(3, Relaxed);
        assert_eq!(other[99].load(Relaxed), 3);
    }

    #[test]
    fn impossible_lengths_are_errors() {
        assert!(Words::in_memory(0).is_err());
        assert!(Words::in_memory(usize::MAX).is_err());
    }
}
