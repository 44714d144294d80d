//! Giving root up: becoming another user and keeping only the capabilities that running needs.
//!
//! Capabilities belong to threads: a thread inherits those of the one that starts it. So this is done
//! before workers start. (Threads that run already become the other user, too, and keep nothing.)
//! Must not know: what is served, what is in the folders that change hands.

use std::{
    ffi::CString,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};

use crate::safe_file::Owner;

mod hand_over;

pub use self::hand_over::Belonging;

/// Why root could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// No such user.
    #[error("user: there is no user {name:?} on this system")]
    UnknownUser {
        /// As configured.
        name: String,
    },
    /// The user database cannot be read.
    #[error("user: looking up {name:?}: {source}")]
    Lookup {
        /// As configured.
        name: String,
        /// Why not.
        source: nix::Error,
    },
    /// Not root, or root without the right to change users.
    #[error("user: cannot become {name:?} ({step}: {source}); start as root, or as that user")]
    NotPermitted {
        /// As configured.
        name: String,
        /// The call.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A folder that is to belong to the user is one that others need.
    #[error("{} belongs to the whole system and cannot be given to a user: name a folder of the balancer's own", path.display())]
    SharedFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder cannot be given to the user.
    #[error("cannot give {} to the user: {source}", path.display())]
    HandOver {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel says that something was kept that should be gone.
    #[error("root was not given up whole: {what}")]
    Kept {
        /// What.
        what: &'static str,
    },
}

impl PrivilegeError {
    /// Whether it is the rights of this process that are wrong, and another user could do without it.
    pub(super) fn is_denial(&self) -> bool {
        matches!(self, Self::HandOver { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// The user to become.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Account {
    /// Looks the user up. Changes nothing, so that a wrong name is known before anything is started.
    ///
    /// # Errors
    /// [`PrivilegeError::UnknownUser`], [`PrivilegeError::Lookup`].
    pub fn find(name: &str) -> Result<Self, PrivilegeError> {
        let lookup = |source| PrivilegeError::Lookup { name: name.to_owned(), source };
        let unknown = || PrivilegeError::UnknownUser { name: name.to_owned() };
        let c_name = CString::new(name).map_err(|_| unknown())?;
        let user = User::from_name(name).map_err(lookup)?.ok_or_else(unknown)?;
        let groups = getgrouplist(&c_name, user.gid).map_err(lookup)?;
        Ok(Self { name: name.to_owned(), uid: user.uid, gid: user.gid, groups })
    }

    /// Whether the user itself could open a file or folder by its mode, and all folders on the way to it, for what the
    /// bits of `wanted` say (4 to read, 2 to write, 1 to pass through). Nothing when it is not there.
    #[must_use]
    pub fn may(&self, path: &Path, wanted: u32) -> Option<bool> {
        let real = std::fs::canonicalize(path).ok()?;
        let allows = |path: &Path, wanted: u32| {
            let found = std::fs::metadata(path).ok()?;
            let shift = if found.uid() == self.uid.as_raw() {
                6
            } else if self.groups.iter().any(|group| group.as_raw() == found.gid()) {
                3
            } else {
                0
            };
            Some(self.uid.is_root() || found.mode() >> shift & wanted == wanted)
        };
        let on_the_way = real.ancestors().skip(1).map(|folder| allows(folder, 1));
        on_the_way.chain([allows(&real, wanted)]).try_fold(true, |so_far, next| Some(so_far && next?))
    }

    /// Whom files are to be made for, and given to, before the process becomes the user; nobody when it is that user
    /// already.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        (!self.is_current()).then(|| Owner { uid: self.uid.as_raw(), gid: self.gid.as_raw() })
    }

    /// Becomes this user, for good. Of root's powers there remain: binding low ports (listeners of a reload), and with
    /// `kernel_side` what changing its tables needs. Nothing that is executed later can regain any.
    ///
    /// Succeeds, narrowing capabilities alone, when the process runs as this user already.
    ///
    /// # Errors
    /// When the process may not become the user. The process is then to end: what has been done is not undone.
    pub fn become_it(&self, kernel_side: bool) -> Result<(), PrivilegeError> {
        if !self.is_current() {
            self.change_user()?;
        }
        self.narrow(kernel_side)?;
        self.verify(kernel_side)
    }

    fn is_current(&self) -> bool {
        let ids = (rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw());
        ids == (self.uid.as_raw(), self.uid.as_raw())
    }

    fn change_user(&self) -> Result<(), PrivilegeError> {
        // Else the kernel takes every capability with the user id.
        set_keep_capabilities(true).map_err(|error| self.refused("keep capabilities", error))?;
        setgroups(&self.groups).map_err(|error| self.refused("set groups", error))?;
        setresgid(self.gid, self.gid, self.gid).map_err(|error| self.refused("set group", error))?;
        setresuid(self.uid, self.uid, self.uid).map_err(|error| self.refused("set user", error))?;
        set_keep_capabilities(false).map_err(|error| self.refused("keep capabilities", error))
    }

    fn narrow(&self, kernel_side: bool) -> Result<(), PrivilegeError> {
        let refused = |step| move |error: rustix::io::Errno| self.refused(step, error);
        clear_ambient_capability_set().map_err(refused("clear ambient capabilities"))?;
        // What was not there to begin with cannot be kept.
        let had = capabilities(None).map_err(refused("read capabilities"))?.permitted;
        let keep = wanted(kernel_side) & had;
        let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets).map_err(refused("set capabilities"))?;
        set_no_new_privs(true).map_err(refused("set no_new_privs"))
    }

    fn verify(&self, kernel_side: bool) -> Result<(), PrivilegeError> {
        let kept = |what| PrivilegeError::Kept { what };
        if !self.is_current() {
            return Err(kept("the user id is not the one asked for"));
        }
        if self.uid.as_raw() != 0 && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
            return Err(kept("root can be had back"));
        }
        let now = capabilities(None).map_err(|error| self.refused("read capabilities", error))?;
        if !wanted(kernel_side).contains(now.permitted | now.effective) || !now.inheritable.is_empty() {
            return Err(kept("capabilities remain"));
        }
        Ok(())
    }

    fn refused(&self, step: &'static str, source: impl Into<io::Error>) -> PrivilegeError {
        PrivilegeError::NotPermitted { name: self.name.clone(), step, source: source.into() }
    }
}

/// Capabilities that running needs.
fn wanted(kernel_side: bool) -> CapabilitySet {
    let kernel = CapabilitySet::BPF | CapabilitySet::NET_ADMIN;
    CapabilitySet::NET_BIND_SERVICE | if kernel_side { kernel } else { CapabilitySet::empty() }
}

#[cfg(test)]
mod tests;
