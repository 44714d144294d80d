//! Secrets sealed for a place that others can read: ChaCha20-Poly1305 under the secret of a file that stays on each host. What was
//! sealed for one place cannot be opened as that of another. Must not know: where sealed secrets are kept.

use std::{fmt, path::Path};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{KeySheet, Keyring, KeyringError, SECRET_LEN};

/// Why there is nothing to be opened, or nobody to open it.
#[derive(Debug, thiserror::Error)]
pub enum SealFault {
    /// The file of the seal is of no use.
    #[error("{}", .0.to_string().replacen("key file", "seal file", 1))]
    File(KeyringError),
    /// There is no such file.
    #[error(
        "seal file {0}: there is no such file; allowed: 32 bytes of /dev/urandom, for its owner alone (0600), the same on all hosts"
    )]
    Missing(std::path::PathBuf),
    /// It was sealed with another secret, or is not what was sealed.
    #[error("cannot be opened: sealed with another seal file or for another prefix, or damaged")]
    Closed,
    /// There is no randomness.
    #[error("cannot get random bytes: {0}")]
    Random(std::io::Error),
}

/// Seals and opens.
pub struct KeySeal {
    sealing: LessSafeKey,
    others: Vec<LessSafeKey>,
}

impl fmt::Debug for KeySeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeal")
    }
}

impl KeySeal {
    /// By the file at `path`, which is one as a key file is: 1 to 8 secrets, of which the first seals and all open.
    ///
    /// # Errors
    /// The file is missing, or not one to be trusted.
    pub fn load(path: &Path) -> Result<Self, SealFault> {
        let bytes = Keyring::secrets(path).map_err(SealFault::File)?;
        let bytes = bytes.ok_or_else(|| SealFault::Missing(path.to_owned()))?;
        Self::of(&bytes).ok_or(SealFault::File(KeyringError::Size(bytes.len())))
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let key = |secret: &[u8; SECRET_LEN]| {
            UnboundKey::new(&CHACHA20_POLY1305, secret).ok().map(LessSafeKey::new)
        };
        let mut keys = bytes.as_chunks::<SECRET_LEN>().0.iter().filter_map(key);
        Some(Self { sealing: keys.next()?, others: keys.collect() })
    }

    /// Seals for `place`.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn seal(&self, sheet: &KeySheet, place: &str) -> Result<Vec<u8>, SealFault> {
        let mut sealed = vec![0; NONCE_LEN];
        crate::random::fill(&mut sealed).map_err(SealFault::Random)?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| SealFault::Closed)?;
        let mut text = sheet.to_bytes();
        self.sealing
            .seal_in_place_append_tag(nonce, Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| SealFault::Closed)?;
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// It was not, or not with a secret that is known.
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<KeySheet, SealFault> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealFault::Closed)?;
        for key in std::iter::once(&self.sealing).chain(&self.others) {
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealFault::Closed)?;
            let mut text = text.to_vec();
            if let Ok(open) = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text) {
                return KeySheet::from_bytes(open).ok_or(SealFault::Closed);
            }
        }
        Err(SealFault::Closed)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_was_sealed_is_opened_with_the_same_secret_for_the_same_place_and_no_other() {
        let seal = |secrets: &[u8]| {
            KeySeal::of(&secrets.iter().flat_map(|&byte| [byte; 32]).collect::<Vec<_>>()).unwrap()
        };
        let sheet = KeySheet::new([7; 32]);
        let sealed = seal(&[1]).seal(&sheet, "/lb").unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == [7; 4]), "{sealed:?}");
        assert_ne!(sealed, seal(&[1]).seal(&sheet, "/lb").unwrap(), "never twice the same");
        for (secrets, place, opens) in
            [(&[1][..], "/lb", true), (&[2, 1], "/lb", true), (&[2], "/lb", false), (&[1], "/other", false)]
        {
            assert_eq!(seal(secrets).open(&sealed, place).ok(), opens.then(|| sheet.clone()));
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal(&[1]).open(&changed, "/lb").is_err());
            assert!(seal(&[1]).open(&sealed[..at], "/lb").is_err());
        }
    }

    #[test]
    fn a_file_that_is_missing_or_not_to_be_trusted_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal");
        let told = || KeySeal::load(&path).unwrap_err().to_string();
        assert!(told().contains("seal: there is no such file; allowed: 32 bytes"), "{}", told());
        fs::write(&path, [0; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(told().starts_with("seal file ") && told().contains("is not random"), "{}", told());
        fs::write(&path, b"9f86d081884c7d659a2feaa0c55ad015").unwrap();
        assert!(KeySeal::load(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(told().contains("mode 0644"), "{}", told());
    }
}
