//! Each trouble is named first where it is the only one, and a sound balancer has nothing said of it.

mod costs;
mod quiet;
mod sharing;

use super::*;
use crate::telemetry::{
    arrivals::{ArrivalsDocument, GroupArrivals, SampledRequest},
    status::{
        CertificateStatus, DeploymentStatus, ErrorStatus, GroupStatus, ListenerStatus, SessionTable,
        ShieldStatus, Status, StickinessStatus, TargetStatus, WeightStatus, WorkerFigures,
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
    examine(&Observation::new(vec![begun(), last], 10.0).unwrap(), &[])
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
    assert_eq!(examine(&Observation::new(vec![begun(), begun()], 10.0).unwrap(), &[]), []);
    assert!(Observation::new(Vec::new(), 0.0).is_none());
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
    // Least outstanding requests gives the faster ones more, and what is in flight is even.
    assert_eq!(
        complaints(|status| {
            uneven(status, 90);
            let group = app(status);
            (group.stickiness.enabled, group.algorithm) = (false, "least_outstanding_requests".into());
            group.targets[1].figures.outstanding_requests = 17;
        }),
        []
    );
    first("slow_target", &["target 10.0.0.1:2", "40.0 ms", "2.0 ms", "of 500"], |status| {
        for (target, mean) in app(status).targets.iter_mut().zip([0.002, 0.040]) {
            target.figures.response_seconds = mean * 500.0;
        }
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
    // Of all that there were those of the last deployment are told.
    first(
        "sessions_lost",
        &[
            "12 requests",
            "since the last deployment began, 20 min ago (3 targets came and 2 went)",
            "would have kept 9",
            "some of 3",
        ],
        |status| {
            decided(status, "draining", 100);
            app(status).last_deployment = Some(DeploymentStatus {
                began_seconds_ago: 1200,
                changed_seconds_ago: 900,
                targets_came: 3,
                targets_went: 2,
                lost_draining: 9,
                lost_unknown_target: 3,
                lost_unhealthy: 0,
            });
        },
    );
    // It has cost nothing: others did.
    first("sessions_lost", &["7 requests", "since the start"], |status| {
        decided(status, "unhealthy", 7);
        app(status).last_deployment =
            Some(DeploymentStatus { targets_came: 1, ..DeploymentStatus::default() });
    });
    // Those of long ago cost nobody anything any more.
    let mut before = begun();
    decided(&mut before, "unhealthy", 5);
    let mut after = ended();
    decided(&mut after, "unhealthy", 5);
    let told = examine(&Observation::new(vec![before, after], 10.0).unwrap(), &[]);
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
        app(status).answers.failures.insert("TargetClosedBeforeHead".into(), 3);
    });
    // It was sound for a long time, which says nothing of now.
    let [mut before, mut after] = [begun(), ended()];
    for (status, errors) in [(&mut before, 0), (&mut after, 400)] {
        let responses = &mut app(status).targets[1].figures.responses;
        responses.insert("2xx".into(), 5_000_000);
        responses.insert("5xx".into(), errors);
    }
    let told = examine(&Observation::new(vec![before, after], 10.0).unwrap(), &[]);
    assert_eq!(told[0].code, "failures_hidden", "{told:?}");
    assert!(told[0].seen.starts_with("100 %") && told[0].seen.contains("400 of 400 while"), "{told:?}");
    first("failures_hidden", &["its health is not checked", "Turn health checks on"], |status| {
        let target = &mut app(status).targets[1];
        target.state = "unavailable".into();
        target.figures.responses.insert("5xx".into(), 100);
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
    first("no_targets", &["503", "7 came"], |status| {
        app(status).targets.clear();
        app(status).routing.requests = 7;
    });
    first("no_targets", &["all of its 2 targets are draining"], |status| {
        for target in &mut app(status).targets {
            target.state = "draining".into();
        }
    });
    first(
        "requests_fail",
        &["60 of 1000", "40 TargetTimedOut, the target did not answer in time; 20"],
        |status| {
            app(status).routing.requests = 1_000;
            app(status).targets[0].figures.unanswered = 60;
            for (cause, count) in [("TargetTimedOut", 40), ("TargetHeaderInvalid", 20), ("ClientClosed", 900)]
            {
                app(status).answers.failures.insert(cause.into(), count);
            }
        },
    );
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
    let two = |busy: [f64; 2]| {
        let loads = |busy: [f64; 2]| {
            busy.map(|busy_seconds| WorkerFigures {
                busy_seconds,
                connections: 4,
                ..WorkerFigures::default()
            })
        };
        let [mut before, mut after] = [begun(), ended()];
        (before.worker_loads, after.worker_loads) =
            (loads([1.0, 1.0]).into(), loads(busy.map(|busy| 1.0 + busy)).into());
        examine(&Observation::new(vec![before, after], 10.0).unwrap(), &[])
    };
    let told = two([1.0, 7.0]);
    assert_eq!(told[0].code, "uneven_workers", "{told:?}");
    assert!(
        told[0].seen.contains("worker 1 was at work 70 %") && told[0].seen.contains("the other 1 10 %"),
        "{told:?}"
    );
    assert_eq!(two([9.4, 9.5])[0].code, "workers_busy");
    assert_eq!(two([3.0, 7.0]), []);
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
        app(status).targets[0].figures.stale_connections = 100;
    });
    let codes: Vec<_> = told.iter().map(|complaint| complaint.code).collect();
    assert_eq!(codes, ["certificate_expired", "keep_alive_race", "no_upgrades"]);
}

#[test]
fn another_process_in_between_is_no_sum_below_zero() {
    let mut before = ended();
    before.uptime_seconds = 10_000;
    assert_eq!(examine(&Observation::new(vec![before, ended()], 10.0).unwrap(), &[]), []);
}
