//! The secrets of cookies that nodes share through etcd, sealed with a secret that never leaves the hosts. Must not know: when they
//! are changed.

use std::{fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::{
    config::ConfigError,
    stickiness::{KeySeal, KeySheet, Keyring, SealFault},
};

/// Longest value: 8 secrets are a tenth of it.
const MOST: usize = 16 << 10;

/// What stands in etcd. Of the secrets it has no more than their names in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SealedText {
    /// Who has written it.
    pub author: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The secrets' names, the signing one first.
    pub keys: Vec<String>,
    /// The secrets, sealed, in base64.
    pub sealed: String,
}

/// Which secrets a node has: it keeps them on disk, so that it has these after a start with etcd away, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyHolder {
    /// Their names, the signing one first.
    pub keys: Vec<String>,
    /// Since when, RFC 3339 in UTC.
    pub at: String,
}

/// Opens and seals what stands below a prefix.
pub struct SealedKeys {
    seal: KeySeal,
    place: String,
    key: String,
}

impl fmt::Debug for SealedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKeys").field("key", &self.key).finish_non_exhaustive()
    }
}

impl SealedKeys {
    /// With the seal of the file at `path`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(path: &Path, layout: &Layout) -> Result<Self, SealFault> {
        let place = format!("balancer keys 1 {layout}");
        Ok(Self { seal: KeySeal::load(path)?, place, key: layout.sealed_keys() })
    }

    /// Who has written what stands there, as it says.
    pub(super) fn author(value: &[u8]) -> String {
        let text: SealedText = serde_json::from_slice(value).unwrap_or_default();
        if text.author.is_empty() {
            "unknown (not written by `balancer etcd keys`)".to_owned()
        } else {
            text.author
        }
    }

    /// The secrets that stand there.
    ///
    /// # Errors
    /// They cannot be opened, with the key that holds them.
    pub fn open(&self, value: &[u8]) -> Result<KeySheet, ConfigError> {
        let fault = |why: &dyn fmt::Display| whole(format!("etcd:{}", self.key), why);
        if value.len() > MOST {
            return Err(fault(&format!("is larger than {MOST} bytes")));
        }
        let foreign = "is not what `balancer etcd keys` writes";
        let text: SealedText = serde_json::from_slice(value).map_err(|_| fault(&foreign))?;
        let sealed = STANDARD.decode(text.sealed).map_err(|_| fault(&foreign))?;
        self.seal.open(&sealed, &self.place).map_err(|why| fault(&why))
    }

    /// What is to stand there.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn seal(&self, sheet: &KeySheet, author: &str, at: &str) -> Result<Vec<u8>, SealFault> {
        let sealed = STANDARD.encode(self.seal.seal(sheet, &self.place)?);
        let keys = sheet.keys().map(|(name, _)| name).collect();
        let text = SealedText { author: author.to_owned(), at: at.to_owned(), keys, sealed };
        Ok(serde_json::to_vec(&text).unwrap_or_default())
    }

    /// The ring of the secrets that stand beside the documents at `place`; none where there are none. `seal`: what this node opens
    /// them with.
    ///
    /// # Errors
    /// They cannot be opened, or there is nothing to do that with.
    pub fn ring(
        seal: Option<&Self>,
        place: &str,
        keys: Option<&[u8]>,
    ) -> Result<Option<Keyring>, ConfigError> {
        let Some(keys) = keys else { return Ok(None) };
        let fault = |why: &dyn fmt::Display| whole(format!("{place}.keys"), why);
        let lacking = "holds sealed keys of cookies, which this node has nothing to open with; needed: --etcd-seal-file";
        let sheet = seal.ok_or_else(|| fault(&lacking))?.open(keys)?;
        sheet.ring().map(Some).map_err(|error| fault(&error))
    }
}

fn whole(file: String, why: &dyn fmt::Display) -> ConfigError {
    ConfigError { file: file.into(), line: 0, column: 0, message: why.to_string() }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn sealed(folder: &Path, secret: &[u8], prefix: &str) -> SealedKeys {
        let path = folder.join("seal");
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        SealedKeys::load(&path, &Layout::parse(prefix).unwrap()).unwrap()
    }

    #[test]
    fn what_stands_there_tells_who_wrote_it_and_nothing_secret() {
        let folder = tempfile::tempdir().unwrap();
        let secret = b"9f86d081884c7d659a2feaa0c55ad015";
        let (ours, others) = (sealed(folder.path(), secret, "/lb"), sealed(folder.path(), secret, "/other"));
        let sheet = KeySheet::new([b'k'; 32]);
        let value = ours.seal(&sheet, "ann", "now").unwrap();
        assert_eq!((ours.open(&value), SealedKeys::author(&value)), (Ok(sheet), "ann".to_owned()));
        let text = String::from_utf8(value.clone()).unwrap();
        assert!(!text.contains("kkk") && !text.contains(&STANDARD.encode([b'k'; 32])), "{text}");
        assert_eq!(
            others.open(&value).unwrap_err().to_string(),
            "etcd:/other/config/.keys: cannot be opened: sealed with another seal file or for another prefix, or damaged"
        );
        for garbage in [&b""[..], b"garbage", b"{}", b"{\"sealed\": \"?\"}", &vec![b' '; MOST + 1]] {
            let told = ours.open(garbage).unwrap_err().to_string();
            assert!(told.starts_with("etcd:/lb/config/.keys: ") && told.len() < 200, "{told}");
        }
    }

    #[test]
    fn a_node_without_a_seal_says_what_it_lacks() {
        let place = "etcd:/lb/config/";
        assert!(matches!(SealedKeys::ring(None, place, None), Ok(None)));
        let told = SealedKeys::ring(None, place, Some(b"{}")).unwrap_err().to_string();
        assert!(told.contains("etcd:/lb/config/.keys") && told.contains("--etcd-seal-file"), "{told}");
    }
}
