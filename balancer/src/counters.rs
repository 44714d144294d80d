//! Counters of the request path, and what happened last. Every counter has one writer, its worker, so that counting is
//! a plain load and store; readers (metrics, status) add up the shards of all workers.
//! Must not know: who counts, who reads.

mod cause;
mod histogram;
mod listener;
mod notes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

pub use self::{
    cause::{Cause, Causes, Fault},
    histogram::{BOUNDS_MICROS, Histogram, HistogramStatus},
    listener::{ListenerRuntime, ListenerRuntimes, ListenerShard, OpenNow, Openable},
    notes::{CertificateNote, LastError, LastErrorNote, Notes},
};

/// A counter with a single writing thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one. Only the owning worker may call this.
    pub fn inc(&self) {
        self.add(1);
    }

    /// The value so far; any thread.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Status codes that the balancer answers with (or, for 460, only records) itself: ALB's set for what
/// can happen in this version (ALB: troubleshooting, HTTP errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStatus {
    /// Malformed request, or a header over the limits.
    BadRequest,
    /// TRACE.
    MethodNotAllowed,
    /// The client sent no whole request within the idle timeout.
    RequestTimeout,
    /// Request line over 16 K.
    UriTooLong,
    /// The client went away while the target was awaited; recorded, never sent.
    ClientClosed,
    /// X-Forwarded-For with more addresses than are taken.
    TooManyAddresses,
    /// The client's protocol and that of the group's targets do not go together.
    IncompatibleProtocol,
    /// A transform of the rule failed.
    InternalError,
    /// Transfer coding other than chunked.
    NotImplemented,
    /// The target closed, reset or answered garbage.
    BadGateway,
    /// No target is registered.
    ServiceUnavailable,
    /// The target could not be connected to or did not answer in time.
    GatewayTimeout,
    /// An HTTP version that is not spoken here.
    VersionNotSupported,
    /// The Location of a redirect is over 8 K (ALB: `HTTP_Redirect_Url_Limit_Exceeded_Count`).
    RedirectTooLong,
}

impl OwnStatus {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::UriTooLong,
        Self::ClientClosed,
        Self::TooManyAddresses,
        Self::IncompatibleProtocol,
        Self::InternalError,
        Self::NotImplemented,
        Self::BadGateway,
        Self::ServiceUnavailable,
        Self::GatewayTimeout,
        Self::VersionNotSupported,
        Self::RedirectTooLong,
    ];

    /// The code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::UriTooLong => 414,
            Self::ClientClosed => 460,
            Self::TooManyAddresses => 463,
            Self::IncompatibleProtocol => 464,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::ServiceUnavailable => 503,
            Self::GatewayTimeout => 504,
            Self::VersionNotSupported => 505,
            Self::RedirectTooLong => 507,
        }
    }

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Why a client's certificate was refused: ALB's words (ALB: connection logs, `tls_verify_status`), and one for
/// certificates that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertRefusal {
    /// None was shown.
    Missing,
    /// More certificates than may be.
    MaxChainDepthExceeded,
    /// More bytes than may be.
    MaxSizeExceeded,
    /// Its authority has taken it back.
    CrlHit,
    /// A revocation list could not be used.
    CrlProcessingError,
    /// Nobody trusted has signed it.
    Untrusted,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It is no certificate that can be used.
    Invalid,
    /// It is not for clients.
    PurposeInvalid,
}

impl ClientCertRefusal {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 10] = [
        Self::Missing,
        Self::MaxChainDepthExceeded,
        Self::MaxSizeExceeded,
        Self::CrlHit,
        Self::CrlProcessingError,
        Self::Untrusted,
        Self::NotYetValid,
        Self::Expired,
        Self::Invalid,
        Self::PurposeInvalid,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "ClientCertMissing",
            Self::MaxChainDepthExceeded => "ClientCertMaxChainDepthExceeded",
            Self::MaxSizeExceeded => "ClientCertMaxSizeExceeded",
            Self::CrlHit => "ClientCertCrlHit",
            Self::CrlProcessingError => "ClientCertCrlProcessingError",
            Self::Untrusted => "ClientCertUntrusted",
            Self::NotYetValid => "ClientCertNotYetValid",
            Self::Expired => "ClientCertExpired",
            Self::Invalid => "ClientCertInvalid",
            Self::PurposeInvalid => "ClientCertPurposeInvalid",
        }
    }

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What one worker counts, whatever the listener and the group.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerCounters {
    /// Times accepting paused because file descriptors ran out.
    pub accept_pauses: Counter,
    /// Requests sent again, to another target or on a fresh connection.
    pub retries: Counter,
    /// Connections opened to targets.
    pub target_connects: Counter,
    /// Requests sent on a pooled connection.
    pub target_reuses: Counter,
    /// TLS handshakes with targets that ended well.
    pub target_tls_handshakes: Counter,
    /// Those of them that resumed a session.
    pub target_tls_resumptions: Counter,
    /// Workers that ended by themselves and were replaced.
    pub worker_restarts: Counter,
    /// Lines for log files that did not fit into the queue of a writer.
    pub log_lines_dropped: Counter,
    /// Entries of the session table that were put to use where nothing gave way.
    pub sessions_begun: Counter,
    /// Application sessions that gave way to others in the session table, by `stickiness::Evicted`.
    pub sessions_evicted: [Counter; SESSIONS_EVICTED],
}

/// What gives way in the session table; see `stickiness::Evicted`.
pub const SESSIONS_EVICTED: usize = 3;

/// What one worker counts for one target. Outlives reloads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct TargetShard {
    /// Requests sent to the target.
    pub requests: Counter,
    /// Its responses by class: 1xx (final 101 alone), 2xx, 3xx, 4xx, 5xx.
    pub responses: [Counter; 5],
    /// Connections that could not be made.
    pub connection_errors: Counter,
    /// Connections whose TLS handshake failed (ALB: TargetTLSNegotiationErrorCount).
    pub tls_errors: Counter,
}

/// Reasons a stickiness decision is counted by; see `stickiness::Outcome`.
pub const STICKINESS_OUTCOMES: usize = 9;

/// Reasons a decision of group stickiness is counted by; see `stickiness::GroupOutcome`.
pub const GROUP_STICKINESS_OUTCOMES: usize = 7;

/// What one worker counts for one group. Outlives reloads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct GroupShard {
    /// Requests routed to the group.
    pub requests: Counter,
    /// Those of them that are calls of gRPC (ALB: `GrpcRequestCount`).
    pub grpc_requests: Counter,
    /// Those of them for which there was a target (ALB: `RequestCount`).
    pub chosen: Counter,
    /// Responses of its targets by class, as for a target; those of targets that are gone included.
    pub responses: [Counter; 5],
    /// Connections to its targets that could not be made (ALB: `TargetConnectionErrorCount`).
    pub connection_errors: Counter,
    /// Its requests that were not answered as they should have been, by cause.
    pub failures: Causes,
    /// From a request to the head of the target's response (ALB: `TargetResponseTime`).
    pub response_time: Histogram,
    /// Decisions of sticky groups, by outcome.
    pub stickiness: [Counter; STICKINESS_OUTCOMES],
    /// Requests of sessions that were done elsewhere because their target was too busy.
    pub stickiness_spilled: Counter,
    /// Requests of sessions that were refused because their target was unhealthy.
    pub stickiness_refused: Counter,
    /// Requests that a failing-open group sent to targets that are not healthy.
    pub unhealthy_routing: Counter,
}

/// What the control thread counts. Only the control thread writes.
#[derive(Debug, Default)]
pub struct ControlCounters {
    /// Configurations taken up after the first.
    pub reloads: Counter,
    /// Configurations refused or not taken up whole; the one before stayed.
    pub reload_failures: Counter,
    /// Workers that ended by themselves and were replaced.
    pub worker_restarts: Counter,
    /// Lines for log files that did not fit into the queue of a writer.
    pub log_lines_dropped: Counter,
    /// What happened last.
    pub notes: Notes,
    draining: AtomicBool,
}

impl ControlCounters {
    /// Says that the process ends: it accepts nothing new and finishes what is in flight.
    pub fn begin_draining(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether the process ends.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_index_themselves() {
        for (place, status) in OwnStatus::ALL.into_iter().enumerate() {
            assert_eq!(status.index(), place);
        }
        for (place, refusal) in ClientCertRefusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), place);
        }
    }
}
