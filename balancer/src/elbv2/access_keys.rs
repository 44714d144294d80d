//! Who may ask: access keys of a file that its owner alone can read. A line for each, `id secret` or `id secret read-only`; empty
//! lines and those that begin with `#` are passed over. Must not know: what is asked. No secret is ever shown.

use std::{collections::BTreeMap, fmt, os::unix::fs::PermissionsExt as _, path::Path};

use crate::regular_file::{self, FileFault};

/// Most bytes of a file.
const LARGEST: u64 = 256 * 1024;
/// Most letters of an id.
const LONGEST_ID: usize = 128;
/// Letters of a secret: fewer can be guessed.
const SECRET_LETTERS: std::ops::RangeInclusive<usize> = 16..=256;
/// The mark of a key that changes nothing.
const READ_ONLY: &str = "read-only";

/// What an access key's id stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// What requests are signed with.
    pub secret: String,
    /// Whether it may look, and change nothing.
    pub read_only: bool,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("read_only", &self.read_only).finish_non_exhaustive()
    }
}

/// The keys of a file, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessKeys {
    keys: BTreeMap<String, AccessKey>,
}

/// Why there are no keys. Shown as what follows the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeysFault {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileFault),
    /// Others than its owner can read or change it.
    #[error(
        "can be read or changed by others than its owner (its mode is {0:04o}): allowed is 0600, as `chmod 600` makes it"
    )]
    Mode(u32),
    /// A line is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it, and what is allowed.
        what: &'static str,
    },
    /// It has no key.
    #[error(
        "has no key in it: a line is an id, a space, a secret, and read-only where the key may change nothing"
    )]
    Empty,
}

impl AccessKeys {
    /// Reads a file.
    ///
    /// # Errors
    /// [`AccessKeysFault`].
    pub fn read(path: &Path) -> Result<Self, AccessKeysFault> {
        let (bytes, metadata) = regular_file::read(path, LARGEST)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(AccessKeysFault::Mode(mode));
        }
        Self::parse(&bytes)
    }

    /// The key of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&AccessKey> {
        self.keys.get(id)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    fn parse(bytes: &[u8]) -> Result<Self, AccessKeysFault> {
        let mut keys = BTreeMap::new();
        // Some editors begin with a mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let wrong = |what| AccessKeysFault::Line { line: index + 1, what };
            let line = str::from_utf8(line).map_err(|_| wrong("is no text in UTF-8"))?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, key) = read_line(line).map_err(wrong)?;
            if keys.insert(id, key).is_some() {
                return Err(wrong("its id stands in a line before: an id is allowed once"));
            }
        }
        if keys.is_empty() {
            return Err(AccessKeysFault::Empty);
        }
        Ok(Self { keys })
    }
}

fn read_line(line: &str) -> Result<(String, AccessKey), &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (id, secret, read_only) = match *words {
        [id, secret] => (id, secret, false),
        [id, secret, READ_ONLY] => (id, secret, true),
        [_, _, _] => return Err("the third word is not read-only, which is the only one allowed"),
        _ => return Err("allowed are an id, a secret, and read-only where the key may change nothing"),
    };
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if id.len() > LONGEST_ID || !id.bytes().all(is_of_id) {
        return Err("an id is allowed to have 1 to 128 letters, digits, _, - and .");
    }
    if !SECRET_LETTERS.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a secret is allowed to have 16 to 256 letters, digits and signs of ASCII");
    }
    Ok((id.to_owned(), AccessKey { secret: secret.to_owned(), read_only }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";

    #[test]
    fn a_line_is_a_key() {
        let text = format!("\u{feff}# deployment\n\nAKID1 {SECRET}\r\n\tAKID2\t{SECRET}2  read-only \n");
        let keys = AccessKeys::parse(text.as_bytes()).unwrap();
        assert_eq!(keys.count(), 2);
        assert_eq!(keys.get("AKID1"), Some(&AccessKey { secret: SECRET.into(), read_only: false }));
        assert_eq!(keys.get("AKID2"), Some(&AccessKey { secret: format!("{SECRET}2"), read_only: true }));
        assert_eq!(keys.get("#"), None);
        assert!(!format!("{keys:?}").contains(SECRET));
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_by_what_is_in_it() {
        for (text, told) in [
            (format!("A {SECRET}\nB\n"), "line 2: allowed are"),
            (format!("A {SECRET} readonly"), "line 1: the third word"),
            (format!("A {SECRET} read-only more"), "line 1: allowed are"),
            ("A secret-of-15-let".to_owned() + "\nB short", "line 2: a secret"),
            (format!("A {}", "x".repeat(257)), "line 1: a secret"),
            (format!("A {SECRET}é"), "line 1: a secret"),
            (format!("A/B {SECRET}"), "line 1: an id"),
            (format!("{} {SECRET}", "x".repeat(129)), "line 1: an id"),
            (format!("A {SECRET}\nA {SECRET}2"), "line 2: its id stands"),
            ("# none\n".to_owned(), "has no key"),
            (String::new(), "has no key"),
        ] {
            let fault = AccessKeys::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.starts_with(told), "{text}: {fault}");
            assert!(!fault.contains(SECRET));
        }
        let fault = AccessKeys::parse(b"A \xff\xff").unwrap_err();
        assert!(fault.to_string().contains("line 1: is no text"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, format!("AKID {SECRET}\n")).unwrap();
        for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = AccessKeys::read(&path);
            assert_eq!(read.is_ok(), taken, "{mode:o}: {read:?}");
        }
        let told = AccessKeys::read(&path).unwrap_err().to_string();
        assert!(told.contains("its mode is 0620") && told.contains("allowed is 0600"), "{told}");
        assert!(AccessKeys::read(folder.path()).unwrap_err().to_string().contains("a folder"));
        let none = AccessKeys::read(&folder.path().join("none")).unwrap_err();
        assert!(none.to_string().contains("no such file"));
    }
}
