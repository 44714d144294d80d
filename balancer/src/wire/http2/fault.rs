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

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> Self {
        code as Self
    }
}

/// The name of a code (RFC 9113, section 7), as whoever looks for it writes it.
pub(super) fn name_of(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("code {code:#x}"), |name| (*name).to_owned())
}

/// What the other side has done that ends the connection.
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
    /// How it is told.
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
    /// The other side has reset it, with this code.
    #[error("the stream was reset by the other side")]
    Reset(u32),
    /// The other side ends the connection, and has done nothing about it (RFC 9113, section 6.8).
    #[error("the connection ends, and the stream was not looked at")]
    Unseen,
    /// It violates HTTP/2: its head or its trailers are malformed, or its body has not the length that was said.
    #[error("the stream is malformed")]
    Malformed,
    /// This side has reset it.
    #[error("the stream was reset")]
    Given,
    /// Its connection is over.
    #[error("the connection is over")]
    Lost,
}
