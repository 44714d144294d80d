//! The new process's side: claims what the process before has, says how it goes, and waits for the word. Must not know: what is
//! done with any of it.

use std::{
    collections::HashMap,
    env, io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use balancer_common::ABI_VERSION;
use tokio::{net::UnixStream, time::timeout};

use super::{Ask, Door, HandoverFacts, Label, Reply, VARIABLE, WORD, Word, channel::Channel, door};
use crate::kernel::{Locks, ShieldLink};

/// What the process before has handed over. It has it, too, until this one has taken over.
#[derive(Debug)]
pub struct Inherited {
    /// The locks of the instance.
    pub locks: Locks,
    /// Its socket.
    pub door: Door,
    /// Where the admin endpoint listens, and the address that was configured.
    pub admin: Option<(SocketAddr, std::net::TcpListener)>,
    /// The same of the ELBv2 API.
    pub control_api: Option<(SocketAddr, std::net::TcpListener)>,
    /// Listening sockets by the address that was configured.
    pub listeners: HashMap<SocketAddr, Vec<TcpListener>>,
    /// What else there is to know.
    pub facts: HandoverFacts,
    /// Where the shield is.
    pub shield: Vec<ShieldLink>,
}

/// The conversation with the process before.
#[derive(Debug)]
pub struct Inheritance {
    channel: Channel,
}

/// Why this process does not take over.
#[derive(Debug, thiserror::Error)]
pub enum InheritanceError {
    /// The process before does not want it.
    #[error("{0}")]
    Refused(String),
    /// It cannot be spoken to.
    #[error("the running process cannot be spoken to: {0}")]
    Io(#[from] io::Error),
    /// It says something else than it should.
    #[error("the running process did not hand over {0}")]
    Missing(&'static str),
}

impl Inheritance {
    /// The folder of the instance that this process was started to take over.
    #[must_use]
    pub fn wanted() -> Option<PathBuf> {
        env::var_os(VARIABLE).map(PathBuf::from)
    }

    /// Speaks to the process that runs the instance in `folder`. Must be called within a runtime.
    ///
    /// # Errors
    /// Nobody is there.
    pub async fn claim(folder: &Path) -> Result<Self, InheritanceError> {
        let stream = door::connect(folder)?;
        stream.set_nonblocking(true)?;
        let mut channel = Channel::new(UnixStream::from_std(stream)?);
        channel.say(&Ask::Succeed { abi: ABI_VERSION }, &[]).await?;
        Ok(Self { channel })
    }

    /// Takes what is handed over.
    ///
    /// # Errors
    /// [`InheritanceError`].
    pub async fn receive(&mut self) -> Result<Inherited, InheritanceError> {
        let mut held: Vec<(Label, OwnedFd)> = Vec::new();
        let facts = loop {
            let heard = self.channel.hear().await?;
            match heard.ok_or(InheritanceError::Missing("anything"))? {
                (Word::Held(labels), descriptors) if labels.len() == descriptors.len() => {
                    held.extend(labels.into_iter().zip(descriptors));
                }
                (Word::All(facts), _) => break facts,
                (Word::Refused(why), _) => return Err(InheritanceError::Refused(why)),
                _ => return Err(InheritanceError::Missing("what it said that it would")),
            }
        };
        sort(held, facts)
    }

    /// Says that this process does not take over.
    pub async fn fail(&mut self, configuration: bool, text: String) {
        let _ = timeout(WORD, self.channel.say(&Reply::Failed { configuration, text }, &[])).await;
    }

    /// Waits until the process before is gone, or says something though it is not its turn: then there is nothing to take
    /// over.
    pub async fn is_lost(&mut self) -> InheritanceError {
        match self.channel.hear::<Word>().await {
            Ok(Some((Word::Refused(why), _))) => InheritanceError::Refused(why),
            Ok(Some(_)) => InheritanceError::Missing("itself"),
            Ok(None) => InheritanceError::Io(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => InheritanceError::Io(error),
        }
    }

    /// Says that this process could serve at once, listeners with these addresses among others, and waits for the word.
    ///
    /// # Errors
    /// It does not come.
    pub async fn ready(&mut self, listeners: Vec<SocketAddr>) -> Result<(), InheritanceError> {
        self.channel.say(&Reply::Ready { listeners }, &[]).await?;
        match timeout(WORD, self.channel.hear()).await.map_err(io::Error::from)?? {
            Some((Word::Go, _)) => Ok(()),
            Some((Word::Refused(why), _)) => Err(InheritanceError::Refused(why)),
            _ => Err(InheritanceError::Missing("itself")),
        }
    }

    /// Takes over: from here on there is no way back.
    ///
    /// # Errors
    /// The process before is gone.
    pub async fn take(&mut self, version: &str) -> Result<(), InheritanceError> {
        Ok(self.channel.say(&Reply::Taken { version: version.to_owned() }, &[]).await?)
    }

    /// Waits until the process before has let go, or is gone.
    pub async fn released(mut self) -> Meanwhile {
        match timeout(WORD, self.channel.hear()).await {
            Ok(Ok(Some((Word::Released { reload, end }, _)))) => Meanwhile { reload, end },
            _ => Meanwhile::default(),
        }
    }
}

/// What the process before was asked for while this one took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meanwhile {
    /// To read the configuration again.
    pub reload: bool,
    /// To end.
    pub end: bool,
}

/// What is what.
fn sort(held: Vec<(Label, OwnedFd)>, facts: HandoverFacts) -> Result<Inherited, InheritanceError> {
    let (mut folder_lock, mut host, mut name, mut tables) = (None, None, None, None);
    let (mut socket, mut admin, mut control_api, mut shield) = (None, None, None, Vec::new());
    let mut listeners: HashMap<SocketAddr, Vec<TcpListener>> = HashMap::new();
    for (label, descriptor) in held {
        match label {
            Label::FolderLock => folder_lock = Some(descriptor),
            Label::HostLock => host = Some(descriptor),
            Label::HostName => name = Some(descriptor),
            Label::TablesLock => tables = Some(descriptor),
            Label::Door => socket = Some(descriptor),
            Label::Admin(address) => admin = Some((address, descriptor.into())),
            Label::ControlApi(address) => control_api = Some((address, descriptor.into())),
            Label::Listener(address) => listeners.entry(address).or_default().push(descriptor.into()),
            Label::Shield { index, native } => shield.push(ShieldLink { index, native, link: descriptor }),
        }
    }
    let missing = InheritanceError::Missing;
    let locks = Locks { folder: folder_lock.ok_or(missing("its lock"))?, host, name, tables };
    let door = Door::inherit(socket.ok_or(missing("its socket"))?)?;
    Ok(Inherited { locks, door, admin, control_api, listeners, facts, shield })
}
