//! A read buffer that is consumed at the front and filled at the back, and a store of spare ones, so
//! that idle connections hold no memory and busy ones allocate none.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

use crate::internal_errors::Part as _;

/// What a buffer holds before it grows: a whole 32 K response head (ALB: quotas) or one read of a body.
pub const BUFFER_SIZE: usize = 32 * 1024;

/// How much further in than the one before a buffer begins, and how many begin in different places. Allocators put buffers
/// of one size so far apart that their first bytes, which small messages are all of, would share a few lines of the
/// processor's caches: with 64 requests under way most of them were gone from there before they were read.
const SHIFT: usize = 64;
const PLACES: usize = 64;

/// Most spare buffers a worker keeps.
const SPARE_BUFFERS: usize = 256;

/// Most that it keeps when it comes to rest: what a few requests take.
const AT_REST: usize = 8;

/// What may be in a buffer for its memory to be let go: it is copied.
const LITTLE: usize = 4096;

/// Most memory of buffers that were let go which a thread keeps.
const MOST_LET_GO: usize = 64;

thread_local! {
    /// Memory of buffers that were let go, for those that go on.
    static LET_GO: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// How many buffers it has made.
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Bytes read and not consumed yet. Without capacity until first filled.
#[derive(Debug, Default)]
pub struct Buffer {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Where bytes begin when there are none.
    fn front(&self) -> usize {
        self.data.len().checked_sub(BUFFER_SIZE).filter(|front| *front < PLACES * SHIFT).unwrap_or(0)
    }

    /// The bytes read and not consumed yet.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.data.part(self.start..self.end)
    }

    /// How many bytes are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it has memory, and so can be given back.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        !self.data.is_empty()
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops `n` bytes from the front; more than there are drops all.
    pub fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (self.front(), self.front());
        }
    }

    /// Nothing moves now: as long as little is waiting it takes no more memory than it has to.
    pub fn let_go(&mut self) {
        if self.data.len() < BUFFER_SIZE || self.len() > LITTLE {
            return;
        }
        let waiting = if self.is_empty() { Vec::new() } else { self.bytes().to_vec() };
        (self.start, self.end) = (0, waiting.len());
        let memory = std::mem::replace(&mut self.data, waiting);
        if memory.len() < BUFFER_SIZE + PLACES * SHIFT {
            LET_GO.with_borrow_mut(|kept| {
                if kept.len() < MOST_LET_GO {
                    kept.push(memory);
                }
            });
        }
    }

    /// Nobody needs it any more, nor what is in it.
    pub fn discard(mut self) {
        (self.start, self.end) = (0, 0);
        self.let_go();
    }

    /// Has room for a whole read again.
    fn regain(&mut self) {
        let mut memory = LET_GO.with_borrow_mut(Vec::pop).unwrap_or_else(make);
        let (front, length) = (memory.len() - BUFFER_SIZE, self.len());
        if length > 0
            && let Some(room) = memory.get_mut(front..front + length)
        {
            room.copy_from_slice(self.bytes());
        }
        (self.data, self.start, self.end) = (memory, front, front + length);
    }

    /// Moves what is waiting to the front and makes sure that a read finds room, growing up to `limit` bytes.
    fn make_room(&mut self, limit: usize) {
        if self.data.len() < BUFFER_SIZE {
            self.regain();
        }
        if self.end < self.data.len() {
            return;
        }
        let front = self.front();
        if self.start > front {
            self.data.copy_within(self.start..self.end, front);
            self.end -= self.start - front;
            self.start = front;
        }
        if self.end == self.data.len() && self.data.len() < limit {
            let grown = (self.data.len() * 2).clamp(BUFFER_SIZE, limit.max(BUFFER_SIZE));
            self.data.resize(grown, 0);
        }
    }

    /// Reads once from `source`; 0 bytes means end of stream. Full at `limit` bytes it stays pending and
    /// does not register for wake-up: the caller has to consume first.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        limit: usize,
    ) -> Poll<std::io::Result<usize>> {
        self.poll_fill_part(cx, source, limit, usize::MAX)
    }

    /// The same, no more than `most` bytes (not 0).
    #[inline]
    pub fn poll_fill_part(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
        limit: usize,
        most: usize,
    ) -> Poll<std::io::Result<usize>> {
        self.make_room(limit);
        let last = self.data.len().min(self.end.saturating_add(most));
        let Some(room) = self.data.get_mut(self.end..last).filter(|room| !room.is_empty()) else {
            return Poll::Pending;
        };
        let mut read = ReadBuf::new(room);
        match Pin::new(source).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let n = read.filled().len();
                self.end += n;
                Poll::Ready(Ok(n))
            }
        }
    }
}

/// Spare buffers of one worker.
#[derive(Debug, Default)]
pub struct BufferStore {
    spare: RefCell<Vec<Vec<u8>>>,
}

#[cold]
fn make() -> Vec<u8> {
    let number = MADE.replace(MADE.get().wrapping_add(1));
    vec![0; BUFFER_SIZE + number % PLACES * SHIFT]
}

impl BufferStore {
    /// An empty buffer with memory.
    #[must_use]
    pub fn take(&self) -> Buffer {
        let spare = self.spare.borrow_mut().pop();
        let data = spare.or_else(|| LET_GO.with_borrow_mut(Vec::pop)).unwrap_or_else(make);
        let front = data.len() - BUFFER_SIZE;
        Buffer { data, start: front, end: front }
    }

    /// Gives `buffer`'s memory back if it has the usual size; what it held is dropped.
    pub fn give(&self, buffer: Buffer) {
        let mut spare = self.spare.borrow_mut();
        let is_usual = (BUFFER_SIZE..BUFFER_SIZE + PLACES * SHIFT).contains(&buffer.data.len());
        if is_usual && spare.len() < SPARE_BUFFERS {
            spare.push(buffer.data);
        }
    }

    /// Lets go of all but a few: nobody is going to ask for so many.
    pub fn shrink(&self) {
        let mut spare = self.spare.borrow_mut();
        shrink(&mut spare, AT_REST);
        LET_GO.with_borrow_mut(|kept| shrink(kept, AT_REST.saturating_sub(spare.len())));
    }
}

fn shrink(spare: &mut Vec<Vec<u8>>, most: usize) {
    spare.truncate(most);
    spare.shrink_to_fit();
}

/// What a head usually takes, with what is added to it.
const USUAL_HEAD: usize = 1024;

/// Most memory of one head that is kept.
const MOST_HEAD: usize = 16 * 1024;

/// Spare memory for heads of one worker: only messages that are under way have some.
#[derive(Debug, Default)]
pub struct HeadStore(RefCell<Vec<Vec<u8>>>);

impl HeadStore {
    /// Memory for a head, empty.
    #[inline]
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(USUAL_HEAD))
    }

    /// Gives memory of a head back; what it held is dropped.
    #[inline]
    pub fn give(&self, mut head: Vec<u8>) {
        let mut spare = self.0.borrow_mut();
        if (1..=MOST_HEAD).contains(&head.capacity()) && spare.len() < SPARE_BUFFERS {
            head.clear();
            spare.push(head);
        }
    }

    /// As [`BufferStore::shrink`].
    pub fn shrink(&self) {
        shrink(&mut self.0.borrow_mut(), AT_REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut Buffer, mut bytes: &[u8], limit: usize) -> Poll<std::io::Result<usize>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        buffer.poll_fill(&mut cx, &mut bytes, limit)
    }

    #[test]
    fn memory_of_heads_is_used_again_and_large_ones_are_not_kept() {
        let store = HeadStore::default();
        let mut head = store.take();
        head.extend_from_slice(&[7; 3000]);
        let place = head.as_ptr();
        store.give(head);
        for unfit in [Vec::new(), Vec::with_capacity(MOST_HEAD + 1)] {
            store.give(unfit);
        }
        let again = store.take();
        assert!(again.as_ptr() == place && again.is_empty() && again.capacity() >= 3000);
        assert!(store.take().capacity() < 3000, "that was the only one");
        (0..=SPARE_BUFFERS).for_each(|_| store.give(Vec::with_capacity(1)));
        assert_eq!(store.0.borrow().len(), SPARE_BUFFERS);
    }

    #[test]
    fn what_a_peak_took_is_let_go_at_rest() {
        let (buffers, heads) = (BufferStore::default(), HeadStore::default());
        let taken: Vec<Buffer> = (0..3 * AT_REST).map(|_| buffers.take()).collect();
        taken.into_iter().for_each(|buffer| buffers.give(buffer));
        (0..3 * AT_REST).for_each(|_| heads.give(Vec::with_capacity(1)));
        for _ in 0..2 {
            buffers.shrink();
            heads.shrink();
            assert_eq!((buffers.spare.borrow().len(), heads.0.borrow().len()), (AT_REST, AT_REST));
        }
    }

    #[test]
    fn grows_to_its_limit_and_no_further() {
        let mut buffer = BufferStore::default().take();
        let load = vec![7_u8; BUFFER_SIZE];
        assert!(matches!(fill(&mut buffer, &load, 2 * BUFFER_SIZE), Poll::Ready(Ok(BUFFER_SIZE))));
        assert!(matches!(fill(&mut buffer, &load, 2 * BUFFER_SIZE), Poll::Ready(Ok(BUFFER_SIZE))));
        assert!(fill(&mut buffer, &load, 2 * BUFFER_SIZE).is_pending(), "full");
        buffer.consume(10);
        assert!(matches!(fill(&mut buffer, &load, 2 * BUFFER_SIZE), Poll::Ready(Ok(10))));
        assert_eq!(buffer.len(), 2 * BUFFER_SIZE);
    }

    #[test]
    fn buffers_begin_in_different_places_and_hold_as_much() {
        let store = BufferStore::default();
        let load = vec![7_u8; 3 * BUFFER_SIZE];
        let mut held: Vec<Buffer> = (0..PLACES).map(|_| store.take()).collect();
        let places: std::collections::HashSet<usize> = held.iter().map(|buffer| buffer.start).collect();
        assert_eq!(places.len(), PLACES);
        for buffer in &mut held {
            let place = buffer.start;
            assert!(matches!(fill(buffer, &load, BUFFER_SIZE), Poll::Ready(Ok(BUFFER_SIZE))));
            assert!(fill(buffer, &load, BUFFER_SIZE).is_pending(), "full");
            buffer.consume(5);
            assert!(matches!(fill(buffer, b"abcdefgh", BUFFER_SIZE), Poll::Ready(Ok(5))));
            assert!(buffer.bytes().ends_with(b"\x07abcde"));
            assert_eq!(buffer.len(), BUFFER_SIZE);
            buffer.consume(BUFFER_SIZE);
            assert_eq!((buffer.start, buffer.end), (place, place));
            assert!(matches!(fill(buffer, &load, 2 * BUFFER_SIZE), Poll::Ready(Ok(BUFFER_SIZE))));
            assert!(matches!(fill(buffer, &load, 2 * BUFFER_SIZE), Poll::Ready(Ok(1..))), "grows");
            assert!(buffer.bytes().iter().all(|byte| *byte == 7));
        }
        held.into_iter().for_each(|buffer| store.give(buffer));
        assert_eq!(store.spare.borrow().len(), 0, "none has the usual size any more");
    }

    #[test]
    fn what_moves_no_more_takes_no_more_memory_than_it_has_to() {
        let load = vec![7_u8; BUFFER_SIZE];
        let mut buffer = BufferStore::default().take();
        assert!(matches!(fill(&mut buffer, &load[..100], BUFFER_SIZE), Poll::Ready(Ok(100))));
        buffer.consume(40);
        buffer.let_go();
        assert_eq!((buffer.bytes(), buffer.data.len()), (&load[..60], 60));
        let kept = || LET_GO.with_borrow(Vec::len);
        assert_eq!(kept(), 1);
        buffer.let_go();
        assert_eq!(kept(), 1, "once");
        assert!(
            matches!(fill(&mut buffer, &load, BUFFER_SIZE), Poll::Ready(Ok(length)) if length == BUFFER_SIZE - 60)
        );
        assert_eq!((kept(), buffer.len()), (0, BUFFER_SIZE));
        // Much is not copied.
        buffer.let_go();
        assert!(buffer.bytes() == load && kept() == 0);
        buffer.consume(BUFFER_SIZE);
        buffer.let_go();
        assert_eq!((buffer.has_memory(), kept()), (false, 1));
        let many: Vec<Buffer> = (0..2 * MOST_LET_GO).map(|_| BufferStore::default().take()).collect();
        assert_eq!(kept(), 0, "it is used first");
        many.into_iter().for_each(Buffer::discard);
        assert_eq!(kept(), MOST_LET_GO);
        BufferStore::default().shrink();
        assert_eq!(kept(), AT_REST);
        // No more is read at a time than is wanted.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let read = buffer.poll_fill_part(&mut cx, &mut load.as_slice(), BUFFER_SIZE, 9);
        assert!(matches!(read, Poll::Ready(Ok(9))) && buffer.bytes() == &load[..9]);
    }

    #[test]
    fn consuming_all_starts_over_and_only_usual_sizes_are_kept() {
        let store = BufferStore::default();
        let mut buffer = store.take();
        assert!(matches!(fill(&mut buffer, b"abcdef", BUFFER_SIZE), Poll::Ready(Ok(6))));
        buffer.consume(2);
        assert_eq!(buffer.bytes(), b"cdef");
        buffer.consume(100);
        assert!(buffer.is_empty());
        store.give(buffer);
        store.give(Buffer::default());
        assert_eq!(store.spare.borrow().len(), 1);
    }
}
