//! Keeps the log readable when somebody from outside causes lines: each kind of such lines has a share of them in a
//! time, what is beyond it is counted, and one line says how many were left out. No lock, no allocation, any thread.
//! Must not know: what a line says.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::clock::monotonic_now;

/// Lines of a kind that are written in a [`WINDOW`].
const SHARE: u64 = 10;
/// How long a share has to last.
const WINDOW: Duration = Duration::from_secs(10);

/// A kind of log lines that clients, targets or others can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A target failed a request.
    TargetFailure,
    /// No target takes a request.
    NoTarget,
    /// A TLS handshake with a client failed.
    ClientTls,
    /// A client violated HTTP/2.
    ClientHttp2,
    /// A request is not compliant, or is none.
    ClientRequest,
    /// Warnings and errors of libraries.
    Library,
    /// A host name cannot be resolved.
    HostName,
    /// A health check failed, or could not be made.
    HealthCheck,
    /// The admin endpoint refused somebody.
    Admin,
    /// The shield drops packets.
    Shield,
    /// A source of targets fails, or is there again.
    TargetSource,
    /// The ELBv2 API refused somebody.
    ControlApi,
}

static SHARES: [LineShare; LineKind::ALL.len()] = [const { LineShare::new() }; LineKind::ALL.len()];

impl LineKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::TargetFailure,
        Self::NoTarget,
        Self::ClientTls,
        Self::ClientHttp2,
        Self::ClientRequest,
        Self::Library,
        Self::HostName,
        Self::HealthCheck,
        Self::Admin,
        Self::Shield,
        Self::TargetSource,
        Self::ControlApi,
    ];

    /// Its name, in log and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TargetFailure => "target_failure",
            Self::NoTarget => "no_target",
            Self::ClientTls => "client_tls",
            Self::ClientHttp2 => "client_http2",
            Self::ClientRequest => "client_request",
            Self::Library => "library",
            Self::HostName => "host_name",
            Self::HealthCheck => "health_check",
            Self::Admin => "admin",
            Self::Shield => "shield",
            Self::TargetSource => "target_source",
            Self::ControlApi => "control_api",
        }
    }

    /// Whether a line may be written now. One that may not is counted.
    #[must_use]
    pub fn admits(self) -> bool {
        self.share().is_some_and(|share| share.take(now_millis()))
    }

    /// Counts a line that its writer left out.
    pub fn leave_out(self) {
        if let Some(share) = self.share() {
            share.leave_out();
        }
    }

    /// Lines left out so far.
    #[must_use]
    pub fn left_out(self) -> u64 {
        self.share().map_or(0, |share| share.left_out.load(Relaxed))
    }

    fn share(self) -> Option<&'static LineShare> {
        SHARES.get(self as usize)
    }
}

/// Writes for each kind how many lines were left out since it last did; to be called every now and then.
pub fn tell_what_was_left_out() {
    let now = now_millis();
    for kind in LineKind::ALL {
        if let Some(count) = kind.share().and_then(|share| share.settle(now)) {
            tracing::warn!(
                kind = kind.as_str(),
                left_out = count,
                "{count} more lines of a kind were left out"
            );
        }
    }
}

fn now_millis() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(monotonic_now);
    u64::try_from(monotonic_now().saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct LineShare {
    /// Number of the window that `taken` is of.
    window: AtomicU64,
    taken: AtomicU64,
    left_out: AtomicU64,
    /// Those of them that a line told of.
    told: AtomicU64,
    /// Number of the window in which that was looked at last.
    settled: AtomicU64,
}

impl LineShare {
    const fn new() -> Self {
        Self {
            window: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            told: AtomicU64::new(0),
            settled: AtomicU64::new(1),
        }
    }

    /// At the turn of a window, several threads may each begin it anew: a few lines more, once.
    fn take(&self, now_millis: u64) -> bool {
        let window = window_of(now_millis);
        if self.window.load(Relaxed) != window {
            self.window.store(window, Relaxed);
            self.taken.store(0, Relaxed);
        }
        if self.taken.load(Relaxed) < SHARE && self.taken.fetch_add(1, Relaxed) < SHARE {
            return true;
        }
        self.leave_out();
        false
    }

    fn leave_out(&self) {
        self.left_out.fetch_add(1, Relaxed);
    }

    /// How many were left out and not told of; asked for the first time in a window.
    fn settle(&self, now_millis: u64) -> Option<u64> {
        let window = window_of(now_millis);
        if self.settled.swap(window, Relaxed) == window {
            return None;
        }
        let left_out = self.left_out.load(Relaxed);
        let told = self.told.swap(left_out, Relaxed);
        Some(left_out.saturating_sub(told)).filter(|count| *count > 0)
    }
}

fn window_of(now_millis: u64) -> u64 {
    // From 1, so that the first window is a new one, too.
    1 + now_millis / u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_share_and_told_of_once() {
        let share = LineShare::new();
        let written = (0..1000).filter(|_| share.take(5)).count();
        assert_eq!(written, 10);
        assert_eq!(share.left_out.load(Relaxed), 990);
        assert_eq!(share.settle(9_999), None, "the window lasts");
        assert_eq!(share.settle(10_000), Some(990));
        assert_eq!(share.settle(10_001), None);
        assert!(share.take(10_002), "a new share");
        // A flood that goes on is told of in each window.
        let written = (0..1000).filter(|_| share.take(10_003)).count();
        assert_eq!(written, 9);
        assert!(share.take(20_000));
        assert_eq!(share.settle(20_001), Some(991));
    }

    #[test]
    fn what_many_threads_write_is_bounded() {
        let share = LineShare::new();
        let written: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..10_000).filter(|_| share.take(1)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((10..=40).contains(&written), "{written}");
        assert_eq!(share.left_out.load(Relaxed) + u64::try_from(written).unwrap(), 40_000);
    }

    #[test]
    fn kinds_index_their_shares() {
        for (index, kind) in LineKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
