//! What groups did, and how long it took.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::Families;
use crate::{
    counters::BOUNDS_MICROS,
    telemetry::status::{GroupStatus, HistogramStatus, TargetStatus},
};

/// A histogram as OpenMetrics has it: how many took up to each bound, those of the bounds below included.
pub(super) struct Buckets<'a>(pub(super) &'a HistogramStatus);

impl EncodeMetric for Buckets<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Micros of the bounds fit a double exactly.
        #[allow(clippy::cast_precision_loss, reason = "see above")]
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.0.counts.iter().copied().chain(std::iter::repeat(0));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.0.sum_seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

pub(super) fn groups(families: &mut Families<'_>, groups: &[GroupStatus]) -> fmt::Result {
    let label =
        |group: &'_ GroupStatus| -> [(&'static str, String); 1] { [("target_group", group.name.clone())] };
    families.counters(
        "balancer_group_requests_with_target",
        "Requests routed to the group for which there was a target.",
        groups.iter().map(|group| (label(group), group.requests_with_target)),
    )?;
    families.counters(
        "balancer_group_grpc_requests",
        "Calls of gRPC routed to the group.",
        groups.iter().map(|group| (label(group), group.grpc_requests)),
    )?;
    families.counters(
        "balancer_group_responses",
        "Responses of the group's targets by class, those of targets that are gone included; 1xx counts 101 alone.",
        groups.iter().flat_map(|group| {
            let each = |(class, count): (&String, &u64)| {
                ([("target_group", group.name.clone()), ("class", class.clone())], *count)
            };
            group.responses.iter().map(each).collect::<Vec<_>>()
        }),
    )?;
    families.counters(
        "balancer_group_connection_errors",
        "Connections to the group's targets that could not be made.",
        groups.iter().map(|group| (label(group), group.connection_errors)),
    )?;
    families.counters(
        "balancer_failures",
        "Requests to the group that were not answered as they should have been, by cause; those alone that there were.",
        groups.iter().flat_map(|group| {
            let each = |(cause, count): (&String, &u64)| {
                ([("target_group", group.name.clone()), ("cause", cause.clone())], *count)
            };
            group.failures.iter().map(each).collect::<Vec<_>>()
        }),
    )?;
    families.samples(
        "balancer_target_response_time",
        "From a request that is sent to a target of the group to the head of the response.",
        Some(&Unit::Seconds),
        MetricType::Histogram,
        groups.iter().map(|group| (label(group), Buckets(&group.response_time))),
    )?;
    let hosts = |state: &'static str| {
        let count = move |targets: &[TargetStatus]| {
            targets.iter().map(|target| u64::from(target.state == state)).sum::<u64>()
        };
        groups.iter().map(move |group| (label(group), count(&group.targets)))
    };
    families.gauges("balancer_healthy_host_count", "Targets that are healthy.", hosts("healthy"))?;
    families.gauges("balancer_unhealthy_host_count", "Targets that are unhealthy.", hosts("unhealthy"))?;
    let sticky = |kind: Option<&'static str>| {
        groups.iter().filter(move |group| {
            group.stickiness.enabled && (kind.is_none() || group.stickiness.kind.as_deref() == kind)
        })
    };
    families.counters(
        "balancer_non_sticky_requests",
        "Requests to sticky groups that were bound to no target they could go to.",
        sticky(None).map(|group| (label(group), unbound(group))),
    )?;
    families.counters(
        "balancer_app_cookie_non_sticky_requests",
        "The same, of groups that go by a cookie of the application.",
        sticky(Some("app_cookie")).map(|group| (label(group), unbound(group))),
    )
}

fn unbound(group: &GroupStatus) -> u64 {
    let decisions = group.stickiness.decisions.iter();
    decisions.filter(|(outcome, _)| *outcome != "pinned").map(|(_, count)| count).sum()
}
