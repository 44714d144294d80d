//! The metrics text, made of a [`Status`]: OpenMetrics 1.0, and the text format 0.0.4 that Prometheus read before.
//! What is counted is declared where it is counted (see [`crate::counters`]); what is made of other parts of the status
//! stands here. Must not know: where figures come from, HTTP.

mod accept;
pub mod cloudwatch;
mod text;

use std::collections::HashSet;

use self::text::{Format, Labels, Text};
pub use self::{
    accept::wants_openmetrics,
    text::{CONTENT_TYPE, PLAIN_CONTENT_TYPE},
};
use super::status::{
    Answers, ClusterNote, Connections, GroupStatus, Routing, RuleFigures, SessionStore, SessionTable,
    ShieldStatus, SourceFigures, Status, Stickiness, TargetFigures, TargetStatus, Totals, Traffic, Upkeep,
    Work, WorkerFigures,
};
use crate::counters::{Family, FigureValue};

/// States that `balancer_target_state` tells apart, as ALB names them.
const STATES: [&str; 6] = ["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"];

/// `status` as OpenMetrics text.
#[must_use]
pub fn render(status: &Status) -> String {
    write(status, Format::OpenMetrics)
}

/// `status` as metrics text of format 0.0.4.
#[must_use]
pub fn render_plain(status: &Status) -> String {
    write(status, Format::Plain)
}

fn write(status: &Status, format: Format) -> String {
    let mut text = Text::new(format);
    process(&mut text, status);
    let listeners: Vec<_> = status
        .listeners
        .iter()
        .map(|listener| {
            let labels = vec![("load_balancer", &*listener.load_balancer), ("listener", &*listener.name)];
            (labels, &listener.traffic)
        })
        .collect();
    text.families(Traffic::FAMILIES, &listeners);
    let rules: Vec<_> = status
        .listeners
        .iter()
        .flat_map(|listener| listener.rules.iter().map(move |rule| (listener, rule)))
        .map(|(listener, rule)| {
            let balancer = ("load_balancer", &*listener.load_balancer);
            (vec![balancer, ("listener", &*listener.name), ("rule", &*rule.name)], &rule.figures)
        })
        .collect();
    text.families(RuleFigures::FAMILIES, &rules);
    groups(&mut text, &status.target_groups);
    targets(&mut text, &status.target_groups);
    text.end()
}

/// What is told of the process besides what it counts.
const PROCESS: &[Family<Status>] = &[
    Family::new(
        "balancer_kernel_assist",
        "1 while the kernel side is in use, 0 while everything runs in userspace.",
        |status, sample| sample(None, FigureValue::Number(u64::from(status.kernel_assist))),
    ),
    Family::new("balancer_workers", "Worker threads.", |status, sample| {
        sample(None, FigureValue::Number(status.workers))
    }),
    Family::new("balancer_uptime_seconds", "Seconds since the start of the process.", |status, sample| {
        sample(None, FigureValue::Number(status.uptime_seconds))
    }),
    Family::new("balancer_draining", "1 while the process is ending.", |status, sample| {
        sample(None, FigureValue::Number(u64::from(status.draining)))
    }),
];

/// Of the shield.
const SHIELD: &[Family<ShieldStatus>] = &[
    Family::new(
        "balancer_shield_packets_total",
        "Packets to listeners that the shield has looked at, by what became of them or, in a dry run, would have.",
        |shield, sample| {
            for (action, count) in &shield.packets {
                sample(Some(("action", action)), FigureValue::Number(*count));
            }
        },
    ),
    Family::new(
        "balancer_shield_active",
        "1 while the shield is on the interface, 0 while every packet passes there.",
        |shield, sample| {
            for interface in &shield.interfaces {
                let is_on = interface.mode != "off";
                sample(Some(("interface", &interface.name)), FigureValue::Number(u64::from(is_on)));
            }
        },
    ),
    Family::new("balancer_shield_dry_run", "1 while the shield only counts.", |shield, sample| {
        sample(None, FigureValue::Number(u64::from(shield.dry_run)))
    }),
    Family::new(
        "balancer_shield_runtime_denials",
        "Prefixes that are denied since somebody said so at run time.",
        |shield, sample| sample(None, FigureValue::Number(shield.denied_at_run_time)),
    ),
];

/// And of the configuration that nodes share, where they do.
const CLUSTER: &[Family<ClusterNote>] = &[
    Family::new(
        "balancer_etcd_up",
        "1 while etcd says what stands there, 0 while it is away; of balancers alone whose configuration is there.",
        |cluster, sample| sample(None, FigureValue::Number(u64::from(cluster.connected))),
    ),
    Family::new(
        "balancer_etcd_in_force",
        "1 while what stands in etcd is in force here, 0 while it is refused here, held by another node, or waits for others.",
        |cluster, sample| sample(None, FigureValue::Number(u64::from(cluster.state == "in_force"))),
    ),
    Family::new(
        "balancer_etcd_revision",
        "The revision of etcd that wrote what is in force here: all nodes have the same.",
        |cluster, sample| sample(None, FigureValue::Signed(cluster.revision)),
    ),
];

/// And of its log.
const LOG: &[Family<Status>] = &[Family::new(
    "balancer_log_suppressed_total",
    "Lines of the balancer's own log left out because there were too many of their kind, by kind.",
    |status, sample| {
        for (kind, count) in &status.log_lines_left_out {
            sample(Some(("kind", kind)), FigureValue::Number(*count));
        }
    },
)];

const LOST: &[Family<Totals>] = &[Family::new(
    "balancer_log_lines_lost_total",
    "Lines that did not get into a log file: its writer did not keep up, or writing failed.",
    |totals, sample| {
        sample(Some(("reason", "queue_full")), FigureValue::Number(totals.log_lines_dropped));
        sample(Some(("reason", "write_failed")), FigureValue::Number(totals.log_lines_lost));
    },
)];

fn process(text: &mut Text, status: &Status) {
    text.info(
        "balancer_build",
        "Version of the balancer and name of its instance.",
        &[("version", &status.version), ("instance_name", &status.instance)],
    );
    text.families(PROCESS, &[(Labels::new(), status)]);
    text.families(Upkeep::FAMILIES, &[(Labels::new(), &status.upkeep)]);
    text.families(LOG, &[(Labels::new(), status)]);
    let certificates = status.certificates.iter().map(|certificate| {
        let labels = vec![("listener", &*certificate.listener), ("certificate", &*certificate.name)];
        (labels, &certificate.not_after_seconds)
    });
    let ends = Family::new(
        "balancer_certificate_not_after_timestamp_seconds",
        "When a certificate that a listener shows ends to be valid, in seconds since 1970.",
        |seconds, sample| sample(None, FigureValue::Signed(*seconds)),
    );
    text.families(&[ends], &certificates.collect::<Vec<_>>());
    if let Some(shield) = &status.shield {
        text.families(SHIELD, &[(Labels::new(), shield)]);
    }
    if let Some(cluster) = &status.cluster {
        text.families(CLUSTER, &[(Labels::new(), cluster)]);
    }
    if let Some(store) = &status.session_store {
        text.families(SessionStore::FAMILIES, &[(Labels::new(), &store.figures)]);
    }
    if let Some(table) = &status.session_table {
        text.families(SessionTable::FAMILIES, &[(Labels::new(), table)]);
    }
    text.families(Work::FAMILIES, &[(Labels::new(), &status.totals.work)]);
    text.families(LOST, &[(Labels::new(), &status.totals)]);
    let numbers: Vec<String> = (0..status.worker_loads.len()).map(|worker| worker.to_string()).collect();
    let loads = numbers.iter().zip(&status.worker_loads);
    let loads: Vec<_> = loads.map(|(number, load)| (vec![("worker", &**number)], load)).collect();
    text.families(WorkerFigures::FAMILIES, &loads);
}

/// What is told of a group besides what it counts.
const HOSTS: &[Family<GroupStatus>] = &[
    Family::new("balancer_healthy_host_count", "Targets that are healthy.", |group, sample| {
        sample(None, FigureValue::Number(hosts(group, "healthy")))
    }),
    Family::new("balancer_unhealthy_host_count", "Targets that are unhealthy.", |group, sample| {
        sample(None, FigureValue::Number(hosts(group, "unhealthy")))
    }),
    Family::new(
        "balancer_non_sticky_requests_total",
        "Requests to sticky groups that were bound to no target they could go to.",
        |group, sample| {
            if group.stickiness.enabled {
                sample(None, FigureValue::Number(unbound(group)));
            }
        },
    ),
    Family::new(
        "balancer_app_cookie_non_sticky_requests_total",
        "The same, of groups that go by a cookie of the application.",
        |group, sample| {
            if group.stickiness.enabled && group.stickiness.kind.as_deref() == Some("app_cookie") {
                sample(None, FigureValue::Number(unbound(group)));
            }
        },
    ),
];

fn hosts(group: &GroupStatus, state: &str) -> u64 {
    group.targets.iter().map(|target| u64::from(target.state == state)).sum()
}

fn unbound(group: &GroupStatus) -> u64 {
    let decisions = group.stickiness.figures.decisions.iter();
    decisions.filter(|(outcome, _)| *outcome != "pinned").map(|(_, count)| count).sum()
}

fn groups(text: &mut Text, groups: &[GroupStatus]) {
    fn each<'g, T>(
        groups: &'g [GroupStatus],
        part: fn(&'g GroupStatus) -> Option<&'g T>,
    ) -> Vec<(Labels<'g>, &'g T)> {
        let parts = groups.iter().map(|group| Some((vec![("target_group", &*group.name)], part(group)?)));
        parts.flatten().collect()
    }
    text.families(Routing::FAMILIES, &each(groups, |group| Some(&group.routing)));
    let sticky = each(groups, |group| group.stickiness.enabled.then_some(&group.stickiness.figures));
    text.families(Stickiness::FAMILIES, &sticky);
    text.families(Answers::FAMILIES, &each(groups, |group| Some(&group.answers)));
    text.families(HOSTS, &each(groups, Some));
    let sources = each(groups, |group| group.source.as_ref().map(|source| &source.figures));
    text.families(SourceFigures::FAMILIES, &sources);
}

const STATE: &[Family<TargetStatus>] = &[Family::new(
    "balancer_target_state",
    "1 for the state that the target is in, 0 for the others.",
    |target, sample| {
        for state in STATES {
            sample(Some(("state", state)), FigureValue::Number(u64::from(target.state == state)));
        }
    },
)];

/// A target with its group's name and the label of its series.
type Series<'a> = (&'a str, String, &'a TargetStatus);

/// One series a target and group. A target that was deregistered and registered again within the
/// deregistration delay is told once, in the state of its new registration.
fn series(groups: &[GroupStatus]) -> Vec<Series<'_>> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for draining in [false, true] {
        for group in groups {
            for target in group.targets.iter().filter(|target| (target.state == "draining") == draining) {
                let label = target.label();
                if seen.insert((&*group.name, label.clone())) {
                    all.push((&*group.name, label, target));
                }
            }
        }
    }
    all
}

fn targets(text: &mut Text, groups: &[GroupStatus]) {
    fn each<'s, T>(all: &'s [Series<'s>], part: fn(&'s TargetStatus) -> &'s T) -> Vec<(Labels<'s>, &'s T)> {
        let labels = |group, label| vec![("target_group", group), ("target", label)];
        all.iter().map(|(group, label, target)| (labels(*group, label), part(target))).collect()
    }
    let all = series(groups);
    text.families(STATE, &each(&all, |target| target));
    text.families(TargetFigures::FAMILIES, &each(&all, |target| &target.figures));
    text.families(Connections::FAMILIES, &each(&all, |target| &target.connections));
}

#[cfg(test)]
mod tests;
