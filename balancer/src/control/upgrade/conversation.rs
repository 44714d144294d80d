//! What the old process and the new one say to each other, from the side of the old one, until the new one has taken over or is
//! gone. Must not know: what is handed over, and what comes of it.

use std::{io, net::SocketAddr, os::fd::AsFd as _, time::Duration};

use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use super::{
    Estate, Reply, UpgradeError, WORD, Word,
    channel::{Channel, MOST_DESCRIPTORS},
    starter::{RunningStarter, Said},
};

/// How long a process that has stopped speaking may take to end.
const DYING: Duration = Duration::from_secs(1);
/// How long one that has ended is listened to.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a conversation with the new process comes to, and why it came to nothing where that has ended meanwhile.
pub(super) async fn unless_it_ends<T>(
    starter: &mut RunningStarter,
    conversation: impl Future<Output = Result<T, UpgradeError>>,
) -> Result<T, UpgradeError> {
    let mut ended = None;
    tokio::pin!(conversation);
    let outcome = tokio::select! {
        biased;
        outcome = &mut conversation => outcome,
        () = death(starter, &mut ended) => {
            // It may have said why, and then the conversation ends with that.
            timeout(LAST_WORDS, conversation).await.unwrap_or_else(|_| Err(UpgradeError::Ended(String::new())))
        }
    };
    // It stopped speaking: how it ended is known a moment later.
    if matches!(outcome, Err(UpgradeError::Ended(_))) && ended.is_none() {
        let _ = timeout(DYING, death(starter, &mut ended)).await;
    }
    outcome.map_err(|error| match (error, ended) {
        (UpgradeError::Ended(_), Some(how)) => UpgradeError::Ended(how),
        (error, _) => error,
    })
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
pub(super) async fn caller(successors: &mut UnboundedReceiver<Channel>, pid: u32, user: u32) -> Channel {
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
pub(super) async fn converse(channel: &mut Channel, estate: Estate) -> Result<Vec<SocketAddr>, UpgradeError> {
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
pub(super) async fn give_word(channel: &mut Channel) -> Result<String, UpgradeError> {
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
