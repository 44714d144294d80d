//! Gives the balancer's own folder to the user that the process is going to be. Must not know: what is in it.

use std::{io, path::Path};

use super::PrivilegeError;
use crate::safe_file::{Folder, Owner};

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

/// A folder of the balancer's own that the user is to have.
#[derive(Debug)]
pub struct Belonging(Folder);

impl Belonging {
    /// The folder at `path`, if there is one. Nothing is changed yet.
    ///
    /// # Errors
    /// The folder is one that others than `owner` need or can change, or the system refuses.
    pub fn find(path: &Path, owner: Owner) -> Result<Option<Self>, PrivilegeError> {
        let failed = |source| PrivilegeError::HandOver { path: path.to_owned(), source };
        let folder = match Folder::open(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let shared = SHARED.iter().any(|shared| folder.path() == Path::new(shared));
        if shared || folder.is_sticky().map_err(failed)? {
            return Err(PrivilegeError::SharedFolder { path: path.to_owned() });
        }
        folder.demand_private(Some(owner)).map_err(failed)?;
        Ok(Some(Self(folder)))
    }

    /// Gives it to `owner`. What is in it stays as it is, and is trusted no more from here on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn give(&self, owner: Owner) -> Result<(), PrivilegeError> {
        self.0
            .give(owner)
            .map_err(|source| PrivilegeError::HandOver { path: self.0.path().to_owned(), source })
    }
}
