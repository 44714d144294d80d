//! The balancer itself: its configuration, certificates, workers, logs. Must not know: groups.

use super::{
    complaint::{Complaint, Severity},
    observation::Observation,
    workers,
};
use crate::telemetry::status_text::Span;

/// Days before its end from which on a certificate is spoken of, and from which on it is urgent.
const CERTIFICATE_SOON: i64 = 21 * 86_400;
const CERTIFICATE_NOW: i64 = 3 * 86_400;
const BALANCER: &str = "the balancer";

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let status = &observation.last;
    for certificate in &status.certificates {
        let left = certificate.expires_in_seconds;
        let (severity, code, seen) = match left {
            ..0 => (
                Severity::Critical,
                "certificate_expired",
                format!("it expired {} ago", Span(left.unsigned_abs())),
            ),
            0..CERTIFICATE_NOW => (
                Severity::Critical,
                "certificate_expires",
                format!("it expires in {}", Span(left.unsigned_abs())),
            ),
            CERTIFICATE_NOW..CERTIFICATE_SOON => (
                Severity::Warning,
                "certificate_expires",
                format!("it expires in {}", Span(left.unsigned_abs())),
            ),
            _ => continue,
        };
        complaints.push(Complaint::new(
            severity,
            code,
            format!("certificate {} of listener {}", certificate.name, certificate.listener),
            format!("{seen} ({})", certificate.not_after),
            "Put the new one into its files and reload (SIGHUP): connections go on.",
        ));
    }
    configuration(observation, complaints);
    faults(observation, complaints);
    capacity(observation, complaints);
    workers::examine(observation, complaints);
    kernel(observation, complaints);
}

fn configuration(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let status = &observation.last;
    if let Some(refused) = &status.refused_reload {
        complaints.push(Complaint::new(
            Severity::Warning,
            "reload_refused",
            BALANCER,
            format!(
                "the configuration was refused {} ago, and the one before is in use: {}",
                Span(refused.age_seconds),
                refused.error
            ),
            "Mend it (`balancer check` names every fault) and reload.",
        ));
    }
    for (name, error) in &status.unresolved_names {
        complaints.push(Complaint::new(
            Severity::Warning,
            "name_unresolved",
            format!("host name {name}"),
            format!("it cannot be looked up: {} ({} ago)", error.error, Span(error.age_seconds)),
            "What was found last stays in use. Mend the name or the name server.",
        ));
    }
    if let Some(no) = &status.no_upgrades {
        complaints.push(Complaint::new(
            Severity::Notice,
            "no_upgrades",
            BALANCER,
            format!("it cannot be upgraded without an interruption: {}", no.error),
            "Restart it at a quiet time; `balancer upgrade` works from then on.",
        ));
    }
}

fn faults(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let status = &observation.last;
    let faults = observation.count(|status| {
        status.totals.work.panics + status.totals.work.internal_errors + status.upkeep.worker_restarts
    });
    if faults.all > 0 {
        complaints.push(Complaint::new(
            Severity::Warning,
            "own_faults",
            BALANCER,
            format!(
                "{} panics, {} internal errors, {} workers replaced since its start{}",
                status.totals.work.panics,
                status.totals.work.internal_errors,
                status.upkeep.worker_restarts,
                faults.when()
            ),
            "These are faults of balancer itself: please report them with the lines of its log.",
        ));
    }
    // Lines that one of its files did not take, and those that did not fit into a queue.
    let lost = observation.count(|status| status.totals.log_lines_lost.max(status.totals.log_lines_dropped));
    if lost.all > 0 {
        complaints.push(Complaint::new(
            lost.severity(),
            "log_lines_lost",
            BALANCER,
            format!("{} lines of its access logs are lost since its start{}", lost.all, lost.when()),
            "The disk is full or too slow, or a log file cannot be written: its own log says which.",
        ));
    }
}

fn capacity(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let pauses = observation.count(|status| status.totals.work.accept_pauses);
    if pauses.all > 0 {
        complaints.push(Complaint::new(
            pauses.severity(),
            "descriptors_short",
            BALANCER,
            format!(
                "accepting paused {} times since its start for want of file descriptors{}",
                pauses.all,
                pauses.when()
            ),
            "Raise LimitNOFILE of its unit: each client takes one descriptor, each connection to a target another.",
        ));
    }
}

fn kernel(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let status = &observation.last;
    if let Some(off) = status.shield.as_ref().and_then(|shield| shield.off.as_ref()) {
        complaints.push(Complaint::new(
            Severity::Warning,
            "shield_off",
            "the shield",
            format!("it is configured and every packet passes: {off}"),
            "See docs/shield.md for what it needs.",
        ));
    }
    // Who has turned it off knows.
    if !status.kernel_assist && !status.kernel_assist_detail.contains("kernel_assist") {
        complaints.push(Complaint::new(
            Severity::Notice,
            "kernel_side_off",
            BALANCER,
            format!("the kernel side is not in use: {}", status.kernel_assist_detail),
            "It works without. With it connections are counted and given to workers by the kernel: it needs root or CAP_BPF, \
             CAP_NET_ADMIN and CAP_PERFMON.",
        ));
    }
}
