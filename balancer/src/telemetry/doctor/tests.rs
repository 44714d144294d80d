//! Each trouble is named first where it is the only one, and a sound balancer has nothing said of it.

use super::*;
use crate::telemetry::{
    arrivals::{ArrivalsDocument, GroupArrivals, SampledRequest},
    status::{
        CertificateStatus, ErrorStatus, GroupStatus, ListenerStatus, SessionTable, ShieldStatus, Status,
        StickinessStatus, TargetStatus, WeightStatus, WorkerFigures,
    },
};

fn target(port: u16) -> TargetStatus {
    let mut target =
        TargetStatus { id: "10.0.0.1".into(), port, state: "healthy".into(), ..TargetStatus::default() };
    target.figures.weight = 1.0;
    target.figures.sessions = Some(0);
    target
}

/// A balancer with one sticky group of two targets that has just begun.
fn begun() -> Status {
    Status {
        instance: "shop".into(),
        kernel_assist: true,
        uptime_seconds: 100,
        worker_loads: vec![WorkerFigures::default()],
        certificates: vec![CertificateStatus {
            expires_in_seconds: 80 * 86_400,
            ..CertificateStatus::default()
        }],
        listeners: vec![ListenerStatus {
            name: "web".into(),
            protocol: "HTTP".into(),
            target_groups: vec![WeightStatus { target_group: "app".into(), weight: 1 }],
            ..ListenerStatus::default()
        }],
        target_groups: vec![GroupStatus {
            name: "app".into(),
            health_checks: true,
            deregistration_delay_seconds: 300,
            stickiness: StickinessStatus {
                enabled: true,
                cookie_secure: Some(false),
                keeps_draining: Some(false),
                ..StickinessStatus::default()
            },
            targets: vec![target(1), target(2)],
            ..GroupStatus::default()
        }],
        ..Status::default()
    }
}

fn decided(status: &mut Status, outcome: &str, count: u64) {
    status.target_groups[0].stickiness.figures.decisions.insert(outcome.into(), count);
}

/// The same ten seconds and a thousand requests later.
fn ended() -> Status {
    let mut status = begun();
    status.uptime_seconds += 10;
    status.worker_loads[0].busy_seconds = 3.0;
    decided(&mut status, "pinned", 900);
    decided(&mut status, "absent", 100);
    for target in &mut status.target_groups[0].targets {
        target.figures.requests = 500;
        target.figures.sessions = Some(50);
        target.figures.responses.insert("2xx".into(), 498);
        target.figures.responses.insert("5xx".into(), 2);
        target.figures.unanswered = 1;
        target.connections.retransmits = 3;
    }
    status
}

fn complaints(change: impl Fn(&mut Status)) -> Vec<Complaint> {
    let mut last = ended();
    change(&mut last);
    examine(&Observation::new(vec![begun(), last]).unwrap(), &[])
}

/// The code of the first complaint, and the whole of it as text.
#[track_caller]
fn first(code: &str, words: &[&str], change: impl Fn(&mut Status)) {
    let complaints = complaints(change);
    let first = complaints.first().unwrap();
    assert_eq!(first.code, code, "{complaints:?}");
    for word in words {
        let told = format!("{} {} {}", first.about, first.seen, first.advice);
        assert!(told.contains(word), "{word}: {told}");
    }
}

fn app(status: &mut Status) -> &mut GroupStatus {
    &mut status.target_groups[0]
}

#[test]
fn nothing_is_said_of_what_is_sound() {
    assert_eq!(complaints(|_| {}), []);
    // Who has begun just now, or has no requests, neither.
    assert_eq!(examine(&Observation::new(vec![begun(), begun()]).unwrap(), &[]), []);
    assert!(Observation::new(Vec::new()).is_none());
    // Whoever turned the kernel side off knows.
    assert_eq!(
        complaints(|status| {
            status.kernel_assist = false;
            status.kernel_assist_detail = "kernel_assist = \"off\"".into();
        }),
        []
    );
}

#[test]
fn uneven_targets_are_told_with_the_reason() {
    let uneven = |status: &mut Status, sessions: u64| {
        let [busy, idle] = app(status).targets.as_mut_slice() else { panic!() };
        (busy.figures.requests, idle.figures.requests) = (900, 100);
        (busy.figures.sessions, idle.figures.sessions) = (Some(sessions), Some(100 - sessions));
        busy.figures.outstanding_requests = 18;
    };
    first(
        "uneven_sessions",
        &["90 % of the requests", "1.8 times", "90 of 100", "max_lifetime", "9.0 requests in flight"],
        |status| {
            uneven(status, 90);
        },
    );
    first("busy_sessions", &["one API client", "50 of 100", "load_factor"], |status| uneven(status, 50));
    first("uneven_targets", &["least_outstanding_requests"], |status| {
        uneven(status, 90);
        app(status).stickiness.enabled = false;
    });
    // A target that is to get more has not more than its share.
    assert_eq!(
        complaints(|status| {
            uneven(status, 90);
            app(status).targets[1].figures.weight = 0.1;
        }),
        []
    );
}

#[test]
fn clients_that_keep_no_cookies_are_told() {
    first("cookies_not_returned", &["90 %", "app_header"], |status| {
        decided(status, "pinned", 100);
        decided(status, "absent", 900);
    });
}

#[test]
fn lost_sessions_are_told_with_what_would_have_kept_them() {
    first(
        "sessions_lost",
        &[
            "60 requests",
            "\"keep\" would have kept 10",
            "longer than 300 s",
            "30 were on targets that failed",
            "Redis",
        ],
        |status| {
            for (outcome, count) in [("draining", 10), ("unknown_target", 20), ("unhealthy", 30)] {
                decided(status, outcome, count);
            }
        },
    );
    // Those of long ago cost nobody anything any more.
    let mut before = begun();
    decided(&mut before, "unhealthy", 5);
    let mut after = ended();
    decided(&mut after, "unhealthy", 5);
    let told = examine(&Observation::new(vec![before, after]).unwrap(), &[]);
    assert_eq!((told[0].code, told[0].severity), ("sessions_lost", Severity::Notice));
}

#[test]
fn cookies_of_others_are_told() {
    first(
        "cookie_conflict",
        &["50 of", "20 of another form", "30 by another key", "cookie_prefix"],
        |status| {
            decided(status, "malformed", 20);
            decided(status, "forged", 30);
        },
    );
}

#[test]
fn cookies_without_secure_are_told_where_there_is_https() {
    first("cookie_not_secure", &["HTTPS listener web", "cookie_secure = true"], |status| {
        status.listeners[0].protocol = "HTTPS".into();
    });
    assert_eq!(
        complaints(|status| {
            status.listeners[0].protocol = "HTTPS".into();
            app(status).stickiness.cookie_secure = Some(true);
        }),
        []
    );
}

#[test]
fn targets_in_trouble_are_told() {
    first("failures_hidden", &["target 10.0.0.1:2", "20 %", "100 of 500", "checks pass"], |status| {
        let responses = &mut app(status).targets[1].figures.responses;
        responses.insert("2xx".into(), 400);
        responses.insert("5xx".into(), 100);
    });
    first("keep_alive_race", &["8 of 500 requests", "idle_timeout"], |status| {
        let figures = &mut app(status).targets[0].figures;
        (figures.unanswered, figures.stale_connections) = (3, 5);
    });
    first("connections_fail", &["9 connections", "ECONNREFUSED 9"], |status| {
        let figures = &mut app(status).targets[0].figures;
        figures.connection_errors = 9;
        figures.connect_failures.insert("ECONNREFUSED".into(), 9);
    });
    first("unhealthy_target", &["503 instead of 200", "12 s ago", "7 sessions"], |status| {
        let target = &mut app(status).targets[0];
        target.state = "unhealthy".into();
        target.figures.weight = 0.0;
        target.figures.sessions = Some(7);
        target.check_error =
            Some(ErrorStatus { cause: String::new(), error: "503 instead of 200".into(), age_seconds: 12 });
    });
    first("anomalous_target", &["gets less"], |status| {
        let anomaly = &mut app(status).targets[0].figures.anomaly;
        anomaly.result = "anomalous".into();
        anomaly.mitigation_in_effect = true;
    });
    first("lossy_network", &["80 TCP segments"], |status| {
        app(status).targets[0].connections.retransmits = 80
    });
    first("failing_open", &["none of its 2 targets"], |status| {
        app(status).routing.failing_open = true;
        for target in &mut app(status).targets {
            target.state = "unhealthy".into();
        }
    });
    first("health_checks_off", &["not checked"], |status| app(status).health_checks = false);
    first("no_targets", &["503"], |status| app(status).targets.clear());
}

#[test]
fn the_balancer_s_own_troubles_are_told() {
    let error = |text: &str| ErrorStatus { cause: String::new(), error: text.into(), age_seconds: 300 };
    first("certificate_expires", &["10 d"], |status| status.certificates[0].expires_in_seconds = 10 * 86_400);
    first("certificate_expired", &["2 h 1 min ago"], |status| {
        status.certificates[0].expires_in_seconds = -7_300
    });
    first("reload_refused", &["5 min ago", "no such group"], |status| {
        status.refused_reload = Some(error("no such group"))
    });
    first("name_unresolved", &["shop.example", "SERVFAIL"], |status| {
        status.unresolved_names.insert("shop.example".into(), error("SERVFAIL"));
    });
    first("no_upgrades", &["read-only"], |status| status.no_upgrades = Some(error("read-only")));
    first("own_faults", &["2 panics"], |status| status.totals.work.panics = 2);
    first("log_lines_lost", &["4 lines"], |status| status.totals.log_lines_lost = 4);
    first("descriptors_short", &["LimitNOFILE"], |status| status.totals.work.accept_pauses = 4);
    first("workers_busy", &["95 %"], |status| status.worker_loads[0].busy_seconds = 9.5);
    first("session_table_small", &["6 sessions", "session_table_size"], |status| {
        let evicted = [("returned".to_owned(), 6), ("new".to_owned(), 100)].into_iter().collect();
        status.session_table = Some(SessionTable { evicted, ..SessionTable::default() });
    });
    first("shield_off", &["no such interface"], |status| {
        status.shield =
            Some(ShieldStatus { off: Some("no such interface".into()), ..ShieldStatus::default() });
    });
    first("kernel_side_off", &["not permitted"], |status| {
        status.kernel_assist = false;
        status.kernel_assist_detail = "operation not permitted".into();
    });
}

#[test]
fn the_worst_comes_first() {
    let told = complaints(|status| {
        status.certificates[0].expires_in_seconds = -1;
        status.no_upgrades = Some(ErrorStatus::default());
        app(status).targets[0].figures.unanswered = 100;
    });
    let codes: Vec<_> = told.iter().map(|complaint| complaint.code).collect();
    assert_eq!(codes, ["certificate_expired", "keep_alive_race", "no_upgrades"]);
}

#[test]
fn another_process_in_between_is_no_sum_below_zero() {
    let mut before = ended();
    before.uptime_seconds = 10_000;
    assert_eq!(examine(&Observation::new(vec![before, ended()]).unwrap(), &[]), []);
}

/// A sample of a group of two targets, of which the first gets most requests and takes the longer for it.
fn crowded(bound: bool) -> Observation {
    let mut last = ended();
    app(&mut last).algorithm = "round_robin".into();
    let row = |number: u64, target: usize, took: u64| SampledRequest {
        ago: number * 5_000,
        took,
        target,
        bound,
        others: if target == 0 { 53 } else { 0 },
        stands_for: 10,
        within: 5_000,
    };
    let requests = (0..2_000).map(|number| match number % 10 {
        0 => row(number, 1, 2_000),
        _ => row(number, 0, 30_000),
    });
    let sample = GroupArrivals {
        name: "app".into(),
        targets: vec!["10.0.0.1:1".into(), "10.0.0.1:2".into()],
        requests: requests.collect(),
    };
    Observation::new(vec![begun(), last])
        .unwrap()
        .with_arrivals(ArrivalsDocument { target_groups: vec![sample] })
}

#[test]
fn what_stickiness_costs_is_told_with_both_figures() {
    let observation = crowded(true);
    let told = costs(&observation);
    let [cost] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((cost.requests, cost.sampled, cost.seconds.round()), (20_000, 2_000, 10.0));
    let (with, without) = (&cost.with_sessions, &cost.without_sessions);
    assert_eq!((with.target.as_str(), with.p99_seconds), ("10.0.0.1:1", 0.030));
    assert!((52.0..=56.0).contains(&with.most_in_flight), "{cost:?}");
    assert!(without.most_in_flight * 4.0 <= with.most_in_flight, "{cost:?}");
    assert!(without.p99_seconds < 0.010, "{cost:?}");
    let complaints = examine(&observation, &told);
    assert_eq!(complaints[0].code, "stickiness_cost", "{complaints:?}");
    for words in ["30.0 ms", "10.0.0.1:1", "played again without sessions", "20000 requests", "100 %"] {
        assert!(complaints[0].seen.contains(words), "{words}: {}", complaints[0].seen);
    }
}

#[test]
fn nothing_is_said_of_the_cost_of_what_is_even_or_not_bound_or_hardly_known() {
    assert_eq!(examine(&crowded(false), &costs(&crowded(false))), []);
    let mut even = crowded(true);
    for (number, row) in even.arrivals.target_groups[0].requests.iter_mut().enumerate() {
        (row.target, row.took, row.others) = (number % 2, 10_000, 10);
    }
    let told = costs(&even);
    assert_eq!((told.len(), examine(&even, &told).len()), (1, 0), "{told:?}");
    let mut few = crowded(true);
    few.arrivals.target_groups[0].requests.truncate(99);
    assert_eq!(costs(&few), []);
    // A group that is no more, or one target, costs nothing; a target that is not there is nobody's.
    let mut gone = crowded(true);
    gone.last.target_groups.clear();
    assert_eq!(costs(&gone), []);
    let mut one = crowded(true);
    app(&mut one.last).targets.truncate(1);
    assert_eq!(costs(&one), []);
    let mut odd = crowded(true);
    odd.arrivals.target_groups[0].requests[0].target = 9;
    assert_eq!(costs(&odd)[0].requests, 19_990);
}

#[test]
fn a_sample_that_stands_for_too_many_is_cut() {
    let mut busy = crowded(true);
    for row in &mut busy.arrivals.target_groups[0].requests {
        row.stands_for = 1_000;
    }
    let told = costs(&busy);
    assert!(told[0].requests <= 500_000 && told[0].seconds < 3.0, "{told:?}");
    busy.arrivals.target_groups[0].requests[0].stands_for = u64::MAX;
    assert_eq!(costs(&busy), []);
}
