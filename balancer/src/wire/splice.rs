//! Bytes that go from one socket to another without a copy: into a pipe and out of it, which moves pages (splice(2)). Pipes
//! are kept by the thread that made them. Must not know: what the bytes mean.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

/// How much moves at once, in bytes. The kernel counts pages of segments, so that it may be less.
const PIPE_SIZE: usize = 256 * 1024;

/// How much does in a pipe that was filled and emptied at once time and again: both ends are quick, and a worker that comes
/// to them less often does half of the work.
const LARGE_PIPE_SIZE: usize = 1024 * 1024;

/// Most large pipes a thread has. An end that is quick no more may leave each of them full.
const MOST_LARGE: usize = 16;

/// How often a pipe is filled and emptied at once before it becomes a large one.
const QUICK_TURNS: u32 = 4;

/// Most pipes a thread has: each is two file descriptors, and memory while its reader stands still.
const MOST_PIPES: usize = 256;

/// Most pipes a thread keeps for later.
const SPARE_PIPES: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static LARGE: Cell<usize> = const { Cell::new(0) };
}

/// A byte stream that may be a socket with nothing between.
pub trait Bare {
    /// The socket whose bytes are the stream's.
    fn bare(&self) -> Option<&TcpStream> {
        None
    }

    /// This came of moving bytes out of the socket.
    fn has_given(&mut self, _: &io::Result<usize>) {}

    /// This came of moving bytes into the socket.
    fn has_taken(&mut self, _: &io::Result<usize>) {}
}

/// A pipe, and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    held: usize,
    size: usize,
    /// How often in a row it was filled and emptied at once.
    quick_turns: u32,
}

impl Pipe {
    /// An empty one, as far as there may be more of them.
    pub(super) fn get() -> Option<Self> {
        if let Some(spare) = SPARE.with_borrow_mut(Vec::pop) {
            return Some(spare);
        }
        if LIVE.get() >= MOST_PIPES {
            return None;
        }
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Users have a bound on the memory of pipes: a smaller one does as well.
        let _ = fcntl_setpipe_size(&input, PIPE_SIZE);
        LIVE.set(LIVE.get() + 1);
        Some(Self { output, input, held: 0, size: PIPE_SIZE, quick_turns: 0 })
    }

    /// Keeps it for later, if it is empty.
    pub(super) fn put_back(self) {
        if self.held == 0 {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_PIPES {
                    spare.push(self);
                }
            });
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes up to `most` bytes out of `socket`; 0: it has ended. The pipe must be empty: a full one looks like a socket that
    /// has nothing.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &TcpStream,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.size);
        loop {
            ready!(socket.poll_read_ready(cx))?;
            let moved = socket
                .try_io(Interest::READABLE, || Ok(splice(socket, None, &self.input, None, most, flags())?));
            match moved {
                Err(error) if is_early(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(moved) => {
                    self.held = moved;
                    return Poll::Ready(Ok(moved));
                }
            }
        }
    }

    /// Gives what is in it to `socket`, as much as that takes.
    pub(super) fn poll_empty(&mut self, cx: &mut Context<'_>, socket: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            ready!(socket.poll_write_ready(cx))?;
            let held = self.held;
            let moved = socket
                .try_io(Interest::WRITABLE, || Ok(splice(&self.output, None, socket, None, held, flags())?));
            match moved {
                Err(error) if is_early(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(moved) => {
                    self.note_turn(held, moved);
                    self.held = held.saturating_sub(moved);
                    return Poll::Ready(Ok(moved));
                }
            }
        }
    }

    /// So much was in it, and has moved on in one piece.
    fn note_turn(&mut self, held: usize, moved: usize) {
        if moved < held {
            self.quick_turns = 0;
        } else if self.size < LARGE_PIPE_SIZE && held >= PIPE_SIZE / 4 {
            self.quick_turns += 1;
            if self.quick_turns >= QUICK_TURNS {
                self.grow();
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.quick_turns = 0;
        if LARGE.get() < MOST_LARGE && fcntl_setpipe_size(&self.input, LARGE_PIPE_SIZE).is_ok() {
            LARGE.set(LARGE.get() + 1);
            self.size = LARGE_PIPE_SIZE;
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A thread that ends may have dropped its counts before its spare pipes.
        let one_less = |count: &Cell<usize>| count.set(count.get().saturating_sub(1));
        let _ = LIVE.try_with(one_less);
        if self.size > PIPE_SIZE {
            let _ = LARGE.try_with(one_less);
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK | SpliceFlags::MOVE
}

/// Whether there is nothing to do yet.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (near, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.expect("connected"), accepted.expect("accepted").0)
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_and_the_end_is_seen() {
        let ((mut from, source), (sink, mut to)) = (pair().await, pair().await);
        from.write_all(b"some words").await.expect("sent");
        let mut pipe = Pipe::get().expect("a pipe");
        // No more than was asked for.
        let filled = std::future::poll_fn(|cx| pipe.poll_fill(cx, &source, 4)).await;
        assert_eq!((filled.expect("filled"), pipe.is_empty()), (4, false));
        assert_eq!(std::future::poll_fn(|cx| pipe.poll_empty(cx, &sink)).await.expect("emptied"), 4);
        assert!(pipe.is_empty());
        assert_eq!(std::future::poll_fn(|cx| pipe.poll_fill(cx, &source, 99)).await.expect("filled"), 6);
        assert_eq!(std::future::poll_fn(|cx| pipe.poll_empty(cx, &sink)).await.expect("emptied"), 6);
        let mut words = [0; 10];
        to.read_exact(&mut words).await.expect("read");
        assert_eq!(&words, b"some words");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(pipe.poll_fill(&mut cx, &source, 99).is_pending(), "nothing is there");
        drop(from);
        assert_eq!(std::future::poll_fn(|cx| pipe.poll_fill(cx, &source, 99)).await.expect("ended"), 0);
        drop(to);
    }

    #[test]
    fn what_is_quick_at_both_ends_gets_a_larger_pipe_and_so_many_do() {
        let quick = |pipe: &mut Pipe, turns| (0..turns).for_each(|_| pipe.note_turn(PIPE_SIZE, PIPE_SIZE));
        let mut pipe = Pipe::get().expect("a pipe");
        quick(&mut pipe, QUICK_TURNS - 1);
        pipe.note_turn(PIPE_SIZE, PIPE_SIZE - 1);
        quick(&mut pipe, QUICK_TURNS - 1);
        // A little now and then is no sign of how quick they are.
        pipe.note_turn(1, 1);
        assert_eq!((pipe.size, LARGE.get()), (PIPE_SIZE, 0));
        quick(&mut pipe, 1);
        assert_eq!((pipe.size, LARGE.get()), (LARGE_PIPE_SIZE, 1));
        assert_eq!(rustix::pipe::fcntl_getpipe_size(&pipe.input).expect("a size"), LARGE_PIPE_SIZE);
        let mut pipes: Vec<_> = std::iter::from_fn(Pipe::get).take(MOST_LARGE).collect();
        pipes.iter_mut().for_each(|pipe| quick(pipe, QUICK_TURNS));
        assert_eq!((pipes.last().map(|pipe| pipe.size), LARGE.get()), (Some(PIPE_SIZE), MOST_LARGE));
        pipe.put_back();
        let pipe = Pipe::get().expect("the one that was kept");
        assert_eq!((pipe.size, LARGE.get()), (LARGE_PIPE_SIZE, MOST_LARGE));
        drop((pipe, pipes));
        assert_eq!(LARGE.get(), 0);
    }

    #[test]
    fn a_thread_has_so_many_pipes_and_keeps_some_that_are_empty() {
        let pipes: Vec<_> = std::iter::from_fn(Pipe::get).collect();
        assert_eq!(pipes.len(), MOST_PIPES);
        drop(pipes);
        let mut pipes: Vec<_> = std::iter::from_fn(Pipe::get).collect();
        assert_eq!(pipes.len(), MOST_PIPES, "what is gone makes room");
        pipes.drain(1..).for_each(Pipe::put_back);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_PIPES);
        let mut full = pipes.remove(0);
        full.held = 1;
        full.put_back();
        assert_eq!((SPARE.with_borrow(Vec::len), LIVE.get()), (SPARE_PIPES, SPARE_PIPES));
    }
}
