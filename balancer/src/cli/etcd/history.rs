//! `balancer etcd history`. Must not know: what was pushed.

use anyhow::Context as _;

use super::{arguments::HistoryArguments, session::EtcdSession};
use crate::{
    cli::told::{CommandFailure, columns, print},
    config::MAX_DOCUMENTS,
    control::cluster::PushRecord,
};

pub(super) async fn run(arguments: &HistoryArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    let (standing, _) = session.documents().await?;
    let reading = session.etcd.read(session.layout.history().as_bytes(), 0, MAX_DOCUMENTS).await?;
    let records = reading.values.iter().rev();
    let records: Vec<PushRecord> =
        records.filter_map(|value| serde_json::from_slice(&value.value).ok()).collect();
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&records).context("writing JSON")?))?;
        return Ok(());
    }
    if records.is_empty() {
        return Ok(print("nothing was pushed\n")?);
    }
    let mut rows =
        vec![["NUMBER", "WHEN", "AUTHOR", "DOCUMENTS", "DIGEST", "NOTE"].map(str::to_owned).to_vec()];
    for record in records {
        let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mark = if record.digest == standing.texts_digest() { " *" } else { "" };
        rows.push(vec![
            record.number.to_string(),
            clean(record.at.get(..19).unwrap_or(&record.at)),
            clean(&record.author),
            record.documents.len().to_string(),
            clean(&format!("{}{mark}", record.digest)),
            clean(&record.note),
        ]);
    }
    print(&format!("{}* is what stands there\n", columns(&rows)))?;
    Ok(())
}
