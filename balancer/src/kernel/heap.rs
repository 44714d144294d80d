//! Memory that the allocator keeps for the next who asks, and that nobody is going to ask for. Must not know: who had it.

// The program's allocator, whose function this is.
use mimalloc as _;

unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// Gives back to the system what this thread has freed, and what threads that are gone had. Takes some milliseconds where that is
/// much: nothing for a request to wait for.
pub fn give_back() {
    // SAFETY: declared as mimalloc does it. It may be called by any thread at any time, also in programs that have another
    // allocator: there it finds nothing.
    unsafe { mi_collect(true) };
}
