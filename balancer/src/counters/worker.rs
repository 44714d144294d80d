//! What is counted by the process, whatever the listener and the group. Must not know: whose figures they are.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use super::{
    ApiOutcome, ApiRejection, Arrivals, By, Counter, Evicted, Notes, SessionStoreShard,
    figures::{Set, figures},
};

figures! {
    /// What one worker counts, whatever the listener and the group.
    pub struct WorkerCounters => /// What workers did, whatever the listener and the group.
    Work {
        accept_pauses: Counter => "balancer_accept_pauses_total",
            "Times accepting paused because file descriptors ran out.";
        connections_taken_over: Counter => "balancer_connections_taken_over_total",
            "Client connections that waited for a worker that stood still, and were taken over by another one.";
        panics: Set<u64> => "balancer_panics_total",
            "Faults of the balancer itself, each of which ended one connection; to be reported.";
        internal_errors: Set<u64> => "balancer_internal_errors_total",
            "States that cannot be, by a fault of the balancer itself, where it went on; to be reported.";
        retries: Counter => "balancer_retries_total",
            "Requests sent again, to another target or on a fresh connection.";
        target_connects: Counter => "balancer_target_connects_total", "Connections to targets that were established.";
        target_reuses: Counter => "balancer_target_connection_reuses_total", "Requests sent on a pooled connection.";
        target_tls_handshakes: Counter => "balancer_target_tls_handshakes_total",
            "TLS handshakes with targets that ended well.";
        target_tls_resumptions: Counter => "balancer_target_tls_resumptions_total",
            "TLS handshakes with targets that resumed a session.";
        http2_buffer_bytes: Set<u64> => "balancer_http2_buffer_bytes",
            "Bytes that connections of HTTP/2 hold now of what came and is not used up, and of what is to go out.";
        http2_buffer_limit_bytes: Set<u64> => "balancer_http2_buffer_limit_bytes",
            "Bytes that connections of HTTP/2 may hold.";
        http2_connections_sent_away: Set<u64> => "balancer_http2_connections_sent_away_total",
            "Client connections that were told to go since all connections of HTTP/2 held more than three quarters of what they may.";
        http2_streams_refused: Set<u64> => "balancer_http2_streams_refused_total",
            "Requests over HTTP/2 that were refused, or whose content was, since all connections of HTTP/2 held what they may.";
        log_lines_written: Set<u64> => "balancer_log_lines_total", "Lines written into log files.";
    }
    and {
        /// Lines for log files that did not fit into the queue of a writer.
        log_lines_dropped: Counter,
        /// A sample of the requests to sticky groups.
        arrivals: Arrivals,
        /// Entries of the session table that were put to use where nothing gave way.
        sessions_begun: Counter,
        /// The session table.
        session_table: SessionTableShard,
        /// Sessions that are shared with other balancers.
        session_store: SessionStoreShard,
    }
}

figures! {
    /// What one worker counts of the table of application sessions.
    pub struct SessionTableShard => /// How full the table of application sessions is.
    SessionTable {
        entries: Set<u64> => "balancer_session_table_entries",
            "Entries in use in the table of application sessions, expired ones that nothing has replaced included.";
        entries_error: Set<u64> => "balancer_session_table_entries_error",
            "How far off the entries in use may be, in 19 cases of 20: 0 unless the table is larger than by default.";
        capacity: Set<u64> => "balancer_session_table_capacity",
            "Entries that the table of application sessions can hold.";
        evicted: By<Evicted> => "balancer_session_table_evicted_total",
            "Entries that gave way to new sessions: of clients that had not come back, of clients that had, and expired ones.";
    }
}

figures! {
    /// What one worker has to do.
    pub struct WorkerFigures {
        connections: u64 => "balancer_worker_connections", "Client connections that a worker has open now.";
        connections_accepted: u64 => "balancer_worker_connections_accepted_total",
            "Client connections that a worker has accepted.";
        requests_in_flight: u64 => "balancer_worker_requests_in_flight",
            "Requests that a worker had under way a moment ago, tunnels included.";
        busy_ratio: f64 => "balancer_worker_busy_ratio",
            "Part of the last moment in which a worker had something to do.";
        busy_seconds: f64 => "balancer_worker_busy_seconds_total", "Seconds in which a worker had something to do.";
        passed_over: u64 => "balancer_worker_passed_over_total",
            "Times that a new connection passed a worker over, since it was at one thing for too long; 0 without the kernel side.";
    }
}

figures! {
    /// What the control thread counts. Only the control thread writes.
    pub struct ControlCounters => /// What the control thread did.
    Upkeep {
        reloads: Counter => "balancer_reloads_total", "Configurations taken up after the first.";
        reload_failures: Counter => "balancer_reload_failures_total",
            "Configurations that were refused; the one before stayed.";
        worker_restarts: Counter => "balancer_worker_restarts_total",
            "Workers that ended by a bug of their own and were replaced.";
        api_reads: By<ApiOutcome> => "balancer_control_api_reads_total",
            "Calls of the ELBv2 API that change nothing, by what came of them.";
        api_changes: By<ApiOutcome> => "balancer_control_api_changes_total",
            "Calls of the ELBv2 API that change something, by what came of them.";
        api_rejections: By<ApiRejection> => "balancer_control_api_rejected_total",
            "Requests to the ELBv2 API that did not come to an operation, by their code: not signed, signed otherwise, not \
             allowed, or no requests of the API.";
    }
    and {
        /// Lines for log files that did not fit into the queue of a writer.
        log_lines_dropped: Counter,
        /// What happened last.
        notes: Notes,
        /// Whether the process ends.
        ending: AtomicBool,
        /// When it ends at the latest, once another process has taken its place.
        ends_at: OnceLock<Instant>,
    }
}

impl ControlCounters {
    /// Says that the process ends: it accepts nothing new and finishes what is in flight.
    pub fn begin_draining(&self) {
        self.ending.store(true, Relaxed);
    }

    /// Says that another process has taken the place of this one, which ends then at the latest.
    pub fn succeeded(&self, ends_at: Instant) {
        let _ = self.ends_at.set(ends_at);
        self.begin_draining();
    }

    /// Whether another process has taken the place of this one.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        self.ends_at.get().is_some()
    }

    /// When the process ends at the latest, if that is known.
    #[must_use]
    pub fn ends_at(&self) -> Option<Instant> {
        self.ends_at.get().copied()
    }

    /// Whether the process ends.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.ending.load(Relaxed)
    }
}
