//! The streams of a connection: which there are, how far each is (RFC 9113, section 5.1), and which were reset not long ago.
//! Must not know: frames.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use super::{
    LEAST_WINDOW,
    block::Block,
    fault::StreamFault,
    flow::{ReceiveWindow, SendWindow},
};

/// Streams that were reset here and are kept in mind, for as long as something of them may be on its way.
const MOST_RESET: usize = 1024;
/// Gaps between numbers of streams that are kept in mind: clients leave none.
const MOST_SKIPPED: usize = 32;
/// Most memory for what comes that is kept for another stream, and for how many.
const MOST_KEPT: usize = 2048;
const MOST_SPARE: usize = 4;
/// Streams whose places are kept while there is none.
const FEW: usize = 8;

/// One stream. It has its place for as long as somebody holds it, or waits to.
#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) id: u32,
    /// Whether the other side may send more of its message.
    pub(super) is_receiving: bool,
    /// Whether this side may.
    pub(super) is_sending: bool,
    /// Why it ended early.
    pub(super) fault: Option<StreamFault>,
    /// What may be sent.
    pub(super) window: SendWindow,
    /// What may come.
    pub(super) receive_window: ReceiveWindow,
    /// What has come and was not taken.
    pub(super) content: Vec<u8>,
    pub(super) trailers: Option<Box<Block>>,
    /// Bytes of the body that are still to come, where the head says how many they are.
    pub(super) expected: Option<u64>,
    /// How far what goes out on it may be ahead where it comes from.
    pub(super) ahead: usize,
    /// Whoever holds it, when it waits.
    waker: Option<Waker>,
    is_waiting: bool,
    /// Whether it is among those that wait for room on the connection.
    pub(super) is_queued: bool,
}

impl StreamState {
    /// Has whoever holds it be woken by [`Self::wake`].
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        self.is_waiting = true;
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        if std::mem::take(&mut self.is_waiting)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }

    /// Wakes whoever holds it if there is room now.
    pub(super) fn wake_for_room(&mut self) {
        if self.window.room() > 0 {
            self.wake();
        }
    }

    /// Whether neither side may send.
    pub(super) fn is_over(&self) -> bool {
        !self.is_receiving && !self.is_sending
    }
}

/// Streams that are over and mean something still.
#[derive(Debug)]
pub(super) struct PastStreams {
    reset: VecDeque<u32>,
    skipped: VecDeque<(u32, u32)>,
}

/// The streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Option<StreamState>>,
    free: Vec<usize>,
    /// By number, which rises, the places of those that there are.
    places: Vec<(u32, usize)>,
    /// How many are not over.
    open: u32,
    reset: VecDeque<u32>,
    /// Numbers that were passed over: from one on, and below another one.
    skipped: VecDeque<(u32, u32)>,
    /// Memory for what comes.
    spare: Vec<Vec<u8>>,
}

impl Streams {
    /// How many are not over.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Whether nobody has a place, and there is none.
    pub(super) fn is_bare(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether nobody has a place.
    pub(super) fn is_unused(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Takes out what is to be known of streams that are over.
    pub(super) fn take_past(&mut self) -> Option<Box<PastStreams>> {
        let (mut reset, mut skipped) = (std::mem::take(&mut self.reset), std::mem::take(&mut self.skipped));
        reset.shrink_to_fit();
        skipped.shrink_to_fit();
        (!reset.is_empty() || !skipped.is_empty()).then(|| Box::new(PastStreams { reset, skipped }))
    }

    /// Puts it back.
    pub(super) fn set_past(&mut self, past: Option<Box<PastStreams>>) {
        if let Some(past) = past {
            (self.reset, self.skipped) = (past.reset, past.skipped);
        }
    }

    /// A stream whose number is above all others.
    pub(super) fn begin(
        &mut self,
        id: u32,
        (window, receive_window): (u32, u32),
        is_receiving: bool,
        expected: Option<u64>,
    ) -> usize {
        let content = if is_receiving { self.spare.pop().unwrap_or_default() } else { Vec::new() };
        let place = self.put(StreamState {
            id,
            is_receiving,
            is_sending: true,
            fault: None,
            window: SendWindow::new(window),
            receive_window: ReceiveWindow::new(receive_window),
            content,
            trailers: None,
            expected,
            ahead: 0,
            waker: None,
            is_waiting: false,
            is_queued: false,
        });
        self.places.push((id, place));
        self.open += 1;
        place
    }

    /// A place for a stream that has no number yet: it is nothing to the other side.
    pub(super) fn reserve(&mut self) -> usize {
        self.put(StreamState {
            id: 0,
            is_receiving: false,
            is_sending: false,
            fault: None,
            window: SendWindow::new(0),
            receive_window: ReceiveWindow::new(LEAST_WINDOW),
            content: Vec::new(),
            trailers: None,
            expected: None,
            ahead: 0,
            waker: None,
            is_waiting: false,
            is_queued: false,
        })
    }

    /// The stream at `place` gets a number above all others.
    pub(super) fn open_at(&mut self, place: usize, id: u32, window: u32, is_sending: bool) {
        let spare = self.spare.pop();
        let Some(stream) = self.get_mut(place) else { return };
        (stream.id, stream.is_receiving, stream.is_sending) = (id, true, is_sending);
        stream.window = SendWindow::new(window);
        stream.content = spare.unwrap_or_default();
        self.places.push((id, place));
        self.open += 1;
    }

    fn put(&mut self, state: StreamState) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(state);
        }
        place
    }

    /// Where those are whose numbers are above this one.
    pub(super) fn above(&self, id: u32) -> Vec<usize> {
        self.places.iter().filter(|(of, _)| *of > id).map(|(_, place)| *place).collect()
    }

    /// Where the stream of this number is.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        let index = self.places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.places.get(index).map(|(_, place)| *place)
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<&StreamState> {
        self.slots.get(place)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut StreamState> {
        self.slots.get_mut(place)?.as_mut()
    }

    /// All of them.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut StreamState> {
        self.slots.iter_mut().flatten()
    }

    /// The other side sends no more on it.
    pub(super) fn end_receiving(&mut self, place: usize) {
        let Some(stream) = self.get_mut(place) else { return };
        let was_over = stream.is_over();
        stream.is_receiving = false;
        if !was_over && stream.is_over() {
            self.open -= 1;
        }
    }

    /// This side sends no more on it.
    pub(super) fn end_sending(&mut self, place: usize) {
        let Some(stream) = self.get_mut(place) else { return };
        let was_over = stream.is_over();
        stream.is_sending = false;
        if !was_over && stream.is_over() {
            self.open -= 1;
        }
    }

    /// It ends early. Gives back how much of what came was not given back to windows; whoever holds it is woken.
    pub(super) fn end(&mut self, place: usize, fault: StreamFault) -> u32 {
        let Some(stream) = self.get_mut(place) else { return 0 };
        let was_over = stream.is_over();
        (stream.is_receiving, stream.is_sending) = (false, false);
        stream.fault.get_or_insert(fault);
        stream.content = Vec::new();
        stream.trailers = None;
        let unreleased = stream.receive_window.release(u32::MAX);
        stream.wake();
        if !was_over {
            self.open -= 1;
        }
        unreleased
    }

    /// It ends early, and what has come of it stands.
    pub(super) fn break_off(&mut self, place: usize, fault: StreamFault) {
        let Some(stream) = self.get_mut(place) else { return };
        let was_over = stream.is_over();
        (stream.is_receiving, stream.is_sending) = (false, false);
        stream.fault.get_or_insert(fault);
        stream.wake();
        if !was_over {
            self.open -= 1;
        }
    }

    /// All of them are over.
    pub(super) fn forget_open(&mut self) {
        self.open = 0;
    }

    /// Nobody holds it any more.
    pub(super) fn remove(&mut self, place: usize) {
        // It ends where it is: it is large.
        let Some(slot) = self.slots.get_mut(place) else { return };
        let Some(stream) = slot else { return };
        if !stream.is_over() {
            self.open -= 1;
        }
        let (id, content) = (stream.id, std::mem::take(&mut stream.content));
        *slot = None;
        self.free.push(place);
        if let Ok(index) = self.places.binary_search_by_key(&id, |(id, _)| *id) {
            self.places.remove(index);
        }
        self.keep(content);
    }

    /// Nothing is under way: memory for one of the next is enough.
    pub(super) fn rest(&mut self) {
        self.spare.truncate(1);
    }

    /// Nothing is expected: memory for more is let go, and what many streams took, if there is none.
    pub(super) fn shrink(&mut self) {
        self.spare = Vec::new();
        if self.free.len() == self.slots.len() && self.slots.capacity() > FEW {
            (self.slots, self.free, self.places) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    /// Keeps memory for what comes, unless there is much of it.
    #[inline]
    pub(super) fn keep(&mut self, mut content: Vec<u8>) {
        if (1..=MOST_KEPT).contains(&content.capacity()) && self.spare.len() < MOST_SPARE {
            content.clear();
            self.spare.push(content);
        }
    }

    /// Streams between these two are not opened any more (RFC 9113, section 5.1.1).
    #[inline]
    pub(super) fn skip_to(&mut self, last: u32, next: u32) {
        let first = if last == 0 { 1 } else { last + 2 };
        if first < next {
            if self.skipped.len() >= MOST_SKIPPED {
                self.skipped.pop_front();
            }
            self.skipped.push_back((first, next));
        }
    }

    /// Whether the stream of this number was passed over, not long ago.
    pub(super) fn was_skipped(&self, id: u32) -> bool {
        self.skipped.iter().any(|(first, next)| (*first..*next).contains(&id))
    }

    /// What still comes on the stream of this number means nothing.
    pub(super) fn keep_in_mind(&mut self, id: u32) {
        if self.reset.len() >= MOST_RESET {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    /// Whether it was reset here, not long ago.
    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.reset.contains(&id)
    }
}
