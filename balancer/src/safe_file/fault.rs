//! Why something is left alone, in words for people.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{fs::FileType, io::Errno};

/// What is wrong with a file or folder that was asked for. An [`io::Error`] holds it.
#[derive(Debug)]
pub struct UnsafePath {
    path: PathBuf,
    kind: FaultKind,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum FaultKind {
    Link,
    HardLink,
    NotAFile(FileType),
    Owner(u32),
    Upwards,
    /// A folder that this user, or several, can change.
    Shared(Option<u32>),
    NotGiven {
        uid: u32,
        to: u32,
    },
    /// It has a second name, under which the user would have it as well.
    NotGivenTwice {
        to: u32,
    },
    /// A folder on the way to it is not there.
    NoFolder,
    /// Something else is where a folder is to be.
    NotAFolder,
    /// The system's, at this place.
    System(Errno),
}

impl FaultKind {
    fn as_error(&self) -> io::ErrorKind {
        match self {
            Self::NoFolder => io::ErrorKind::NotFound,
            Self::NotAFolder => io::ErrorKind::NotADirectory,
            Self::NotAFile(FileType::Directory) => io::ErrorKind::IsADirectory,
            Self::NotAFile(_) => io::ErrorKind::InvalidInput,
            Self::System(errno) => errno.kind(),
            _ => io::ErrorKind::PermissionDenied,
        }
    }
}

impl UnsafePath {
    pub(super) fn new(path: impl Into<PathBuf>, kind: FaultKind) -> Self {
        Self { path: path.into(), kind }
    }

    /// What was found wrong.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl From<UnsafePath> for io::Error {
    fn from(fault: UnsafePath) -> Self {
        Self::new(fault.kind.as_error(), fault)
    }
}

impl std::error::Error for UnsafePath {}

impl std::fmt::Display for UnsafePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match self.kind {
            FaultKind::Link => {
                write!(f, "{path} is a symbolic link in a folder that others can write to: not followed")
            }
            FaultKind::HardLink => {
                write!(f, "{path} has a second name (a hard link), and others can write to its folder")
            }
            FaultKind::NotAFile(kind) => write!(f, "{path} is {}, not a regular file", name(kind)),
            FaultKind::Owner(uid) => write!(
                f,
                "{path} belongs to user id {uid}, who is neither root nor the balancer's user, and others can write to its folder"
            ),
            FaultKind::Upwards => {
                write!(f, "{path} is left upwards (..), and others can write to the folder it is in")
            }
            FaultKind::Shared(Some(uid)) => write!(
                f,
                "{path} can be changed by user id {uid}: it, and the folders above it, have to belong to root or the balancer's user"
            ),
            FaultKind::Shared(None) => write!(
                f,
                "{path} can be changed by others than its owner: take their right to write to it, and to the folders above it, away (chmod go-w)"
            ),
            FaultKind::NotGiven { uid, to } => write!(
                f,
                "{path} belongs to user id {uid} in a folder that others can write to: it is not given to the balancer's user (chown {to} {path}, if it is what it seems)"
            ),
            FaultKind::NotGivenTwice { to } => write!(
                f,
                "{path} has a second name (a hard link), under which it would be given away as well: it is not given to the balancer's user (chown {to} {path}, if that is meant, or make it a copy)"
            ),
            FaultKind::NoFolder => write!(f, "there is no folder {path}"),
            FaultKind::NotAFolder => write!(f, "{path} is no folder"),
            FaultKind::System(errno) => write!(f, "{path}: {}", io::Error::from(errno)),
        }
    }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a folder",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a device",
        FileType::BlockDevice => "a block device",
        FileType::Symlink => "a symbolic link",
        _ => "something else",
    }
}
