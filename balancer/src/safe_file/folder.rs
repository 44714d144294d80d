//! A folder that files of the process lie in, held open: what is done in it is done in this very folder, whatever
//! becomes of its name.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, fchmod, fstat, linkat, openat, renameat,
        renameat_with, statat, unlinkat,
    },
    io::Errno,
};

use super::{
    CAREFULLY, Owner, TURNS, chown,
    fault::{FaultKind, UnsafePath},
    walk::{Changers, Goal, OpenFolder, us, walk},
};

/// Only for its owner.
const PRIVATE: Mode = Mode::from_raw_mode(0o600);

/// A folder.
#[derive(Debug)]
pub struct Folder(pub(super) OpenFolder);

impl Folder {
    /// Opens a folder that is there.
    ///
    /// # Errors
    /// The system's, and [`UnsafePath`].
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(walk(path, Goal::Folder(None))?.folder))
    }

    /// Opens a folder, and makes it with `mode` (and those above it as usual) where it is missing; true if it was made.
    ///
    /// # Errors
    /// The system's, and [`UnsafePath`].
    pub fn make(path: &Path, mode: u32) -> io::Result<(Self, bool)> {
        let spot = walk(path, Goal::Folder(Some(Mode::from_raw_mode(mode))))?;
        Ok((Self(spot.folder), spot.made))
    }

    /// The folder of that name in this one, which is no link; made with `mode` where it is missing.
    ///
    /// # Errors
    /// The system's, and [`UnsafePath`].
    pub fn child(&self, name: &str, mode: u32) -> io::Result<Self> {
        Ok(Self(self.0.child(OsStr::new(name), Some(Mode::from_raw_mode(mode)))?.0))
    }

    /// Where it was found, over whatever links led there.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The name of something in it.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Itself.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Whether nobody but root and the process's own user can change what is in it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.0.is_ours()
    }

    /// Whether it has the sticky bit: a folder that many use.
    ///
    /// # Errors
    /// The system's.
    pub fn is_sticky(&self) -> io::Result<bool> {
        Ok(fstat(self.0.fd())?.st_mode & 0o1000 != 0)
    }

    /// That nobody can change what is in it but root, the process's own user and `owner`.
    ///
    /// # Errors
    /// [`UnsafePath`] with who else can.
    pub fn demand_private(&self, owner: Option<Owner>) -> io::Result<()> {
        demand_private(self.path(), self.0.changers(), owner)
    }

    /// Whether [`Self::take`] can make it the process's own.
    #[must_use]
    pub fn can_be_taken(&self) -> bool {
        us() == 0 || self.0.uid() == us()
    }

    /// Makes it a folder that only the process's user can look into, if it is not. What is in it is then changed by
    /// nobody else, though it may have been before.
    ///
    /// # Errors
    /// The system's. Who is not root cannot take a folder that is somebody else's.
    pub fn take(&mut self) -> io::Result<()> {
        if self.0.uid() != us() {
            chown(self.0.fd(), us(), rustix::process::getegid().as_raw())?;
        }
        let folder = self.reopened()?;
        if fstat(&folder)?.st_mode & 0o7777 != 0o700 {
            fchmod(&folder, Mode::from_raw_mode(0o700))?;
        }
        self.0.refresh()
    }

    /// Gives it to `owner`; what is in it stays as it is.
    ///
    /// # Errors
    /// The system's.
    pub fn give(&self, owner: Owner) -> io::Result<()> {
        let found = fstat(self.0.fd())?;
        if (found.st_uid, found.st_gid) == (owner.uid, owner.gid) {
            return Ok(());
        }
        chown(self.0.fd(), owner.uid, owner.gid)
    }

    /// Opens a file of the process's own for reading and writing, and makes it where it is missing. What else lies in
    /// its place, such as a link, gives way to a new file, if nobody else can write to the folder.
    ///
    /// # Errors
    /// The system's; [`UnsafePath`] where something lies in its place that cannot give way.
    pub fn private_file(&self, name: &str) -> io::Result<File> {
        for _ in 0..TURNS {
            let what = match openat(self.0.fd(), name, OFlags::RDWR | CAREFULLY, Mode::empty()) {
                Ok(file) => match self.claim(file.into())? {
                    Ok(file) => return Ok(file),
                    Err(what) => what,
                },
                Err(Errno::NOENT) => match self.create_new(name) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    result => return result,
                },
                Err(Errno::LOOP) => FaultKind::Link,
                // Nobody reads a pipe, or it is a socket.
                Err(Errno::NXIO) => FaultKind::NotAFile(FileType::Socket),
                Err(error) => return Err(error.into()),
            };
            let fault = UnsafePath::new(self.path_of(name), what);
            if !self.is_ours() {
                return Err(fault.into());
            }
            tracing::warn!(reason = %fault, "a file of the balancer's own is made anew");
            self.remove(name)?;
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Opens a file to look at it, and changes nothing; none where there is no file of that name.
    ///
    /// # Errors
    /// The system's.
    pub fn look_at(&self, name: &str) -> io::Result<Option<File>> {
        let file = match openat(self.0.fd(), name, OFlags::RDONLY | CAREFULLY, Mode::empty()) {
            Ok(file) => File::from(file),
            // A link, or what cannot be opened: no file of ours.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// Whether what has this name in it is a link.
    #[must_use]
    pub fn has_link(&self, name: &OsStr) -> bool {
        statat(self.0.fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
    }

    /// Whether a file is the process's own, or can be made so.
    fn claim(&self, file: File) -> io::Result<Result<File, FaultKind>> {
        let found = fstat(&file)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind != FileType::RegularFile {
            return Ok(Err(FaultKind::NotAFile(kind)));
        }
        if found.st_nlink != 1 {
            return Ok(Err(FaultKind::HardLink));
        }
        if found.st_uid != us() && self.is_ours() {
            chown(&file, us(), rustix::process::getegid().as_raw())?;
            fchmod(&file, PRIVATE)?;
        }
        Ok(Ok(file))
    }

    /// Makes a file that only its owner can read.
    ///
    /// # Errors
    /// The system's, when there is something of that name.
    pub fn create_new(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | CAREFULLY;
        Ok(openat(self.0.fd(), name, flags, PRIVATE)?.into())
    }

    /// Gives a file another name, which nothing has yet.
    ///
    /// # Errors
    /// The system's: [`io::ErrorKind::AlreadyExists`] where something has it.
    pub fn rename_new(&self, from: &str, to: &OsStr) -> io::Result<()> {
        let folder = self.0.fd();
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(folder, from, folder, to, AtFlags::empty())?;
                self.remove(from)
            }
            result => Ok(result?),
        }
    }

    /// Gives a file the name of another one, which is gone from then on; at any time there is one of both.
    ///
    /// # Errors
    /// The system's.
    pub fn rename_over(&self, from: &str, to: &OsStr) -> io::Result<()> {
        Ok(renameat(self.0.fd(), from, self.0.fd(), to)?)
    }

    /// Has the system write down which files are in it.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        self.reopened()?.sync_all()
    }

    /// Removes a file, or a link and not what it leads to.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(self.0.fd(), name, AtFlags::empty())?)
    }

    /// Removes all that is in it but `kept`; follows no link.
    ///
    /// # Errors
    /// The system's.
    pub fn clear(&self, kept: Option<&str>) -> io::Result<()> {
        for name in self.names()? {
            if kept.is_some_and(|kept| name == kept) {
                continue;
            }
            match unlinkat(self.0.fd(), &name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {
                    Self(self.0.child(&name, None)?.0).clear(None)?;
                    unlinkat(self.0.fd(), &name, AtFlags::REMOVEDIR)?;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// What is in it.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = Dir::read_from(self.reopened()?)?;
        let names = entries.map(|entry| Ok(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned()));
        names.filter(|name| !name.as_ref().is_ok_and(|name| name == "." || name == "..")).collect()
    }

    /// Removes the folder, which is empty. Another one that has taken its name meanwhile stays, unless it is empty too.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_itself(self) -> io::Result<()> {
        let parent = openat(self.0.fd(), "..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let name = self.path().file_name().unwrap_or_default();
        Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
    }

    /// The folder as something that can be read and changed; what it is held by cannot.
    fn reopened(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(self.0.fd(), ".", flags, Mode::empty())?.into())
    }

    /// Whether `file` is still what has this name.
    ///
    /// # Errors
    /// The system's.
    pub fn holds(&self, name: &str, file: &File) -> io::Result<bool> {
        let held = fstat(file)?;
        match openat(self.0.fd(), name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(found) => {
                let found = fstat(found)?;
                Ok((held.st_dev, held.st_ino) == (found.st_dev, found.st_ino))
            }
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the folder still has its name.
    ///
    /// # Errors
    /// The system's.
    pub fn is_in_place(&self) -> io::Result<bool> {
        let held = fstat(self.0.fd())?;
        match rustix::fs::statat(CWD, self.path(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Itself, for what takes a descriptor that locks can be held on.
    ///
    /// # Errors
    /// The system's.
    pub fn lockable(&self) -> io::Result<File> {
        self.reopened()
    }
}

/// That nobody changes what is in the folder at `path`, which `changers` can, but root, the process's own user and `owner`.
pub(super) fn demand_private(path: &Path, changers: Changers, owner: Option<Owner>) -> io::Result<()> {
    let fault = |uid| Err(UnsafePath::new(path, FaultKind::Shared(uid)).into());
    match changers {
        Changers::Nobody => Ok(()),
        Changers::User(uid) if owner.is_some_and(|owner| owner.uid == uid) => Ok(()),
        Changers::User(uid) => fault(Some(uid)),
        Changers::Sticky | Changers::Several => fault(None),
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}
