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
};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Ask,
    channel::Channel,
    denials::{DenyAnswer, DenyRequest},
};
use crate::{kernel::InstanceFolder, safe_file::Folder};

/// The socket, listened on.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: UnixListener,
    /// Who may speak, beside root.
    pub(super) user: u32,
}

/// What an operator is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// A new process serves.
    Upgraded {
        /// Which.
        pid: u32,
        /// Of this version.
        version: String,
    },
    /// None does, and the one that ran runs on.
    NotUpgraded {
        /// Whether the configuration is wrong.
        configuration: bool,
        /// Why.
        text: String,
    },
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
pub async fn ask(folder: &Path) -> io::Result<Answer> {
    answer(folder, Ask::Upgrade).await
}

/// Asks it to deny sources, or the like.
///
/// # Errors
/// As with [`ask`].
pub async fn ask_to_deny(folder: &Path, request: &DenyRequest) -> io::Result<DenyAnswer> {
    answer(folder, Ask::Deny(request.clone())).await
}

async fn answer<A: DeserializeOwned>(folder: &Path, question: Ask) -> io::Result<A> {
    let stream = connect(folder)?;
    stream.set_nonblocking(true)?;
    let mut channel = Channel::new(tokio::net::UnixStream::from_std(stream)?);
    channel.say(&question, &[]).await?;
    let heard = channel.hear().await?;
    heard.map(|(answer, _)| answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
