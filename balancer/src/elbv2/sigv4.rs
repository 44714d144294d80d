//! AWS' signatures, version 4: what a request says of who signed it, and whether that is so. A signature stands in the field
//! `Authorization` or, of a presigned request, in its query. Must not know: sockets, what is asked.
//!
//! `HMAC(HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), service), "aws4_request"), what is signed)`, in which what is signed has
//! the algorithm, the time, the scope (`day/region/service/aws4_request`) and the SHA-256 of the [canonical request](canonical).

mod canonical;
mod claim;
mod date;
mod request;
mod verify;

pub use self::{claim::SignatureClaim, request::SignedRequest};

#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
