//! What is counted for the clients of a listener, and where the figures of listeners that are gone stay.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    By, Cause, ClientCertRefusal, Counter, FixedClass, Gauge, GroupOutcome, Histogram, HistogramStatus,
    Holder, OwnStatus, Raised, RuleRuntimes, figures::figures,
};
use crate::model::Classification;

figures! {
    /// What one worker counts for one listener. Outlives reloads.
    pub struct ListenerShard => /// What clients did, at one listener or at all.
    Traffic {
        connections_accepted: Counter => "balancer_connections_accepted_total", "Client connections accepted.";
        connections_active: Gauge => "balancer_connections_active", "Client connections open now.";
        connections_parked: Gauge => "balancer_connections_parked",
            "Client connections that have been idle for a while, of which no more is kept than it takes to go on.";
        tunnels_opened: Counter => "balancer_tunnels_opened_total", "Tunnels begun (an Upgrade answered with 101).";
        tunnels_active: Gauge => "balancer_tunnels_active", "Tunnels open now.";
        requests: Counter => "balancer_requests_total", "Requests whose head was read whole.";
        own_responses: By<OwnStatus> => "balancer_responses_total",
            "Answers of the balancer's own by status; 460 (the client went away) is recorded and never sent.";
        errors: By<Cause> => "balancer_errors_total", "The same by cause, those alone that there were.";
        non_compliant_requests: By<Classification> => "balancer_desync_mitigation_non_compliant_requests_total",
            "Requests that are not compliant with RFC 7230, by classification.";
        dropped_invalid_header_requests: Counter => "balancer_dropped_invalid_header_requests_total",
            "Requests that lost fields whose names have other characters than letters, digits and hyphens.";
        forwarded_invalid_header_requests: Counter => "balancer_forwarded_invalid_header_requests_total",
            "Requests with such fields, which they kept.";
        rule_evaluations: Counter => "balancer_rule_evaluations_total",
            "Listener rules looked at; default actions are none.";
        redirects: Counter => "balancer_redirects_total", "Redirects answered.";
        fixed_responses: By<FixedClass> => "balancer_fixed_responses_total",
            "Fixed responses answered, by class of status.";
        group_stickiness: By<GroupOutcome> => "balancer_group_stickiness_decisions_total",
            "Requests to actions with group stickiness, by what came of their cookies.";
        grpc_requests: Counter => "balancer_grpc_requests_total", "Calls of gRPC.";
        ipv6_requests: Counter => "balancer_ipv6_requests_total", "Requests of clients at IPv6 addresses.";
        #[serde(skip_serializing_if = "HistogramStatus::is_absent")]
        request_duration: Histogram => "balancer_request_duration_seconds",
            "From the first byte of a request to the last of its answer; requests that became tunnels are left out.";
        http2_connections_opened: Counter => "balancer_http2_connections_opened_total",
            "Client connections that began with HTTP/2.";
        http2_connections_active: Gauge => "balancer_http2_connections_active",
            "Client connections that speak HTTP/2 now.";
        http2_floods: Counter => "balancer_http2_floods_total",
            "HTTP/2 connections ended for frames that make work and carry nothing.";
        http2_streams_opened: Counter => "balancer_http2_streams_opened_total", "Requests begun over HTTP/2.";
        http2_streams_active: Gauge => "balancer_http2_streams_active", "Requests over HTTP/2 under way now.";
        client_tls_handshakes: Counter => "balancer_client_tls_handshakes_total",
            "TLS handshakes with clients that ended well.";
        client_tls_resumptions: Counter => "balancer_client_tls_resumptions_total",
            "TLS handshakes with clients that resumed a session.";
        client_tls_negotiation_errors: Counter => "balancer_client_tls_negotiation_errors_total",
            "TLS handshakes with clients that failed, plain HTTP to an HTTPS listener included.";
        client_certificate_refusals: By<ClientCertRefusal> => "balancer_client_certificate_refusals_total",
            "TLS handshakes with clients that failed for the client's certificate, by reason.";
        bytes_received: Counter => "balancer_received_bytes_total", "Bytes read from clients.";
        bytes_sent: Counter => "balancer_sent_bytes_total", "Bytes written to clients.";
        ipv6_bytes: Counter => "balancer_ipv6_processed_bytes_total", "Bytes from and to clients at IPv6 addresses.";
    }
}

impl ListenerShard {
    /// Records a fixed response.
    pub fn fixed(&self, status: u16) {
        self.fixed_responses.count(match status {
            ..400 => FixedClass::Success,
            400..500 => FixedClass::ClientError,
            500.. => FixedClass::ServerError,
        });
    }

    /// Records an error that the balancer answers with.
    pub fn own(&self, cause: Cause) {
        self.errors.count(cause);
        self.own_responses.count(cause.status());
    }
}

/// Figures of a listener, one shard a worker.
#[derive(Debug)]
pub struct ListenerRuntime {
    shards: Box<[ListenerShard]>,
    /// What a worker writes that was not there when this was made, which there is none of.
    nobodys: ListenerShard,
    /// Figures of its rules.
    pub rules: RuleRuntimes,
}

impl ListenerRuntime {
    /// For `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers).map(|_| ListenerShard::default()).collect(),
            nobodys: ListenerShard::default(),
            rules: RuleRuntimes::default(),
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
    /// A client's connection that has been idle for a while.
    Parked,
}

impl Openable {
    /// How many there have been, where that is counted, and how many there are.
    fn figures(self, shard: &ListenerShard) -> (Option<&Counter>, &Gauge) {
        match self {
            Self::Connection => (Some(&shard.connections_accepted), &shard.connections_active),
            Self::Tunnel => (Some(&shard.tunnels_opened), &shard.tunnels_active),
            Self::Http2Connection => (Some(&shard.http2_connections_opened), &shard.http2_connections_active),
            Self::Parked => (None, &shard.connections_parked),
        }
    }
}

/// Leads to the gauge of what is open.
#[derive(Debug)]
pub struct CountedOpen {
    runtime: Arc<ListenerRuntime>,
    worker: usize,
    what: Openable,
    /// It stays on its worker.
    _stays: PhantomData<*const ()>,
}

impl Holder for CountedOpen {
    fn gauge(&self) -> &Gauge {
        self.what.figures(self.runtime.shard(self.worker)).1
    }
}

/// Something open, counted by one worker for as long as this lives.
pub type OpenNow = Raised<CountedOpen>;

impl OpenNow {
    /// Counts it as opened by worker number `worker`, which alone may call this.
    #[must_use]
    pub fn begin(runtime: &Arc<ListenerRuntime>, worker: usize, what: Openable) -> Self {
        what.figures(runtime.shard(worker)).0.into_iter().for_each(Counter::inc);
        Self::new(CountedOpen { runtime: Arc::clone(runtime), worker, what, _stays: PhantomData })
    }
}

impl CountedOpen {
    /// Something else of the same listener and worker that is open.
    #[must_use]
    pub fn along(&self, what: Openable) -> OpenNow {
        OpenNow::begin(&self.runtime, self.worker, what)
    }
}

/// Figures of all listeners that there have been: what a process counted does not become less with a reload that
/// removes a listener. Off the request path.
#[derive(Debug, Default)]
pub struct ListenerRuntimes(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    name: String,
    runtime: Arc<ListenerRuntime>,
}

impl ListenerRuntimes {
    /// The figures of the listener of this name, which go on if there was one before, wherever it listened.
    pub fn of(&self, name: &str, workers: usize) -> Arc<ListenerRuntime> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.iter().find(|kept| kept.name == name) {
            return Arc::clone(&kept.runtime);
        }
        let runtime = Arc::new(ListenerRuntime::new(workers));
        all.push(Kept { name: name.to_owned(), runtime: Arc::clone(&runtime) });
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
        assert_eq!(shard.own_responses.of(OwnStatus::GatewayTimeout), 2);
        assert_eq!(shard.own_responses.of(OwnStatus::BadGateway), 0);
        for status in [200, 404, 503, 503] {
            shard.fixed(status);
        }
        assert_eq!(FixedClass::ALL.map(|class| shard.fixed_responses.of(class)), [1, 1, 2]);
    }

    #[test]
    fn a_listener_that_comes_again_goes_on_counting() {
        let runtimes = ListenerRuntimes::default();
        let [one, other] = ["web", "other"];
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
        for what in [Openable::Connection, Openable::Tunnel, Openable::Http2Connection, Openable::Parked] {
            let inner = Arc::clone(&runtime);
            let ended = std::panic::catch_unwind(move || {
                let _open = OpenNow::begin(&inner, 0, what);
                panic!("on purpose");
            });
            assert!(ended.is_err());
            let (opened, open) = what.figures(runtime.shard(0));
            assert_eq!((opened.map_or(1, Counter::get), open.get()), (1, 0));
        }
    }

    #[test]
    fn a_worker_too_many_disturbs_nobody() {
        let runtime = ListenerRuntime::new(1);
        runtime.shard(1).requests.inc();
        assert_eq!(runtime.shard(0).requests.get(), 0);
    }
}
