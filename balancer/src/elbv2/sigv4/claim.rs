//! What a request says of who signed it, and how. Must not know: whether that is so.

use super::{
    date,
    request::{ALGORITHM, LONGEST_LIFE, SignedRequest, incomplete, mismatch, shown},
};
use crate::{
    clock::UnixSeconds,
    elbv2::{ApiFailure, form},
};

/// Who signed a request, when, for what and how, as the request has it.
#[derive(Clone, Debug)]
pub struct SignatureClaim {
    pub(super) key_id: String,
    /// Day, region, service, `aws4_request`.
    pub(super) scope: [String; 4],
    /// Names of header fields in lower case.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
    pub(super) time: UnixSeconds,
    /// Seconds for which a presigned request is good.
    pub(super) life: Option<u32>,
}

impl SignatureClaim {
    /// Reads it off a request.
    ///
    /// # Errors
    /// There is none, or it lacks something.
    pub fn read(request: &SignedRequest<'_>) -> Result<Self, ApiFailure> {
        let presigned = presigned_part(request.query)?;
        let claim = match (request.field("authorization")?, presigned.is_empty()) {
            (Some(field), true) => Self::of_field(request, field)?,
            (None, false) => Self::of_query(&presigned)?,
            (Some(_), false) => {
                return Err(incomplete(
                    "A request is signed by a header field or in its query, not both.".into(),
                ));
            }
            (None, true) => {
                let words = "Request is missing Authentication Token";
                return Err(ApiFailure::forbidden("MissingAuthenticationToken", words));
            }
        };
        claim.covers_what_it_must(request)?;
        Ok(claim)
    }

    /// Of which access key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Its signature, which names the request.
    #[must_use]
    pub fn signature(&self) -> [u8; 32] {
        self.signature
    }

    /// Whether it names a session beside its key, as temporary credentials do.
    #[must_use]
    pub fn is_of_a_session(&self, request: &SignedRequest<'_>) -> bool {
        const TOKEN: &str = "X-Amz-Security-Token";
        let in_query = || presigned_part(request.query).unwrap_or_default();
        request.fields("x-amz-security-token").next().is_some()
            || in_query().iter().any(|(name, _)| name == TOKEN)
    }

    fn of_field(request: &SignedRequest<'_>, field: &str) -> Result<Self, ApiFailure> {
        let (algorithm, rest) = field.split_once(' ').unwrap_or((field, ""));
        if algorithm != ALGORITHM {
            return Err(incomplete(format!(
                "Unsupported algorithm in Authorization; allowed is '{ALGORITHM}'."
            )));
        }
        let parts: Vec<(&str, &str)> =
            rest.split(',').filter_map(|part| part.trim_ascii().split_once('=')).collect();
        let part = |name: &str| parts.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        let (Some(credential), Some(signed), Some(signature)) =
            (part("Credential"), part("SignedHeaders"), part("Signature"))
        else {
            let missing: Vec<String> = ["Credential", "SignedHeaders", "Signature"]
                .into_iter()
                .filter(|name| part(name).is_none())
                .map(|name| format!("Authorization header requires '{name}' parameter."))
                .collect();
            return Err(incomplete(missing.join(" ")));
        };
        let written = match request.field("x-amz-date")? {
            Some(written) => Some(written),
            None => request.field("date")?,
        };
        let Some(written) = written else {
            let words =
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
            return Err(incomplete(words.into()));
        };
        Self::of_parts(credential, signed, signature, written, None)
    }

    fn of_query(presigned: &[(String, String)]) -> Result<Self, ApiFailure> {
        let part = |name: &str| -> Result<&str, ApiFailure> {
            let mut found = presigned.iter().filter(|(other, _)| other == name).map(|(_, value)| &**value);
            match (found.next(), found.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(incomplete(format!("AWS query-string parameters must include '{name}', once."))),
            }
        };
        if part("X-Amz-Algorithm")? != ALGORITHM {
            return Err(incomplete(format!("Unsupported X-Amz-Algorithm; allowed is '{ALGORITHM}'.")));
        }
        let life = part("X-Amz-Expires")?.parse().ok().filter(|life| (1..=LONGEST_LIFE).contains(life));
        let Some(life) = life else {
            return Err(incomplete(format!("X-Amz-Expires must be between 1 and {LONGEST_LIFE} seconds.")));
        };
        let (credential, signed) = (part("X-Amz-Credential")?, part("X-Amz-SignedHeaders")?);
        Self::of_parts(credential, signed, part("X-Amz-Signature")?, part("X-Amz-Date")?, Some(life))
    }

    fn of_parts(
        credential: &str,
        signed: &str,
        signature: &str,
        written: &str,
        life: Option<u32>,
    ) -> Result<Self, ApiFailure> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [key_id, scope @ ..] = &*parts else { return Err(incomplete(String::new())) };
        let Ok(scope) = <[&str; 4]>::try_from(scope) else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.".into(),
            ));
        };
        let Some(time) = date::read(written) else {
            return Err(incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                shown(written)
            )));
        };
        let signature = read_hex(signature).ok_or_else(|| {
            mismatch("The signature you provided is not 64 hexadecimal digits of lower case.".into())
        })?;
        let signed_headers = signed.split(';').map(str::to_owned).collect();
        let scope = scope.map(str::to_owned);
        Ok(Self { key_id: (*key_id).to_owned(), scope, signed_headers, signature, time, life })
    }

    /// A field that decides what is done must not be one that anybody may change on the way. A name that stands there twice
    /// would be taken for one value by one side and for another by the other.
    fn covers_what_it_must(&self, request: &SignedRequest<'_>) -> Result<(), ApiFailure> {
        let names = &self.signed_headers;
        let is_name = |name: &String| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let sorted = names.is_sorted_by(|one, next| one < next);
        if !sorted || !names.iter().all(is_name) {
            return Err(incomplete(
                "SignedHeaders must be names in lower case, sorted, each of them once.".into(),
            ));
        }
        let signs = |name: &str| names.iter().any(|signed| signed == name);
        if !signs("host") {
            return Err(mismatch(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
            ));
        }
        if request.field("host")?.is_none() {
            return Err(incomplete("The request has no header field 'Host'.".into()));
        }
        let unsigned =
            request.headers.iter().map(|(name, _)| *name).find(|name| is_amazons(name) && !signs(name));
        if let Some(name) = unsigned {
            return Err(mismatch(format!(
                "'{}' must be a 'SignedHeader' in the AWS Authorization.",
                shown(name)
            )));
        }
        Ok(())
    }
}

/// Fields that a service of AWS acts upon.
fn is_amazons(name: &str) -> bool {
    name.starts_with("x-amz-")
}

/// Parameters that make up the signature of a presigned request.
fn presigned_part(query: &str) -> Result<Vec<(String, String)>, ApiFailure> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let pairs = form::pairs(query.as_bytes())?.into_iter();
    Ok(pairs
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| name.starts_with("X-Amz-"))
        .collect())
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = form::digit(high)? << 4 | form::digit(low)?;
    }
    Some(bytes)
}
