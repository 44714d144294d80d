//! The balancer itself: its configuration, certificates, workers, logs. Must not know: groups.

use super::{
    complaint::{Complaint, Severity},
    observation::Observation,
};
use crate::telemetry::status_text::Span;

/// Days before its end from which on a certificate is spoken of, and from which on it is urgent.
const CERTIFICATE_SOON: i64 = 21 * 86_400;
const CERTIFICATE_NOW: i64 = 3 * 86_400;
/// Part of the time that a worker may be at work.
const BUSY: f64 = 0.9;
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
    let faults =
        status.totals.work.panics + status.totals.work.internal_errors + status.upkeep.worker_restarts;
    if faults > 0 {
        complaints.push(Complaint::new(
            Severity::Warning,
            "own_faults",
            BALANCER,
            format!(
                "{} panics, {} internal errors, {} workers replaced since its start",
                status.totals.work.panics, status.totals.work.internal_errors, status.upkeep.worker_restarts
            ),
            "These are faults of balancer itself: please report them with the lines of its log.",
        ));
    }
    let (lost, dropped) = (status.totals.log_lines_lost, status.totals.log_lines_dropped);
    if lost + dropped > 0 {
        complaints.push(Complaint::new(
            Severity::Warning,
            "log_lines_lost",
            BALANCER,
            format!("{} lines of its access logs are lost", lost.max(dropped)),
            "The disk is full or too slow, or a log file cannot be written: its own log says which.",
        ));
    }
}

fn capacity(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let (first, status) = (&observation.first, &observation.last);
    if status.totals.work.accept_pauses > 0 {
        complaints.push(Complaint::new(
            Severity::Warning,
            "descriptors_short",
            BALANCER,
            format!("accepting paused {} times since its start for want of file descriptors", status.totals.work.accept_pauses),
            "Raise LimitNOFILE of its unit: each client takes one descriptor, each connection to a target another.",
        ));
    }
    let spent = status.uptime_seconds.saturating_sub(first.uptime_seconds);
    let busiest = status
        .worker_loads
        .iter()
        .zip(&first.worker_loads)
        .map(|(now, before)| now.busy_seconds - before.busy_seconds);
    let busiest = busiest.fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let share = if spent == 0 { 0.0 } else { busiest / spent as f64 };
    if share >= BUSY {
        complaints.push(Complaint::new(
            Severity::Warning,
            "workers_busy",
            BALANCER,
            format!("a worker was at work {:.0} % of the time", share.min(1.0) * 100.0),
            "Give it more workers (as many as cores), a larger host, or a second balancer.",
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
