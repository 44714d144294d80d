//! Files of the kernel's: read without a copy, and not at all. Must not know: what is in them.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
    path::Path,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Takes the right to read files from this thread, for good (landlock(7)). Other threads have it still, and descriptors that are open.
///
/// # Errors
/// The system's: one before Linux 5.13, or without that, cannot.
pub(in crate::kernel) fn read_no_files() -> io::Result<()> {
    /// `struct landlock_ruleset_attr` of linux/landlock.h, as it began.
    #[repr(C)]
    struct Ruleset {
        handled_access_fs: u64,
    }
    const READ_FILE: u64 = 1 << 2;
    rustix::thread::set_no_new_privs(true)?;
    let handled = Ruleset { handled_access_fs: READ_FILE };
    // SAFETY: the arguments are those of the call: the rules, whose size is said, outlive it.
    let made = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of::<Ruleset>(), 0)
    };
    let rules = RawFd::try_from(made).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    let rules = unsafe { OwnedFd::from_raw_fd(rules) };
    // SAFETY: the arguments are those of the call, a descriptor of rules that is open and no flags.
    let taken = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
    if taken == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What is in a file that nobody changes, without a copy where the system can.
///
/// # Errors
/// The system's.
pub(in crate::kernel) fn with_text<T>(path: &Path, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    // SAFETY: a new mapping of a file, which is for reading and this process's alone.
    let mapped = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) };
    // Of the kernel's own files those that can be mapped are few.
    let Ok(start) = mapped else { return fs::read(path).map(|text| read(&text)) };
    // SAFETY: as long as the mapping, which nobody writes to, and which is there until after the last use.
    let outcome = read(unsafe { std::slice::from_raw_parts(start.cast(), length) });
    // SAFETY: the mapping made above, of which nothing is left.
    unsafe { munmap(start, length) }?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_mapped_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, b"a text").unwrap();
        assert_eq!(with_text(&path, <[u8]>::to_vec).unwrap(), b"a text");
        fs::write(&path, b"").unwrap();
        assert_eq!(with_text(&path, <[u8]>::to_vec).unwrap(), b"", "there is nothing to be mapped");
        assert!(with_text(&folder.path().join("none"), |_| ()).is_err());
    }
}
