//! From the root folder to where a path leads, one name at a time, knowing at each step who could have put there what
//! is found. The kernel's own openat2(2) can refuse all links or none; root's links are to work and others' are not.
//! Must not know: what is done with what is found.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, Stat, fstat, fstatfs, mkdirat, openat, readlinkat},
    io::Errno,
};

use super::fault::{FaultKind, UnsafePath};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;
/// From linux/magic.h.
const PROC_MAGIC: i64 = 0x9fa0;
/// Of folders that are made on the way.
const ON_THE_WAY: Mode = Mode::from_raw_mode(0o755);

/// Who, beside root and this process, can change what is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changers {
    Nobody,
    /// Everybody adds, and changes what is their own.
    Sticky,
    User(u32),
    Several,
}

impl Changers {
    fn of(folder: &Stat) -> Self {
        let trusted = is_trusted(folder.st_uid);
        match folder.st_mode & 0o1022 {
            0 | 0o1000 if trusted => Self::Nobody,
            0 | 0o1000 => Self::User(folder.st_uid),
            shared if shared & 0o1000 != 0 && trusted => Self::Sticky,
            _ => Self::Several,
        }
    }

    /// Who can change what is in a folder when these could have put another folder in its place.
    fn below(self, here: Self) -> Self {
        match (self, here) {
            (Self::Nobody, here) => here,
            (above, Self::Nobody) => above,
            (Self::User(one), Self::User(other)) if one == other => self,
            _ => Self::Several,
        }
    }
}

/// The user that the process is.
pub(super) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == us()
}

/// An open folder, and what is known of it.
#[derive(Debug)]
pub(super) struct OpenFolder {
    fd: OwnedFd,
    stat: Stat,
    path: PathBuf,
    /// Who could have put something else in its place.
    above: Changers,
}

impl OpenFolder {
    fn root() -> io::Result<Self> {
        let fd = openat(CWD, "/", folder_flags(), Mode::empty())?;
        Ok(Self { stat: fstat(&fd)?, fd, path: "/".into(), above: Changers::Nobody })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn uid(&self) -> u32 {
        self.stat.st_uid
    }

    /// Looks at its owner and mode again.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.stat = fstat(&self.fd)?;
        Ok(())
    }

    pub(super) fn changers(&self) -> Changers {
        self.above.below(Changers::of(&self.stat))
    }

    /// Whether nobody but root and this process can change what is in it.
    pub(super) fn is_ours(&self) -> bool {
        self.changers() == Changers::Nobody
    }

    /// The one user who can change what is in it.
    pub(super) fn holder(&self) -> Option<u32> {
        match self.changers() {
            Changers::User(uid) => Some(uid),
            _ => None,
        }
    }

    /// The folder of that name, never a link. Made with `mode` where it is missing; true if it was made.
    pub(super) fn child(&self, name: &OsStr, mode: Option<Mode>) -> io::Result<(Self, bool)> {
        let made = match mode.map(|mode| mkdirat(&self.fd, name, mode)) {
            None | Some(Err(Errno::EXIST)) => false,
            Some(result) => {
                result?;
                true
            }
        };
        let fd = openat(&self.fd, name, folder_flags(), Mode::empty())?;
        let stat = fstat(&fd)?;
        let path = self.path.join(name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if made && stat.st_uid != us() => {
                // Somebody put another one in its place meanwhile.
                Err(UnsafePath::new(path, FaultKind::Shared(Some(stat.st_uid))).into())
            }
            FileType::Directory => Ok((self.entered(fd, stat, name), made)),
            FileType::Symlink => Err(UnsafePath::new(path, FaultKind::Link).into()),
            _ => Err(UnsafePath::new(path, FaultKind::NotAFolder).into()),
        }
    }

    fn entered(&self, fd: OwnedFd, stat: Stat, name: &OsStr) -> Self {
        Self { fd, stat, path: self.path.join(name), above: self.changers_of_child(stat.st_uid) }
    }

    /// Who could put something else in the place of what is this user's in it.
    pub(super) fn changers_of_child(&self, uid: u32) -> Changers {
        match self.changers() {
            // What is in a sticky folder is changed by its owner alone.
            Changers::Sticky if is_trusted(uid) => Changers::Nobody,
            Changers::Sticky => Changers::User(uid),
            changers => changers,
        }
    }

    /// What is wrong with what has this name in it.
    pub(super) fn refused(&self, name: impl AsRef<Path>, kind: FaultKind) -> io::Error {
        UnsafePath::new(self.path.join(name), kind).into()
    }

    fn follows(&self, link: &Stat) -> bool {
        match self.changers() {
            Changers::Nobody => true,
            Changers::Sticky => is_trusted(link.st_uid),
            _ => false,
        }
    }
}

fn folder_flags() -> OFlags {
    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// What a path is to lead to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// Something in a folder, there or not. The folder must be there.
    File,
    /// A folder; made, with those above it, where it is missing and a mode is given.
    Folder(Option<Mode>),
    /// A folder, or the nearest above it where it is missing. Nothing is made.
    Nearest,
}

/// Where a path leads: a name in a folder. Of a folder that is the goal itself the name is `.`, of the nearest one all that
/// is missing.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) folder: OpenFolder,
    pub(super) name: OsString,
    /// A descriptor of a process, as procfs shows it.
    pub(super) is_descriptor: bool,
    /// The folder was made.
    pub(super) made: bool,
}

/// Goes where `path` leads.
pub(super) fn walk(path: &Path, goal: Goal) -> io::Result<Spot> {
    let mut folder = OpenFolder::root()?;
    let mut ahead = names(&std::path::absolute(path)?);
    let (mut links, mut made) = (0, false);
    while let Some(name) = ahead.pop() {
        let is_last = ahead.is_empty();
        let here = |folder, is_descriptor| Spot { folder, name: name.clone(), is_descriptor, made };
        if name == ".." {
            // Where it is, is what whoever could have put it there has chosen.
            if folder.above != Changers::Nobody {
                return Err(UnsafePath::new(folder.path, FaultKind::Upwards).into());
            }
            let fd = openat(&folder.fd, "..", folder_flags(), Mode::empty())?;
            let path = folder.path.parent().unwrap_or(Path::new("/")).to_owned();
            folder = OpenFolder { stat: fstat(&fd)?, fd, path, above: Changers::Nobody };
            continue;
        }
        let found = match openat(&folder.fd, &name, folder_flags(), Mode::empty()) {
            Ok(found) => found,
            Err(Errno::NOENT) => match goal {
                Goal::File if is_last => return Ok(here(folder, false)),
                Goal::Folder(Some(mode)) => {
                    (folder, made) = folder.child(&name, Some(if is_last { mode } else { ON_THE_WAY }))?;
                    continue;
                }
                Goal::Nearest => {
                    let missing: PathBuf = std::iter::once(&name).chain(ahead.iter().rev()).collect();
                    return Ok(Spot { name: missing.into(), ..here(folder, false) });
                }
                _ => return Err(folder.refused(&name, FaultKind::NoFolder)),
            },
            Err(error) => return Err(folder.refused(&name, FaultKind::System(error))),
        };
        let stat = fstat(&found)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                if !folder.follows(&stat) {
                    return Err(folder.refused(&name, FaultKind::Link));
                }
                if is_last && matches!(goal, Goal::File) && fstatfs(&found)?.f_type == PROC_MAGIC {
                    return Ok(here(folder, true));
                }
                links += 1;
                if links > MOST_LINKS {
                    return Err(folder.refused(&name, FaultKind::System(Errno::LOOP)));
                }
                let target =
                    PathBuf::from(OsString::from_vec(readlinkat(&found, "", Vec::new())?.into_bytes()));
                if target.is_absolute() {
                    folder = OpenFolder::root()?;
                }
                ahead.extend(names(&target));
            }
            _ if is_last && matches!(goal, Goal::File) => return Ok(here(folder, false)),
            FileType::Directory => folder = folder.entered(found, stat, &name),
            _ => return Err(folder.refused(&name, FaultKind::NotAFolder)),
        }
    }
    match goal {
        Goal::Folder(_) | Goal::Nearest => Ok(Spot { folder, name: ".".into(), is_descriptor: false, made }),
        Goal::File => Err(Errno::ISDIR.into()),
    }
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}
