//! Gives files and folders to the user that the process is going to be.
//!
//! Done as root in folders that the user may have owned before, so nothing is trusted: links are not
//! followed, files with a second name are left alone, and every change is made to the very file looked at.
//! Must not know: what is in the files.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::unistd::{Gid, Uid};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, chownat, openat};

use super::{Belongings, PrivilegeError};

/// Folders that are everybody's, beside those with the sticky bit.
const SHARED: [&str; 26] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];
/// `S_ISVTX`.
const STICKY: u32 = 0o1000;

/// Gives `belongings` to `uid` and `gid`. Nothing is given when one of the folders may not be.
pub(super) fn give(belongings: Belongings<'_>, uid: Uid, gid: Gid) -> Result<(), PrivilegeError> {
    let mut folders = Vec::new();
    for &path in belongings.folders {
        let failed = |source| PrivilegeError::HandOver { path: path.to_owned(), source };
        // The name itself may lead over links: root chose it.
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        let folder = open(CWD, &real, OFlags::DIRECTORY).map_err(failed)?;
        let is_sticky = folder.metadata().map_err(failed)?.mode() & STICKY != 0;
        if is_sticky || SHARED.iter().any(|shared| real == Path::new(shared)) {
            return Err(PrivilegeError::SharedFolder { path: path.to_owned() });
        }
        folders.push((path, real, folder));
    }
    for (path, real, folder) in folders {
        let failed = |source| PrivilegeError::HandOver { path: path.to_owned(), source };
        for entry in fs::read_dir(&real).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            give_file(&folder, Path::new(&name), uid, gid)
                .map_err(|source| PrivilegeError::HandOver { path: path.join(&name), source })?;
        }
        // Last: from here on its owner can change what is in it.
        chown(&folder, uid, gid).map_err(failed)?;
    }
    for &path in belongings.files {
        let failed = |source| PrivilegeError::HandOver { path: path.to_owned(), source };
        match fs::canonicalize(path) {
            Ok(real) => give_file(CWD, &real, uid, gid).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Gives the regular file of that name that has no other name; leaves anything else.
fn give_file(folder: impl rustix::fd::AsFd, name: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    let file = match open(folder, name, OFlags::empty()) {
        Ok(file) => file,
        // It went meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 { chown(&file, uid, gid) } else { Ok(()) }
}

/// A handle that reads nothing and follows no link.
fn open(folder: impl rustix::fd::AsFd, name: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, name, flags, Mode::empty())?))
}

fn chown(file: &File, uid: Uid, gid: Gid) -> io::Result<()> {
    let found = file.metadata()?;
    if (found.uid(), found.gid()) == (uid.as_raw(), gid.as_raw()) {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid.as_raw()), rustix::fs::Gid::from_raw(gid.as_raw()));
    Ok(chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}
