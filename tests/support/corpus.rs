//! The requests that gunicorn's own tests are made of, as bytes, from its source distribution.

use std::{env, fs, path::Path};

use crate::{apps, skip};

/// A request, or several on one connection.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its file, without the extension.
    pub name: String,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// Methods and request targets that a server is to see, where it is to see any.
    pub expected: Vec<(String, String)>,
}

/// The cases in `valid` or `invalid`, by name. Where they are not installed: says so and gives back none, unless they
/// have to be there (`BALANCER_REQUIRE_APPS`).
///
/// # Panics
/// When they have to be there and are not, or are not as they should be.
#[must_use]
pub fn cases(kind: &str) -> Option<Vec<Case>> {
    let folder = apps::installed().join("gunicorn");
    if !folder.join("made-from").is_file() && env::var_os("BALANCER_REQUIRE_APPS").is_none() {
        skip(&"gunicorn's sources are not installed, `cargo xtask test` does that");
        return None;
    }
    let unpacked = fs::read_dir(folder.join("sources")).unwrap();
    let mut folders = unpacked.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let requests = folders.next().unwrap().join("tests/requests").join(kind);
    let files = fs::read_dir(requests).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<Case> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "http"))
        .map(|path| case(&path))
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(cases.len() > 50, "only {} cases are {kind}", cases.len());
    Some(cases)
}

fn case(path: &Path) -> Case {
    let expectation = fs::read_to_string(path.with_extension("py")).unwrap();
    Case {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        bytes: unescape(&fs::read(path).unwrap()),
        expected: expected(&expectation),
    }
}

/// The files' line ends mean nothing; those that are meant are escaped, and so are other control characters.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return out,
            [b'\n', rest @ ..] => rest,
            [b'\\', b'x', high, low, rest @ ..] => {
                let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
                out.push(digit(*high) * 16 + digit(*low));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                let at = b"rnt0".iter().position(|known| known == escaped).expect("a known escape");
                out.push(b"\r\n\t\0"[at]);
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// Methods and request targets that an expectation, which is Python, names.
fn expected(text: &str) -> Vec<(String, String)> {
    let quoted = |after: &str| {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        after.get(1..)?.split_once(quote).map(|(inside, _)| inside.to_owned())
    };
    let methods = text.split("\"method\":").skip(1).filter_map(quoted);
    let targets = text.split("uri(").skip(1).filter_map(quoted);
    methods.zip(targets).collect()
}

/// `bytes` with a Host in each HTTP/1.1 head that begins a line and has none, so that nothing else decides their fate.
#[must_use]
pub fn with_host(bytes: &[u8]) -> Vec<u8> {
    let lower = bytes.to_ascii_lowercase();
    if lower.windows(6).any(|window| window == b"\nhost:") {
        return bytes.to_vec();
    }
    let end = b" HTTP/1.1\r\n";
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(place) = rest.windows(end.len()).position(|window| window == end) {
        let (front, back) = rest.split_at(place + end.len());
        out.extend_from_slice(front);
        out.extend_from_slice(b"Host: corpus.test\r\n");
        rest = back;
    }
    out.extend_from_slice(rest);
    out
}
