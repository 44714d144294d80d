//! The metrics text (OpenMetrics 1.0, which Prometheus and its relatives read), made of a [`Status`].
//! Must not know: where figures come from, HTTP.

pub mod cloudwatch;
mod listeners;
mod plain;
mod traffic;

use std::{collections::HashSet, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

use super::status::{Connections, GroupStatus, Status, TargetStatus, Totals};

/// Media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub use self::plain::{PLAIN_CONTENT_TYPE, render_plain, wants_openmetrics};

/// States that `balancer_target_state` tells apart, as ALB names them.
const STATES: [&str; 6] = ["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"];

/// `status` as metrics text.
#[must_use]
pub fn render(status: Status) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(StatusCollector(status)));
    let mut out = String::new();
    match text::encode(&mut out, &registry) {
        Ok(()) => out,
        // Writing to a string does not fail; a scrape that is not whole must not look whole.
        Err(fmt::Error) => String::new(),
    }
}

#[derive(Debug)]
struct StatusCollector(Status);

impl Collector for StatusCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        process(&mut families, &self.0)?;
        totals(&mut families, &self.0.totals)?;
        listeners::write(&mut families, &self.0.listeners)?;
        groups(&mut families, &self.0.target_groups)?;
        traffic::groups(&mut families, &self.0.target_groups)?;
        targets(&mut families, &self.0.target_groups)
    }
}

type Label<'a> = (&'static str, &'a str);

/// Writes families: one `HELP` and `TYPE`, then a sample for each set of labels.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn samples<M: EncodeMetric, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        samples: impl IntoIterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, metric) in samples {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let samples = samples.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.samples(name, help, None, MetricType::Counter, samples)
    }

    fn byte_counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let samples = samples.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.samples(name, help, Some(&Unit::Bytes), MetricType::Counter, samples)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let samples = samples
            .into_iter()
            .map(|(labels, value)| (labels, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))));
        self.samples(name, help, None, MetricType::Gauge, samples)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

fn process(families: &mut Families<'_>, status: &Status) -> fmt::Result {
    let build =
        Info::new([("version", status.version.as_str()), ("instance_name", status.instance.as_str())]);
    build.encode(families.0.encode_descriptor(
        "balancer_build",
        "Version of the balancer and name of its instance.",
        None,
        MetricType::Info,
    )?)?;
    families.gauge(
        "balancer_kernel_assist",
        "1 while the kernel side is in use, 0 while everything runs in userspace.",
        u64::from(status.kernel_assist),
    )?;
    families.gauge("balancer_workers", "Worker threads.", status.workers)?;
    let uptime = families.0.encode_descriptor(
        "balancer_uptime",
        "Seconds since the start of the process.",
        Some(&Unit::Seconds),
        MetricType::Gauge,
    )?;
    ConstGauge::new(i64::try_from(status.uptime_seconds).unwrap_or(i64::MAX)).encode(uptime)?;
    families.gauge("balancer_draining", "1 while the process is ending.", u64::from(status.draining))?;
    families.counter("balancer_reloads", "Configurations taken up after the first.", status.reloads)?;
    families.counter(
        "balancer_reload_failures",
        "Configurations that were refused; the one before stayed.",
        status.reload_failures,
    )?;
    families.counter(
        "balancer_worker_restarts",
        "Workers that ended by a bug of their own and were replaced.",
        status.worker_restarts,
    )?;
    families.counters(
        "balancer_log_suppressed",
        "Lines of the balancer's own log left out because there were too many of their kind, by kind.",
        status.log_lines_left_out.iter().map(|(kind, count)| ([("kind", kind.as_str())], *count)),
    )?;
    families.samples(
        "balancer_certificate_not_after_timestamp",
        "When a certificate that a listener shows ends to be valid, in seconds since 1970.",
        Some(&Unit::Seconds),
        MetricType::Gauge,
        status.certificates.iter().map(|certificate| {
            let labels =
                [("listener", certificate.listener.as_str()), ("certificate", certificate.name.as_str())];
            (labels, ConstGauge::new(certificate.not_after_seconds))
        }),
    )?;
    if let Some(table) = &status.session_table {
        families.gauge(
            "balancer_session_table_entries",
            "Entries in use in the table of application sessions, expired ones that nothing has replaced included.",
            table.entries,
        )?;
        families.gauge(
            "balancer_session_table_entries_error",
            "How far off the entries in use may be, in 19 cases of 20: 0 unless the table is larger than by default.",
            table.entries_error,
        )?;
        families.gauge(
            "balancer_session_table_capacity",
            "Entries that the table of application sessions can hold.",
            table.capacity,
        )?;
        families.counters(
            "balancer_session_table_evicted",
            "Entries that gave way to new sessions: of clients that had not come back, of clients that had, and expired ones.",
            table.evicted.iter().map(|(kind, count)| ([("kind", kind.as_str())], *count)),
        )?;
    }
    Ok(())
}

fn totals(families: &mut Families<'_>, totals: &Totals) -> fmt::Result {
    families.counter(
        "balancer_accept_pauses",
        "Times accepting paused because file descriptors ran out.",
        totals.accept_pauses,
    )?;
    families.counter(
        "balancer_panics",
        "Faults of the balancer itself, each of which ended one connection; to be reported.",
        totals.panics,
    )?;
    families.counter(
        "balancer_internal_errors",
        "States that cannot be, by a fault of the balancer itself, where it went on; to be reported.",
        totals.internal_errors,
    )?;
    families.counter(
        "balancer_retries",
        "Requests sent again, to another target or on a fresh connection.",
        totals.retries,
    )?;
    families.counter("balancer_target_connects", "Connections opened to targets.", totals.target_connects)?;
    families.counter(
        "balancer_target_connection_reuses",
        "Requests sent on a pooled connection.",
        totals.target_reuses,
    )?;
    families.counter(
        "balancer_target_tls_handshakes",
        "TLS handshakes with targets that ended well.",
        totals.target_tls_handshakes,
    )?;
    families.counter(
        "balancer_target_tls_resumptions",
        "TLS handshakes with targets that resumed a session.",
        totals.target_tls_resumptions,
    )?;
    families.counter("balancer_log_lines", "Lines written into log files.", totals.log_lines_written)?;
    families.counters(
        "balancer_log_lines_lost",
        "Lines that did not get into a log file: its writer did not keep up, or writing failed.",
        [("queue_full", totals.log_lines_dropped), ("write_failed", totals.log_lines_lost)]
            .map(|(reason, count)| ([("reason", reason)], count)),
    )
}

fn groups(families: &mut Families<'_>, groups: &[GroupStatus]) -> fmt::Result {
    let each = |value: fn(&GroupStatus) -> u64| {
        groups.iter().map(move |group| ([("target_group", group.name.as_str())], value(group)))
    };
    families.counters(
        "balancer_group_requests",
        "Requests routed to the group.",
        each(|group| group.requests),
    )?;
    families.gauges(
        "balancer_group_failing_open",
        "1 while requests go to targets that are not healthy, for want of healthy ones.",
        each(|group| u64::from(group.failing_open)),
    )?;
    families.counters(
        "balancer_unhealthy_routing_requests",
        "Requests sent to targets that are not healthy while the group failed open.",
        each(|group| group.unhealthy_routing_requests),
    )?;
    families.gauges(
        "balancer_anomalous_host_count",
        "Targets that fail more than their peers.",
        each(|group| group.anomalous_hosts),
    )?;
    families.gauges(
        "balancer_mitigated_host_count",
        "Targets that get less for failing more than their peers.",
        each(|group| group.mitigated_hosts),
    )?;
    families.samples(
        "balancer_group_load_skew",
        "The most of any target that may get requests, divided by the mean: of requests in flight, and since registration.",
        None,
        MetricType::Gauge,
        groups.iter().flat_map(|group| {
            let skew = &group.load_skew;
            [("outstanding_requests", skew.outstanding_requests), ("requests", skew.requests)]
                .into_iter()
                .filter_map(|(of, skew)| {
                    Some(([("target_group", group.name.as_str()), ("of", of)], ConstGauge::new(skew?)))
                })
        }),
    )?;
    let sticky = || groups.iter().filter(|group| group.stickiness.enabled);
    families.samples(
        "balancer_stickiness_pinned_ratio",
        "Part of the stickiness decisions by which a request went to the target it was bound to.",
        None,
        MetricType::Gauge,
        sticky().filter_map(|group| {
            Some(([("target_group", group.name.as_str())], ConstGauge::new(group.stickiness.pinned_share?)))
        }),
    )?;
    families.counters(
        "balancer_stickiness_spilled_requests",
        "Requests done elsewhere because the target of their session was too busy; the session stayed.",
        sticky().map(|group| ([("target_group", group.name.as_str())], group.stickiness.spilled_requests)),
    )?;
    families.counters(
        "balancer_stickiness_refused_requests",
        "Requests refused because the target of their session was unhealthy.",
        sticky().map(|group| ([("target_group", group.name.as_str())], group.stickiness.refused_requests)),
    )?;
    families.counters(
        "balancer_stickiness_decisions",
        "Stickiness decisions of sticky groups by outcome.",
        groups.iter().filter(|group| group.stickiness.enabled).flat_map(|group| {
            group.stickiness.decisions.iter().map(|(outcome, count)| {
                ([("target_group", group.name.as_str()), ("outcome", outcome.as_str())], *count)
            })
        }),
    )
}

/// A target with the labels of its series.
struct Series<'a> {
    group: &'a str,
    label: String,
    target: &'a TargetStatus,
}

impl Series<'_> {
    fn labels(&self) -> [Label<'_>; 2] {
        [("target_group", self.group), ("target", &self.label)]
    }
}

/// One series a target and group. A target that was deregistered and registered again within the
/// deregistration delay is told once, in the state of its new registration.
fn series(groups: &[GroupStatus]) -> Vec<Series<'_>> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for draining in [false, true] {
        for group in groups {
            for target in group.targets.iter().filter(|target| (target.state == "draining") == draining) {
                let label = target.label();
                if seen.insert((group.name.as_str(), label.clone())) {
                    all.push(Series { group: &group.name, label, target });
                }
            }
        }
    }
    all
}

fn targets(families: &mut Families<'_>, groups: &[GroupStatus]) -> fmt::Result {
    let series = series(groups);
    let each = |value: fn(&TargetStatus) -> u64| {
        series.iter().map(move |series| (series.labels(), value(series.target)))
    };
    families.gauges(
        "balancer_target_state",
        "1 for the state that the target is in, 0 for the others.",
        series.iter().flat_map(|series| {
            STATES.iter().map(|&state| {
                let [group, target] = series.labels();
                ([group, target, ("state", state)], u64::from(series.target.state == state))
            })
        }),
    )?;
    families.counters(
        "balancer_target_requests",
        "Requests sent to the target.",
        each(|target| target.requests),
    )?;
    families.counters(
        "balancer_target_responses",
        "Responses of the target by class; 1xx counts 101 alone.",
        series.iter().flat_map(|series| {
            series.target.responses.iter().map(|(class, count)| {
                let [group, target] = series.labels();
                ([group, target, ("class", class.as_str())], *count)
            })
        }),
    )?;
    families.counters(
        "balancer_target_connection_errors",
        "Connections that could not be made.",
        each(|target| target.connection_errors),
    )?;
    families.counters(
        "balancer_target_tls_negotiation_errors",
        "Connections to the target whose TLS handshake failed.",
        each(|target| target.tls_negotiation_errors),
    )?;
    families.samples(
        "balancer_target_weight",
        "What the target gets of the requests that are bound to none: 1, or less in slow start and while an anomaly is mitigated.",
        None,
        MetricType::Gauge,
        series.iter().map(|series| (series.labels(), ConstGauge::new(series.target.weight))),
    )?;
    families.gauges(
        "balancer_target_anomalous",
        "1 while the target fails more than its peers.",
        each(|target| u64::from(target.anomaly.result == "anomalous")),
    )?;
    families.gauges(
        "balancer_target_sessions",
        "Sessions of clients that are bound to the target, of groups that are sticky.",
        series.iter().filter_map(|series| Some((series.labels(), series.target.sessions?))),
    )?;
    families.gauges(
        "balancer_target_outstanding_requests",
        "Requests in flight to the target, over all groups, workers and processes.",
        each(|target| target.outstanding_requests),
    )?;
    connections(families, &series)
}

fn connections(families: &mut Families<'_>, series: &[Series<'_>]) -> fmt::Result {
    let each = |value: fn(&Connections) -> u64| {
        series.iter().map(move |series| (series.labels(), value(&series.target.connections)))
    };
    families.gauges(
        "balancer_target_connections_open",
        "Connections to the target established now, over all groups.",
        each(|connections| connections.open),
    )?;
    families.gauges(
        "balancer_target_connections_connecting",
        "Connections to the target asked for and not answered yet, over all groups.",
        each(|connections| connections.connecting),
    )?;
    families.counters(
        "balancer_target_connections_opened",
        "Connections to the target established, over all groups.",
        each(|connections| connections.opened),
    )?;
    families.counters(
        "balancer_target_connections_failed",
        "Attempts to connect to the target that failed, over all groups.",
        each(|connections| connections.failed),
    )?;
    families.counters(
        "balancer_target_connections_reset",
        "Established connections to the target that were reset, over all groups.",
        each(|connections| connections.reset),
    )?;
    families.counters(
        "balancer_target_retransmits",
        "TCP segments sent to the target again, over all groups.",
        each(|connections| connections.retransmits),
    )?;
    families.samples(
        "balancer_target_smoothed_rtt",
        "Smoothed round-trip time of the connection to the target measured last; 0: not known.",
        Some(&Unit::Seconds),
        MetricType::Gauge,
        series.iter().map(|series| {
            // Micros fit a double exactly up to 285 years.
            #[allow(clippy::cast_precision_loss, reason = "see above")]
            let seconds = series.target.connections.srtt_us as f64 / 1e6;
            (series.labels(), ConstGauge::new(seconds))
        }),
    )?;
    families.byte_counters(
        "balancer_target_received",
        "Bytes received from the target, over all groups.",
        each(|connections| connections.bytes_in),
    )?;
    families.byte_counters(
        "balancer_target_sent",
        "Bytes the target got, over all groups.",
        each(|connections| connections.bytes_out),
    )
}

#[cfg(test)]
mod tests;
