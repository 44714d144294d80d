//! Forms as the query protocol has them, in a body or behind the `?` of a request: names and values, percent-encoded.
//! Must not know: what they mean.

use std::collections::BTreeMap;

use super::{ApiFailure, Params};

/// What begins with this in the query of a presigned request belongs to its signature.
const SIGNATURE_PREFIX: &str = "X-Amz-";

/// The parameters of a call: those of its query, without what belongs to its signature, and those of its body.
///
/// # Errors
/// One of them is given twice, or is no UTF-8.
pub fn read(query: &str, body: &[u8]) -> Result<Params, ApiFailure> {
    let mut values = BTreeMap::new();
    let in_query = pairs(query.as_bytes())?.into_iter().filter(|(name, _)| !is_of_signature(name));
    for (name, value) in in_query.chain(pairs(body)?) {
        let [name, value] = [name, value].map(String::from_utf8);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed("a parameter is not UTF-8"));
        };
        if values.contains_key(&name) {
            let shown: String = name.chars().take(100).collect();
            return Err(malformed(&format!("the parameter {shown:?} is given more than once")));
        }
        values.insert(name, value);
    }
    Ok(Params::new(values))
}

fn is_of_signature(name: &[u8]) -> bool {
    name.starts_with(SIGNATURE_PREFIX.as_bytes())
}

/// A name and a value, decoded.
type FormPair = (Vec<u8>, Vec<u8>);

/// Names and values in the order in which they stand.
pub(super) fn pairs(form: &[u8]) -> Result<Vec<FormPair>, ApiFailure> {
    let pieces = form.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    let pair = |piece: &[u8]| {
        let mut parts = piece.splitn(2, |byte| *byte == b'=');
        let mut part = || unescape(parts.next().unwrap_or_default());
        Some((part()?, part()?))
    };
    let pairs: Option<Vec<_>> = pieces.map(pair).collect();
    pairs.ok_or_else(|| malformed("% is not followed by two hexadecimal digits"))
}

fn malformed(what: &str) -> ApiFailure {
    let message = format!("The query string or the form is malformed: {what}");
    ApiFailure { status: 404, code: "MalformedQueryString", message }
}

/// `%41` is A, `+` a space.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => *byte,
        });
    }
    Some(out)
}

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// As RFC 3986 has it: all but letters, digits, `-`, `.`, `_` and `~` is encoded, in capitals.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0');
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            byte => out.extend([b'%', digit(byte >> 4), digit(*byte)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_come_from_query_and_body() {
        let params =
            read("Action=X&X-Amz-Date=1&X-Amz-Signature=ab", b"&Name=a+b%2Bc%C3%A4&Empty=&Bare&Eq=a=b")
                .unwrap();
        let names: Vec<_> = params.names().collect();
        assert_eq!(names, ["Action", "Bare", "Empty", "Eq", "Name"]);
        assert_eq!(params.given("Name"), Some("a b+cä"));
        assert_eq!((params.given("Empty"), params.given("Bare")), (Some(""), Some("")));
        assert_eq!(params.given("Eq"), Some("a=b"));
    }

    #[test]
    fn what_cannot_be_read_for_sure_is_refused() {
        for (query, body, words) in [
            ("", &b"A=1&B=2&A=1"[..], "\"A\" is given more than once"),
            ("A=1", b"A=2", "\"A\" is given more than once"),
            ("A=1", b"%41=2", "\"A\" is given more than once"),
            ("", b"A=%FF", "not UTF-8"),
            ("", b"A=\xff", "not UTF-8"),
            ("", b"%C3=1", "not UTF-8"),
            ("A=%4", b"", "hexadecimal"),
            ("", b"A=%zz", "hexadecimal"),
            ("", b"A=%", "hexadecimal"),
        ] {
            let failure = read(query, body).unwrap_err();
            assert_eq!((failure.status, failure.code), (404, "MalformedQueryString"));
            assert!(failure.message.contains(words), "{}", failure.message);
        }
        let long = read("", format!("{0}=1&{0}=2", "x".repeat(100_000)).as_bytes()).unwrap_err();
        assert!(long.message.len() < 300, "a name as long as the body is not told back whole");
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        escape(&all, &mut text);
        assert!(text.is_ascii());
        assert_eq!(unescape(&text), Some(all));
    }
}
