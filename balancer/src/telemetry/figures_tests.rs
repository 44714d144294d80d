//! Counts something different everywhere and compares all that is told of it, word for word: names, helps, keys and
//! their order are a promise to users. `UPDATE_DOCS=1` writes the files anew.

use std::{fs, path::Path};

use super::{
    inspect::{Inspector, tests::inspector},
    metrics,
};
use crate::counters::{Cause, ClientCertRefusal, Counter};

/// Numbers that are all different.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn count(&mut self, counters: &[&Counter]) {
        counters.iter().for_each(|counter| counter.add(self.next()));
    }

    fn each(&mut self, counters: &[Counter]) {
        counters.iter().for_each(|counter| counter.add(self.next()));
    }
}

fn count_everywhere(inspector: &Inspector) {
    let mut numbers = Numbers(100);
    let control = &inspector.control;
    numbers.count(&[
        &control.reloads,
        &control.reload_failures,
        &control.worker_restarts,
        &control.log_lines_dropped,
    ]);
    for worker in &inspector.workers {
        numbers.count(&[
            &worker.accept_pauses,
            &worker.retries,
            &worker.target_connects,
            &worker.target_reuses,
            &worker.target_tls_handshakes,
            &worker.target_tls_resumptions,
            &worker.log_lines_dropped,
        ]);
        numbers.each(&worker.sessions_evicted);
    }
    let snapshot = inspector.snapshot.get();
    for worker in 0..2 {
        let shard = snapshot.listeners[0].runtime.shard(worker);
        numbers.count(&[
            &shard.requests,
            &shard.rule_evaluations,
            &shard.invalid_headers_dropped,
            &shard.invalid_headers_forwarded,
            &shard.redirects,
            &shard.http2_floods,
            &shard.http2_streams_opened,
            &shard.http2_connections_opened,
            &shard.tunnels_opened,
            &shard.connections_accepted,
            &shard.client_tls_handshakes,
            &shard.client_tls_resumptions,
            &shard.client_tls_errors,
            &shard.grpc_requests,
            &shard.ipv6_requests,
            &shard.ipv6_bytes,
            &shard.bytes_received,
            &shard.bytes_sent,
        ]);
        shard.http2_streams_closed.add(31);
        shard.http2_connections_closed.add(32);
        shard.tunnels_closed.add(33);
        shard.connections_closed.add(34);
        numbers.each(&shard.non_compliant);
        numbers.each(&shard.fixed_responses);
        numbers.each(&shard.group_stickiness);
        for cause in [Cause::NoTarget, Cause::TargetTimedOut, Cause::TargetTimedOut] {
            shard.own(cause);
        }
        shard.refused(ClientCertRefusal::Expired);
        shard.request_duration.observe(std::time::Duration::from_micros(1_500));
        let shard = snapshot.groups[0].runtime.shard(worker).unwrap();
        numbers.count(&[
            &shard.requests,
            &shard.grpc_requests,
            &shard.chosen,
            &shard.connection_errors,
            &shard.stickiness_spilled,
            &shard.stickiness_refused,
            &shard.unhealthy_routing,
        ]);
        numbers.each(&shard.responses);
        numbers.each(&shard.stickiness);
        shard.failures.count(Cause::TargetTlsFailed);
        shard.response_time.observe(std::time::Duration::from_millis(3));
        let shard = snapshot.groups[0].targets[0].runtime.shard(worker).unwrap();
        numbers.count(&[&shard.requests, &shard.connection_errors, &shard.tls_errors]);
        numbers.each(&shard.responses);
    }
}

fn compare(file: &str, told: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/telemetry/figures_tests")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, told).unwrap();
    }
    let promised = fs::read_to_string(&path).unwrap();
    for (line, (told, promised)) in told.lines().zip(promised.lines()).enumerate() {
        assert_eq!(told, promised, "line {} of {file}", line + 1);
    }
    assert_eq!(told.len(), promised.len(), "{file}");
}

#[test]
fn figures_are_told_as_they_were_promised() {
    let inspector = inspector();
    count_everywhere(&inspector);
    let mut status = inspector.status();
    // What other tests of this process have counted, and what every version says anew.
    (status.version, status.uptime_seconds) = ("1.2.3".to_owned(), 1);
    (status.totals.panics, status.totals.internal_errors) = (51, 52);
    status.log_lines_left_out.values_mut().for_each(|count| *count = 53);
    compare("status.json", &serde_json::to_string_pretty(&status).unwrap());
    compare("metrics.txt", &metrics::render(status));
}
