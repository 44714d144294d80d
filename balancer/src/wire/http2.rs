//! HTTP/2 (RFC 9113), towards clients and towards targets: frames, header blocks, streams and windows. The core takes bytes and
//! has bytes to send, and knows no socket; requests and their streams come out of it, or go into it. What a stream has to say
//! is written at once, behind all that was said before, and goes out with it. Must not know: what is done with requests.

mod answers;
mod asking;
mod block;
mod budget;
mod client;
mod core;
mod credit;
mod fault;
mod flow;
mod frame;
mod frames;
mod hpack;
mod input;
mod outgoing;
#[cfg(any(test, fuzzing))]
pub mod play;
mod resting;
mod room;
mod server;
mod single;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod transport;

pub use self::{
    answers::{GoAway, StreamEnd, Unsent},
    block::Block,
    budget::{BUDGET, Budget},
    client::{Client, Requester},
    fault::{ErrorCode, StreamFault, Violation},
    outgoing::HeadWriter,
    resting::Resting,
    server::{Event, Server},
    single::{AnswerPart, Single},
    stream::Http2Stream,
};

/// What every client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests of one connection at a time (ALB: HTTP/2, 128 streams).
pub const MOST_STREAMS: u32 = 128;
/// How many are offered while connections hold much.
const FEW_STREAMS: u32 = 8;
/// What a body may be ahead of who it is for.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// What an answer of a target may be ahead of who it is for, where that has no room for it.
const LEAST_WINDOW: u32 = 1024;
/// What a body may be ahead while connections hold much.
const TIGHT_WINDOW: u32 = 4 * 1024;
/// The same of an answer whose client keeps up: more than a segment of TCP over loopback (65,483 bytes). There are targets that
/// hold back what is less than one until all before it is acknowledged (Nagle's algorithm), which takes the kernel its time.
const READER_WINDOW: u32 = 128 * 1024;
/// As much as [`STREAM_WINDOW`] for each request at once, so that one whose target does not read holds up no other.
const CONNECTION_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;
/// The same towards a target, so that one whose client does not read holds up no other.
const TARGET_WINDOW: u32 = MOST_STREAMS * READER_WINDOW;
/// What the other side is told of how large a head may be (RFC 9113, section 6.5.2). Larger ones are answered in ALB's way.
const HEAD_LIST: u32 = 256 * 1024;
