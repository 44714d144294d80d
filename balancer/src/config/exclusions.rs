//! Settings of a target group that are each allowed and not together (ALB: edit target group attributes). The
//! messages begin with ALB's own words where they are known.

use super::fields::BlockFields;
use crate::model::{Algorithm, TargetGroup};

/// Notes a fault for each pair of settings that exclude each other.
pub(super) fn check(fields: &BlockFields<'_>, group: &TargetGroup) {
    let weighted_random = group.algorithm == Algorithm::WeightedRandom;
    if group.stickiness.is_some() && weighted_random {
        let message = "You cannot have both stickiness and weighted random algorithm enabled on the same target \
                       group; allowed: \"round_robin\" or \"least_outstanding_requests\", or no `stickiness`";
        fields.fault_at("load_balancing_algorithm_type", message);
    }
    for (name, default) in [("stickiness_failover", "move"), ("deregistration_stickiness", "move")] {
        if fields.choice(name) != default && fields.child("stickiness").is_none() {
            let message = format!(
                "`{name}` has no meaning without stickiness; allowed: \"{default}\", or a `stickiness` block"
            );
            fields.fault_at(name, message);
        }
    }
    let no_slow_start = match group.algorithm {
        Algorithm::RoundRobin => None,
        Algorithm::LeastOutstandingRequests => Some("least outstanding requests"),
        Algorithm::WeightedRandom => Some("weighted random"),
    };
    if let (Some(algorithm), Some(_)) = (no_slow_start, group.slow_start) {
        let message = format!(
            "You cannot enable both slow start and {algorithm} algorithm on a target group; allowed: 0, or \
             `load_balancing_algorithm_type` = \"round_robin\""
        );
        fields.fault_at("slow_start", message);
    }
    if group.anomaly_mitigation && !weighted_random && !fields.is_wrong("load_balancing_algorithm_type") {
        let message = "You cannot enable anomaly mitigation without weighted random algorithm on a target group; \
                       allowed: \"off\", or `load_balancing_algorithm_type` = \"weighted_random\"";
        fields.fault_at("load_balancing_anomaly_mitigation", message);
    }
}
