//! `balancer etcd nodes`. Must not know: where notes come from.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::{arguments::NodesArguments, session::EtcdSession};
use crate::{
    cli::told::{CommandFailure, columns, print},
    config::MAX_DOCUMENTS,
    control::cluster::NodeNote,
};

pub(super) async fn run(arguments: &NodesArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    let notes = read(&mut session).await?;
    if arguments.json {
        let notes: Vec<&NodeNote> = notes.values().collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&notes).context("writing JSON")?))?;
    } else if notes.is_empty() {
        print("there is no node\n")?;
    } else {
        print(&table(&notes))?;
    }
    Ok(())
}

/// What nodes say.
pub(super) async fn read(session: &mut EtcdSession) -> Result<BTreeMap<String, NodeNote>, CommandFailure> {
    let reading = session.etcd.read(session.layout.nodes().as_bytes(), 0, MAX_DOCUMENTS).await?;
    Ok(NodeNote::read_all(&session.layout, &reading))
}

/// The same for people.
pub(super) fn table(notes: &BTreeMap<String, NodeNote>) -> String {
    let mut rows = vec![["NODE", "IN FORCE", "AUTHOR", "SEEN", "STATE", "WHY"].map(str::to_owned).to_vec()];
    for (name, note) in notes {
        let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        rows.push(vec![
            name.clone(),
            note.in_force.revision.to_string(),
            clean(&note.in_force.author),
            note.seen.revision.to_string(),
            note.opinion.as_str().to_owned(),
            clean(note.error.as_deref().unwrap_or_default()),
        ]);
    }
    columns(&rows)
}
