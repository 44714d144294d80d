//! The old process's side: hears who wants an upgrade, has the new process started, hands over, and gives the word. Whatever
//! goes wrong on the way is told, and everything is as before. Must not know: how any of it is gathered or let go.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use balancer_common::ABI_VERSION;
use tokio::{
    net::UnixListener,
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot, watch,
    },
    time::{sleep, timeout},
};

use super::{
    Ask, DenyAnswer, DenyRequest, Door, Estate, FIRST_WORD, Label, READINESS, StartedWith, Starter,
    UpgradeError, UpgradeReply, WORD, Word,
    channel::Channel,
    conversation::{caller, converse, give_word, unless_it_ends},
    starter::{RunningStarter, Said},
};
use crate::{clock::monotonic_now, control::notify, counters::ControlCounters};

/// How long a process that was killed is waited for.
const DEATH: Duration = Duration::from_secs(10);
/// After an error of accepting.
const PAUSE: Duration = Duration::from_millis(100);

/// What the control side is asked for on the way.
#[derive(Debug)]
pub enum Handover {
    /// Copies of all that is handed over; nothing of it changes from here on. Or why not now.
    Lend(oneshot::Sender<Result<Estate, String>>),
    /// It came to nothing.
    Resume,
    /// The process was asked to end, and no upgrade is in the way of that any more.
    MayEnd,
    /// Another process has it all, and goes on with the listeners of these addresses. Told when the hands are off it:
    /// whether a reload was asked for meanwhile.
    Release {
        /// The addresses.
        listeners: Vec<SocketAddr>,
        /// To be told.
        done: oneshot::Sender<bool>,
    },
    /// To deny sources, or the like.
    Deny(DenyRequest, oneshot::Sender<DenyAnswer>),
    /// To say what the process was started with.
    Tell(oneshot::Sender<StartedWith>),
}

/// Upgrades of this process.
pub struct Upgrades {
    door: Door,
    starter: RunningStarter,
    /// Where the endpoints of the control side listen.
    endpoints: Vec<(Label, OwnedFd)>,
    control: UnboundedSender<Handover>,
    /// Starts another one of these, where it would have the rights of the first.
    again: Option<StartAgain>,
    /// Why there are no upgrades any more.
    lost: Option<String>,
    /// When the last of these was started, and how many before it were gone soon.
    replaced: (Instant, u32),
    notes: Arc<ControlCounters>,
}

/// Who is gone within this was gone soon, and…
const SOON: Duration = Duration::from_secs(10);
/// …so many of these in a row are replaced.
const MOST_SOON: u32 = 3;

/// Starts a process that starts the program.
pub type StartAgain = Box<dyn Fn() -> io::Result<Starter> + Send>;

/// Who has taken over.
struct Successor {
    pid: u32,
    version: String,
    /// Whether it was told to end as well.
    ends: bool,
}

/// What those are told who ask too late.
const OVER: &str = "the process that was asked is ending, or another one has just taken its place";

/// Where those who connect are sent.
#[derive(Clone)]
struct Ways {
    /// Whether an upgrade is under way.
    busy: Arc<AtomicBool>,
    operators: UnboundedSender<Channel>,
    successors: UnboundedSender<Channel>,
    control: UnboundedSender<Handover>,
}

/// Those who connected.
struct Callers {
    /// Operators that want an upgrade.
    operators: UnboundedReceiver<Channel>,
    /// Processes that say they are new.
    successors: UnboundedReceiver<Channel>,
}

impl Upgrades {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        door: Door,
        starter: Starter,
        endpoints: Vec<(Label, OwnedFd)>,
        control: UnboundedSender<Handover>,
        again: Option<StartAgain>,
        notes: Arc<ControlCounters>,
    ) -> io::Result<Self> {
        Ok(Self {
            door,
            starter: starter.register()?,
            endpoints,
            control,
            again,
            lost: None,
            replaced: (monotonic_now(), 0),
            notes,
        })
    }

    /// The process that starts the program is gone.
    fn start_starter_again(&mut self, how: &str) {
        let begin = |again: &StartAgain| again().and_then(Starter::register);
        let (began, soon) = self.replaced;
        let now = monotonic_now();
        let soon = if now.duration_since(began) < SOON { soon + 1 } else { 0 };
        self.replaced = (now, soon);
        let again = self.again.as_ref().filter(|_| soon <= MOST_SOON);
        let why = match again.map(begin) {
            None if soon > MOST_SOON => format!("so were the {MOST_SOON} before it, each after a moment"),
            Some(Ok(starter)) => {
                self.starter = starter;
                tracing::warn!(
                    how,
                    "the process that starts the program for upgrades was gone, and is started anew"
                );
                return;
            }
            Some(Err(error)) => format!("another one cannot be started: {error}"),
            None => "another one would not have the rights of the start (user, seccomp)".to_owned(),
        };
        let text = format!(
            "the process that starts the program is gone ({how}), and {why}: a restart is what is left"
        );
        tracing::error!("there are no upgrades any more: {text}");
        self.notes.notes.upgrades_are_off(&text);
        self.lost = Some(text);
    }

    /// Serves the instance's socket and `signals`, until a new process has taken over, or `end` says that this one was asked to
    /// end: [`Handover::MayEnd`] comes then. An upgrade that is under way is given up, unless the new process has the word: that
    /// one ends as well. Whoever asked for it is answered.
    pub async fn serve(mut self, mut signals: UnboundedReceiver<()>, mut end: watch::Receiver<bool>) {
        let _last_word = LastWord { control: self.control.clone(), end: end.clone() };
        let busy = Arc::new(AtomicBool::new(false));
        let (operators, heard_operators) = unbounded_channel();
        let (successors, heard_successors) = unbounded_channel();
        let mut callers = Callers { operators: heard_operators, successors: heard_successors };
        let listener = self.door.listener.try_clone().and_then(UnixListener::from_std);
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "there are no upgrades: the socket of the instance cannot be used");
                return;
            }
        };
        let callers_of =
            Ways { busy: Arc::clone(&busy), operators, successors, control: self.control.clone() };
        let accepting = accept(listener, self.door.user, callers_of);
        let accepting = tokio::spawn(accepting);
        loop {
            let operator = tokio::select! {
                biased;
                () = asked(&mut end) => break,
                Some(operator) = callers.operators.recv() => Some(operator),
                Some(()) = signals.recv() => None,
                how = self.starter.gone(), if self.lost.is_none() => {
                    self.start_starter_again(&how);
                    continue;
                }
            };
            busy.store(true, Relaxed);
            tracing::info!("upgrade: starting the program anew");
            let answer = match self.upgrade(&mut callers.successors, &mut end).await {
                Ok(Successor { pid, version, ends }) => {
                    tracing::info!(
                        pid,
                        version,
                        "upgrade: the new process serves, this one finishes what it has"
                    );
                    accepting.abort();
                    UpgradeReply::Upgraded { pid, version, ends }
                }
                Err(error) if *end.borrow() => {
                    tracing::warn!(%error, "upgrade: not done, and this process ends");
                    UpgradeReply::over(error.to_string())
                }
                Err(error) => {
                    tracing::error!(%error, "upgrade: not done, this process serves on");
                    let configuration = matches!(error, UpgradeError::Failed { configuration: true, .. });
                    UpgradeReply::NotUpgraded { configuration, is_over: false, text: error.to_string() }
                }
            };
            busy.store(false, Relaxed);
            // Those who asked meanwhile have had it.
            while signals.try_recv().is_ok() {}
            let is_over = matches!(answer, UpgradeReply::Upgraded { .. });
            if let Some(mut operator) = operator {
                // Who does not listen any more is not told.
                let _ = timeout(WORD, operator.say(&answer, &[])).await;
            }
            if is_over {
                break;
            }
        }
        callers.operators.close();
        while let Ok(mut operator) = callers.operators.try_recv() {
            let _ = timeout(WORD, operator.say(&UpgradeReply::over(OVER.to_owned()), &[])).await;
        }
    }

    async fn upgrade(
        &mut self,
        successors: &mut UnboundedReceiver<Channel>,
        end: &mut watch::Receiver<bool>,
    ) -> Result<Successor, UpgradeError> {
        if let Some(why) = &self.lost {
            return Err(UpgradeError::Refused(why.clone()));
        }
        let (lend, lent) = oneshot::channel();
        self.control.send(Handover::Lend(lend)).map_err(|_| UpgradeError::Ending)?;
        let estate = lent.await.map_err(|_| UpgradeError::Ending)?.map_err(UpgradeError::Refused)?;
        let handed_over = self.hand_over(estate, successors, end).await;
        if let Err(error) = &handed_over {
            if matches!(error, UpgradeError::Ending) {
                let _ = self.control.send(Handover::MayEnd);
            }
            let _ = timeout(DEATH, self.starter.kill()).await;
            let _ = self.control.send(Handover::Resume);
        }
        handed_over
    }

    async fn hand_over(
        &mut self,
        estate: Estate,
        successors: &mut UnboundedReceiver<Channel>,
        end: &mut watch::Receiver<bool>,
    ) -> Result<Successor, UpgradeError> {
        let (pid, mut channel, listeners) = tokio::select! {
            biased;
            () = asked(end) => return Err(UpgradeError::Ending),
            prepared = self.prepare(estate, successors) => prepared?,
        };
        // With the word there is no way back: the new process may serve, whatever is heard of it.
        let version = {
            let word = unless_it_ends(&mut self.starter, give_word(&mut channel));
            tokio::pin!(word);
            tokio::select! {
                biased;
                version = &mut word => version?,
                () = asked(end) => {
                    tracing::info!("asked to end: the upgrade that is under way comes to its end first");
                    word.await?
                }
            }
        };
        self.starter.leave().await;
        let (done, released) = oneshot::channel();
        let _ = self.control.send(Handover::Release { listeners, done });
        let reload = released.await.unwrap_or(false);
        notify::tell(&format!("MAINPID={pid}"));
        // Who asked this process to end by now meant the one that serves.
        let ends = *end.borrow();
        // It goes on without being told.
        let _ = timeout(WORD, channel.say(&Word::Released { reload, end: ends }, &[])).await;
        self.starter.reap().await;
        Ok(Successor { pid, version, ends })
    }

    /// The new process, which could serve, and the addresses of listeners that it goes on with.
    async fn prepare(
        &mut self,
        mut estate: Estate,
        successors: &mut UnboundedReceiver<Channel>,
    ) -> Result<(u32, Channel, Vec<SocketAddr>), UpgradeError> {
        let failed = |error: io::Error| UpgradeError::Refused(format!("no process can be started: {error}"));
        estate.held.push((Label::Door, OwnedFd::from(self.door.listener.try_clone().map_err(failed)?)));
        for (label, socket) in &self.endpoints {
            estate.held.push((*label, socket.try_clone().map_err(failed)?));
        }
        self.starter.start().await.map_err(failed)?;
        let pid = loop {
            match self.starter.hear().await.map_err(failed)? {
                Said::Started(pid) => break pid,
                // Of an earlier one.
                Said::Ended(_) => {}
                Said::Failed(why) => return Err(UpgradeError::Refused(why)),
            }
        };
        let user = self.door.user;
        let conversation = async {
            let mut channel = timeout(FIRST_WORD, caller(successors, pid, user))
                .await
                .map_err(|_| UpgradeError::TooSlow { step: "heard of", limit: FIRST_WORD })?;
            let converse = converse(&mut channel, estate);
            let listeners = timeout(READINESS, converse)
                .await
                .map_err(|_| UpgradeError::TooSlow { step: "ready", limit: READINESS })??;
            Ok((channel, listeners))
        };
        let (channel, listeners) = unless_it_ends(&mut self.starter, conversation).await?;
        Ok((pid, channel, listeners))
    }
}

/// Sends, at the end of what was promised to be told of it, that the process may end, where it was asked to.
struct LastWord {
    control: UnboundedSender<Handover>,
    end: watch::Receiver<bool>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if *self.end.borrow() {
            let _ = self.control.send(Handover::MayEnd);
        }
    }
}

/// Waits until this process is asked to end. Dropping the future loses nothing.
async fn asked(end: &mut watch::Receiver<bool>) {
    if end.wait_for(|asked| *asked).await.is_err() {
        std::future::pending().await
    }
}

/// Accepts those who may speak.
async fn accept(listener: UnixListener, user: u32, ways: Ways) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let channel = Channel::new(stream);
                let is_admitted = channel.peer().is_ok_and(|peer| [0, user].contains(&peer.uid()));
                if is_admitted {
                    tokio::spawn(timeout(FIRST_WORD, sort(channel, ways.clone())));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the socket of the instance cannot accept");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn sort(mut channel: Channel, ways: Ways) {
    let Ways { busy, operators, successors, control } = ways;
    match channel.hear().await {
        Ok(Some((Ask::Upgrade, _))) if busy.load(Relaxed) => {
            let text = "an upgrade is under way already".to_owned();
            let answer = UpgradeReply::NotUpgraded { configuration: false, is_over: false, text };
            let _ = channel.say(&answer, &[]).await;
        }
        Ok(Some((Ask::Upgrade, _))) => {
            if let Err(late) = operators.send(channel) {
                let mut channel = late.0;
                let _ = channel.say(&UpgradeReply::over(OVER.to_owned()), &[]).await;
            }
        }
        Ok(Some((Ask::Deny(request), _))) => {
            let (answer, answered) = oneshot::channel();
            let _ = control.send(Handover::Deny(request, answer));
            let answer = answered.await.unwrap_or_else(|_| DenyAnswer {
                refused: Some("the process is ending".to_owned()),
                ..DenyAnswer::default()
            });
            let _ = channel.say(&answer, &[]).await;
        }
        Ok(Some((Ask::StartedWith, _))) => {
            let (answer, answered) = oneshot::channel();
            let _ = control.send(Handover::Tell(answer));
            // Where the process is ending, nothing is said.
            if let Ok(answer) = answered.await {
                let _ = channel.say(&answer, &[]).await;
            }
        }
        Ok(Some((Ask::Succeed { .. }, _))) if !busy.load(Relaxed) => {
            let why = "no upgrade of it is under way: `balancer upgrade` begins one".to_owned();
            let _ = channel.say(&Word::Refused(why), &[]).await;
        }
        Ok(Some((Ask::Succeed { abi }, _))) if abi == ABI_VERSION => {
            let _ = successors.send(channel);
        }
        Ok(Some((Ask::Succeed { abi }, _))) => {
            let _ = channel
                .say(&Word::Refused(format!(
                    "its tables are of version {abi}, and those of the running process of version {ABI_VERSION}: \
                     going from one to the other takes a restart"
                )), &[])
                .await;
            let _ = successors.send(channel);
        }
        _ => {}
    }
}
