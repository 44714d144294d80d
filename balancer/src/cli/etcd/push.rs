//! `balancer etcd push`. Must not know: how balancers take it up.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::time::{Instant, sleep};

use super::{
    arguments::PushArguments,
    nodes,
    options::host_name,
    session::{self, EtcdSession, by_name},
};
use crate::{
    cli::told::{CommandFailure, print},
    clock::unix_micros_now,
    config::{self, Document},
    control::cluster::{Documents, NodeNote, Opinion, PushRecord},
    etcd::{KeyReading, Transaction},
};

/// How many pushes the history keeps.
const KEPT: u64 = 50;
/// What may be missing is on the nodes.
fn hint(arguments: &PushArguments) -> &'static str {
    match arguments.config {
        None => {
            "\nnote: what nodes have of their own (a variable, a `balancer` block) is read along with it by `-c`"
        }
        Some(_) => "",
    }
}

/// How often nodes are asked.
const ASK: Duration = Duration::from_millis(200);

pub(super) async fn run(arguments: &PushArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    let files = session::files(&arguments.path)?;
    let named = |document: &Document| {
        let name = Documents::name_of(&session.layout, &document.name);
        Document { name: name.unwrap_or_default(), bytes: document.bytes.clone() }
    };
    let documents: Vec<Document> = files.iter().map(named).collect();
    // Faults name the files.
    config::load_documents(&arguments.path.display().to_string(), &files, arguments.config.as_deref())
        .map_err(|errors| CommandFailure::BadConfiguration(format!("{errors}{}", hint(arguments))))?;
    let (standing, reading) = session.documents().await?;
    let pushed = Documents::new(&session.layout, 0, "", documents).with_keys(standing.keys.clone());
    let (old, new) = (by_name(&standing.documents), by_name(&pushed.documents));
    if old == new {
        print(&format!("nothing to change: this is what stands there (revision {})\n", standing.revision))?;
        return wait(arguments, &mut session, &standing.digest).await;
    }
    let entries = session.etcd.read(session.layout.history().as_bytes(), 0, config::MAX_DOCUMENTS).await?;
    let record = record(arguments, &session, &entries, &pushed)?;
    let transaction = transaction(&session, &reading, &record, &new)?;
    let revision = session.etcd.commit(transaction).await.map_err(|error| {
        let doubt =
            if error.is_away() { " (whether it was written `balancer etcd history` says)" } else { "" };
        anyhow!("nothing was written: {error}{doubt}")
    })?;
    let revision = revision.ok_or_else(|| {
        anyhow!("nothing was written: somebody else has changed what stands there meanwhile")
    })?;
    let changed =
        new.iter().filter(|(name, text)| old.get(*name) != Some(*text)).map(|(name, _)| name.as_str());
    let removed = old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("{name} (removed)"));
    let told: Vec<String> = changed.map(str::to_owned).chain(removed).collect();
    print(&format!(
        "pushed as number {} by {}, revision {revision} ({}): {}\n",
        record.number,
        record.author,
        pushed.digest,
        told.join(", ")
    ))?;
    wait(arguments, &mut session, &pushed.digest).await
}

const PLAIN: &str = "allowed: up to 200 bytes of text without control characters";

fn is_plain(text: &str) -> bool {
    text.len() <= 200 && !text.chars().any(char::is_control)
}

/// Who says so: as they say, or user and host.
pub(super) fn author(given: Option<&str>) -> Result<String, CommandFailure> {
    let author = match given {
        Some(author) => author.to_owned(),
        None => {
            let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
            format!("{}@{}", user.unwrap_or_else(|| "unknown".to_owned()), host_name()?)
        }
    };
    if author.is_empty() || !is_plain(&author) {
        return Err(CommandFailure::BadConfiguration(format!("balancer: --author: {PLAIN}")));
    }
    Ok(author)
}

/// Who pushes what, and when.
fn record(
    arguments: &PushArguments,
    session: &EtcdSession,
    entries: &KeyReading,
    pushed: &Documents,
) -> Result<PushRecord, CommandFailure> {
    // By its key: what has been written there by others may say anything.
    let last =
        entries.values.iter().filter_map(|value| session.layout.number_of(&value.key)).max().unwrap_or(0);
    let author = author(arguments.author.as_deref())?;
    if !is_plain(&arguments.note) {
        return Err(CommandFailure::BadConfiguration(format!("balancer: --note: {PLAIN}")));
    }
    Ok(PushRecord {
        number: last.saturating_add(1),
        author,
        at: unix_micros_now().to_string(),
        note: arguments.note.clone(),
        digest: pushed.texts_digest(),
        documents: by_name(&pushed.documents).into_keys().collect(),
    })
}

/// Everything at once, if nobody has changed what it changes.
fn transaction(
    session: &EtcdSession,
    reading: &KeyReading,
    record: &PushRecord,
    new: &BTreeMap<String, &[u8]>,
) -> Result<Transaction, CommandFailure> {
    let layout = &session.layout;
    let standing: BTreeMap<&[u8], _> =
        reading.values.iter().map(|value| (value.key.as_slice(), value)).collect();
    let revision_of = |key: &str| standing.get(key.as_bytes()).map_or(0, |value| value.revision);
    let record_key = layout.push_record();
    let mut transaction = Transaction::default().only_if(record_key.as_bytes(), revision_of(&record_key));
    let mut wanted = BTreeSet::from([record_key.clone(), layout.sealed_keys()]);
    for (name, text) in new {
        let key = layout.document(name);
        if standing.get(key.as_bytes()).is_none_or(|value| value.value != *text) {
            transaction = transaction.only_if(key.as_bytes(), revision_of(&key)).put(key.as_bytes(), text, 0);
        }
        wanted.insert(key);
    }
    for value in &reading.values {
        if !wanted.iter().any(|key| key.as_bytes() == value.key) {
            transaction = transaction.only_if(&value.key, value.revision).delete(&value.key);
        }
    }
    let texts: BTreeMap<&str, _> =
        new.iter().map(|(name, text)| (name.as_str(), String::from_utf8_lossy(text))).collect();
    let (entry, texts_key) = layout.entry(record.number);
    let (text, texts) = (serde_json::to_vec(record), serde_json::to_vec(&texts));
    let (text, texts) = (text.context("writing JSON")?, texts.context("writing JSON")?);
    transaction = transaction.put(record_key.as_bytes(), &text, 0).put(entry.as_bytes(), &text, 0).put(
        texts_key.as_bytes(),
        &texts,
        0,
    );
    if let Some(oldest) = record.number.checked_sub(KEPT).filter(|number| *number > 0) {
        let (entry, texts) = layout.entry(oldest);
        transaction = transaction.delete(entry.as_bytes()).delete(texts.as_bytes());
    }
    Ok(transaction)
}

/// Waits until all nodes have the documents of this digest in force, where that is wanted, and says which have not.
async fn wait(
    arguments: &PushArguments,
    session: &mut EtcdSession,
    digest: &str,
) -> Result<(), CommandFailure> {
    let Some(seconds) = arguments.wait else { return Ok(()) };
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let notes = nodes::read(session).await?;
        let is_over = |note: &NodeNote| {
            note.in_force.digest == digest || (note.seen.digest == digest && note.opinion == Opinion::Refused)
        };
        let is_late = Instant::now() >= end;
        let refused =
            notes.values().any(|note| note.seen.digest == digest && note.opinion == Opinion::Refused);
        if notes.values().all(is_over) || is_late || refused {
            print(&nodes::table(&notes))?;
            let without = notes.iter().filter(|(_, note)| note.in_force.digest != digest);
            let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
            if without.is_empty() {
                return Ok(());
            }
            return Err(anyhow!("it is not in force at {}", without.join(", ")).into());
        }
        sleep(ASK).await;
    }
}
