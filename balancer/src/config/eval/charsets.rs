//! Texts in other encodings than UTF-8, in base64: those of Terraform's that are met outside of mainframes.
//! Must not know: expressions.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{call::Call, fail::Fail};
use crate::config::{bindings::Val, value::shown};

#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    /// Without a mark at its begin, and with one taken for a character.
    Utf16 {
        big: bool,
    },
    Latin1,
}

/// Their names in IANA's registry; case does not count.
const NAMES: [(&str, Charset); 13] = [
    ("utf-8", Charset::Utf8),
    ("csutf8", Charset::Utf8),
    ("utf-16le", Charset::Utf16 { big: false }),
    ("csutf16le", Charset::Utf16 { big: false }),
    ("utf-16be", Charset::Utf16 { big: true }),
    ("csutf16be", Charset::Utf16 { big: true }),
    ("iso-8859-1", Charset::Latin1),
    ("iso_8859-1", Charset::Latin1),
    ("iso-ir-100", Charset::Latin1),
    ("latin1", Charset::Latin1),
    ("l1", Charset::Latin1),
    ("ibm819", Charset::Latin1),
    ("cp819", Charset::Latin1),
];
const ALLOWED: &str = "\"UTF-8\", \"UTF-16LE\", \"UTF-16BE\" or \"ISO-8859-1\"";

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    let encodes = match call.name {
        "textencodebase64" => true,
        "textdecodebase64" => false,
        _ => return Ok(None),
    };
    call.takes(2, 2)?;
    let (text, name) = (call.text(0)?, call.text(1)?);
    let charset = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    let Some((_, charset)) = charset else {
        return Err(call.not_here(&format!("is not worked out here for {}", shown(&name)), ALLOWED));
    };
    if encodes {
        let bytes = encoded(&text, *charset).ok_or_else(|| {
            let wrong = format!("is given a text that cannot be written in {}", shown(&name));
            call.wrong(&wrong, "an encoding that has all of its characters")
        })?;
        return Ok(Some(Val::text(STANDARD.encode(bytes))));
    }
    let bytes =
        STANDARD.decode(text.as_bytes()).map_err(|_| call.wrong("is given what is no base64", "base64"))?;
    let made = decoded(bytes, *charset)
        .ok_or_else(|| call.wrong(&format!("is given what is no text in {}", shown(&name)), "text in it"))?;
    Ok(Some(Val::text(made)))
}

fn encoded(text: &str, charset: Charset) -> Option<Vec<u8>> {
    match charset {
        Charset::Utf8 => Some(text.as_bytes().to_vec()),
        Charset::Latin1 => text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect(),
        Charset::Utf16 { big } => {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            Some(text.encode_utf16().flat_map(bytes).collect())
        }
    }
}

fn decoded(bytes: Vec<u8>, charset: Charset) -> Option<String> {
    match charset {
        Charset::Utf8 => String::from_utf8(bytes).ok(),
        Charset::Latin1 => Some(bytes.into_iter().map(char::from).collect()),
        Charset::Utf16 { big } => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let unit =
                |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
            let text = char::decode_utf16(pairs.iter().map(unit)).collect::<Result<String, _>>();
            text.ok().filter(|_| rest.is_empty())
        }
    }
}
