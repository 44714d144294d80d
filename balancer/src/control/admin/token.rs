//! The token by which an operator may change something over the admin endpoint. Must not know: what may be changed.

use std::{
    fmt,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use subtle::ConstantTimeEq as _;

use crate::safe_file::{self, Owner};

/// Bytes that a token may have.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("admin token file {}: {fault}", path.display())]
pub struct TokenError {
    path: PathBuf,
    fault: TokenFault,
}

#[derive(Debug, thiserror::Error)]
enum TokenFault {
    #[error("there is no such file")]
    Missing,
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("may be read or written by others than its owner (mode {0:04o}); allowed: 0600 or less")]
    Open(u32),
    #[error("is no token; allowed: one line of {SHORTEST} to {LONGEST} visible ASCII characters")]
    Form,
}

/// A token. Shown nowhere.
pub struct AdminToken(Box<[u8]>);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl TokenError {
    /// Whether it is the rights of this process that are wrong, and another user could do without it.
    pub(in crate::control) fn is_denial(&self) -> bool {
        matches!(&self.fault, TokenFault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl AdminToken {
    /// The token in the file at `path`, which nobody but its owner may read: root, or `owner`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn load(path: &Path, owner: Option<Owner>) -> Result<Self, TokenError> {
        read(path, owner).map_err(|fault| TokenError { path: path.to_owned(), fault })
    }

    /// Whether this is it. Takes as long whatever is wrong with it, but for its length.
    pub(super) fn is(&self, told: &[u8]) -> bool {
        self.0.ct_eq(told).into()
    }
}

fn read(path: &Path, owner: Option<Owner>) -> Result<AdminToken, TokenFault> {
    let file = safe_file::read(path, owner)?.ok_or(TokenFault::Missing)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokenFault::Open(mode));
    }
    let mut text = Vec::with_capacity(LONGEST + 3);
    file.take(LONGEST as u64 + 3).read_to_end(&mut text)?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !(SHORTEST..=LONGEST).contains(&line.len()) || !line.iter().all(u8::is_ascii_graphic) {
        return Err(TokenFault::Form);
    }
    Ok(AdminToken(line.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &[u8], mode: u32) -> Result<AdminToken, TokenError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        AdminToken::load(&path, None)
    }

    #[test]
    fn a_token_is_one_line_that_nobody_else_can_read() {
        for text in [&b"0123456789abcdef"[..], b"0123456789abcdef\n", b"0123456789abcdef\r\n"] {
            let token = load(text, 0o600).unwrap();
            assert!(token.is(b"0123456789abcdef"));
            for wrong in [&b""[..], b"0123456789abcde", b"0123456789abcdeF", b"0123456789abcdef0"] {
                assert!(!token.is(wrong));
            }
            assert!(!format!("{token:?}").contains("0123"));
        }
        for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
            let error = load(b"0123456789abcdef", mode).unwrap_err().to_string();
            assert!(error.contains(&format!("{mode:04o}")) && error.contains("allowed: 0600"), "{error}");
        }
        let long = vec![b'a'; LONGEST + 1];
        for text in [
            &b""[..],
            b"short",
            b"0123456789abcde \n",
            b"0123456789abcdef\nmore",
            b"0123456789abcd\xc3\xa4",
            &long,
        ] {
            let error = load(text, 0o600).unwrap_err().to_string();
            assert!(error.contains("allowed: one line of 16 to 512") && !error.contains("0123"), "{error}");
        }
        let missing = AdminToken::load(Path::new("/nowhere/token"), None).unwrap_err();
        assert!(missing.to_string().contains("there is no such file"), "{missing}");
    }
}
