//! Counts something different everywhere and compares all that is told of it, word for word: names, helps, keys and
//! their order are a promise to users. `UPDATE_DOCS=1` writes the files anew.

use std::{fs, path::Path, sync::Arc};

use super::{
    inspect::{Inspector, tests::inspector},
    metrics,
    status::GenerationStatus,
};
use crate::counters::{
    Cause, ClientCertRefusal, ClusterNote, Counter, Gauge, Holder, ListenerRuntime, ListenerShard, Raised,
    SessionsEverywhere, SourceNews,
};

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

/// What is open at a listener, on one of its workers.
struct Open(Arc<ListenerRuntime>, usize, fn(&ListenerShard) -> &Gauge);

impl Holder for Open {
    fn gauge(&self) -> &Gauge {
        (self.2)(self.0.shard(self.1))
    }
}

/// What is open stays so as long as what is given back.
fn count_everywhere(inspector: &Inspector) -> Vec<Raised<Open>> {
    let mut open = Vec::new();
    let mut numbers = Numbers(100);
    let control = &inspector.control;
    control.notes.set_cluster(ClusterNote {
        prefix: "/balancer".into(),
        node: "a".into(),
        endpoint: "http://10.0.0.1:2379".into(),
        connected: true,
        revision: 41,
        author: "ops".into(),
        digest: "d1".into(),
        seen_revision: 42,
        seen_author: "ops".into(),
        state: "held".into(),
        reason: Some("node b refuses it".into()),
        ..ClusterNote::default()
    });
    control.notes.begin_source("app", "file:/targets.json".into(), "file");
    let news = |fault| SourceNews { targets: 3, fault, left_out: "" };
    control.notes.tell_of_source("app", &news(None));
    control.notes.tell_of_source("app", &news(Some(("empty", "it lists no targets"))));
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
        numbers.each(&worker.session_table.evicted);
    }
    let snapshot = inspector.snapshot.get();
    for worker in 0..2 {
        let runtime = &snapshot.listeners[0].runtime;
        let shard = runtime.shard(worker);
        numbers.count(&[
            &shard.requests,
            &shard.rule_evaluations,
            &shard.dropped_invalid_header_requests,
            &shard.forwarded_invalid_header_requests,
            &shard.redirects,
            &shard.http2_floods,
            &shard.http2_streams_opened,
            &shard.http2_connections_opened,
            &shard.tunnels_opened,
            &shard.connections_accepted,
            &shard.client_tls_handshakes,
            &shard.client_tls_resumptions,
            &shard.client_tls_negotiation_errors,
            &shard.grpc_requests,
            &shard.ipv6_requests,
            &shard.ipv6_bytes,
            &shard.bytes_received,
            &shard.bytes_sent,
        ]);
        let gauges: [fn(&ListenerShard) -> &Gauge; 4] = [
            |shard| &shard.connections_active,
            |shard| &shard.tunnels_active,
            |shard| &shard.http2_connections_active,
            |shard| &shard.http2_streams_active,
        ];
        for (index, gauge) in gauges.into_iter().enumerate() {
            let raise = || Raised::new(Open(Arc::clone(runtime), worker, gauge));
            open.extend(std::iter::repeat_with(raise).take(index + 3));
        }
        let rules = snapshot.listeners[0].runtime.rules.of([Some("api"), None].into_iter(), 2);
        for (rule, count) in rules.iter().zip([57, 91]) {
            rule.shard(worker).unwrap().requests.add(count);
        }
        numbers.each(&shard.non_compliant_requests);
        numbers.each(&shard.fixed_responses);
        numbers.each(&shard.group_stickiness);
        for cause in [Cause::NoTarget, Cause::TargetTimedOut, Cause::TargetTimedOut] {
            shard.own(cause);
        }
        shard.client_certificate_refusals.count(ClientCertRefusal::Expired);
        shard.request_duration.observe(crate::clock::Nanos(1_500_000));
        numbers.each(&inspector.workers[worker].session_store.lookups);
        inspector.workers[worker].session_store.lookup_duration.observe(crate::clock::Nanos(2_000_000));
        let shard = snapshot.groups[0].runtime.shard(worker).unwrap();
        numbers.count(&[
            &shard.routing.requests,
            &shard.answers.grpc_requests,
            &shard.answers.requests_with_target,
            &shard.answers.connection_errors,
            &shard.stickiness.spilled_requests,
            &shard.stickiness.refused_requests,
            &shard.routing.unhealthy_routing_requests,
        ]);
        numbers.each(&shard.answers.responses);
        numbers.each(&shard.stickiness.decisions);
        shard.answers.failures.count(Cause::TargetTlsFailed);
        shard.answers.response_time.observe(crate::clock::Nanos(3_000_000));
        let shard = snapshot.groups[0].targets[0].runtime.shard(worker).unwrap();
        numbers.count(&[
            &shard.requests,
            &shard.connection_errors,
            &shard.tls_negotiation_errors,
            &shard.unanswered,
            &shard.stale_connections,
            &shard.broken_responses,
        ]);
        numbers.each(&shard.responses);
        shard.response_seconds.add(crate::clock::Nanos(7_000_000));
    }
    open
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
    let _open = count_everywhere(&inspector);
    let mut status = inspector.status();
    // What other tests of this process have counted, and what every version says anew.
    (status.version, status.uptime_seconds) = ("1.2.3".to_owned(), 1);
    (status.totals.work.panics, status.totals.work.internal_errors) = (51, 52);
    (status.totals.work.http2_buffer_bytes, status.totals.work.http2_buffer_limit_bytes) = (54, 55);
    status.log_lines_left_out.values_mut().for_each(|count| *count = 53);
    let packets = status.shield.iter_mut().flat_map(|shield| shield.packets.values_mut());
    packets.zip(74..).for_each(|(count, number)| *count = number);
    status.generations = vec![GenerationStatus {
        pid: 61,
        version: "1.2.3".to_owned(),
        draining: true,
        ends_in_seconds: Some(62),
        uptime_seconds: 63,
        connections_active: 64,
        tunnels_active: 65,
        requests_in_flight: 66,
    }];
    status.session_store.iter_mut().for_each(|store| {
        store.figures.failures = [("loading".to_owned(), 79)].into();
        store.figures.round_trip = store.figures.lookup_duration.clone();
        (store.figures.told_again, store.figures.writes_dropped, store.figures.writes_waiting) = (80, 81, 82);
        (store.node, store.health_check_leader) =
            ("000000000000000a".to_owned(), Some("000000000000000b".to_owned()));
        (store.figures.balancers, store.figures.leads, store.figures.leads_taken) = (83, Some(false), 84);
        (store.figures.verdicts_told, store.figures.verdicts_taken) = (85, 86);
        store.figures.notices_refused = 87;
    });
    status.target_groups[0].checked_by = Some("leader".to_owned());
    status.target_groups[0].targets[0].figures.sessions_everywhere =
        Some(SessionsEverywhere { sessions: 88, balancers: 3, age_seconds: 4 });
    compare("status.json", &serde_json::to_string_pretty(&status).unwrap());
    compare("metrics.txt", &metrics::render(&status));
}
