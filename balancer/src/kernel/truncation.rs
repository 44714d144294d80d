//! What keeps the process alive when a file that it has mapped is cut short by somebody else: the kernel then has no
//! page to show and sends SIGBUS, which ends a process that has not said what to do.
//!
//! The pages that are gone are replaced, in the handler of the signal, by memory of the process's own: zeros. They go
//! back into the file once it has its length again, and nothing that is counted meanwhile is lost: while a page is
//! copied nobody has it. Must not know: what the memory holds.

use std::{
    fs::File,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    ptr,
    sync::{
        Once, OnceLock,
        atomic::{
            AtomicBool, AtomicI32, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use rustix::fs::{FallocateFlags, FileExt as _, MemfdFlags, fallocate, ftruncate, memfd_create};

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

/// Where a file is mapped. Everything from `intact` on is memory of the process's own: that of `spare`, at the same
/// offsets.
#[derive(Debug)]
struct Region {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    intact: AtomicUsize,
    spare: AtomicI32,
    file: AtomicI32,
    busy: AtomicBool,
}

impl Region {
    const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            intact: AtomicUsize::new(0),
            spare: AtomicI32::new(-1),
            file: AtomicI32::new(-1),
            busy: AtomicBool::new(false),
        }
    }

    fn holds(&self, address: usize) -> bool {
        (self.start.load(Acquire)..self.end.load(Acquire)).contains(&address)
    }

    /// Held for a few system calls, by no thread that reaches for the memory meanwhile.
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
        // Another thread may have come first, or the page was on its way back into the file, or is there again.
        let is_there = page >= intact || self.has_file(page);
        let done = is_there || self.map(page, intact - page, self.spare.load(Relaxed));
        if done && !is_there {
            self.intact.store(page, Relaxed);
        }
        self.unlock();
        done
    }

    /// Whether the file has the page, and room for what is written to it.
    fn has_file(&self, page: usize) -> bool {
        let file = self.file.load(Relaxed);
        let range = [page - self.start.load(Relaxed), PAGE_SIZE.load(Relaxed)].map(libc::off_t::try_from);
        let [Ok(offset), Ok(size)] = range else { return false };
        // SAFETY: all zeros are a value of this structure of the system's, which outlives the call.
        let mut found: libc::stat = unsafe { mem::zeroed() };
        // SAFETY: as above; the descriptor is one that the `MappingWatch` keeps open, and what is made sure of is its own.
        unsafe {
            libc::fstat(file, &raw mut found) == 0
                && found.st_size > offset
                && libc::fallocate(file, libc::FALLOC_FL_KEEP_SIZE, offset, size) == 0
        }
    }

    /// Puts the first page that is not the file's back into `file`, while nobody has it: who reaches for it meanwhile
    /// gets the signal, and waits in the handler for the lock. Whether there was one.
    fn put_page_back(&self, file: &File, spare: &Spare) -> io::Result<bool> {
        let (page, size) = (self.intact.load(Relaxed), PAGE_SIZE.load(Relaxed));
        if page >= self.end.load(Relaxed) {
            return Ok(false);
        }
        self.must_map(page, size, spare.nothing.as_raw_fd())?;
        let offset = (page - self.start.load(Relaxed)) as u64;
        let copied = spare.copy_page(offset, size, file);
        let owner = if copied.is_ok() { file.as_raw_fd() } else { spare.pages.as_raw_fd() };
        self.must_map(page, size, owner)?;
        copied?;
        self.intact.store(page + size, Relaxed);
        // For zeros to be there should the page be gone again.
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&spare.pages, hole, offset, size as u64)?;
        Ok(true)
    }

    fn must_map(&self, page: usize, bytes: usize, fd: libc::c_int) -> io::Result<()> {
        if self.map(page, bytes, fd) { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Maps what `fd` has at the offset of `page` there.
    fn map(&self, page: usize, bytes: usize, fd: libc::c_int) -> bool {
        let Ok(offset) = libc::off_t::try_from(page - self.start.load(Relaxed)) else { return false };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: the range is part of a mapping that a `MappingWatch` is over, which is reached as atomics alone, every bit
        // pattern of which is a value: what is there now may be anything.
        let mapped =
            unsafe { libc::mmap(ptr::with_exposed_provenance_mut(page), bytes, access, flags, fd, offset) };
        mapped != libc::MAP_FAILED
    }
}

/// What stands in for `file`: memory that is taken page by page as it is written to, and a file without any, a reach
/// for which is always a signal.
#[derive(Debug)]
struct Spare {
    file: OwnedFd,
    pages: File,
    nothing: OwnedFd,
}

impl Spare {
    fn of(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let pages = memfd_create("balancer-spare", MemfdFlags::CLOEXEC)?;
        ftruncate(&pages, bytes as u64)?;
        let file = file.try_clone_to_owned()?;
        Ok(Self {
            file,
            pages: pages.into(),
            nothing: memfd_create("balancer-nothing", MemfdFlags::CLOEXEC)?,
        })
    }

    fn copy_page(&self, offset: u64, size: usize, file: &File) -> io::Result<()> {
        let mut page = vec![0; size];
        self.pages.read_exact_at(&mut page, offset)?;
        file.write_all_at(&page, offset)
    }
}

/// Watches over a mapping for as long as the value lives.
#[derive(Debug)]
pub(super) struct MappingWatch(Option<(&'static Region, Spare)>);

impl MappingWatch {
    /// Over `bytes` of `file` mapped at `start`. Where there is no address space or memory for it, nothing is watched over.
    pub(super) fn over(start: usize, bytes: usize, file: BorrowedFd<'_>) -> Self {
        INSTALLED.call_once(install);
        let Ok(spare) = Spare::of(file, bytes) else { return Self(None) };
        let free = |region: &&Region| region.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        let Some(region) = REGIONS.iter().find(free) else { return Self(None) };
        let end = start.saturating_add(bytes);
        region.spare.store(spare.pages.as_raw_fd(), Relaxed);
        region.file.store(spare.file.as_raw_fd(), Relaxed);
        region.intact.store(end, Relaxed);
        region.start.store(start, Relaxed);
        region.end.store(end, Release);
        Self(Some((region, spare)))
    }

    /// Whether part of the memory is not the file's any more.
    pub(super) fn is_torn(&self) -> bool {
        self.0.as_ref().is_some_and(|(region, _)| region.intact.load(Relaxed) < region.end.load(Relaxed))
    }

    /// Puts what is not the file's any more into `file`, which has its length again, page by page.
    pub(super) fn put_back(&self, file: &File) -> io::Result<()> {
        let Some((region, spare)) = &self.0 else { return Ok(()) };
        loop {
            region.lock();
            let is_put = region.put_page_back(file, spare);
            region.unlock();
            if !is_put? {
                return Ok(());
            }
        }
    }
}

impl Drop for MappingWatch {
    fn drop(&mut self) {
        if let Some((region, _)) = &self.0 {
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
    use std::{
        os::fd::AsFd,
        sync::atomic::{AtomicBool, Ordering::Relaxed},
    };

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

    #[test]
    fn nothing_that_is_counted_is_lost_on_its_way_back_into_the_file() {
        let file = tempfile::tempfile().unwrap();
        let bytes = words::file_bytes(LEN).unwrap();
        file.set_len(bytes).unwrap();
        let table = Words::of_file(file.as_fd(), LEN).unwrap();
        for _ in 0..20 {
            file.set_len(0).unwrap();
            assert_eq!(table[0].load(Relaxed), 0);
            file.set_len(bytes).unwrap();
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let count = |at: usize| {
                    let mut counted = 0;
                    while !stop.load(Relaxed) {
                        table[at].fetch_add(1, Relaxed);
                        counted += 1;
                    }
                    assert_eq!(table[at].load(Relaxed), counted, "word {at}");
                };
                let _counting = [7, LEN / 2, LEN - 1].map(|at| scope.spawn(move || count(at)));
                while table[7].load(Relaxed) == 0 {
                    std::hint::spin_loop();
                }
                table.put_back(&file).unwrap();
                assert!(!table.is_torn());
                stop.store(true, Relaxed);
            });
        }
    }
}
