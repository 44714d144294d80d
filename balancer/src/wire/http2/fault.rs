//! What goes wrong on a connection of HTTP/2, and the codes that say so (RFC 9113, section 7).

/// A code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    /// There is none.
    NoError = 0,
    /// The other side does what it must not.
    Protocol = 1,
    /// This side cannot go on.
    Internal = 2,
    /// More came than there was window for.
    FlowControl = 3,
    /// Something came behind the end of a stream.
    StreamClosed = 5,
    /// A frame has not the size that it has to have.
    FrameSize = 6,
    /// Nothing was done about the request.
    Refused = 7,
    /// The stream is not wanted any more.
    Cancel = 8,
    /// A header block cannot be read.
    Compression = 9,
    /// The other side makes too much work.
    EnhanceYourCalm = 11,
}

/// What a client has done that ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It does not begin as it has to.
    #[error("it does not begin with the preface of HTTP/2")]
    Preface,
    /// Its first frame is not its settings (RFC 9113, section 3.4).
    #[error("its first frame is not SETTINGS")]
    NoSettings,
    /// It has sent more frames of no use than it may.
    #[error("it sends more frames of no use than it may")]
    Flood,
    /// A head goes on and on.
    #[error("a head goes on and on")]
    HeadTooLarge,
    /// A frame is where it must not be, or says what it must not say.
    #[error("{0}")]
    Protocol(&'static str),
    /// A frame is larger or smaller than it may be.
    #[error("a frame has not the size that it has to have")]
    FrameSize,
    /// A header block cannot be read, and none behind it.
    #[error("a header block cannot be read")]
    Compression,
    /// More came than there was window for, or a window is larger than it may be.
    #[error("windows are not kept to")]
    FlowControl,
    /// Something came behind the end of a stream.
    #[error("it sends on a stream that it has ended")]
    StreamClosed,
}

impl Violation {
    /// How the client is told.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Preface | Self::NoSettings | Self::Protocol(_) => ErrorCode::Protocol,
            Self::Flood | Self::HeadTooLarge => ErrorCode::EnhanceYourCalm,
            Self::FrameSize => ErrorCode::FrameSize,
            Self::Compression => ErrorCode::Compression,
            Self::FlowControl => ErrorCode::FlowControl,
            Self::StreamClosed => ErrorCode::StreamClosed,
        }
    }
}

/// Why a stream ended before both sides had said all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The client has reset it.
    #[error("the client has reset the stream")]
    Reset,
    /// It violates HTTP/2: its body has not the length that was said, or its trailers are malformed.
    #[error("the stream is malformed")]
    Malformed,
    /// This side has reset it.
    #[error("the stream was reset")]
    Given,
    /// Its connection is over.
    #[error("the connection is over")]
    Lost,
}
