//! Why there is no keyring. Must not know: how one is read.

use std::{io, path::PathBuf};

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// So many bytes are neither one secret nor several.
    #[error(
        "{0} bytes are no keys: wanted are 1 to 8 keys of 32 random bytes each, so 32, 64, … or 256 bytes"
    )]
    Size(usize),
    /// A key file is of no use.
    #[error("key file {}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: KeyFileFault,
    },
}

impl KeyringError {
    /// Whether it is the rights of this process that are wrong, and another user could do without it.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::File { fault: KeyFileFault::Io { error, .. }, .. }
            if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    /// A directory, a device, a socket …
    #[error("not a regular file")]
    NotAFile,
    /// A link to what is not there: nothing is made behind it.
    #[error("it is a symbolic link that leads nowhere")]
    Dangling,
    /// Others than the owner may read or write it.
    #[error("mode {mode:04o} lets others than its owner read or write it; allowed is 0600 or less (chmod 600 {})",
        path.display())]
    Open {
        /// The permission bits.
        mode: u32,
        /// The file again, for the command.
        path: PathBuf,
    },
    /// So many bytes are neither one secret nor several.
    #[error("{}", KeyringError::Size(*.0))]
    Size(usize),
    /// A secret that can be guessed.
    #[error("secret {0} of it is not random: it repeats itself or counts; allowed: bytes of /dev/urandom")]
    Guessable(usize),
    /// The system refused something.
    #[error("{action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The answer.
        error: io::Error,
    },
}
