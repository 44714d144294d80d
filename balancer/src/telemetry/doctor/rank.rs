//! Which of like severity comes first: what makes requests fail before what ends sessions, that before what makes them slow or
//! uneven, and a cause before what comes of it. Must not know: when it is complained of.

use std::cmp::Reverse;

use super::complaint::{Complaint, Severity};

/// Every code, the worst first. One is of several severities where that depends on the figure.
pub(super) const ORDER: [&str; 37] = [
    // Requests fail, or will.
    "no_targets",
    "failing_open",
    "certificate_expired",
    "certificate_expires",
    "unhealthy_target",
    "connections_fail",
    "failures_hidden",
    "keep_alive_race",
    "requests_fail",
    "anomalous_target",
    "descriptors_short",
    "own_faults",
    // What the operator wants is not so.
    "reload_refused",
    "configuration_not_shared",
    "targets_source_fails",
    "name_unresolved",
    "shield_off",
    // Sessions end.
    "shared_cookie",
    "cookie_conflict",
    "session_store_away",
    "session_table_small",
    "sessions_lost",
    "cookies_not_returned",
    // It is slower than it could be.
    "stickiness_cost",
    "uneven_sessions",
    "busy_sessions",
    "uneven_targets",
    "slow_target",
    "uneven_workers",
    "workers_busy",
    "lossy_network",
    // What would help when something goes wrong.
    "log_lines_lost",
    "health_checks_off",
    "cookie_not_secure",
    "targets_left_out",
    "no_upgrades",
    "kernel_side_off",
];

/// What complaints are sorted by.
pub(super) fn rank(complaint: &Complaint) -> (Severity, usize, Reverse<u64>) {
    let place = ORDER.iter().position(|code| *code == complaint.code);
    (complaint.severity, place.unwrap_or(ORDER.len()), Reverse(complaint.harm))
}

/// Targets of a group that are told of one by one where the same is to be said of more.
const TOLD: usize = 3;

/// The same with the first of those alone that are alike, the last of which says how many more there are.
pub(super) fn shorten(complaints: Vec<Complaint>) -> Vec<Complaint> {
    let group = |complaint: &Complaint| {
        complaint.about.split_once(", target ").map(|(group, _)| (complaint.code, group.to_owned()))
    };
    let mut kept: Vec<Complaint> = Vec::new();
    for complaint in complaints {
        let key = group(&complaint);
        let alike = kept.iter_mut().filter(|other| key.is_some() && group(other) == key);
        let (mut seen, mut last) = (0, None);
        for other in alike {
            seen += 1;
            last = Some(other);
        }
        match last {
            Some(last) if seen >= TOLD => last.more += 1,
            _ => kept.push(complaint),
        }
    }
    kept
}
