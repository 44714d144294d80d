//! Descriptors that whoever started this process passed to it (sd_listen_fds(3)): a service manager gives back what an earlier
//! process of the service has stored with it. Must not know: what they are.

use std::{
    env,
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// The first of them.
const FIRST: RawFd = 3;
/// Most that are looked at.
const MOST: RawFd = 65_536;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes them; once. Nothing where they were passed to another process, which has started this one.
#[must_use]
pub fn take_passed() -> Vec<OwnedFd> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) || TAKEN.swap(true, Relaxed) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count.min(MOST))).filter_map(take).collect()
}

fn take(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl says of any number whether it is a descriptor.
    let is_open = unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } != -1;
    // SAFETY: it is open, was passed to this very process for it to use, and is taken once.
    is_open.then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_to_nobody_is_not_taken() {
        assert!(take_passed().is_empty());
        assert!(take(RawFd::MAX).is_none());
    }
}
