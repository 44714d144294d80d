//! The one form of a request that its two sides sign. Must not know: keys, times.
//!
//! `METHOD \n / \n query \n name:value \n … \n \n names \n SHA-256 of the body`, in which the query is decoded, encoded by RFC 3986
//! and sorted, and values of header fields have no space at their ends and single ones within.

use ring::digest::{SHA256, digest};

use super::request::SignedRequest;
use crate::elbv2::{ApiFailure, form};

/// The SHA-256 of the canonical request with these header fields signed.
pub(super) fn digest_of(
    request: &SignedRequest<'_>,
    signed_headers: &[String],
    body: &[u8],
) -> Result<String, ApiFailure> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(request.method.as_bytes());
    text.extend_from_slice(b"\n/\n");
    text.extend_from_slice(&query(request.query)?);
    text.push(b'\n');
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(&header_value(request, name));
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed_headers.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(sha256(body).as_bytes());
    Ok(sha256(&text))
}

/// In hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// In digits of lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn query(query: &str) -> Result<Vec<u8>, ApiFailure> {
    let encoded = |text: &[u8]| {
        let mut out = Vec::with_capacity(text.len());
        form::escape(text, &mut out);
        out
    };
    let pairs = form::pairs(query.as_bytes())?;
    let mut pairs: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| name != b"X-Amz-Signature")
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| [name, value].join(&b'=')).collect();
    Ok(pairs.join(&b'&'))
}

/// Several fields of a name are one, with commas between them.
fn header_value(request: &SignedRequest<'_>, name: &str) -> Vec<u8> {
    let values: Vec<Vec<u8>> = request.fields(name).map(single_spaced).collect();
    values.join(&b',')
}

fn single_spaced(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    for byte in value.trim_ascii() {
        if *byte != b' ' || out.last() != Some(&b' ') {
            out.push(*byte);
        }
    }
    out
}
