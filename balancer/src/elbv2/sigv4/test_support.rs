//! The other side of a signature, for tests.

use ring::hmac;

use super::{
    canonical,
    canonical::hex,
    date,
    request::{ALGORITHM, SERVICE, SignedRequest, TERMINATOR},
};
use crate::clock::UnixSeconds;

/// The field `authorization` of a request whose `host` and `x-amz-date` are signed, for `us-east-1`.
pub(crate) fn authorize(
    request: &SignedRequest<'_>,
    body: &[u8],
    (id, secret): (&str, &str),
    time: UnixSeconds,
) -> String {
    let signed = ["host".to_owned(), "x-amz-date".to_owned()];
    let time = date::text(time);
    let scope = [&time[..8], "us-east-1", SERVICE, TERMINATOR];
    let canonical = canonical::digest_of(request, &signed, body).unwrap();
    let text = format!("{ALGORITHM}\n{time}\n{}\n{canonical}", scope.join("/"));
    let sign = |key: &[u8], text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let key = scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| sign(&key, part));
    let signature = hex(&sign(&key, &text));
    let credential = format!("{id}/{}", scope.join("/"));
    format!("{ALGORITHM} Credential={credential}, SignedHeaders={}, Signature={signature}", signed.join(";"))
}

/// A time as a signature writes it.
pub(crate) fn amz_date(time: UnixSeconds) -> String {
    date::text(time)
}
