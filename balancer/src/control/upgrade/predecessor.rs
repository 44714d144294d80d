//! The old process's side: hears who wants an upgrade, has the new process started, hands over, and gives the word. Whatever
//! goes wrong on the way is told, and everything is as before. Must not know: how any of it is gathered or let go.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
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
        oneshot,
    },
    time::{sleep, timeout},
};

use super::{
    Answer, Ask, DenyAnswer, DenyRequest, Door, Estate, FIRST_WORD, Label, READINESS, Reply, StartedWith,
    Starter, UpgradeError, WORD, Word,
    channel::{Channel, MOST_DESCRIPTORS},
    starter::{RunningStarter, Said},
};
use crate::{clock::monotonic_now, control::notify, counters::ControlCounters};

/// How long a process that was killed is waited for.
const DEATH: Duration = Duration::from_secs(10);
/// How long a process that has stopped speaking may take to end.
const DYING: Duration = Duration::from_secs(1);
/// After an error of accepting.
const PAUSE: Duration = Duration::from_millis(100);

/// What the control side is asked for on the way.
#[derive(Debug)]
pub enum Handover {
    /// Copies of all that is handed over; nothing of it changes from here on. Or why not now.
    Lend(oneshot::Sender<Result<Estate, String>>),
    /// It came to nothing.
    Resume,
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
    /// Where the admin endpoint listens.
    admin: Option<(SocketAddr, OwnedFd)>,
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
        admin: Option<(SocketAddr, OwnedFd)>,
        control: UnboundedSender<Handover>,
        again: Option<StartAgain>,
        notes: Arc<ControlCounters>,
    ) -> io::Result<Self> {
        Ok(Self {
            door,
            starter: starter.register()?,
            admin,
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

    /// Serves the instance's socket and `signals`, until a new process has taken over.
    pub async fn serve(mut self, mut signals: UnboundedReceiver<()>) {
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
                Some(operator) = callers.operators.recv() => Some(operator),
                Some(()) = signals.recv() => None,
                how = self.starter.gone(), if self.lost.is_none() => {
                    self.start_starter_again(&how);
                    continue;
                }
                else => break,
            };
            busy.store(true, Relaxed);
            tracing::info!("upgrade: starting the program anew");
            let answer = match self.upgrade(&mut callers.successors).await {
                Ok((pid, version)) => {
                    tracing::info!(
                        pid,
                        version,
                        "upgrade: the new process serves, this one finishes what it has"
                    );
                    accepting.abort();
                    Answer::Upgraded { pid, version }
                }
                Err(error) => {
                    tracing::error!(%error, "upgrade: not done, this process serves on");
                    let configuration = matches!(error, UpgradeError::Failed { configuration: true, .. });
                    Answer::NotUpgraded { configuration, text: error.to_string() }
                }
            };
            busy.store(false, Relaxed);
            // Those who asked meanwhile have had it.
            while signals.try_recv().is_ok() {}
            let is_over = matches!(answer, Answer::Upgraded { .. });
            if let Some(mut operator) = operator {
                // Who does not listen any more is not told.
                let _ = timeout(WORD, operator.say(&answer, &[])).await;
            }
            if is_over {
                return;
            }
        }
    }

    async fn upgrade(
        &mut self,
        successors: &mut UnboundedReceiver<Channel>,
    ) -> Result<(u32, String), UpgradeError> {
        if let Some(why) = &self.lost {
            return Err(UpgradeError::Refused(why.clone()));
        }
        let (lend, lent) = oneshot::channel();
        let gone = || UpgradeError::Refused("the process is ending".to_owned());
        self.control.send(Handover::Lend(lend)).map_err(|_| gone())?;
        let estate = lent.await.map_err(|_| gone())?.map_err(UpgradeError::Refused)?;
        let handed_over = self.hand_over(estate, successors).await;
        if handed_over.is_err() {
            let _ = timeout(DEATH, self.starter.kill()).await;
            let _ = self.control.send(Handover::Resume);
        }
        handed_over
    }

    async fn hand_over(
        &mut self,
        mut estate: Estate,
        successors: &mut UnboundedReceiver<Channel>,
    ) -> Result<(u32, String), UpgradeError> {
        let failed = |error: io::Error| UpgradeError::Refused(format!("no process can be started: {error}"));
        estate.held.push((Label::Door, OwnedFd::from(self.door.listener.try_clone().map_err(failed)?)));
        if let Some((address, socket)) = &self.admin {
            estate.held.push((Label::Admin(*address), socket.try_clone().map_err(failed)?));
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
        let mut ended = None;
        let conversation = async {
            let mut channel = timeout(FIRST_WORD, caller(successors, pid, self.door.user))
                .await
                .map_err(|_| UpgradeError::TooSlow { step: "heard of", limit: FIRST_WORD })?;
            let converse = converse(&mut channel, estate);
            let listeners = timeout(READINESS, converse)
                .await
                .map_err(|_| UpgradeError::TooSlow { step: "ready", limit: READINESS })??;
            let version = give_word(&mut channel).await?;
            Ok((channel, listeners, version))
        };
        tokio::pin!(conversation);
        let outcome = tokio::select! {
            biased;
            outcome = &mut conversation => outcome,
            () = death(&mut self.starter, &mut ended) => {
                // It may have said why, and then the conversation ends with that.
                timeout(PAUSE, conversation).await.unwrap_or_else(|_| Err(UpgradeError::Ended(String::new())))
            }
        };
        // It stopped speaking: how it ended is known a moment later.
        if matches!(outcome, Err(UpgradeError::Ended(_))) && ended.is_none() {
            let _ = timeout(DYING, death(&mut self.starter, &mut ended)).await;
        }
        let (mut channel, listeners, version) = outcome.map_err(|error| match (error, ended) {
            (UpgradeError::Ended(_), Some(how)) => UpgradeError::Ended(how),
            (error, _) => error,
        })?;
        self.starter.leave().await;
        let (done, released) = oneshot::channel();
        let _ = self.control.send(Handover::Release { listeners, done });
        let reload = released.await.unwrap_or(false);
        notify::tell(&format!("MAINPID={pid}"));
        // It goes on without being told.
        let _ = timeout(WORD, channel.say(&Word::Released { reload }, &[])).await;
        self.starter.reap().await;
        Ok((pid, version))
    }
}

/// Waits until the new process is gone.
async fn death(starter: &mut RunningStarter, how: &mut Option<String>) {
    loop {
        match starter.hear().await {
            Ok(Said::Ended(status)) => return *how = Some(status),
            Ok(_) => {}
            Err(error) => return *how = Some(error.to_string()),
        }
    }
}

/// The new process, when it calls: nobody else who says that it is one.
async fn caller(successors: &mut UnboundedReceiver<Channel>, pid: u32, user: u32) -> Channel {
    loop {
        let Some(channel) = successors.recv().await else { return std::future::pending().await };
        let is_it = channel.peer().is_ok_and(|peer| {
            [0, user].contains(&peer.uid()) && peer.pid().is_some_and(|it| it.cast_unsigned() == pid)
        });
        if is_it {
            return channel;
        }
        tracing::warn!("upgrade: a process that was not started for it wants to take over, and may not");
    }
}

/// Hands everything over, and waits until the new process is ready. The addresses of listeners that it goes on with.
async fn converse(channel: &mut Channel, estate: Estate) -> Result<Vec<SocketAddr>, UpgradeError> {
    for part in estate.held.chunks(MOST_DESCRIPTORS) {
        let labels = part.iter().map(|(label, _)| *label).collect();
        let descriptors: Vec<_> = part.iter().map(|(_, descriptor)| descriptor.as_fd()).collect();
        say(channel, &Word::Held(labels), &descriptors).await?;
    }
    say(channel, &Word::All(estate.facts), &[]).await?;
    match hear(channel).await? {
        Reply::Ready { listeners } => Ok(listeners),
        Reply::Failed { configuration, text } => Err(UpgradeError::Failed { configuration, text }),
        Reply::Taken { .. } => Err(UpgradeError::Garbled(io::ErrorKind::InvalidData.into())),
    }
}

/// The version of the new process, which has it all from here on.
async fn give_word(channel: &mut Channel) -> Result<String, UpgradeError> {
    let word = async {
        say(channel, &Word::Go, &[]).await?;
        match hear(channel).await? {
            Reply::Taken { version } => Ok(version),
            Reply::Failed { configuration, text } => Err(UpgradeError::Failed { configuration, text }),
            Reply::Ready { .. } => Err(UpgradeError::Garbled(io::ErrorKind::InvalidData.into())),
        }
    };
    timeout(WORD, word).await.map_err(|_| UpgradeError::TooSlow { step: "serving", limit: WORD })?
}

fn broken(error: io::Error) -> UpgradeError {
    match error.kind() {
        io::ErrorKind::InvalidData => UpgradeError::Garbled(error),
        _ => UpgradeError::Ended(error.to_string()),
    }
}

async fn say(
    channel: &mut Channel,
    word: &Word,
    descriptors: &[std::os::fd::BorrowedFd<'_>],
) -> Result<(), UpgradeError> {
    match channel.say(word, descriptors).await {
        Ok(()) => Ok(()),
        // It may have said why it is gone.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => match channel.hear().await {
            Ok(Some((Reply::Failed { configuration, text }, _))) => {
                Err(UpgradeError::Failed { configuration, text })
            }
            _ => Err(broken(error)),
        },
        Err(error) => Err(broken(error)),
    }
}

async fn hear(channel: &mut Channel) -> Result<Reply, UpgradeError> {
    let heard = channel.hear().await.map_err(broken)?;
    heard.map(|(reply, _)| reply).ok_or_else(|| UpgradeError::Ended("it said nothing".to_owned()))
}

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
    let refused = |text: String| Answer::NotUpgraded { configuration: false, text };
    match channel.hear().await {
        Ok(Some((Ask::Upgrade, _))) if busy.load(Relaxed) => {
            let answer = refused("an upgrade is under way already".to_owned());
            let _ = channel.say(&answer, &[]).await;
        }
        Ok(Some((Ask::Upgrade, _))) => {
            let _ = operators.send(channel);
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
