//! How far a request departs from what everyone who reads it understands in the same way: the classification of ALB's
//! desync mitigation, as the library that ALB names for it (`http_desync_guardian`) gives it. What is done about it
//! is decided elsewhere, and so is what cannot be framed at all: see `head`.
//! Must not know: modes, who sent the request.

mod analysis;
mod raw;
mod similar;

use self::analysis::{RequestLine, Verdict, analyse};
use super::{
    fields::Kind,
    head::{Framing, Request},
};
use crate::model::{Classification, Version};

macro_rules! reasons {
    ($($(#[$meaning:meta])* $reason:ident $class:ident),* $(,)?) => {
        /// Why a request is not compliant (ALB: access logs, classification reasons; the library).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$meaning])* $reason,)*
        }

        impl Reason {
            /// The name in access logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)*
                }
            }

            /// How much it matters.
            #[must_use]
            pub const fn class(self) -> Classification {
                match self {
                    $(Self::$reason => Classification::$class,)*
                }
            }
        }
    };
}

reasons! {
    /// A GET or HEAD with a length of 0.
    GetHeadZeroContentLength Acceptable,
    /// A field with bytes that do not belong there.
    NonCompliantHeader Acceptable,
    /// HTTP/0.9, HTTP/1.2, or blanks around the version.
    NonCompliantVersion Acceptable,
    /// A space in the request target.
    SpaceInUri Acceptable,
    /// A line that ends without CR. Not among ALB's.
    NonCrLfLineTermination Acceptable,
    /// A control character in the request target.
    AmbiguousUri Ambiguous,
    /// Both lengths.
    BothTeClPresent Ambiguous,
    /// The same length several times.
    DuplicateContentLength Ambiguous,
    /// A field without a name.
    EmptyHeader Ambiguous,
    /// A name that somebody may take for Content-Length or Transfer-Encoding.
    SuspiciousHeader Ambiguous,
    /// A length where none has a meaning: GET and HEAD, HTTP/0.9.
    UndefinedContentLengthSemantics Ambiguous,
    /// A transfer coding where none has a meaning: GET and HEAD, HTTP/1.0.
    UndefinedTransferEncodingSemantics Ambiguous,
    /// A folded field. Not among ALB's.
    MultilineHeader Ambiguous,
    /// A line without a colon. Not among ALB's.
    MissingHeaderColon Ambiguous,
    /// No empty line at the end. Not among ALB's.
    MissingLastEmptyLine Ambiguous,
    /// No request target. Not among ALB's.
    MissingUri Ambiguous,
    /// A last line without an end. Not among ALB's.
    PartialHeaderLine Ambiguous,
    /// A length that is no number.
    BadContentLength Severe,
    /// CR, LF or NUL in a field.
    BadHeader Severe,
    /// A method that is no token.
    BadMethod Severe,
    /// A transfer coding that there is not.
    BadTransferEncoding Severe,
    /// CR, LF or NUL in the request target.
    BadUri Severe,
    /// No version of HTTP/1.
    BadVersion Severe,
    /// Lengths that differ.
    MultipleContentLength Severe,
    /// Chunked twice.
    MultipleTransferEncodingChunked Severe,
    /// Both lengths, one of them under a name that only resembles its own.
    SuspiciousTeClPresent Severe,
}

/// Why `request`, which can be framed, is not compliant. Looks at no more than names and kinds of fields unless there
/// is something to be found. A request of HTTP/2 is taken for what HTTP/1.1 targets get of it.
#[must_use]
pub fn of_request(request: &Request<'_>) -> Option<Reason> {
    let bodiless = matches!(request.method, b"GET" | b"HEAD");
    let suspect = request.fields.with_kinds().any(|(field, kind)| match kind {
        Kind::Other => similar::may_resemble(field.name),
        Kind::ContentLength => bodiless,
        _ => false,
    });
    // Without a length the body of HTTP/2 is chunked for its target.
    let chunked = bodiless && request.framing == Framing::Chunked;
    if !suspect && !chunked {
        return None;
    }
    let version: &[u8] = if request.version == Version::Http10 { b"HTTP/1.0" } else { b"HTTP/1.1" };
    let parts = RequestLine { method: request.method, target: request.target, version };
    let fields = request.fields.lines().iter().map(|field| (field.name, field.value));
    let mut verdict = analyse(&parts, fields);
    if chunked {
        verdict.raise(Reason::UndefinedTransferEncodingSemantics);
    }
    verdict.reason()
}

/// Why a request with this whole head, which need not be one that can be framed, is not compliant.
#[must_use]
pub fn of_head(head: &[u8]) -> Option<Reason> {
    let mut verdict = Verdict::default();
    let (line, lines) = raw::next_line(head, &mut verdict);
    let parts = raw::request_line(line, &mut verdict);
    if parts.is_beyond_http1() {
        return None;
    }
    let mut fields = raw::Lines::new(lines);
    let analysed = analyse(&parts, fields.by_ref());
    verdict.raise_all(fields.verdict());
    verdict.raise_all(analysed);
    verdict.reason()
}

#[cfg(test)]
mod tests;
