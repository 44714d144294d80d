//! What keeps the process alive when a file that it has mapped is cut short by somebody else: the kernel then has no
//! page to show and sends SIGBUS, which ends a process that has not said what to do.
//!
//! The pages that are gone are replaced, in the handler of the signal, by memory of the process's own: zeros. They go
//! back into the file once it has its length again. Must not know: what the memory holds.

use std::{
    fs::File,
    io, mem,
    os::fd::AsRawFd,
    ptr,
    sync::{
        Once, OnceLock,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use rustix::fs::FileExt as _;

/// Mapped files that a process can have at a time. More are mapped all the same, and are not watched over.
const MOST: usize = 64;
/// No smaller page is used by any system.
const PAGE: usize = 4096;

static REGIONS: [Region; MOST] = [const { Region::new() }; MOST];
/// Whether there has been a signal.
static HAPPENED: AtomicBool = AtomicBool::new(false);
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(PAGE);
/// What was done at this signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
static INSTALLED: Once = Once::new();

/// Where a file is mapped. Everything from `intact` on is memory of the process's own.
struct Region {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    intact: AtomicUsize,
    busy: AtomicBool,
}

impl Region {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            intact: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
        }
    }

    fn holds(&self, address: usize) -> bool {
        (self.start.load(Acquire)..self.end.load(Acquire)).contains(&address)
    }

    /// Held for a few system calls, by no thread that can be interrupted by the signal meanwhile.
    fn lock(&self) {
        while self.busy.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() {
            std::hint::spin_loop();
        }
    }

    fn unlock(&self) {
        self.busy.store(false, Release);
    }

    /// Puts zeros in the place of the pages from `address` on.
    fn replace_from(&self, address: usize) -> bool {
        self.lock();
        let page = address & !(PAGE_SIZE.load(Relaxed) - 1);
        let intact = self.intact.load(Relaxed);
        // Another thread may have come first.
        let done = page >= intact || map_zeros(page, intact - page);
        if done && page < intact {
            self.intact.store(page, Relaxed);
        }
        self.unlock();
        done
    }
}

/// Watches over a mapping for as long as the value lives.
#[derive(Debug)]
pub(super) struct Watch(Option<usize>);

impl Watch {
    /// Over `bytes` mapped at `start`.
    pub(super) fn over(start: usize, bytes: usize) -> Self {
        INSTALLED.call_once(install);
        let free = |region: &Region| region.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        let place = REGIONS.iter().position(free);
        if let Some(region) = place.and_then(|place| REGIONS.get(place)) {
            let end = start.saturating_add(bytes);
            region.intact.store(end, Relaxed);
            region.start.store(start, Relaxed);
            region.end.store(end, Release);
        }
        Self(place)
    }

    fn region(&self) -> Option<&'static Region> {
        REGIONS.get(self.0?)
    }

    /// Whether part of the memory is not the file's any more.
    pub(super) fn is_torn(&self) -> bool {
        self.region().is_some_and(|region| region.intact.load(Relaxed) < region.end.load(Relaxed))
    }

    /// Puts what is not the file's any more into `file`, which has its length again, page by page. What is changed in
    /// a page at that very moment may be lost.
    pub(super) fn put_back(&self, file: &File) -> io::Result<()> {
        let Some(region) = self.region() else { return Ok(()) };
        let (start, end) = (region.start.load(Relaxed), region.end.load(Relaxed));
        let size = PAGE_SIZE.load(Relaxed);
        loop {
            let page = region.intact.load(Relaxed);
            if page >= end {
                return Ok(());
            }
            let offset = page - start;
            file.write_all_at(&copy_of(page, size), offset as u64)?;
            // First, so that a signal meanwhile finds a page to replace.
            region.lock();
            region.intact.store(page + size, Relaxed);
            region.unlock();
            if !map_file(page, size, file, offset) {
                return Err(io::Error::last_os_error());
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(region) = self.region() {
            region.end.store(0, Relaxed);
            region.start.store(0, Relaxed);
            region.taken.store(false, Release);
        }
    }
}

/// Whether anything was ever lost.
pub(super) fn happened() -> bool {
    HAPPENED.load(Relaxed)
}

fn copy_of(page: usize, size: usize) -> Vec<u8> {
    use std::sync::atomic::AtomicU64;
    let words = ptr::with_exposed_provenance::<AtomicU64>(page);
    // SAFETY: the page is part of a mapping that the caller keeps alive, aligned, and only ever reached as atomics.
    let words = unsafe { std::slice::from_raw_parts(words, size / size_of::<AtomicU64>()) };
    words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect()
}

fn map_zeros(start: usize, bytes: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    map(start, bytes, flags, -1, 0)
}

fn map_file(start: usize, bytes: usize, file: &File, offset: usize) -> bool {
    libc::off_t::try_from(offset)
        .is_ok_and(|offset| map(start, bytes, libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd(), offset))
}

fn map(start: usize, bytes: usize, flags: libc::c_int, fd: libc::c_int, offset: libc::off_t) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the range is part of a mapping that a `Watch` is over, which is reached as atomics alone, every bit
    // pattern of which is a value: what is there now may be anything.
    let mapped =
        unsafe { libc::mmap(ptr::with_exposed_provenance_mut(start), bytes, access, flags, fd, offset) };
    mapped != libc::MAP_FAILED
}

fn install() {
    // SAFETY: asks for a figure.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    PAGE_SIZE.store(usize::try_from(size).unwrap_or(PAGE), Relaxed);
    // SAFETY: all zeros are a value of this structure of the system's: default action, empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    let mut before = action;
    action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures outlive the call; the handler does what a handler may: atomics and mmap(2).
    let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) };
    if result == 0 {
        let _ = BEFORE.set(before);
    }
}

/// # Safety
/// To be called by the system alone, as the handler of SIGBUS.
unsafe extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system's, of a signal that has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    if REGIONS.iter().find(|region| region.holds(address)).is_some_and(|region| region.replace_from(address))
    {
        HAPPENED.store(true, Relaxed);
        return;
    }
    // Not ours: what would have been done without us. The faulting instruction comes again when this returns.
    match BEFORE.get() {
        Some(before)
            if before.sa_flags & libc::SA_SIGINFO != 0
                && ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) =>
        {
            // SAFETY: it was installed as a handler of this kind.
            unsafe {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    mem::transmute(before.sa_sigaction);
                handler(signal, info, context);
            }
        }
        // SAFETY: gives the signal its default action.
        _ => unsafe {
            libc::signal(signal, libc::SIG_DFL);
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, sync::atomic::Ordering::Relaxed};

    use super::super::{Words, words};

    const LEN: usize = 64 * 1024;

    #[test]
    fn a_file_cut_short_leaves_zeros_and_goes_back_into_the_file() {
        let file = tempfile::tempfile().unwrap();
        let bytes = words::file_bytes(LEN).unwrap();
        file.set_len(bytes).unwrap();
        let table = Words::of_file(file.as_fd(), LEN).unwrap();
        table.iter().for_each(|word| word.store(7, Relaxed));
        assert!(!table.is_torn());
        file.set_len(8192).unwrap();
        assert_eq!(table[LEN - 1].load(Relaxed), 0, "what is gone is zero");
        assert_eq!(table[0].load(Relaxed), 7, "what is there stays");
        assert!(table.is_torn());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| table.iter().skip(1024).for_each(|word| _ = word.fetch_add(1, Relaxed)));
            }
        });
        assert!(table.iter().skip(1024).all(|word| word.load(Relaxed) == 4));
        file.set_len(bytes).unwrap();
        table.put_back(&file).unwrap();
        assert!(!table.is_torn());
        table[LEN - 2].store(9, Relaxed);
        let other = Words::of_file(file.as_fd(), LEN).unwrap();
        assert_eq!([0, 1023, 1024, LEN - 2, LEN - 1].map(|at| other[at].load(Relaxed)), [7, 7, 4, 9, 4]);
        // And again, to nothing.
        file.set_len(0).unwrap();
        assert_eq!((table[0].load(Relaxed), other[LEN - 2].load(Relaxed)), (0, 0));
    }
}
