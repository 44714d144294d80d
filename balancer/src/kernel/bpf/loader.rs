//! The library's loader, made without what it does by itself: it reads every type of the kernel, which takes it more time and
//! memory than all the rest, and no program here is fitted to any of them. Must not know: programs.

use std::thread;

use aya::EbpfLoader;

use crate::kernel::sys;

/// A loader that knows no type of the kernel, or all of them where that is not to be had.
pub(in crate::kernel) fn loader() -> EbpfLoader<'static> {
    // It asks for no file that it cannot read. The right is taken from a thread that does nothing else and ends.
    let without = || {
        // Where it cannot be taken the loader has them all, as it has by itself.
        let _ = sys::read_no_files();
        EbpfLoader::new()
    };
    let made = thread::Builder::new().spawn(without).ok().and_then(|thread| thread.join().ok());
    made.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_no_types_and_this_thread_goes_on_reading_files() {
        let shown = format!("{:?}", loader());
        let denies = thread::spawn(|| sys::read_no_files().is_ok()).join().unwrap();
        assert!(!denies || shown.contains("btf: None"), "{}", &shown[..shown.len().min(200)]);
        assert!(std::fs::read("/proc/self/status").is_ok());
    }

    #[test]
    fn a_thread_that_reads_no_files_can_have_none_read_again() {
        let read = || std::fs::read("/proc/self/status").is_ok();
        let (denied, reads) = thread::spawn(move || (sys::read_no_files().is_ok(), read())).join().unwrap();
        assert!(!(denied && reads));
        assert!(read(), "it is the thread's alone");
    }
}
