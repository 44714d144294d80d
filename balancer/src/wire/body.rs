//! Moves one message body, or one direction of a tunnel, from where it comes to where it goes. It takes only what there is
//! room for, so a side that stops taking costs one buffer, or one pipe. Must not know: which version of HTTP either side speaks.

use std::task::{Context, Poll, ready};

use super::splice::Pipe;
use crate::model::HeaderField;

/// Why a body could not be moved; `E` is what reading can fail with.
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E> {
    /// Reading failed.
    #[error("reading failed: {0}")]
    Source(E),
    /// The source ended before the body did.
    #[error("the body was cut short")]
    Truncated,
    /// The body violates its coding.
    #[error("malformed body")]
    Malformed,
    /// The sink takes no more.
    #[error("writing failed")]
    Sink,
}

/// Why a sink does not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// It is over.
    Closed,
    /// It has no form for it.
    Malformed,
}

impl<E> From<Untaken> for BodyError<E> {
    fn from(why: Untaken) -> Self {
        match why {
            Untaken::Closed => Self::Sink,
            Untaken::Malformed => Self::Malformed,
        }
    }
}

/// What comes after the content of a body.
#[derive(Debug)]
pub enum Trailers<'a> {
    /// Nothing is known of any.
    None,
    /// Field lines.
    Fields(&'a [HeaderField<'a>]),
}

/// Where a body comes from. What it gives out waits at its front until the sink has taken it.
pub trait Source {
    /// What reading can fail with.
    type Error;

    /// Whether all of the body is given out.
    fn is_read(&self) -> bool;

    /// Whether anything was taken out of it.
    fn has_begun(&self) -> bool;

    /// It is given out from its beginning once more; only where nothing was taken out of it: its end may have been seen.
    #[inline]
    fn restart(&mut self) {}

    /// Whether something was read that is not given out.
    fn has_input(&self) -> bool;

    /// How much content is there to be given out next: what the sink needs room for.
    fn content(&self) -> usize;

    /// Gives out what was read, no more content than `room`. False: there has to be more of it first.
    ///
    /// # Errors
    /// It is no body, or has no form for the sink.
    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<Self::Error>>;

    /// Reads. At the end of the body the sink is told.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<Self::Error>>>;

    /// Nothing moves now: memory that others can use may be let go.
    #[inline]
    fn rest(&mut self) {}

    /// What is given out and not taken.
    fn given(&self) -> &[u8];

    /// So much of what is given out is taken.
    fn consume(&mut self, length: usize);

    /// Whether there is something that the sink has not taken.
    fn is_held_up(&self) -> bool;

    /// What follows, both ways, is of another protocol, to the end of the connection.
    fn switch(&mut self);
}

/// Where a body goes.
pub trait Sink {
    /// Whether it takes a body in chunked coding as it is.
    fn is_chunked(&self) -> bool;

    /// Whether more may be given out.
    fn is_ready(&self) -> bool;

    /// How much of `wanted` bytes of content (not 0) there is room for: at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>>;

    /// Ready when it is worth reading: not while what it took before waits to go out.
    #[inline]
    fn poll_space(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// How much content there is room for now. What is read beyond that waits in the source.
    #[inline]
    fn room_now(&self) -> usize {
        usize::MAX
    }

    /// How far the source may be ahead, where what it comes from has to be told that before it comes.
    #[inline]
    fn room_ahead(&self) -> usize {
        usize::MAX
    }

    /// So much content is given out next; `last`: and that is the end of the body.
    fn begin(&mut self, length: usize, last: bool);

    /// Takes what is given out, and what frames it.
    fn poll_take(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>>;

    /// The body is over. `is_framed`: it came in chunked coding, and its last chunk went on as it was.
    ///
    /// # Errors
    /// See [`Untaken`].
    fn end(&mut self, trailers: Trailers<'_>, is_framed: bool) -> Result<(), Untaken>;

    /// Has what was taken go out of the sink, as far as that is possible.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Untaken>>;

    /// Whether nothing waits to be taken but what is given out.
    fn is_clear(&self) -> bool;

    /// Grows whenever there is progress.
    fn progress(&self) -> u64;

    /// Where a pipe is put whose content it takes next, before anything else. Nothing: it takes no pipes now.
    fn pipe(&mut self) -> Option<&mut Option<Pipe>> {
        None
    }

    /// Tells the other side that nothing more comes.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Takes a body that nobody wants, up to a bound.
#[derive(Debug)]
pub struct Discard {
    left: usize,
}

impl Discard {
    /// For no more than `most` bytes of content.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { left: most }
    }
}

impl Sink for Discard {
    fn is_chunked(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn poll_room(&mut self, _: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        Poll::Ready(Ok(wanted))
    }

    fn begin(&mut self, _: usize, _: bool) {}

    fn poll_take(&mut self, _: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        let length = source.given().len();
        let Some(left) = self.left.checked_sub(length) else { return Poll::Ready(Err(Untaken::Closed)) };
        self.left = left;
        source.consume(length);
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, _: Trailers<'_>, _: bool) -> Result<(), Untaken> {
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        Poll::Ready(Ok(()))
    }

    fn is_clear(&self) -> bool {
        true
    }

    fn progress(&self) -> u64 {
        0
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Moves on as far as source and sink allow; ready when all is out.
///
/// # Errors
/// See [`BodyError`]; source and sink are of no further use.
pub fn poll_move<S: Source>(
    cx: &mut Context<'_>,
    source: &mut S,
    sink: &mut impl Sink,
) -> Poll<Result<(), BodyError<S::Error>>> {
    let moved = poll_through(cx, source, sink);
    if moved.is_pending() {
        source.rest();
    }
    moved
}

#[inline]
fn poll_through<S: Source>(
    cx: &mut Context<'_>,
    source: &mut S,
    sink: &mut impl Sink,
) -> Poll<Result<(), BodyError<S::Error>>> {
    loop {
        // Before anything is written, so that the head and what is there of the body go out together.
        let looks = sink.is_ready() && !source.is_read() && source.given().is_empty() && source.has_input();
        let gave = looks && {
            let wanted = source.content();
            let room = if wanted == 0 { 0 } else { ready!(sink.poll_room(cx, wanted))? };
            source.give(room, sink)?
        };
        ready!(sink.poll_take(cx, source))?;
        if source.is_read() {
            // A sink inside TLS may hold what it took; others have nothing to flush.
            ready!(sink.poll_flush(cx))?;
            return Poll::Ready(Ok(()));
        }
        // A sink that had to wait may have left something behind it, and nothing more may come.
        if gave || (!looks && source.has_input()) {
            continue;
        }
        if let Poll::Ready(Err(why)) = sink.poll_flush(cx) {
            return Poll::Ready(Err(why.into()));
        }
        ready!(source.poll_read(cx, sink))?;
    }
}
