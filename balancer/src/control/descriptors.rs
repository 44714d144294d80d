//! How many file descriptors the process may have, and how many connections of clients they are for. Must not know: who opens
//! them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that is no connection of a client or to its target: listeners, logs, tables, the admin endpoint, and as many health
/// checks of both origins as run at the same time, each of which may wait for its whole timeout.
const KEPT_BACK: u64 = 256 + 1024;

/// Raises the bound of the process to what it is allowed. Gives back how many connections of clients may be open at a time, each
/// with one to its target.
#[must_use]
pub fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Without a bound there is the system's own.
    let Some(allowed) = limit.maximum.or(limit.current) else { return usize::MAX };
    let wanted = Rlimit { current: Some(allowed), maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => allowed,
        Err(error) => {
            tracing::warn!(%error, "the bound on open files stays as it is");
            limit.current.unwrap_or(allowed)
        }
    };
    most_clients(current)
}

fn most_clients(descriptors: u64) -> usize {
    let kept_back = KEPT_BACK.min(descriptors / 3);
    usize::try_from((descriptors - kept_back) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_for_clients_and_their_targets_in_equal_parts() {
        assert_eq!(most_clients(1024), 341);
        assert_eq!(most_clients(256), 85);
        assert_eq!((most_clients(3), most_clients(0)), (1, 1));
        assert_eq!(most_clients(1 << 20), 523_648);
        let most = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(most, raise());
    }
}
