//! What is counted for the clients of a listener, and where the figures of listeners that are gone stay.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Cause, Causes, ClientCertRefusal, Counter, GROUP_STICKINESS_OUTCOMES, Histogram, OwnStatus};
use crate::model::Classification;

/// What one worker counts for one listener. Outlives reloads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ListenerShard {
    /// Client connections accepted (ALB: `NewConnectionCount`).
    pub connections_accepted: Counter,
    /// Those of them that ended.
    pub connections_closed: Counter,
    /// Requests whose head was read whole.
    pub requests: Counter,
    /// Rules looked at; the default action is none (ALB: `RuleEvaluations`).
    pub rule_evaluations: Counter,
    /// Own answers by [`OwnStatus::index`].
    pub own_responses: [Counter; OwnStatus::ALL.len()],
    /// Requests that were not answered as they should have been, by cause.
    pub failures: Causes,
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
    /// TLS handshakes with clients that failed (ALB: `ClientTLSNegotiationErrorCount`).
    pub client_tls_errors: Counter,
    /// Those of them that failed for the client's certificate, by [`ClientCertRefusal::index`].
    pub client_cert_refusals: [Counter; ClientCertRefusal::ALL.len()],
    /// Calls of gRPC that were forwarded.
    pub grpc_requests: Counter,
    /// Requests of clients at IPv6 addresses (ALB: `IPv6RequestCount`).
    pub ipv6_requests: Counter,
    /// Bytes from and to clients at IPv6 addresses (ALB: `IPv6ProcessedBytes`).
    pub ipv6_bytes: Counter,
    /// Bytes read from clients.
    pub bytes_received: Counter,
    /// Bytes written to clients.
    pub bytes_sent: Counter,
    /// From the first byte of a request to the last of its answer.
    pub request_duration: Histogram,
}

impl ListenerShard {
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
    pub fn own(&self, cause: Cause) {
        self.failures.count(cause);
        if let Some(counter) = self.own_responses.get(cause.status().index()) {
            counter.inc();
        }
    }

    /// Records a decision of group stickiness by the index of its outcome.
    pub fn group_decision(&self, outcome: usize) {
        if let Some(counter) = self.group_stickiness.get(outcome) {
            counter.inc();
        }
    }
}

/// Figures of a listener, one shard a worker.
#[derive(Debug)]
pub struct ListenerRuntime {
    shards: Box<[ListenerShard]>,
    /// What a worker writes that was not there when this was made, which there is none of.
    nobodys: ListenerShard,
}

impl ListenerRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers).map(|_| ListenerShard::default()).collect(),
            nobodys: ListenerShard::default(),
        }
    }

    /// The shard that worker number `worker` writes.
    #[must_use]
    pub fn shard(&self, worker: usize) -> &ListenerShard {
        self.shards.get(worker).unwrap_or(&self.nobodys)
    }

    /// All shards, for adding up.
    #[must_use]
    pub fn shards(&self) -> &[ListenerShard] {
        &self.shards
    }
}

/// What of a listener can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openable {
    /// A client's connection.
    Connection,
    /// A tunnel.
    Tunnel,
    /// A client's connection that speaks HTTP/2.
    Http2Connection,
}

/// Something open, counted by one worker for as long as this lives: whatever ends it, a panic too.
#[derive(Debug)]
pub struct OpenNow {
    runtime: Arc<ListenerRuntime>,
    worker: usize,
    what: Openable,
}

impl OpenNow {
    /// Counts it as opened by worker number `worker`, which alone may call this and drop what it gives back.
    #[must_use]
    pub fn begin(runtime: &Arc<ListenerRuntime>, worker: usize, what: Openable) -> Self {
        let shard = runtime.shard(worker);
        match what {
            Openable::Connection => &shard.connections_accepted,
            Openable::Tunnel => &shard.tunnels_opened,
            Openable::Http2Connection => &shard.http2_connections_opened,
        }
        .inc();
        Self { runtime: Arc::clone(runtime), worker, what }
    }
}

impl Drop for OpenNow {
    fn drop(&mut self) {
        let shard = self.runtime.shard(self.worker);
        match self.what {
            Openable::Connection => &shard.connections_closed,
            Openable::Tunnel => &shard.tunnels_closed,
            Openable::Http2Connection => &shard.http2_connections_closed,
        }
        .inc();
    }
}

/// Figures of all listeners that there have been: what a process counted does not become less with a reload that
/// removes a listener. Off the request path.
#[derive(Debug, Default)]
pub struct ListenerRuntimes(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    address: SocketAddr,
    runtime: Arc<ListenerRuntime>,
}

impl ListenerRuntimes {
    /// The figures of the listener at `address`, which go on if there was one before.
    pub fn of(&self, address: SocketAddr, workers: usize) -> Arc<ListenerRuntime> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.iter().find(|kept| kept.address == address) {
            return Arc::clone(&kept.runtime);
        }
        let runtime = Arc::new(ListenerRuntime::new(workers));
        all.push(Kept { address, runtime: Arc::clone(&runtime) });
        runtime
    }

    /// The figures of all.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<ListenerRuntime>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|kept| Arc::clone(&kept.runtime)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_counted_where_it_belongs() {
        let shard = ListenerShard::default();
        shard.own(Cause::TargetTimedOut);
        shard.own(Cause::TargetTimedOut);
        assert_eq!(shard.own_responses[OwnStatus::GatewayTimeout.index()].get(), 2);
        assert_eq!(shard.own_responses[OwnStatus::BadGateway.index()].get(), 0);
        for status in [200, 404, 503, 503] {
            shard.fixed(status);
        }
        assert_eq!(shard.fixed_responses.each_ref().map(Counter::get), [1, 1, 2]);
        shard.group_decision(GROUP_STICKINESS_OUTCOMES);
        assert!(shard.group_stickiness.iter().all(|counter| counter.get() == 0));
    }

    #[test]
    fn a_listener_that_comes_again_goes_on_counting() {
        let runtimes = ListenerRuntimes::default();
        let [one, other] = ["127.0.0.1:80", "127.0.0.1:81"].map(|text| text.parse().unwrap());
        runtimes.of(one, 2).shard(1).requests.add(3);
        runtimes.of(other, 2).shard(0).requests.add(4);
        assert_eq!(runtimes.of(one, 2).shard(1).requests.get(), 3);
        let all = runtimes.all();
        let requests = all.iter().flat_map(|runtime| runtime.shards()).map(|shard| shard.requests.get());
        assert_eq!((all.len(), requests.sum::<u64>()), (2, 7));
    }

    #[test]
    fn what_is_open_is_closed_by_whatever_ends_it() {
        let runtime = Arc::new(ListenerRuntime::new(1));
        for what in [Openable::Connection, Openable::Tunnel, Openable::Http2Connection] {
            let inner = Arc::clone(&runtime);
            let ended = std::panic::catch_unwind(move || {
                let _open = OpenNow::begin(&inner, 0, what);
                panic!("on purpose");
            });
            assert!(ended.is_err());
        }
        let shard = runtime.shard(0);
        for (opened, closed) in [
            (&shard.connections_accepted, &shard.connections_closed),
            (&shard.tunnels_opened, &shard.tunnels_closed),
            (&shard.http2_connections_opened, &shard.http2_connections_closed),
        ] {
            assert_eq!((opened.get(), closed.get()), (1, 1));
        }
    }

    #[test]
    fn a_worker_too_many_disturbs_nobody() {
        let runtime = ListenerRuntime::new(1);
        runtime.shard(1).requests.inc();
        assert_eq!(runtime.shard(0).requests.get(), 0);
    }
}
