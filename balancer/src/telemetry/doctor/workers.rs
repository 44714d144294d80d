//! Workers that have too much to do, all or one of them. Must not know: groups.

use super::{
    complaint::{Complaint, Severity},
    observation::Observation,
};

/// Part of the time that a worker may be at work.
const BUSY: f64 = 0.9;
/// The same where the others have less to do.
const BUSY_ALONE: f64 = 0.6;
/// Times of what the others do in the mean.
const UNEVEN: f64 = 3.0;

/// A worker, looked at for a while.
struct ObservedWorker {
    /// Part of the time that it was at work.
    busy: f64,
    connections: u64,
}

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    let workers = observed(observation);
    let Some((number, busiest)) =
        workers.iter().enumerate().max_by(|one, other| one.1.busy.total_cmp(&other.1.busy))
    else {
        return;
    };
    let others = workers.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, worker)| worker);
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let mean = others.clone().map(|worker| worker.busy).sum::<f64>() / (workers.len() as f64 - 1.0).max(1.0);
    let is_alone = workers.len() > 1 && busiest.busy >= BUSY_ALONE && busiest.busy >= mean * UNEVEN;
    if is_alone {
        complaints.push(Complaint::new(
            Severity::Warning,
            "uneven_workers",
            "the balancer",
            format!(
                "worker {number} was at work {:.0} % of the time with {} connections, the other {} {:.0} % in the mean with {}",
                busiest.busy.min(1.0) * 100.0,
                busiest.connections,
                workers.len() - 1,
                mean * 100.0,
                others.map(|worker| worker.connections).sum::<u64>()
            ),
            "A connection stays with its worker, and a few clients send most of the work on connections that they keep: let them open \
             more (a proxy in front its pool, gRPC clients several channels), or end them now and then. More workers do not help.",
        ));
    } else if busiest.busy >= BUSY {
        complaints.push(Complaint::new(
            Severity::Warning,
            "workers_busy",
            "the balancer",
            format!("a worker was at work {:.0} % of the time", busiest.busy.min(1.0) * 100.0),
            "Give it more workers (as many as cores), a larger host, or a second balancer.",
        ));
    }
}

fn observed(observation: &Observation) -> Vec<ObservedWorker> {
    if observation.seconds <= 0.0 || !observation.is_one_process() {
        return Vec::new();
    }
    let loads = observation.last.worker_loads.iter().zip(&observation.first.worker_loads);
    loads
        .map(|(now, before)| ObservedWorker {
            busy: (now.busy_seconds - before.busy_seconds) / observation.seconds,
            connections: now.connections,
        })
        .collect()
}
