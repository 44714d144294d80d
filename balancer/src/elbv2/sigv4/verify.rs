//! Whether a signature is what its request says of it. Must not know: where keys come from.

use ring::hmac;

use super::{
    canonical,
    claim::SignatureClaim,
    date,
    request::{ALGORITHM, SERVICE, SKEW, SignedRequest, TERMINATOR, mismatch, shown},
};
use crate::{clock::UnixSeconds, elbv2::ApiFailure};

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
