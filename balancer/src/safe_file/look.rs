//! What opening would be refused for, found out on the way that opening goes and by its judgement; nothing is opened,
//! made or changed. What opening alone shows (a pipe that nobody reads, a device that is not there) is left to it.
//! Must not know: what is in the files.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, FileType, accessat};

use super::{
    APPENDED, Owner,
    fault::{FaultKind, UnsafePath},
    folder::{Folder, demand_private},
    walk::{Goal, OpenFolder, us, walk},
};

/// What is where a file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: it would be made.
    Missing,
    /// A regular file.
    File,
    /// A named pipe, which somebody has to read.
    Pipe,
    /// A device; or a descriptor, which is another one in another process.
    Other,
}

/// Looks whether [`super::append`] would be refused.
///
/// # Errors
/// Those of [`super::append`].
pub fn could_append(path: &Path, owner: Option<Owner>) -> io::Result<Sight> {
    could_open(path, owner, &APPENDED, Access::WRITE_OK)
}

/// Looks whether [`super::update`] would be refused.
///
/// # Errors
/// Those of [`super::update`].
pub fn could_update(path: &Path, owner: Option<Owner>) -> io::Result<Sight> {
    could_open(path, owner, &[FileType::RegularFile], Access::READ_OK | Access::WRITE_OK)
}

fn could_open(path: &Path, owner: Option<Owner>, kinds: &[FileType], access: Access) -> io::Result<Sight> {
    let spot = walk(path, Goal::File)?;
    if spot.is_descriptor {
        return Ok(Sight::Other);
    }
    let Some(found) = spot.found(owner, kinds)? else {
        demand(&spot.folder, OsStr::new("."), Access::WRITE_OK | Access::EXEC_OK)?;
        return Ok(Sight::Missing);
    };
    demand(&spot.folder, &spot.name, access)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Sight::File,
        FileType::Fifo => Sight::Pipe,
        _ => Sight::Other,
    })
}

/// That the system lets this process have `access`.
fn demand(folder: &OpenFolder, name: &OsStr, access: Access) -> io::Result<()> {
    accessat(folder.fd(), name, access, AtFlags::empty()).map_err(|error| {
        let path = if name == "." { folder.path().to_owned() } else { folder.path().join(name) };
        UnsafePath::new(path, FaultKind::System(error)).into()
    })
}

/// A folder as it is, or as [`Folder::make`] would make it.
#[derive(Debug)]
pub struct Outlook {
    nearest: Folder,
    /// What would be made in the nearest folder that is there; empty: nothing, it is the folder itself.
    missing: PathBuf,
}

impl Outlook {
    /// Looks at `path`.
    ///
    /// # Errors
    /// Those of [`Folder::make`].
    pub fn of(path: &Path) -> io::Result<Self> {
        let spot = walk(path, Goal::Nearest)?;
        let missing = if spot.name == "." { PathBuf::new() } else { spot.name.into() };
        Ok(Self { nearest: Folder(spot.folder), missing })
    }

    /// The folder, if it is there.
    #[must_use]
    pub fn found(&self) -> Option<&Folder> {
        self.missing.as_os_str().is_empty().then_some(&self.nearest)
    }

    /// Where it is or would be, over whatever links lead there.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.found() {
            Some(folder) => folder.path().to_owned(),
            None => self.nearest.path().join(&self.missing),
        }
    }

    /// That things can be made in it; or that it can be made itself, and then they can.
    ///
    /// # Errors
    /// The system's, with the folder that it is about.
    pub fn demand_writable(&self) -> io::Result<()> {
        demand(&self.nearest.0, OsStr::new("."), Access::WRITE_OK | Access::EXEC_OK)
    }

    /// That nobody can change what is, or would be, in it but root, the process's own user and `owner`.
    ///
    /// # Errors
    /// [`super::UnsafePath`] with who else can.
    pub fn demand_private(&self, owner: Option<Owner>) -> io::Result<()> {
        match self.found() {
            Some(folder) => folder.demand_private(owner),
            None => demand_private(&self.path(), self.nearest.0.changers_of_child(us()), owner),
        }
    }
}
