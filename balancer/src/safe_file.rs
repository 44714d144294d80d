//! Files and folders of the process, opened so that nobody can make it touch something else.
//!
//! A process that starts as root works in folders that other users can write to: those of the user that it becomes,
//! and those that an operator points it to. What lies in such a folder is not trusted: no link in it is followed, and a
//! file in it is what it seems (regular, of one name, of an owner who may be there) before a byte is written or its
//! owner is changed. Links that root made where nobody else writes are followed as usual.
//! Must not know: what is in the files.

mod fault;
mod folder;
mod look;
mod walk;

use std::{fs::File, io, path::Path};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, chownat, fstat, openat, statat},
    io::Errno,
};

use self::{
    fault::FaultKind,
    walk::{Goal, Spot, us, walk},
};
pub use self::{
    fault::UnsafePath,
    folder::Folder,
    look::{Outlook, Sight, could_append, could_update},
};

/// How often an open is tried anew when what is there changes at the same time.
const TURNS: usize = 16;
/// Nothing is waited for, no link is followed, nothing becomes the terminal of the process.
const CAREFULLY: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What is appended to, devices beside them.
const APPENDED: [FileType; 2] = [FileType::RegularFile, FileType::Fifo];

/// Whom files are for: the user that the process becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Opens a file for appending, and makes it with `mode` where it is missing, for `owner` if there is one. A named pipe
/// or a device does as well; a pipe that nobody reads is an error, and writing waits for none.
///
/// # Errors
/// The system's, and [`UnsafePath`] (as what the error holds) for what is not safe to write to.
pub fn append(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<File> {
    let how = FileOpening { flags: OFlags::WRONLY | OFlags::APPEND, mode, kinds: &APPENDED };
    how.open(path, owner)
}

/// Opens a regular file for reading and changing, and makes it with `mode` where it is missing, for `owner` if there is one.
///
/// # Errors
/// The system's, and [`UnsafePath`] for what is not safe to write to.
pub fn update(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<File> {
    FileOpening { flags: OFlags::RDWR, mode, kinds: &[FileType::RegularFile] }.open(path, owner)
}

/// How a file is opened that is written to.
struct FileOpening {
    flags: OFlags,
    mode: u32,
    kinds: &'static [FileType],
}

impl FileOpening {
    fn open(&self, path: &Path, owner: Option<Owner>) -> io::Result<File> {
        let Self { flags, mode, kinds } = *self;
        for _ in 0..TURNS {
            let spot = walk(path, Goal::File)?;
            // FileOpening alone does something to some devices: what it is is looked at first, and then of the very file opened.
            let made = spot.found(owner, kinds)?.is_none();
            let file = match if made { spot.create(flags, mode) } else { spot.open(flags) } {
                Ok(file) => file,
                // It came, or went, meanwhile.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) =>
                {
                    continue;
                }
                // What the system calls "No such device or address".
                Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                    return Err(io::Error::other(
                        "it is a named pipe that nobody reads, or a device that is not there",
                    ));
                }
                Err(error) => return Err(error),
            };
            if !made {
                spot.judge(&fstat(&file)?, owner, kinds)?;
            }
            if let Some(owner) = owner {
                spot.hand_over(&file, made, owner)?;
            }
            return Ok(file);
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

/// Opens a regular file for reading; none where there is none. Where others than root and `owner` can write to its
/// folder, it has to belong to one of these.
///
/// # Errors
/// The system's, and [`UnsafePath`] for what is not safe to trust.
pub fn read(path: &Path, owner: Option<Owner>) -> io::Result<Option<File>> {
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let spot = match walk(path, Goal::File) {
        Ok(spot) => spot,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let kinds = [FileType::RegularFile];
    if spot.found(owner, &kinds)?.is_none() {
        return Ok(None);
    }
    match spot.open(OFlags::RDONLY) {
        Ok(file) => {
            spot.judge(&fstat(&file)?, owner, &kinds)?;
            Ok(Some(file))
        }
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a file that was opened by [`read`] to `owner`, unless somebody else could have put it there. Does nothing
/// where it is the owner's already.
///
/// # Errors
/// The system's; [`UnsafePath`] when the file is root's in a folder that others can write to, or has a second name: giving it
/// away could give away something else.
pub fn give(path: &Path, file: &File, owner: Owner) -> io::Result<()> {
    if could_give(path, file, owner)? { chown(file, owner.uid, owner.gid) } else { Ok(()) }
}

/// Whether [`give`] would change the owner of `file`; nothing is changed.
///
/// # Errors
/// As for [`give`].
pub fn could_give(path: &Path, file: &File, owner: Owner) -> io::Result<bool> {
    let spot = walk(path, Goal::File)?;
    let found = fstat(file)?;
    let is_ours = spot.folder.is_ours();
    if is_ours && found.st_nlink == 1 {
        return Ok((found.st_uid, found.st_gid) != (owner.uid, owner.gid));
    }
    match found.st_uid {
        uid if uid == owner.uid => Ok(false),
        _ if is_ours => Err(spot.refused(FaultKind::NotGivenTwice { to: owner.uid })),
        uid => Err(spot.refused(FaultKind::NotGiven { uid, to: owner.uid })),
    }
}

impl Spot {
    /// What is there, if it may be used; none where there is nothing.
    fn found(&self, owner: Option<Owner>, kinds: &[FileType]) -> io::Result<Option<Stat>> {
        let careful = if self.is_descriptor { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        match statat(self.folder.fd(), &self.name, careful) {
            Ok(found) => self.judge(&found, owner, kinds).map(|()| Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.refused(FaultKind::System(error))),
        }
    }

    fn open(&self, flags: OFlags) -> io::Result<File> {
        // What procfs shows of this process's own descriptors cannot be opened but through the link.
        let careful = if self.is_descriptor { CAREFULLY - OFlags::NOFOLLOW } else { CAREFULLY };
        match openat(self.folder.fd(), &self.name, flags | careful, Mode::empty()) {
            Ok(file) => Ok(File::from(file)),
            Err(Errno::LOOP) => Err(self.refused(FaultKind::Link)),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | CAREFULLY | OFlags::CREATE | OFlags::EXCL;
        Ok(openat(self.folder.fd(), &self.name, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Whether what was found there may be used.
    fn judge(&self, found: &Stat, owner: Option<Owner>, kinds: &[FileType]) -> io::Result<()> {
        let kind = FileType::from_raw_mode(found.st_mode);
        let ours = self.is_descriptor || self.folder.is_ours();
        if kind == FileType::Symlink {
            return Err(self.refused(FaultKind::Link));
        }
        let device = ours && kind == FileType::CharacterDevice && kinds.contains(&FileType::Fifo);
        if !kinds.contains(&kind) && !device {
            return Err(self.refused(FaultKind::NotAFile(kind)));
        }
        if ours {
            return Ok(());
        }
        if found.st_nlink != 1 {
            return Err(self.refused(FaultKind::HardLink));
        }
        let allowed = [Some(0), Some(us()), owner.map(|owner| owner.uid), self.folder.holder()];
        if !allowed.contains(&Some(found.st_uid)) {
            return Err(self.refused(FaultKind::Owner(found.st_uid)));
        }
        Ok(())
    }

    fn hand_over(&self, file: &File, made: bool, owner: Owner) -> io::Result<()> {
        let found = fstat(file)?;
        let regular = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        // One that was there in a folder of others may have come from anywhere.
        let known = made || self.folder.is_ours() && !self.is_descriptor;
        let different = (found.st_uid, found.st_gid) != (owner.uid, owner.gid);
        if regular && found.st_nlink == 1 && known && different {
            chown(file, owner.uid, owner.gid)?;
        }
        Ok(())
    }

    fn refused(&self, kind: FaultKind) -> io::Error {
        self.folder.refused(&self.name, kind)
    }
}

/// Changes the owner of the very file or folder that `fd` refers to.
fn chown(fd: impl rustix::fd::AsFd, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    Ok(chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

#[cfg(test)]
mod tests;
