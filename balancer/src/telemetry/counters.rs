//! Counters of the request path. Every counter has one writer, its worker, so that counting is a plain
//! load and store; readers (metrics, status) add up the shards of all workers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::histogram::Histogram;
use crate::model::Classification;

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

/// What one worker counts, whatever the group.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerCounters {
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections ended.
    pub connections_closed: Counter,
    /// Times accepting paused because file descriptors ran out.
    pub accept_pauses: Counter,
    /// Requests whose head was read whole.
    pub requests: Counter,
    /// Rules looked at; the default action is none (ALB: `RuleEvaluations`).
    pub rule_evaluations: Counter,
    /// Own answers by [`OwnStatus::index`].
    pub own_responses: [Counter; OwnStatus::ALL.len()],
    /// Requests that are not compliant, by [`Classification::index`] (ALB: `DesyncMitigationMode_NonCompliant_Request_Count`).
    pub non_compliant: [Counter; Classification::ALL.len()],
    /// Requests that lost fields for their names (ALB: `DroppedInvalidHeaderRequestCount`).
    pub invalid_headers_dropped: Counter,
    /// Requests that kept such fields (ALB: `ForwardedInvalidHeaderRequestCount`).
    pub invalid_headers_forwarded: Counter,
    /// Redirects answered (ALB: `HTTP_Redirect_Count`).
    pub redirects: Counter,
    /// Fixed responses answered, by class of status: 2xx, 4xx, 5xx (ALB: `HTTP_Fixed_Response_Count`).
    pub fixed_responses: [Counter; 3],
    /// What came of group cookies, by `stickiness::GroupOutcome`.
    pub group_stickiness: [Counter; GROUP_STICKINESS_OUTCOMES],
    /// Requests sent again, to another target or on a fresh connection.
    pub retries: Counter,
    /// Connections opened to targets.
    pub target_connects: Counter,
    /// Requests sent on a pooled connection.
    pub target_reuses: Counter,
    /// Tunnels begun (Upgrade answered with 101).
    pub tunnels_opened: Counter,
    /// Tunnels ended.
    pub tunnels_closed: Counter,
    /// Client connections that speak HTTP/2.
    pub http2_connections_opened: Counter,
    /// Those of them that ended.
    pub http2_connections_closed: Counter,
    /// Those that were ended for frames that make work and carry nothing.
    pub http2_floods: Counter,
    /// Requests begun over HTTP/2.
    pub http2_streams_opened: Counter,
    /// Those of them that ended.
    pub http2_streams_closed: Counter,
    /// TLS handshakes with clients that ended well.
    pub client_tls_handshakes: Counter,
    /// Those of them that resumed a session.
    pub client_tls_resumptions: Counter,
    /// TLS handshakes with clients that failed (ALB: ClientTLSNegotiationErrorCount).
    pub client_tls_errors: Counter,
    /// Those of them that failed for the client's certificate, by [`ClientCertRefusal::index`].
    pub client_cert_refusals: [Counter; ClientCertRefusal::ALL.len()],
    /// TLS handshakes with targets that ended well.
    pub target_tls_handshakes: Counter,
    /// Those of them that resumed a session.
    pub target_tls_resumptions: Counter,
    /// Calls of gRPC that were forwarded (ALB: GrpcRequestCount).
    pub grpc_requests: Counter,
    /// Requests of clients at IPv6 addresses (ALB: `IPv6RequestCount`).
    pub ipv6_requests: Counter,
    /// Bytes from and to clients at IPv6 addresses (ALB: `IPv6ProcessedBytes`).
    pub ipv6_bytes: Counter,
    /// Lines for log files that did not fit into the queue of a writer.
    pub log_lines_dropped: Counter,
    /// Bytes read from clients.
    pub bytes_received: Counter,
    /// Bytes written to clients.
    pub bytes_sent: Counter,
}

impl WorkerCounters {
    /// Records a handshake that failed for the client's certificate.
    pub fn refused(&self, refusal: ClientCertRefusal) {
        if let Some(counter) = self.client_cert_refusals.get(refusal.index()) {
            counter.inc();
        }
    }

    /// Records a fixed response.
    pub fn fixed(&self, status: u16) {
        let class = match status {
            ..400 => 0,
            400..500 => 1,
            500.. => 2,
        };
        if let Some(counter) = self.fixed_responses.get(class) {
            counter.inc();
        }
    }

    /// Records a request that is not compliant.
    pub fn non_compliant(&self, class: Classification) {
        if let Some(counter) = self.non_compliant.get(class.index()) {
            counter.inc();
        }
    }

    /// Records an error that the balancer answers with.
    pub fn own(&self, status: OwnStatus) {
        if let Some(counter) = self.own_responses.get(status.index()) {
            counter.inc();
        }
    }
}

/// What one worker counts for one target. Outlives reloads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct TargetShard {
    /// Requests sent to the target.
    pub requests: Counter,
    /// Its responses by class: 1xx (final 101 alone), 2xx, 3xx, 4xx, 5xx.
    pub responses: [Counter; 5],
    /// Connections that could not be made or broke before the response head.
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
    /// Those of them for which there was a target (ALB: `RequestCount`).
    pub chosen: Counter,
    /// Responses of its targets by class, as for a target; those of targets that are gone included.
    pub responses: [Counter; 5],
    /// Connections to its targets that could not be made or broke before the response head.
    pub connection_errors: Counter,
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

/// What one worker counts for one listener. Outlives reloads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ListenerShard {
    /// Client connections accepted (ALB: `NewConnectionCount`).
    pub connections_accepted: Counter,
    /// Those of them that ended.
    pub connections_closed: Counter,
    /// From the first byte of a request to the last of its answer.
    pub request_duration: Histogram,
}

/// Figures of a listener, one shard a worker.
#[derive(Debug)]
pub struct ListenerRuntime(Box<[ListenerShard]>);

impl ListenerRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| ListenerShard::default()).collect())
    }

    /// The shard that worker number `worker` writes.
    #[must_use]
    pub fn shard(&self, worker: usize) -> Option<&ListenerShard> {
        self.0.get(worker)
    }

    /// All shards, for adding up.
    #[must_use]
    pub fn shards(&self) -> &[ListenerShard] {
        &self.0
    }
}

/// What the control thread counts. Only the control thread writes.
#[derive(Debug, Default)]
pub struct ControlCounters {
    /// Configurations taken up after the first.
    pub reloads: Counter,
    /// Configurations refused or not taken up whole; the one before stayed.
    pub reload_failures: Counter,
    /// Lines for log files that did not fit into the queue of a writer.
    pub log_lines_dropped: Counter,
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
        let counters = WorkerCounters::default();
        counters.own(OwnStatus::GatewayTimeout);
        counters.own(OwnStatus::GatewayTimeout);
        assert_eq!(counters.own_responses[OwnStatus::GatewayTimeout.index()].get(), 2);
        assert_eq!(counters.own_responses[OwnStatus::BadGateway.index()].get(), 0);
    }
}
