//! Follows what stands in etcd: has it validated, hears what the other nodes think of it, has it take effect, and says what this
//! node has in force. Whatever goes wrong, it begins anew with what stands there then. Must not know: how anything takes effect.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};

use super::{
    ClusterSettings, Documents, NodeNote, Proposal, last_good,
    node::{Edition, Judgment, Opinion, foreign_keys, judge},
    proposal::ProposalFaults,
    sealed_keys::KeyHolder,
};
use crate::{
    clock::{monotonic_now, unix_micros_now, until},
    config::MAX_DOCUMENTS,
    control::watch_pace::{SHORT, WatchPace},
    counters::{ClusterNote, ControlCounters},
    etcd::{Etcd, EtcdError, KeyWatch, Transaction},
};

/// For how long a node is there without a word from it.
const LEASE_SECONDS: i64 = 10;
/// How often it speaks.
const RENEW: Duration = Duration::from_secs(3);
/// Changes that come together are looked at together: so long after the last, and no longer than that after the first.
const QUIET: Duration = Duration::from_millis(50);
const MOST_CHANGES: Duration = Duration::from_secs(1);
/// How long others may take to say what they think of documents.
const OTHERS: Duration = Duration::from_secs(5);
/// When etcd is asked again that was away: so long after the first time, and no longer than that.
const AGAIN: Duration = Duration::from_millis(500);
const MOST_AGAIN: Duration = Duration::from_secs(3);
/// When something is tried again that the process could not see to.
const BUSY: Duration = Duration::from_secs(1);
/// The code of gRPC for what is not there: a lease that has run out.
const NOT_FOUND: u16 = 5;

/// What is asked of the process.
#[derive(Debug)]
pub enum Following {
    /// Say whether these documents would do.
    Examine(Proposal),
    /// Have them take effect.
    TakeUp(Proposal),
}

/// What stands in etcd.
struct Picture {
    revision: i64,
    documents: Arc<Documents>,
    notes: BTreeMap<String, NodeNote>,
    /// The revision that the notes are of.
    notes_revision: i64,
}

/// What this node thinks of documents.
struct NodeVerdict {
    digest: String,
    outcome: Result<(), ProposalFaults>,
    at: std::time::Instant,
}

/// What is needed of the process.
struct Process {
    asked: UnboundedSender<Following>,
    counters: Arc<ControlCounters>,
    again: Arc<Notify>,
}

/// Follows.
#[derive(Debug)]
pub struct Follower {
    settings: ClusterSettings,
    etcd: Etcd,
    in_force: Arc<Documents>,
    /// Tells this process from others of the node.
    run: String,
    lease: i64,
    /// What it has said.
    said: Option<NodeNote>,
    /// The revision that has done so.
    said_at: i64,
    /// The keys that it has said it keeps.
    held: Vec<String>,
    note: ClusterNote,
}

impl Follower {
    pub(super) fn new(
        settings: ClusterSettings,
        etcd: Etcd,
        in_force: Arc<Documents>,
        is_from_disk: bool,
    ) -> Self {
        let mut bytes = [0; 8];
        let run = crate::random::fill(&mut bytes).map_or(0, |()| u64::from_ne_bytes(bytes));
        let note = ClusterNote {
            prefix: settings.layout.to_string(),
            node: settings.node.clone(),
            endpoint: etcd.endpoint().to_string(),
            from_disk: is_from_disk,
            ..ClusterNote::default()
        };
        Self {
            settings,
            etcd,
            in_force,
            run: format!("{run:016x}"),
            lease: 0,
            said: None,
            said_at: 0,
            held: Vec::new(),
            note,
        }
    }

    /// Follows until it is dropped. `again`: what was refused may be in order now, for reasons of this host.
    pub async fn run(
        mut self,
        asked: UnboundedSender<Following>,
        counters: Arc<ControlCounters>,
        again: Arc<Notify>,
    ) {
        let process = Process { asked, counters, again };
        self.keep();
        self.tell(&process, Opinion::InForce, None, Edition::from(&*self.in_force));
        let mut pace = WatchPace::between(AGAIN, MOST_AGAIN);
        loop {
            let Err(error) = self.follow(&process, &mut pace).await;
            if self.note.error.is_none() {
                tracing::warn!(%error, "etcd does not say what is there, the configuration in force stays");
            }
            self.note.connected = false;
            self.note.error = Some(error.to_string());
            process.counters.notes.set_cluster(self.note.clone());
            sleep(pace.rest_of_failure(monotonic_now())).await;
        }
    }

    async fn follow(&mut self, process: &Process, pace: &mut WatchPace) -> Result<Infallible, EtcdError> {
        let mut picture = self.look().await?;
        let layout = &self.settings.layout;
        let prefixes = [layout.config().into_bytes(), layout.nodes().into_bytes()];
        let mut watch = self.etcd.watch(&prefixes, picture.revision).await?;
        let began = monotonic_now();
        pace.begin(began);
        self.note.endpoint = self.etcd.endpoint().to_string();
        self.note.connected = self.note.error.is_none();
        // Where something was wrong before, a watch has to prove itself: there are some that end as soon as they begin.
        let mut proven = (!self.note.connected).then_some(began + SHORT);
        let mut verdict = None;
        let mut renew = interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.consider(&picture, &mut verdict, process).await?;
            tokio::select! {
                changed = watch.changed() => {
                    changed.map_err(|why| self.etcd.watch_failed(&why))?;
                    pace.told();
                    self.is_back(&mut proven);
                    self.settle(&mut watch).await?;
                    picture = self.look().await?;
                }
                _ = renew.tick() => self.renew().await?,
                () = process.again.notified() => verdict = None,
                () = until(proven) => self.is_back(&mut proven),
                () = until(due) => {}
            }
        }
    }

    /// There is a watch that does what it is for.
    fn is_back(&mut self, proven: &mut Option<std::time::Instant>) {
        *proven = None;
        self.note.connected = true;
        if self.note.error.take().is_some() {
            tracing::info!(endpoint = self.note.endpoint, "etcd answers again");
        }
    }

    /// Waits until no further changes come.
    async fn settle(&mut self, watch: &mut KeyWatch) -> Result<(), EtcdError> {
        let end = Instant::now() + MOST_CHANGES;
        loop {
            match timeout_at((Instant::now() + QUIET).min(end), watch.changed()).await {
                Ok(changed) => changed.map_err(|why| self.etcd.watch_failed(&why))?,
                Err(_) => return Ok(()),
            }
        }
    }

    /// What stands there now.
    async fn look(&mut self) -> Result<Picture, EtcdError> {
        let layout = &self.settings.layout;
        let reading = self.etcd.read(layout.config().as_bytes(), 0, MAX_DOCUMENTS).await?;
        let nodes = self.etcd.read(layout.nodes().as_bytes(), 0, MAX_DOCUMENTS).await?;
        let documents = Arc::new(Documents::of(layout, &reading));
        Ok(Picture {
            revision: reading.revision,
            documents,
            notes: NodeNote::read_all(layout, &nodes),
            notes_revision: nodes.revision,
        })
    }

    /// Does what follows from what stands there. When to look again, if nothing changes until then.
    async fn consider(
        &mut self,
        picture: &Picture,
        verdict: &mut Option<NodeVerdict>,
        process: &Process,
    ) -> Result<Option<std::time::Instant>, EtcdError> {
        let documents = &picture.documents;
        let seen = Edition::from(&**documents);
        if self.note.not_kept.is_some() {
            self.keep();
        }
        if documents.digest == self.in_force.digest {
            let was_other = self.said.as_ref().is_none_or(|said| said.opinion != Opinion::InForce);
            if was_other {
                process.counters.notes.reloaded();
            }
            *verdict = None;
            self.note.from_disk = false;
            if *documents != self.in_force {
                self.in_force = Arc::clone(documents);
                self.keep();
            }
            return self.say(picture, process, Opinion::InForce, None, seen).await.map(|()| None);
        }
        if verdict.as_ref().is_none_or(|verdict| verdict.digest != documents.digest) {
            let Some(outcome) = self.ask(process, Following::Examine, documents).await else {
                return Ok(Some(monotonic_now() + BUSY));
            };
            if let Err(faults) = &outcome {
                refuse(process, documents, faults);
            }
            *verdict = Some(NodeVerdict { digest: documents.digest.clone(), outcome, at: monotonic_now() });
        }
        let Some(NodeVerdict { outcome, at, .. }) = verdict.as_ref() else { return Ok(None) };
        if let Err(faults) = outcome {
            let error = Some(NodeNote::error_text(faults));
            return self.say(picture, process, Opinion::Refused, error, seen).await.map(|()| None);
        }
        let late = *at + OTHERS;
        let others = picture.notes.iter().filter(|(name, _)| **name != self.settings.node);
        match judge(&documents.digest, others, monotonic_now() >= late) {
            Judgment::Wait(names) => {
                let error = Some(format!("waits for what these nodes say: {}", names.join(", ")));
                self.say(picture, process, Opinion::Accepted, error, seen).await?;
                Ok(Some(late))
            }
            Judgment::Leave(name, why) => {
                let error = format!("node {name} refuses it: {why}");
                if self.said.as_ref().is_none_or(|said| said.opinion != Opinion::Held || said.seen != seen) {
                    let revision = documents.revision;
                    tracing::warn!(revision, %error, "a configuration in etcd is left, the running one stays");
                }
                self.say(picture, process, Opinion::Held, Some(error), seen).await.map(|()| None)
            }
            Judgment::TakeUp => {
                // Who joins later, or is late, is told first: what this node says now is what others wait for.
                self.say(picture, process, Opinion::Accepted, None, seen.clone()).await?;
                self.take_up(documents, verdict, process).await;
                Ok(Some(monotonic_now()))
            }
        }
    }

    /// Has them take effect.
    async fn take_up(
        &mut self,
        documents: &Arc<Documents>,
        verdict: &mut Option<NodeVerdict>,
        process: &Process,
    ) {
        let digest = documents.digest.clone();
        match self.ask(process, Following::TakeUp, documents).await {
            Some(Ok(())) => {
                let Documents { revision, author, digest, .. } = &**documents;
                tracing::info!(revision, author, digest, "a configuration of etcd is in force");
                self.in_force = Arc::clone(documents);
                self.note.from_disk = false;
                self.keep();
            }
            Some(Err(faults)) => {
                *verdict = Some(NodeVerdict { digest, outcome: Err(faults), at: monotonic_now() });
            }
            // Another one has overtaken it, or it has to wait.
            None => sleep(BUSY).await,
        }
    }

    /// Says what this node has and thinks, if that is something else than before: to the other nodes, and in the status.
    async fn say(
        &mut self,
        picture: &Picture,
        process: &Process,
        opinion: Opinion,
        error: Option<String>,
        seen: Edition,
    ) -> Result<(), EtcdError> {
        self.note.rival = self.rival(picture);
        let keys = process.counters.notes.keys();
        self.note.foreign_keys = self.foreign_keys(picture, &keys);
        self.tell(process, opinion, error.clone(), seen.clone());
        let note = NodeNote {
            node: self.settings.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run.clone(),
            in_force: Edition::from(&*self.in_force),
            seen,
            opinion,
            error,
            keys: keys.clone(),
        };
        // Under no lease: whoever has new keys sign waits for nodes that are away, too.
        let holder = self.holder(&keys);
        if self.said.as_ref() == Some(&note) && holder.is_none() && self.is_heard(picture) {
            return Ok(());
        }
        let (key, value) = (self.settings.layout.node(&self.settings.node), serde_json::to_vec(&note));
        let Ok(value) = value else { return Ok(()) };
        for _ in 0..2 {
            if self.lease == 0 {
                self.lease = self.etcd.grant(LEASE_SECONDS).await?;
            }
            let mut put = Transaction::default().put(key.as_bytes(), &value, self.lease);
            if let Some((key, value)) = &holder {
                put = put.put(key.as_bytes(), value, 0);
            }
            match self.etcd.commit(put).await {
                Err(EtcdError::Refused { code: NOT_FOUND, .. }) => self.lease = 0,
                done => {
                    self.said_at = done?.unwrap_or(0);
                    self.said = Some(note);
                    if holder.is_some() {
                        self.held = keys;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether what it has said stands there, as far as that is known: whoever has taken its place or its key away may have ended since.
    fn is_heard(&self, picture: &Picture) -> bool {
        picture.notes_revision < self.said_at || picture.notes.contains_key(&self.settings.node)
    }

    /// Whether somebody else has written under this node's name since.
    fn rival(&self, picture: &Picture) -> Option<String> {
        let node = &self.settings.node;
        let is_news = self.said.is_some() && picture.notes_revision >= self.said_at;
        picture.notes.get(node).filter(|note| is_news && note.run != self.run)?;
        let why = format!("another balancer calls itself {node} (--node), and each takes the other's place");
        if self.note.rival.as_ref() != Some(&why) {
            tracing::error!("{why}");
        }
        Some(why)
    }

    /// What it is to say of the sealed keys that it has in force and would have after a start without etcd, if it has not.
    fn holder(&self, keys: &[String]) -> Option<(String, Vec<u8>)> {
        if self.in_force.keys.is_none() || self.note.not_kept.is_some() || self.held == keys {
            return None;
        }
        let holder = KeyHolder { keys: keys.to_vec(), at: unix_micros_now().to_string() };
        Some((self.settings.layout.key_holder(&self.settings.node), serde_json::to_vec(&holder).ok()?))
    }

    /// Which nodes sign with keys that this one does not have.
    fn foreign_keys(&self, picture: &Picture, own: &[String]) -> Option<String> {
        let why = foreign_keys(own, picture.notes.iter().filter(|(name, _)| **name != self.settings.node))?;
        if self.note.foreign_keys.as_ref() != Some(&why) {
            tracing::warn!("{why}");
        }
        Some(why)
    }

    /// Keeps what it has said from running out.
    async fn renew(&mut self) -> Result<(), EtcdError> {
        if self.lease != 0 && !self.etcd.keep_alive(self.lease).await? {
            tracing::info!("the lease of this node in etcd has run out, and it takes another one");
            (self.lease, self.said) = (0, None);
        }
        Ok(())
    }

    /// Shows it in the status.
    fn tell(&mut self, process: &Process, opinion: Opinion, error: Option<String>, seen: Edition) {
        let Documents { revision, author, digest, .. } = &*self.in_force;
        let note = &mut self.note;
        (note.revision, note.author, note.digest) = (*revision, author.clone(), digest.clone());
        (note.seen_revision, note.seen_author) = (seen.revision, seen.author);
        (note.state, note.reason) = (opinion.as_str().to_owned(), error);
        process.counters.notes.set_cluster(note.clone());
    }

    /// Keeps what is in force on disk.
    fn keep(&mut self) {
        let ClusterSettings { cache, layout, .. } = &self.settings;
        let kept = last_good::read(cache, layout);
        if kept.as_ref().is_ok_and(|kept| kept.as_ref() == Some(&*self.in_force)) {
            self.note.not_kept = None;
            return;
        }
        let fault = last_good::keep(cache, layout, &self.in_force).err();
        let why = fault.map(|error| format!("{}: {error}", cache.display()));
        match (&why, &self.note.not_kept) {
            (Some(error), before) if before.as_ref() != Some(error) => {
                tracing::warn!(error, "the configuration in force is not kept on disk");
            }
            (None, Some(_)) => {
                tracing::info!(file = %cache.display(), "the configuration in force is kept on disk")
            }
            _ => {}
        }
        self.note.not_kept = why;
    }

    /// Asks the process about documents, and is there for the other nodes as long as that takes. Nothing: it cannot see to it now.
    async fn ask(
        &mut self,
        process: &Process,
        what: fn(Proposal) -> Following,
        documents: &Arc<Documents>,
    ) -> Option<Result<(), ProposalFaults>> {
        let (candidate, mut outcome) = Proposal::new(Arc::clone(documents));
        process.asked.send(what(candidate)).ok()?;
        loop {
            let renewed = async {
                sleep(RENEW).await;
                // What is wrong with etcd is found out when there is something to say.
                let _ = self.renew().await;
            };
            tokio::select! {
                told = &mut outcome => return told.ok(),
                () = renewed => {}
            }
        }
    }
}

/// They are not in order here.
fn refuse(process: &Process, documents: &Documents, faults: &[String]) {
    process.counters.reload_failures.inc();
    process.counters.notes.reload_refused(&faults.join("; "));
    let Documents { revision, author, .. } = documents;
    for fault in faults {
        tracing::error!(revision, author, fault, "a configuration in etcd is refused, the running one stays");
    }
}
