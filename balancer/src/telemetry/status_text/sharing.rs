//! The lines on what balancers share through a session store. Must not know: where the document came from.

use std::fmt::{self, Formatter};

use super::words::{Plain, Span};
use crate::telemetry::status::{GroupStatus, SessionStoreStatus, TargetStatus};

/// The store, and the balancers that share it.
pub(super) fn store(store: &SessionStoreStatus, f: &mut Formatter<'_>) -> fmt::Result {
    let (place, since, figures) = (Plain(&store.store), Span(store.since_seconds), &store.figures);
    match figures.up {
        true => write!(f, "session store {place}: up for {since}")?,
        false => write!(f, "SESSION STORE {place} AWAY for {since}")?,
    }
    if let Some(error) = &store.last_error {
        write!(f, " ({}: {})", Plain(&error.cause), Plain(&error.error))?;
    }
    let asked: Vec<String> = figures.lookups.iter().map(|(word, count)| format!("{count} {word}")).collect();
    write!(f, "; asked: {}; told: {}", asked.join(", "), figures.writes.get("written").unwrap_or(&0))?;
    writeln!(f, ", {} waiting, {} dropped", figures.writes_waiting, figures.writes_dropped)?;
    write!(f, "  node {} of {} balancers that tell each other", Plain(&store.node), figures.balancers)?;
    match (&store.health_check_leader, figures.leads) {
        (Some(leader), Some(false)) => {
            writeln!(f, "; {} checks the health of targets for all", Plain(leader))
        }
        (Some(_), Some(true)) => writeln!(f, "; this one checks the health of targets for all"),
        (None, Some(_)) => {
            writeln!(f, "; NOBODY checks the health of targets for all: each does it by itself")
        }
        (_, None) => writeln!(f),
    }
}

/// Who checks a group's targets, and whose sessions are told of them.
pub(super) fn group(group: &GroupStatus, f: &mut Formatter<'_>) -> fmt::Result {
    if let Some(who) = &group.checked_by {
        let who = match who.as_str() {
            "leader" => "the balancer that does it for all",
            "both" => "the balancer that does it for all, and by this one where that tells nothing",
            _ => "this balancer",
        };
        writeln!(f, "  health is checked by {who}")?;
    }
    let everywhere = || group.targets.iter().filter_map(|target| target.figures.sessions_everywhere);
    if let (Some(balancers), Some(age)) =
        (everywhere().map(|sum| sum.balancers).min(), everywhere().map(|sum| sum.age_seconds).max())
    {
        let (sum, age) = (if balancers == 1 { "balancer" } else { "balancers" }, Span(age));
        writeln!(f, "  sessions: here of those on {balancers} {sum}, by figures of up to {age} ago")?;
    }
    Ok(())
}

/// Those here, and those on all balancers.
pub(super) fn sessions(target: &TargetStatus) -> String {
    match (target.figures.sessions, target.figures.sessions_everywhere) {
        (None, _) => "-".to_owned(),
        (Some(own), None) => own.to_string(),
        (Some(own), Some(all)) => format!("{own} of {}", all.sessions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{SessionsEverywhere, TargetFigures};

    struct Text(GroupStatus);

    impl fmt::Display for Text {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            group(&self.0, f)
        }
    }

    fn target(own: Option<u64>, everywhere: Option<SessionsEverywhere>) -> TargetStatus {
        let figures =
            TargetFigures { sessions: own, sessions_everywhere: everywhere, ..TargetFigures::default() };
        TargetStatus { figures, ..TargetStatus::default() }
    }

    #[test]
    fn sessions_are_told_of_all_balancers_where_that_is_known() {
        let sum = SessionsEverywhere { sessions: 40, balancers: 3, age_seconds: 4 };
        assert_eq!(sessions(&target(None, None)), "-");
        assert_eq!(sessions(&target(Some(12), None)), "12");
        assert_eq!(sessions(&target(Some(12), Some(sum))), "12 of 40");
        let told = Text(GroupStatus {
            checked_by: Some("leader".to_owned()),
            targets: vec![target(Some(12), Some(sum))],
            ..GroupStatus::default()
        });
        let text = "  health is checked by the balancer that does it for all\n  sessions: here of those on 3 balancers, by \
                    figures of up to 4 s ago\n";
        assert_eq!(told.to_string(), text);
        assert_eq!(Text(GroupStatus::default()).to_string(), "");
    }
}
