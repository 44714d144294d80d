//! Bodies of every framing, in pieces of every size, to sinks that stop.

use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::*;
use crate::wire::{body::poll_move, chunked_body::can_begin_chunked};

/// Gives its bytes in pieces; between them it is pending once.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
    wait: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wait = !self.wait;
        if self.wait {
            return Poll::Pending;
        }
        let n = self.piece.min(self.rest.len()).min(buf.remaining());
        let (now, later) = self.rest.split_at(n);
        buf.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}

impl Bare for Pieces<'_> {}
impl Bare for Reluctant {}
impl Bare for Vec<u8> {}
impl Bare for &[u8] {}

fn source<S>(stream: S, framing: Framing) -> Http1<S> {
    let mut source = Http1::new(stream, Buffer::default());
    source.expect(framing, None);
    source
}

fn sink<S>(stream: S, head: &[u8], chunked: bool) -> Http1<S> {
    let mut sink = Http1::new(stream, Buffer::default());
    sink.begin(head.to_vec(), chunked);
    sink
}

fn run(
    input: &[u8],
    piece: usize,
    framing: Framing,
    chunked: bool,
) -> Result<(Vec<u8>, usize), BodyError<io::Error>> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut source = source(Pieces { rest: input, piece, wait: false }, framing);
    let mut sink = sink(Vec::new(), b"HEAD ", chunked);
    loop {
        if let Poll::Ready(result) = poll_move(&mut cx, &mut source, &mut sink) {
            return result.map(|()| (sink.stream, source.buffer.len() + source.stream.rest.len()));
        }
    }
}

#[test]
fn a_body_of_known_length_leaves_what_follows() {
    let (out, left) = run(b"hello worldNEXT", 4, Framing::Length(11), false).expect("moves");
    assert_eq!((out.as_slice(), left), (&b"HEAD hello world"[..], 4));
    assert!(matches!(run(b"hell", 4, Framing::Length(11), false), Err(BodyError::Truncated)));
}

#[test]
fn chunks_pass_as_they_are_with_clean_trailers() {
    let body = b"3\r\nabc\r\n0\r\nX-Sum: 9\r\nHost: evil\r\n\r\nGET";
    for piece in 1..body.len() {
        let (out, left) = run(body, piece, Framing::Chunked, true).expect("moves");
        assert_eq!(out, b"HEAD 3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n");
        assert_eq!(left, 3);
    }
    assert!(matches!(
        run(b"3\r\nabc\r\n0\r\nX: 1\r\n", 5, Framing::Chunked, true),
        Err(BodyError::Truncated)
    ));
    assert!(matches!(run(b"z\r\n", 5, Framing::Chunked, true), Err(BodyError::Malformed)));
}

#[test]
fn chunks_can_be_unwrapped() {
    for piece in 1..12 {
        let (out, _) =
            run(b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n", piece, Framing::Chunked, false).expect("moves");
        assert_eq!(out, b"HEAD abcde");
    }
}

#[test]
fn a_body_ended_by_closing_can_be_chunked() {
    let (out, _) = run(b"abcdef", 3, Framing::UntilClose, true).expect("moves");
    assert_eq!(out, b"HEAD 3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
    let (out, _) = run(b"abcdef", 3, Framing::UntilClose, false).expect("moves");
    assert_eq!(out, b"HEAD abcdef");
}

#[test]
fn head_and_body_go_out_in_one_write() {
    /// Pieces and bytes of each write.
    struct Writes(Vec<(usize, usize)>);
    impl Bare for Writes {}
    impl AsyncWrite for Writes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push((1, buf.len()));
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let total = bufs.iter().map(|buf| buf.len()).sum();
            self.0.push((bufs.iter().filter(|buf| !buf.is_empty()).count(), total));
            Poll::Ready(Ok(total))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut cx = Context::from_waker(std::task::Waker::noop());
    // Little is copied into one piece, much is not.
    for (length, writes) in [(5, (1, 10)), (10_000, (2, 10_005))] {
        let body = vec![b'x'; length];
        let mut early = body.as_slice();
        let mut buffer = Buffer::default();
        assert!(buffer.poll_fill(&mut cx, &mut early, BUFFER_SIZE).is_ready());
        let mut source = Http1::new(early, buffer);
        source.expect(Framing::Length(length as u64), None);
        let mut sink = sink(Writes(Vec::new()), b"HEAD ", false);
        assert!(poll_move(&mut cx, &mut source, &mut sink).is_ready());
        assert_eq!((sink.stream.0, source.buffer.len()), (vec![writes], 0));
    }
}

#[test]
fn a_sink_that_stops_holds_the_source() {
    struct Full;
    impl Bare for Full {}
    impl AsyncWrite for Full {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
    let endless = vec![1_u8; 4 * BUFFER_SIZE];
    let mut source = source(endless.as_slice(), Framing::UntilClose);
    let mut sink = sink(Full, b"", false);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..10 {
        assert!(poll_move(&mut cx, &mut source, &mut sink).is_pending());
    }
    assert_eq!(source.stream.len(), 3 * BUFFER_SIZE, "one buffer and no more");
}

/// Takes `most` bytes a write, and before each it has to be asked twice.
struct Reluctant {
    taken: Vec<u8>,
    most: usize,
    willing: bool,
}

impl AsyncWrite for Reluctant {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.willing = !self.willing;
        if self.willing {
            return Poll::Pending;
        }
        let length = buf.len().min(self.most);
        self.taken.extend_from_slice(&buf[..length]);
        Poll::Ready(Ok(length))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn what_waits_behind_a_blocked_write_needs_nothing_more_to_come() {
    let body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n";
    for (chunked, wanted) in [(true, &body[..]), (false, b"abcde")] {
        for most in 1..body.len() {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let pieces = Pieces { rest: body, piece: body.len(), wait: false };
            let mut source = source(pieces, Framing::Chunked);
            let mut sink = sink(Reluctant { taken: Vec::new(), most, willing: false }, b"", chunked);
            let mut polls = 0;
            while poll_move(&mut cx, &mut source, &mut sink).is_pending() {
                polls += 1;
                assert!(polls < 1000, "{most}: {:?}", String::from_utf8_lossy(&sink.stream.taken));
            }
            assert_eq!(sink.stream.taken, wanted);
        }
    }
}

proptest! {
    #[test]
    fn pumping_garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..30,
        chunked in any::<bool>(),
    ) {
        let _ = run(&bytes, piece, Framing::Chunked, chunked);
    }

    #[test]
    fn what_can_begin_a_chunked_body_is_what_moves(
        parts in proptest::collection::vec(
            prop_oneof![
                8 => Just(&b"3\r\nabc\r\n"[..]), 4 => Just(&b"0\r\n"[..]), 4 => Just(&b"\r\n"[..]),
                2 => Just(&b"A: b\r\n"[..]), 1 => Just(&b"A : b\r\n"[..]), 1 => Just(&b"1;x=y"[..]),
                1 => Just(&b"\n"[..]), 1 => Just(&b"g"[..]), 1 => Just(&b"1"[..]), 1 => Just(&b"\r"[..]),
            ],
            0..8,
        ),
        piece in 1_usize..30,
    ) {
        let bytes = parts.concat();
        let malformed =
            matches!(run(&bytes, piece, Framing::Chunked, true), Err(BodyError::Malformed));
        prop_assert_eq!(can_begin_chunked(&bytes), !malformed, "{:?}", bytes.escape_ascii().to_string());
    }
}
