//! AWS' signatures, version 4: what a request says of who signed it, and whether that is so. A signature stands in the field
//! `Authorization` or, of a presigned request, in its query. Must not know: sockets, what is asked.
//!
//! `HMAC(HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), service), "aws4_request"), what is signed)`, in which what is signed has
//! the algorithm, the time, the scope (`day/region/service/aws4_request`) and the SHA-256 of the [canonical request](canonical).

mod canonical;
mod claim;
mod date;

use ring::hmac;

pub use self::claim::SignatureClaim;
use super::ApiFailure;
use crate::clock::UnixSeconds;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What the scope of a signature ends with.
const TERMINATOR: &str = "aws4_request";
/// The name of the service in the scope.
const SERVICE: &str = "elasticloadbalancing";
/// How far clocks may be apart, in seconds.
const SKEW: u32 = 15 * 60;
/// The longest life of a presigned request, in seconds.
const LONGEST_LIFE: u32 = 7 * 24 * 3600;

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
    fn fields(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// A field that may be there once.
    fn field(&self, name: &str) -> Result<Option<&'a str>, ApiFailure> {
        let mut fields = self.fields(name);
        let (first, second) = (fields.next(), fields.next());
        let Some(value) = first else { return Ok(None) };
        match (str::from_utf8(value), second) {
            (Ok(text), None) => Ok(Some(text.trim_ascii())),
            _ => Err(incomplete(format!("the header field '{name}' is given twice, or is no text"))),
        }
    }
}

impl SignatureClaim {
    /// Whether its scope and its time are what they have to be here and now.
    ///
    /// # Errors
    /// Another region or service, too old, or of a time that is yet to come.
    pub fn check(&self, region: &str, now: UnixSeconds) -> Result<(), ApiFailure> {
        let [day, of_region, service, terminator] = &self.scope;
        if of_region != region {
            return Err(mismatch(format!(
                "Credential should be scoped to a valid region, not '{}'; allowed is '{region}'.",
                shown(of_region)
            )));
        }
        if service != SERVICE {
            return Err(mismatch(format!("Credential should be scoped to correct service: '{SERVICE}'.")));
        }
        if terminator != TERMINATOR {
            return Err(mismatch(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}'."
            )));
        }
        let time = date::text(self.time);
        if time.get(..8) != Some(day) {
            return Err(mismatch(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{time}'.",
                shown(day)
            )));
        }
        if self.time > now.plus(SKEW) {
            return Err(mismatch(format!(
                "Signature not yet current: {time} is still later than {} ({} + 15 min.)",
                date::text(now.plus(SKEW)),
                date::text(now)
            )));
        }
        match self.life {
            None if now > self.time.plus(SKEW) => Err(mismatch(format!(
                "Signature expired: {time} is now earlier than {} ({} - 15 min.)",
                date::text(UnixSeconds(now.0.saturating_sub(SKEW))),
                date::text(now)
            ))),
            Some(_) if now > self.valid_until() => Err(ApiFailure::forbidden(
                "RequestExpired",
                format!(
                    "Request has expired: it was to be sent until {}, and it is {}.",
                    date::text(self.valid_until()),
                    date::text(now)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Until when it is taken.
    #[must_use]
    pub fn valid_until(&self) -> UnixSeconds {
        self.time.plus(self.life.unwrap_or(SKEW))
    }

    /// Whether who holds `secret` signed this request. Takes as long wherever a signature differs.
    ///
    /// # Errors
    /// It was signed with another secret, or something of it is not as it was signed.
    pub fn verify(&self, request: &SignedRequest<'_>, body: &[u8], secret: &str) -> Result<(), ApiFailure> {
        if let Some(claimed) = request.field("x-amz-content-sha256")?
            && claimed != canonical::sha256(body)
        {
            return Err(mismatch(
                "The header field 'x-amz-content-sha256' is not the SHA-256 of the body.".to_owned(),
            ));
        }
        let canonical = canonical::digest_of(request, &self.signed_headers, body)?;
        let scope = self.scope.join("/");
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", date::text(self.time));
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let key = self.scope.iter().fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
        hmac::verify(&key, to_sign.as_bytes(), &self.signature).map_err(|_| {
            mismatch(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method."
                    .to_owned(),
            )
        })
    }
}

fn mismatch(message: String) -> ApiFailure {
    ApiFailure::forbidden("SignatureDoesNotMatch", message)
}

fn incomplete(message: String) -> ApiFailure {
    ApiFailure::forbidden("IncompleteSignature", message)
}

/// As much as is told back of what a client sent.
fn shown(text: &str) -> String {
    text.chars().take(64).filter(|letter| !letter.is_control()).collect()
}

/// In digits of lower case.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
