//! The instance's own socket, in its folder: who runs the instance is spoken to there, and hands it over to its successor, so
//! that there is one at all times. Who may look into the folder may speak, and is looked at all the same. Must not know: what
//! comes of it.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
    process::geteuid,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Ask, StartedWith,
    channel::Channel,
    denials::{DenyAnswer, DenyRequest},
};
use crate::{kernel::InstanceFolder, safe_file::Folder};

/// How long who looks at a configuration waits for the process that runs: it is there, and has little to say.
const A_LOOK: Duration = Duration::from_secs(2);

/// The socket, listened on.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: UnixListener,
    /// Who may speak, beside root.
    pub(super) user: u32,
}

/// What an operator is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum UpgradeReply {
    /// A new process serves.
    Upgraded {
        /// Which.
        pid: u32,
        /// Of this version.
        version: String,
        /// Whether it ends as well, since the one before was asked to.
        #[serde(default)]
        ends: bool,
    },
    /// None does, and the one that ran runs on.
    NotUpgraded {
        /// Whether the configuration is wrong.
        configuration: bool,
        /// Whether that one does not run on after all.
        #[serde(default)]
        is_over: bool,
        /// Why.
        text: String,
    },
}

impl UpgradeReply {
    /// Of a process that was asked to end, or that does not serve any more.
    pub(super) fn over(text: String) -> Self {
        Self::NotUpgraded { configuration: false, is_over: true, text }
    }
}

impl Door {
    /// Makes the socket in the folder of an instance that this process has.
    ///
    /// # Errors
    /// The system's.
    pub fn open(folder: &InstanceFolder) -> io::Result<Self> {
        let listener = folder.listen()?;
        Self::of(listener)
    }

    /// The one that the process before had.
    pub(super) fn inherit(listener: OwnedFd) -> io::Result<Self> {
        Self::of(listener.into())
    }

    fn of(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, user: geteuid().as_raw() })
    }
}

/// Connects to the socket in `folder`, however long its path is.
pub(super) fn connect(folder: &Path) -> io::Result<UnixStream> {
    let folder = Folder::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{}", folder.as_fd().as_raw_fd(), InstanceFolder::SOCKET))
}

/// Asks the process that runs the instance for an upgrade, and waits for what comes of it.
///
/// # Errors
/// The system's: nobody runs it, say.
pub async fn ask(folder: &Path) -> io::Result<UpgradeReply> {
    answer(folder, Ask::Upgrade).await
}

/// Asks it to deny sources, or the like.
///
/// # Errors
/// As with [`ask`].
pub async fn ask_to_deny(folder: &Path, request: &DenyRequest) -> io::Result<DenyAnswer> {
    answer(folder, Ask::Deny(request.clone())).await
}

/// Asks it what it was started with, and waits no longer than for `A_LOOK`. Must not be called within a runtime.
///
/// # Errors
/// As with [`ask`], and that there was no answer.
pub fn ask_what_runs(folder: &Path) -> io::Result<StartedWith> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async {
        let stream = connect_at_once(folder)?;
        converse(stream, Ask::StartedWith).await
    };
    let answered = runtime.block_on(async { tokio::time::timeout(A_LOOK, asked).await });
    let in_words = |error: io::Error| match error.kind() {
        // It has a socket, and ends the conversation.
        io::ErrorKind::UnexpectedEof => {
            io::Error::other("it does not answer: it is ending, or of another version")
        }
        // As many ask as may.
        io::ErrorKind::WouldBlock => no_answer(),
        _ => error,
    };
    answered.unwrap_or_else(|_| Err(no_answer())).map_err(in_words)
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", A_LOOK.as_secs()))
}

/// As [`connect`], and does not wait at a process that takes nobody in.
fn connect_at_once(folder: &Path) -> io::Result<UnixStream> {
    let folder = Folder::open(folder)?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_fd().as_raw_fd(), InstanceFolder::SOCKET);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

async fn answer<A: DeserializeOwned>(folder: &Path, question: Ask) -> io::Result<A> {
    converse(connect(folder)?, question).await
}

async fn converse<A: DeserializeOwned>(stream: UnixStream, question: Ask) -> io::Result<A> {
    stream.set_nonblocking(true)?;
    let mut channel = Channel::new(tokio::net::UnixStream::from_std(stream)?);
    channel.say(&question, &[]).await?;
    let heard = channel.hear().await?;
    heard.map(|(answer, _)| answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
