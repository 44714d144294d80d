//! `balancer etcd keys`: the secrets of cookies that nodes share, and how they are changed without anybody's losing a session. A new
//! secret is accepted by every node before it signs at any: nodes that are away are waited for, by what they have said they keep.
//! Must not know: cookies.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::time::{Instant, sleep};

use super::{
    arguments::{KeysArguments, KeysCommand},
    nodes, push,
    session::EtcdSession,
};
use crate::{
    cli::told::{CommandFailure, columns, print},
    clock::{UnixMicros, UnixSeconds, unix_micros_now, unix_now},
    config::MAX_DOCUMENTS,
    control::cluster::{KeyHolder, NodeNote, SealedKeys},
    etcd::Transaction,
    stickiness::{KeySheet, Keyring, RotationFault, SECRET_LEN},
};

/// How often nodes are asked.
const ASK: Duration = Duration::from_millis(200);

/// What stands there, and who has it.
struct KeyDesk {
    session: EtcdSession,
    sealed: SealedKeys,
    key: String,
    author: String,
    wait: Duration,
}

/// Nodes by name: what they say now, and what they have said they keep.
struct Holders {
    notes: BTreeMap<String, NodeNote>,
    held: BTreeMap<String, KeyHolder>,
}

pub(super) async fn run(arguments: &KeysArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    if let KeysCommand::Forget { node } = &arguments.command {
        return forget(&mut session, node).await;
    }
    let wrong = |why: String| CommandFailure::BadConfiguration(format!("balancer: {why}"));
    let path = arguments.etcd.seal().ok_or_else(|| wrong("--etcd-seal-file FILE is missing".to_owned()))?;
    let sealed = SealedKeys::load(&path, &session.layout).map_err(|fault| wrong(fault.to_string()))?;
    let mut desk = KeyDesk {
        key: session.layout.sealed_keys(),
        session,
        sealed,
        author: push::author(arguments.author.as_deref())?,
        wait: Duration::from_secs(arguments.wait),
    };
    match &arguments.command {
        KeysCommand::Show => desk.show().await,
        KeysCommand::Put { path, force } => desk.put(path, *force).await,
        KeysCommand::Rotate => desk.rotate().await,
        KeysCommand::Drop { name } => desk.remove(name).await,
        KeysCommand::Forget { .. } => Ok(()),
    }
}

/// A node that does not come back is waited for no more.
async fn forget(session: &mut EtcdSession, node: &str) -> Result<(), CommandFailure> {
    if nodes::read(session).await?.contains_key(node) {
        return Err(anyhow!("node {node} is there; what it has is not forgotten").into());
    }
    let key = session.layout.key_holder(node);
    if session.etcd.get(key.as_bytes()).await?.is_none() {
        return Err(anyhow!("no node {node} has said which keys it has").into());
    }
    session.etcd.commit(Transaction::default().delete(key.as_bytes())).await?;
    Ok(print(&format!("node {node} is waited for no more\n"))?)
}

fn random_secret() -> Result<[u8; SECRET_LEN], CommandFailure> {
    let mut secret = [0; SECRET_LEN];
    crate::random::fill(&mut secret).context("cannot get random bytes")?;
    Ok(secret)
}

fn day(at: UnixSeconds) -> String {
    UnixMicros(u64::from(at.0) * 1_000_000).to_string().get(..16).unwrap_or_default().to_owned()
}

impl KeyDesk {
    /// The secrets that stand there, and the revision that wrote them.
    async fn read(&mut self) -> Result<Option<(KeySheet, i64)>, CommandFailure> {
        let Some(value) = self.session.etcd.get(self.key.as_bytes()).await? else { return Ok(None) };
        let sheet = self.sealed.open(&value.value).map_err(|fault| anyhow!("{fault}"))?;
        Ok(Some((sheet, value.revision)))
    }

    /// Writes them in the place of those of `revision`. The revision that has done so.
    async fn write(&mut self, sheet: &KeySheet, revision: i64) -> Result<i64, CommandFailure> {
        let at = unix_micros_now().to_string();
        let value = self.sealed.seal(sheet, &self.author, &at).context("the keys are not sealed")?;
        let key = self.key.as_bytes();
        let transaction = Transaction::default().only_if(key, revision).put(key, &value, 0);
        let written = self.session.etcd.commit(transaction).await?;
        written.ok_or_else(|| {
            CommandFailure::from(anyhow!("nothing was written: somebody else has changed the keys meanwhile"))
        })
    }

    async fn standing(&mut self) -> Result<(KeySheet, i64), CommandFailure> {
        let place = self.session.layout.config();
        self.read().await?.ok_or_else(|| {
            CommandFailure::from(anyhow!(
                "there are no keys under {place}; `balancer etcd keys put FILE` puts those of a key file there"
            ))
        })
    }

    async fn holders(&mut self) -> Result<Holders, CommandFailure> {
        let prefix = self.session.layout.key_holders();
        let reading = self.session.etcd.read(prefix.as_bytes(), 0, MAX_DOCUMENTS).await?;
        let held = reading.values.iter().filter_map(|value| {
            let name = str::from_utf8(&value.key).ok()?.strip_prefix(&prefix)?;
            Some((name.to_owned(), serde_json::from_slice(&value.value).ok()?))
        });
        Ok(Holders { held: held.collect(), notes: nodes::read(&mut self.session).await? })
    }

    async fn show(&mut self) -> Result<(), CommandFailure> {
        let (sheet, _) = self.standing().await?;
        let holders = self.holders().await?;
        let mut rows = vec![["KEY", "STATE", "NODES THAT HAVE IT"].map(str::to_owned).to_vec()];
        for (at, (name, key)) in sheet.keys().enumerate() {
            let state = match key.retired() {
                _ if at == 0 => "signs".to_owned(),
                Some(since) => format!("accepted, has signed until {}", day(since)),
                None => "accepted, signs next".to_owned(),
            };
            let with = holders.with(&name);
            rows.push(vec![name, state, with.join(", ")]);
        }
        print(&columns(&rows))?;
        Ok(())
    }

    async fn put(&mut self, path: &std::path::Path, force: bool) -> Result<(), CommandFailure> {
        let bytes = Keyring::secrets(path).map_err(|fault| anyhow!("{fault}"))?;
        let bytes = bytes.ok_or_else(|| anyhow!("key file {}: there is no such file", path.display()))?;
        let sheet = KeySheet::of_key_file(&bytes, unix_now()).context("the key file")?;
        let standing = self.read().await?;
        let lost = standing.as_ref().and_then(|(standing, _)| {
            let (signing, _) = standing.keys().next()?;
            sheet.keys().all(|(name, _)| name != signing).then_some(signing)
        });
        if let Some(signing) = lost.filter(|_| !force) {
            return Err(anyhow!(
                "{}: has not the key {signing}, which signs now, so that every session would end; allowed: --force",
                path.display()
            )
            .into());
        }
        let revision = standing.map_or(0, |(_, revision)| revision);
        let revision = self.write(&sheet, revision).await?;
        let (signing, _) = sheet.keys().next().unzip();
        print(&format!("revision {revision}: key {} signs\n", signing.unwrap_or_default()))?;
        self.wait_for(&sheet, "the keys").await
    }

    /// A new secret: accepted by all, and then it signs. What was begun before goes on.
    async fn rotate(&mut self) -> Result<(), CommandFailure> {
        let (mut sheet, mut revision) = self.standing().await?;
        if sheet.next().is_none() {
            sheet.add(random_secret()?, unix_now()).map_err(|fault| full(fault, &sheet))?;
            revision = self.write(&sheet, revision).await?;
        }
        let name = sheet.next().unwrap_or_default();
        print(&format!("revision {revision}: key {name} is accepted, and signs when all nodes have it\n"))?;
        self.wait_for(
            &sheet,
            &format!("key {name} does not sign yet, `balancer etcd keys rotate` goes on: it"),
        )
        .await?;
        sheet.promote(unix_now());
        let revision = self.write(&sheet, revision).await?;
        print(&format!("revision {revision}: key {name} signs\n"))?;
        self.wait_for(&sheet, &format!("key {name}")).await
    }

    async fn remove(&mut self, name: &str) -> Result<(), CommandFailure> {
        let (mut sheet, revision) = self.standing().await?;
        sheet
            .remove(name)
            .map_err(|fault| anyhow!("key {name}: {fault}; `balancer etcd keys show` names them"))?;
        let revision = self.write(&sheet, revision).await?;
        print(&format!("revision {revision}: cookies of key {name} count as absent\n"))?;
        self.wait_for(&sheet, "the change").await
    }

    /// Waits until all nodes have these secrets, in this order, and names those that have not.
    async fn wait_for(&mut self, sheet: &KeySheet, what: &str) -> Result<(), CommandFailure> {
        let names: Vec<String> = sheet.keys().map(|(name, _)| name).collect();
        let end = Instant::now() + self.wait;
        loop {
            let holders = self.holders().await?;
            let without = holders.without(&names);
            if without.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(anyhow!("{what} is not at {}", without.join(", ")).into());
            }
            sleep(ASK).await;
        }
    }
}

fn full(fault: RotationFault, sheet: &KeySheet) -> CommandFailure {
    let until = sheet.first_to_go().map(day).unwrap_or_default();
    anyhow!("{fault}; allowed: from {until} on, or after `balancer etcd keys drop`").into()
}

impl Holders {
    /// The nodes that have the secret of this name.
    fn with(&self, name: &str) -> Vec<String> {
        let has = |keys: &[String]| keys.iter().any(|key| key == name);
        let held = self.held.iter().filter(|(_, holder)| has(&holder.keys)).map(|(node, _)| node.clone());
        held.collect()
    }

    /// The nodes that do not keep just these secrets, and why.
    fn without(&self, names: &[String]) -> Vec<String> {
        let has = |keys: &[String]| keys == names;
        let mut without = Vec::new();
        for (node, holder) in self.held.iter().filter(|(_, holder)| !has(&holder.keys)) {
            without.push(match self.notes.get(node) {
                Some(note) => format!("{node}{}", reason(note)),
                None => format!(
                    "{node} (away, has what it had since {}; allowed: wait for it, or `balancer etcd keys forget {node}` if it does \
                     not come back)",
                    holder.at.get(..16).unwrap_or_default()
                ),
            });
        }
        let fresh = self.notes.iter().filter(|(node, _)| !self.held.contains_key(*node));
        without.extend(fresh.map(|(node, note)| format!("{node}{}", reason(note))));
        let clean = |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        without.into_iter().map(clean).collect()
    }
}

fn reason(note: &NodeNote) -> String {
    note.error.as_ref().map(|error| format!(" ({}: {error})", note.opinion.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_away_are_waited_for_and_named() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let holder = |text: &str| KeyHolder { keys: names(text), at: "2026-01-02T03:04:05Z".into() };
        let note = |error: Option<&str>| NodeNote { error: error.map(str::to_owned), ..NodeNote::default() };
        let holders = Holders {
            notes: [("a".to_owned(), note(None)), ("d".to_owned(), note(Some("no\u{1b}")))].into(),
            held: [("a".to_owned(), holder("1 2")), ("b".to_owned(), holder("1"))].into(),
        };
        let told = holders.without(&names("1 2"));
        assert!(told[0].starts_with("b (away, has what it had since 2026-01-02T03:04") && told.len() == 2);
        assert_eq!(told[1], "d (in_force: no )");
        assert_eq!(holders.without(&names("2 1")).len(), 3, "the order matters");
        assert_eq!((holders.with("1"), holders.with("2")), (names("a b"), names("a")));
    }
}
