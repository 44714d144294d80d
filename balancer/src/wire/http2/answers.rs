//! What there is of the answers on a connection to a target, until they are taken, and how streams to targets end. Must not
//! know: frames.

use std::{collections::VecDeque, fmt, io};

use super::{
    block::Block,
    fault::{Violation, name_of},
};

/// What the PING carries whose answer says that the target speaks HTTP/2.
pub(super) const GREETING: &[u8; 8] = b"greeting";

/// What the target says when it ends the connection (RFC 9113, section 6.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    pub(super) code: u32,
    pub(super) words: Vec<u8>,
}

impl fmt::Display for GoAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GOAWAY, {}", name_of(self.code))?;
        if self.words.is_empty() { Ok(()) } else { write!(f, " (\"{}\")", self.words.escape_ascii()) }
    }
}

/// Why a stream to a target ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamEnd {
    /// The target has reset it, with this code.
    #[error("the target reset the stream, {}", name_of(*.0))]
    Reset(u32),
    /// The target ends the connection, and has not looked at the request.
    #[error("{0}")]
    Unseen(GoAway),
    /// What came on it violates HTTP/2.
    #[error("the answer violates HTTP/2: its head, its trailers or its length")]
    Malformed,
    /// The target has violated HTTP/2, which is the end of the connection.
    #[error("{0}")]
    Violated(Violation),
    /// The target has closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The connection broke.
    #[error("{0}")]
    Broken(io::Error),
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The connection takes no more requests.
    Ended,
    /// It takes none now.
    Full,
    /// Its head has no form in HTTP/2.
    Malformed,
    /// Its head is larger than the target takes.
    TooLarge,
}

/// What there is of the answer on a stream, until it is taken.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Whether it is to a HEAD.
    pub(super) is_of_head: bool,
    /// Whether the head of the answer has come.
    pub(super) has_begun: bool,
    pub(super) head: Option<Box<Block>>,
    pub(super) early: VecDeque<Box<Block>>,
    /// What they took so far.
    pub(super) early_size: usize,
}

/// What there is of a connection to a target alone.
#[derive(Debug)]
pub(super) struct Asking {
    /// By the places of their streams.
    pub(super) answers: Vec<Awaited>,
    /// What the target allows.
    pub(super) most_streams: u32,
    pub(super) most_head: usize,
    pub(super) goaway: Option<GoAway>,
    /// Header blocks that came for nothing.
    pub(super) late: u32,
    /// Whether the PING of the beginning was answered.
    pub(super) is_greeted: bool,
    /// Why the connection broke.
    pub(super) broken: Option<io::Error>,
}

impl Asking {
    /// Nothing was asked yet, and the target has not said what it allows.
    pub(super) fn new(most_streams: u32) -> Self {
        Self {
            answers: Vec::new(),
            most_streams,
            most_head: usize::MAX,
            goaway: None,
            late: 0,
            is_greeted: false,
            broken: None,
        }
    }

    /// Why the connection broke; nothing, when it was closed.
    #[cold]
    pub(super) fn broken(&self) -> Option<io::Error> {
        let error = self.broken.as_ref()?;
        // Of the system's errors what is known of them in any system.
        Some(match error.raw_os_error() {
            Some(_) => error.kind().into(),
            None => io::Error::new(error.kind(), error.to_string()),
        })
    }
}
