//! Several balancers that act together, asked at the same time: one table of them, and of their targets with what these have over
//! all of them. Must not know: how one is asked.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use super::endpoint::{fetch, understood};
use crate::telemetry::status::{GroupStatus, Status};

/// How long a node may take. One that is away must not keep the others from being shown.
const LIMIT: Duration = Duration::from_secs(3);

/// A balancer that was asked.
struct AskedNode {
    admin: String,
    answer: anyhow::Result<(String, Status)>,
}

/// All that were asked, in the order in which they were named.
pub(super) struct AskedNodes(Vec<AskedNode>);

/// A target with what it has over all nodes, as the document has it.
#[derive(Serialize)]
struct NodeTarget {
    target_group: String,
    target: String,
    #[serde(flatten)]
    sums: TargetSums,
}

/// What a target has over all nodes that have answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct TargetSums {
    /// How many nodes have it.
    nodes: u64,
    /// To how many of them it is healthy.
    healthy: u64,
    sessions: u64,
    outstanding_requests: u64,
    requests: u64,
}

/// Asks all of them at the same time.
pub(super) fn ask_all(admins: &[String]) -> anyhow::Result<AskedNodes> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let answers = runtime.block_on(async {
        let mut asking = JoinSet::new();
        for (place, admin) in admins.iter().cloned().enumerate() {
            asking.spawn(async move {
                let answer = match tokio::time::timeout(LIMIT, fetch(&admin)).await {
                    Ok(body) => body.and_then(|body| understood(&admin, &body)),
                    Err(_) => Err(anyhow::anyhow!("no answer within {} s", LIMIT.as_secs())),
                };
                (place, AskedNode { admin, answer })
            });
        }
        let mut answers = BTreeMap::new();
        while let Some(asked) = asking.join_next().await {
            let (place, node) = asked.context("a question ended by a bug")?;
            answers.insert(place, node);
        }
        anyhow::Ok(answers)
    });
    runtime.shutdown_background();
    Ok(AskedNodes(answers?.into_values().collect()))
}

impl AskedNodes {
    /// Fails where one is away, and names those that are.
    pub(super) fn away(&self) -> anyhow::Result<()> {
        let away: Vec<&str> =
            self.0.iter().filter(|node| node.answer.is_err()).map(|node| node.admin.as_str()).collect();
        if away.is_empty() {
            return Ok(());
        }
        bail!("{} of {} balancers did not answer: {}", away.len(), self.0.len(), away.join(", "))
    }

    fn answers(&self) -> impl Iterator<Item = &Status> {
        self.0.iter().filter_map(|node| node.answer.as_ref().ok()).map(|(_, status)| status)
    }

    /// The first two of which one signs cookies with a key that the other one does not have.
    fn strangers(&self) -> Option<(&str, &str)> {
        let asked = || {
            self.0.iter().filter_map(|node| Some((node.admin.as_str(), &node.answer.as_ref().ok()?.1.keys)))
        };
        asked().find_map(|(one, keys)| {
            let signing = keys.first()?;
            let other = asked().find(|(_, keys)| !keys.is_empty() && !keys.contains(signing))?;
            Some((one, other.0))
        })
    }

    /// By group and target.
    fn targets(&self) -> BTreeMap<(String, String), TargetSums> {
        let mut sums: BTreeMap<_, TargetSums> = BTreeMap::new();
        for group in self.answers().flat_map(|status| &status.target_groups) {
            for target in &group.targets {
                let sum = sums.entry((group.name.clone(), target.label())).or_default();
                sum.nodes += 1;
                sum.healthy += u64::from(target.state == "healthy");
                sum.sessions += target.figures.sessions.unwrap_or(0);
                sum.outstanding_requests += target.figures.outstanding_requests;
                sum.requests += target.figures.requests;
            }
        }
        sums
    }

    /// The documents as they came, what is wrong with those that did not, and the sums of targets.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let node = |node: &AskedNode| {
            let (status, error) = match &node.answer {
                Ok((document, _)) => {
                    (serde_json::from_str(document).unwrap_or_default(), serde_json::Value::Null)
                }
                Err(error) => (serde_json::Value::Null, format!("{error:#}").into()),
            };
            serde_json::json!({ "admin": node.admin, "error": error, "status": status })
        };
        let target = |((target_group, target), sums): ((String, String), TargetSums)| NodeTarget {
            target_group,
            target,
            sums,
        };
        let nodes: Vec<_> = self.0.iter().map(node).collect();
        let targets: Vec<_> = self.targets().into_iter().map(target).collect();
        let document = serde_json::json!({ "nodes": nodes, "targets": targets });
        Ok(serde_json::to_string(&document).context("cannot write the document")? + "\n")
    }
}

/// What a row of a node says.
fn node_row(AskedNode { admin, answer }: &AskedNode) -> Vec<String> {
    let (_, status) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let dash = || "-".to_owned();
            return vec![
                admin.clone(),
                "AWAY".to_owned(),
                dash(),
                dash(),
                dash(),
                dash(),
                dash(),
                format!("{error:#}"),
            ];
        }
    };
    let targets = || status.target_groups.iter().flat_map(|group| &group.targets);
    let healthy = targets().filter(|target| target.state == "healthy").count();
    let sessions: u64 = targets().filter_map(|target| target.figures.sessions).sum();
    vec![
        admin.clone(),
        if status.draining { "ending" } else { "serves" }.to_owned(),
        status.version.clone(),
        format!("{} s", status.uptime_seconds),
        status.totals.traffic.connections_active.to_string(),
        format!("{healthy}/{}", targets().count()),
        sessions.to_string(),
        notes(status),
    ]
}

/// What somebody has to look at.
fn notes(status: &Status) -> String {
    let failing = |group: &&GroupStatus| group.source.as_ref().is_some_and(|source| source.figures.failing);
    let mut notes = Vec::new();
    if status.refused_reload.is_some() {
        notes.push("last reload refused".to_owned());
    }
    let sources = status.target_groups.iter().filter(failing);
    notes.extend(sources.map(|group| format!("source of {} fails", group.name)));
    let open = status.target_groups.iter().filter(|group| group.routing.failing_open);
    notes.extend(open.map(|group| format!("{} fails open", group.name)));
    notes.join(", ")
}

impl Display for AskedNodes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let titles = ["BALANCER", "STATE", "VERSION", "UP", "CONNECTIONS", "HEALTHY", "SESSIONS", "NOTES"];
        table(&titles, self.0.iter().map(node_row).collect(), f)?;
        if let Some((one, other)) = self.strangers() {
            let (one, other) = (clean(one), clean(other));
            writeln!(f, "KEYS DIFFER: {one} signs cookies with a key that {other} does not have")?;
        }
        let asked = self.answers().count();
        let row = |((group, target), sums): ((String, String), TargetSums)| {
            vec![
                group,
                target,
                format!("{}/{}", sums.healthy, asked),
                sums.sessions.to_string(),
                sums.outstanding_requests.to_string(),
                sums.requests.to_string(),
            ]
        };
        let targets = self.targets();
        if targets.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        let titles = ["GROUP", "TARGET", "HEALTHY AT", "SESSIONS", "OUTSTANDING", "REQUESTS"];
        table(&titles, targets.into_iter().map(row).collect(), f)
    }
}

/// Text from elsewhere without what would move a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn table(titles: &[&str], rows: Vec<Vec<String>>, f: &mut Formatter<'_>) -> fmt::Result {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(titles).chain(rows).map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::status::TargetStatus;

    fn node(admin: &str, sessions: u64, state: &str) -> AskedNode {
        let mut target =
            TargetStatus { id: "10.0.0.1".into(), port: 80, state: state.into(), ..TargetStatus::default() };
        (target.figures.sessions, target.figures.outstanding_requests) = (Some(sessions), 2);
        let group = GroupStatus { name: "app".into(), targets: vec![target], ..GroupStatus::default() };
        let status = Status { version: "1\u{1b}".into(), target_groups: vec![group], ..Status::default() };
        AskedNode { admin: admin.into(), answer: Ok((serde_json::to_string(&status).unwrap(), status)) }
    }

    #[test]
    fn what_targets_have_is_summed_and_who_is_away_is_named() {
        let away = AskedNode { admin: "c:3".into(), answer: Err(anyhow::anyhow!("refused")) };
        let nodes = AskedNodes(vec![node("a:1", 5, "healthy"), node("b:2", 7, "unhealthy"), away]);
        let text = nodes.to_string();
        let has = |words: &[&str]| text.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(has(&["a:1", "serves", "1\u{fffd}", "0", "s", "0", "1/1", "5"]), "{text}");
        assert!(has(&["c:3", "AWAY", "-", "-", "-", "-", "-", "refused"]), "{text}");
        assert!(has(&["app", "10.0.0.1:80", "1/2", "12", "4", "0"]), "{text}");
        assert_eq!(nodes.away().unwrap_err().to_string(), "1 of 3 balancers did not answer: c:3");
        let document: serde_json::Value = serde_json::from_str(&nodes.json().unwrap()).unwrap();
        assert_eq!(document["targets"][0]["sessions"], 12);
        assert_eq!(document["nodes"][1]["status"]["target_groups"][0]["name"], "app");
        assert_eq!(document["nodes"][2]["error"], "refused");
        assert!(AskedNodes(vec![node("a:1", 0, "healthy")]).away().is_ok());
    }

    #[test]
    fn nodes_whose_keys_differ_are_named() {
        let with = |admin: &str, keys: &[&str]| {
            let mut node = node(admin, 0, "healthy");
            if let Ok((_, status)) = &mut node.answer {
                status.keys = keys.iter().map(|key| (*key).to_owned()).collect();
            }
            node
        };
        let text = |nodes: Vec<AskedNode>| AskedNodes(nodes).to_string();
        let same = vec![with("a:1", &["1", "2"]), with("b:2", &["2", "1"]), with("old:3", &[])];
        assert!(!text(same).contains("KEYS DIFFER"));
        let differ = text(vec![with("a:1", &["1"]), with("b:2", &["2", "1"])]);
        assert!(
            differ.contains("KEYS DIFFER: b:2 signs cookies with a key that a:1 does not have"),
            "{differ}"
        );
    }
}
