//! Why a head is refused. Must not know: how it is read.

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP, or ambiguous.
    #[error("malformed message")]
    Malformed,
    /// The request line is longer than [`super::MAX_LINE`].
    #[error("request line too long")]
    LineTooLong,
    /// A field line or the whole head is over its limit.
    #[error("header too large")]
    TooLarge,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("HTTP version not supported")]
    Version,
    /// A transfer coding other than chunked.
    #[error("transfer coding not supported")]
    TransferCoding,
    /// A status line that is none (responses).
    #[error("malformed status line")]
    StatusLine,
    /// A field line that is none (responses).
    #[error("malformed header field")]
    Field,
    /// A line end without CR, or a CR without an end (responses).
    #[error("line without CR LF")]
    LineEnd,
    /// More field lines than [`super::MAX_FIELDS`].
    #[error("too many header fields")]
    TooManyFields,
    /// A Content-Length that is no length (responses).
    #[error("malformed Content-Length")]
    ContentLength,
    /// Lengths that differ (responses).
    #[error("lengths that differ")]
    ContentLengthsDiffer,
}
