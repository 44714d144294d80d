//! A request that was signed, the names that signatures have, and what is said of those that will not do. Must not know: whether a
//! signature is good.

use crate::elbv2::ApiFailure;

/// The only algorithm.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What the scope of a signature ends with.
pub(super) const TERMINATOR: &str = "aws4_request";
/// The name of the service in the scope.
pub(super) const SERVICE: &str = "elasticloadbalancing";
/// How far clocks may be apart, in seconds.
pub(super) const SKEW: u32 = 15 * 60;
/// The longest life of a presigned request, in seconds.
pub(super) const LONGEST_LIFE: u32 = 7 * 24 * 3600;

/// A request as it came, to `/`.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// What is behind the `?`, as it was sent.
    pub query: &'a str,
    /// Header fields, with names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> SignedRequest<'a> {
    pub(super) fn fields(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// A field that may be there once.
    pub(super) fn field(&self, name: &str) -> Result<Option<&'a str>, ApiFailure> {
        let mut fields = self.fields(name);
        let (first, second) = (fields.next(), fields.next());
        let Some(value) = first else { return Ok(None) };
        match (str::from_utf8(value), second) {
            (Ok(text), None) => Ok(Some(text.trim_ascii())),
            _ => Err(incomplete(format!("the header field '{name}' is given twice, or is no text"))),
        }
    }
}

pub(super) fn mismatch(message: String) -> ApiFailure {
    ApiFailure::forbidden("SignatureDoesNotMatch", message)
}

pub(super) fn incomplete(message: String) -> ApiFailure {
    ApiFailure::forbidden("IncompleteSignature", message)
}

/// As much as is told back of what a client sent.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).filter(|letter| !letter.is_control()).collect()
}
