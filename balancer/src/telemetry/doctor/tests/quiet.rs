//! What looks like trouble and is none, what is over, and how much is told of what is.

use super::*;

/// A day of requests that were answered, as both groups of figures have them in the beginning and in the end.
fn after_a_day() -> [Status; 2] {
    [begun(), ended()].map(|mut status| {
        for target in &mut app(&mut status).targets {
            target.figures.requests += 1_000_000;
            *target.figures.responses.entry("2xx".into()).or_default() += 1_000_000;
        }
        status
    })
}

fn told_of([before, after]: [Status; 2]) -> Vec<Complaint> {
    examine(&Observation::new(vec![before, after], 10.0).unwrap(), &[])
}

#[test]
fn a_restart_of_a_target_long_ago_is_no_trouble_of_now() {
    let mut looks = after_a_day();
    for status in &mut looks {
        let figures = &mut app(status).targets[0].figures;
        (figures.connection_errors, figures.unanswered, figures.stale_connections) = (30, 3, 5);
        *figures.responses.entry("5xx".into()).or_default() += 200;
    }
    assert_eq!(told_of(looks), []);
}

#[test]
fn what_is_over_is_a_notice_that_says_so() {
    let mut looks = [begun(), ended()];
    for status in &mut looks {
        status.totals.log_lines_lost = 4;
        status.totals.work.accept_pauses = 2;
        app(status).targets[0].figures.connection_errors = 9;
        // Who fails all of what it gets, and gets nothing now.
        app(status).targets[1].figures.responses = [("5xx".to_owned(), 90)].into_iter().collect();
    }
    let told = told_of(looks);
    let codes: Vec<_> = told.iter().map(|complaint| (complaint.severity, complaint.code)).collect();
    let notices = ["connections_fail", "failures_hidden", "descriptors_short", "log_lines_lost"];
    assert_eq!(codes, notices.map(|code| (Severity::Notice, code)), "{told:?}");
    assert!(told[0].seen.ends_with("none of it while it was looked at"), "{told:?}");
    assert!(told[1].seen.contains("90 of 90 since it was registered; 0 of 0 while"), "{told:?}");
}

#[test]
fn failures_of_the_past_are_forgotten_once_enough_requests_went_well() {
    let mut looks = [begun(), ended()];
    for status in &mut looks {
        *app(status).targets[0].figures.responses.entry("5xx".into()).or_default() += 300;
    }
    assert_eq!(told_of(looks), []);
}

#[test]
fn a_target_that_came_a_moment_ago_does_not_make_the_others_busy() {
    let look = |requests: [u64; 2], is_there: bool| {
        let mut status = begun();
        for (target, requests) in app(&mut status).targets.iter_mut().zip(requests) {
            target.figures.requests = requests;
        }
        if !is_there {
            app(&mut status).targets.truncate(1);
        }
        status
    };
    let looks =
        vec![look([0, 0], false), look([900, 0], false), look([950, 50], true), look([1_000, 100], true)];
    assert_eq!(examine(&Observation::new(looks, 10.0).unwrap(), &[]), []);
    // The same figures where it was there all the time.
    let looks = vec![look([0, 0], true), look([1_000, 100], true)];
    assert_eq!(examine(&Observation::new(looks, 10.0).unwrap(), &[])[0].code, "uneven_targets");
}

#[test]
fn a_group_that_nobody_is_sent_to_needs_no_targets() {
    for listens in [true, false] {
        let told = complaints(|status| {
            app(status).targets.clear();
            status.listeners[0].target_groups[0].weight = u16::from(listens);
        });
        let codes: Vec<_> = told.iter().map(|complaint| (complaint.severity, complaint.code)).collect();
        assert_eq!(codes, if listens { vec![(Severity::Warning, "no_targets")] } else { vec![] }, "{told:?}");
    }
}

#[test]
fn of_many_targets_alike_three_are_named_the_worst_of_them_first() {
    let told = complaints(|status| {
        app(status).targets = (1..=200).map(target).collect();
        for (number, target) in app(status).targets.iter_mut().enumerate() {
            target.state = "unhealthy".into();
            target.figures.sessions = Some(number as u64);
        }
    });
    let seen: Vec<_> = told.iter().map(|complaint| (complaint.about.as_str(), complaint.more)).collect();
    let names = [200, 199, 198].map(|port| format!("target group app, target 10.0.0.1:{port}"));
    assert_eq!(seen, [(names[0].as_str(), 0), (names[1].as_str(), 0), (names[2].as_str(), 197)]);
}

#[test]
fn the_page_names_each_code_and_no_other() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md")).unwrap();
    let (_, table) = page.split_once("## Codes").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `") && !line.contains("(with `--explain`)"));
    let named: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    for code in rank::ORDER {
        assert!(named.contains(&code), "docs/doctor.md lacks {code}");
    }
    for code in named {
        assert!(rank::ORDER.contains(&code), "{code} is in docs/doctor.md and nowhere else");
    }
}
