//! One connection, of a client or to a target: what all its streams have in common, and what is done with each. Must not know:
//! how bytes come and go, nor what frames look like (`frames` reads them, `outgoing` writes what streams say).

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use super::{
    CONNECTION_WINDOW, FEW_STREAMS, HEAD_LIST, MOST_STREAMS, PREFACE, STREAM_WINDOW, TIGHT_WINDOW,
    answers::Asking,
    block::Block,
    budget::{BUDGET, Budget, BudgetShare, Pressure},
    credit::Credit,
    fault::{ErrorCode, StreamFault, Violation},
    flow::{INITIAL, ReceiveWindow, SendWindow},
    frame::{self, MOST_PAYLOAD, Pieces, kind, setting},
    hpack::{Decoder, Encoder},
    streams::{StreamState, Streams},
};
use crate::internal_errors::Part as _;

/// How much may wait to be written before nothing is read any more: what is read makes more to be written.
const MOST_WAITING: usize = 256 * 1024;
/// What may be written and not be cleared away.
const MOST_WRITTEN: usize = 32 * 1024;
/// Memory for what is to be written that a connection at rest keeps.
const MOST_KEPT: usize = 4096;
/// Blocks whose memory is kept, and by a connection at rest.
const MOST_BLOCKS: usize = 16;
const BLOCKS_AT_REST: usize = 1;
/// A number above those of all streams (RFC 9113, section 6.8).
const NO_STREAM_YET: u32 = 0x7fff_ffff;
/// What the PING carries whose answer says that the client knows that it is to go.
pub(super) const FAREWELL: &[u8; 8] = b"farewell";

/// How far this side is with ending the connection (RFC 9113, section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// The client is to be told as soon as nothing is under way and a stream above this one was answered.
    Due(u32),
    /// The client is told to open no more streams, and that those are served which it has opened meanwhile.
    Told,
    /// Streams above this one are not.
    Above(u32),
}

/// A request that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) place: usize,
    pub(super) head: Box<Block>,
}

/// What has come of a body.
#[derive(Debug)]
pub(super) enum Come {
    /// More of it, so many bytes.
    Content(usize),
    /// Its end.
    End(Option<Box<Block>>),
}

/// The connection.
#[derive(Debug)]
pub(super) struct Core {
    /// Bytes of the preface that are still to come.
    pub(super) preface: usize,
    pub(super) has_settings: bool,
    /// A header block that goes on.
    pub(super) pieces: Option<Pieces>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) streams: Streams,
    pub(super) accepted: VecDeque<Arrived>,
    pub(super) credit: Credit,
    /// What there is of a connection to a target alone.
    pub(super) asking: Option<Box<Asking>>,
    /// The highest stream that was opened, and that was taken.
    pub(super) opened: u32,
    pub(super) taken: u32,
    /// Whether the header block that comes says so of its stream.
    pub(super) depends_on_itself: bool,
    pub(super) window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    /// What the other side allows.
    pub(super) initial_window: u32,
    pub(super) most_payload: usize,
    pub(super) leaving: Leaving,
    /// Whether no more streams are opened.
    pub(super) is_leaving: bool,
    /// Why nothing is read any more.
    pub(super) violation: Option<Violation>,
    pub(super) is_lost: bool,
    /// What is to be written, from an index on.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    /// Whoever writes, while it sleeps.
    pub(super) writer: Option<Waker>,
    pub(super) is_asleep: bool,
    /// Places of streams that wait for room.
    pub(super) waiting: VecDeque<usize>,
    /// How far all streams may be ahead where what goes out on them comes from.
    pub(super) ahead: usize,
    /// Bytes of content that were sent since there was no stream.
    pub(super) content_sent: u64,
    #[allow(clippy::vec_box, reason = "what waits for somebody moves about, and has to be small")]
    pub(super) blocks: Vec<Box<Block>>,
    /// What it holds of what the process may.
    pub(super) account: BudgetShare,
    /// How many requests at a time the client is offered, and what window each begins with.
    pub(super) offered: u32,
    pub(super) stream_window: u32,
}

impl Core {
    /// That of a client.
    pub(super) fn new(now_millis: u64) -> Self {
        Self::within(&BUDGET, now_millis)
    }

    /// The same within this budget.
    pub(super) fn within(budget: &'static Budget, now_millis: u64) -> Self {
        let is_tight = budget.pressure() >= Pressure::Tight;
        let (offered, stream_window) =
            if is_tight { (FEW_STREAMS, TIGHT_WINDOW) } else { (MOST_STREAMS, STREAM_WINDOW) };
        let settings = [
            (setting::MAX_CONCURRENT_STREAMS, offered),
            (setting::INITIAL_WINDOW_SIZE, stream_window),
            (setting::MAX_HEADER_LIST_SIZE, HEAD_LIST),
            (setting::ENABLE_CONNECT_PROTOCOL, 1),
        ];
        let account = BudgetShare::new(budget);
        let saying = Self::saying(Vec::new(), &settings, CONNECTION_WINDOW, now_millis);
        Self { preface: PREFACE.len(), account, offered, stream_window, ..saying }
    }

    /// One that says these settings behind what is in `out`, and has such a window.
    pub(super) fn saying(mut out: Vec<u8>, settings: &[(u16, u32)], window: u32, now_millis: u64) -> Self {
        frame::write_settings(&mut out, settings);
        frame::write(&mut out, kind::WINDOW_UPDATE, 0, 0, &window.saturating_sub(INITIAL).to_be_bytes());
        Self { out, ..Self::empty(window, now_millis) }
    }

    /// One that has nothing to say, and has such a window.
    pub(super) fn empty(window: u32, now_millis: u64) -> Self {
        Self {
            preface: 0,
            has_settings: false,
            pieces: None,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            streams: Streams::default(),
            accepted: VecDeque::new(),
            credit: Credit::new(now_millis),
            asking: None,
            opened: 0,
            taken: 0,
            depends_on_itself: false,
            window: SendWindow::new(INITIAL),
            receive_window: ReceiveWindow::new(window),
            initial_window: INITIAL,
            most_payload: MOST_PAYLOAD,
            leaving: Leaving::No,
            is_leaving: false,
            violation: None,
            is_lost: false,
            out: Vec::new(),
            written: 0,
            writer: None,
            is_asleep: false,
            waiting: VecDeque::new(),
            ahead: 0,
            content_sent: 0,
            blocks: Vec::new(),
            account: BudgetShare::new(&BUDGET),
            offered: MOST_STREAMS,
            stream_window: STREAM_WINDOW,
        }
    }

    /// Whether the client has begun as it has to.
    pub(super) fn has_begun(&self) -> bool {
        self.preface == 0
    }

    /// What is to be written.
    pub(super) fn output(&self) -> &[u8] {
        self.out.part(self.written..)
    }

    /// So much of it is written.
    pub(super) fn wrote(&mut self, length: usize) {
        self.written = self.written.saturating_add(length).min(self.out.len());
        self.credit.wrote(length);
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            if self.streams.open() == 0 {
                self.rest();
            }
        } else if self.written >= MOST_WRITTEN {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    /// What is to be written cannot be, and no more of it.
    #[cold]
    pub(super) fn drop_output(&mut self) {
        self.is_leaving = true;
        (self.out, self.written) = (Vec::new(), 0);
    }

    /// Nothing is under way: memory that others can use is let go.
    fn rest(&mut self) {
        if self.out.capacity() > MOST_KEPT {
            self.out = Vec::new();
        }
        self.blocks.truncate(BLOCKS_AT_REST);
        self.streams.rest();
    }

    /// As above, when nothing is expected either: little pieces in the midst of what others took would keep all of that.
    pub(super) fn shrink(&mut self) {
        self.blocks = Vec::new();
        self.streams.shrink();
        if let Some(asking) = self.asking.as_mut().filter(|_| self.streams.is_bare()) {
            asking.answers = Vec::new();
        }
    }

    /// Whether more may be read.
    pub(super) fn may_read(&self) -> bool {
        self.violation.is_none() && !self.is_lost && self.out.len() - self.written < MOST_WAITING
    }

    /// Has whoever writes be woken when there is something to be written.
    pub(super) fn sleep(&mut self, cx: &Context<'_>) {
        self.is_asleep = true;
        if !self.writer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.writer = Some(cx.waker().clone());
        }
    }

    /// Whoever writes is awake.
    pub(super) fn wake_up(&mut self) {
        self.is_asleep = false;
    }

    /// There is something to be written.
    #[inline]
    pub(super) fn stir(&mut self) {
        if std::mem::take(&mut self.is_asleep)
            && let Some(writer) = &self.writer
        {
            writer.wake_by_ref();
        }
    }

    /// Whether nothing more is to come of the connection once all is written.
    pub(super) fn is_done(&self) -> bool {
        let is_leaving = self.is_leaving || matches!(self.leaving, Leaving::Above(_));
        let is_over = self.violation.is_some() || (is_leaving && self.streams.open() == 0);
        is_over && self.accepted.is_empty()
    }

    /// A client that leaves is told up to which stream it was served (RFC 9113, section 6.8), once. Whether it is to be told.
    pub(super) fn says_farewell(&mut self) -> bool {
        let is_told = self.violation.is_some() || matches!(self.leaving, Leaving::Above(_));
        if !is_told {
            self.leaving = Leaving::Above(self.opened);
            self.goaway(self.taken, ErrorCode::NoError);
        }
        !is_told
    }

    /// Tells the client to open no more streams once all answers are out, and those to its next requests where there are none:
    /// some clients make nothing of what comes behind a GOAWAY, not even of an answer.
    pub(super) fn leave_behind_answers(&mut self) {
        if self.leaving == Leaving::No && self.violation.is_none() {
            self.leaving = Leaving::Due(if self.streams.open() == 0 { self.opened } else { 0 });
        }
    }

    /// Does so, if that is due. The PING comes first, as the same clients make nothing of one behind a GOAWAY either. What a client
    /// asks for between the two it is told was not served.
    #[inline]
    pub(super) fn leave_if_due(&mut self) {
        if let Leaving::Due(before) = self.leaving
            && self.streams.open() == 0
            && self.opened > before
            && self.violation.is_none()
        {
            self.leaving = Leaving::Told;
            frame::write(&mut self.out, kind::PING, 0, 0, FAREWELL);
            self.goaway(NO_STREAM_YET, ErrorCode::NoError);
        }
    }

    /// Tells the client to open no more streams.
    pub(super) fn leave(&mut self) {
        if matches!(self.leaving, Leaving::No | Leaving::Due(_)) && self.violation.is_none() {
            self.leaving = Leaving::Told;
            self.goaway(NO_STREAM_YET, ErrorCode::NoError);
            frame::write(&mut self.out, kind::PING, 0, 0, FAREWELL);
            self.stir();
        }
    }

    pub(super) fn goaway(&mut self, last: u32, code: ErrorCode) {
        let ([a, b, c, d], [e, f, g, h]) = (last.to_be_bytes(), (code as u32).to_be_bytes());
        frame::write(&mut self.out, kind::GOAWAY, 0, 0, &[a, b, c, d, e, f, g, h]);
    }

    /// The other side has violated HTTP/2: it is told, and that is the end.
    #[cold]
    pub(super) fn fail(&mut self, violation: Violation) {
        if self.violation.is_none() {
            self.violation = Some(violation);
            self.goaway(self.taken, violation.code());
            self.lose();
        }
    }

    /// The connection is over.
    #[cold]
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        let is_answered = self.asking.is_some();
        for stream in self.streams.each() {
            // An answer that has come whole is one.
            if stream.is_receiving || !is_answered {
                stream.fault.get_or_insert(StreamFault::Lost);
            }
            (stream.is_receiving, stream.is_sending) = (false, false);
            stream.wake();
        }
        self.streams.forget_open();
    }

    /// What has come of the body of a stream; content goes into `into`, behind what is there. Where nothing has, a target may be as
    /// far ahead as there is `room`.
    pub(super) fn poll_come(
        &mut self,
        place: usize,
        cx: &Context<'_>,
        into: &mut Vec<u8>,
        room: usize,
    ) -> Poll<Result<Come, StreamFault>> {
        let Some(stream) = self.streams.get_mut(place) else { return Poll::Ready(Err(StreamFault::Lost)) };
        // Of an answer all goes on that has come.
        let ends_at_once = self.asking.is_none() || stream.content.is_empty();
        if let Some(fault) = stream.fault.filter(|_| ends_at_once) {
            return Poll::Ready(Err(fault));
        }
        if !stream.content.is_empty() {
            let length = stream.content.len();
            if into.is_empty() {
                std::mem::swap(into, &mut stream.content);
            } else {
                into.append(&mut stream.content);
            }
            return Poll::Ready(Ok(Come::Content(length)));
        }
        if !stream.is_receiving {
            return Poll::Ready(Ok(Come::End(stream.trailers.take())));
        }
        stream.wait(cx);
        if self.asking.is_some() {
            self.let_ahead(place, room);
        }
        Poll::Pending
    }

    /// Ready when a stream has ended early.
    pub(super) fn poll_fault(&mut self, place: usize, cx: &Context<'_>) -> Poll<StreamFault> {
        let Some(stream) = self.streams.get_mut(place) else { return Poll::Ready(StreamFault::Lost) };
        if let Some(fault) = stream.fault {
            return Poll::Ready(fault);
        }
        stream.wait(cx);
        Poll::Pending
    }

    pub(super) fn stream(&self, place: usize) -> Option<&StreamState> {
        self.streams.get(place)
    }

    /// Resets a stream that is not over.
    #[cold]
    pub(super) fn reset(&mut self, place: usize, code: impl Into<u32>, fault: StreamFault) {
        let Some(stream) = self.streams.get(place).filter(|stream| !stream.is_over()) else { return };
        let id = stream.id;
        if stream.is_receiving && self.asking.is_none() {
            self.streams.keep_in_mind(id);
        }
        self.write_reset(id, code);
        let unreleased = self.streams.end(place, fault);
        self.release_connection(unreleased);
    }

    pub(super) fn write_reset(&mut self, id: u32, code: impl Into<u32>) {
        frame::write(&mut self.out, kind::RST_STREAM, 0, id, &code.into().to_be_bytes());
        self.stir();
    }

    /// Nobody holds the stream any more.
    pub(super) fn close(&mut self, place: usize) {
        let Some(stream) = self.streams.get(place) else { return };
        if !stream.is_over() {
            // A whole response needs no more of the request (RFC 9113, section 8.1).
            let is_answered = !stream.is_sending && self.asking.is_none();
            let code = if is_answered { ErrorCode::NoError } else { ErrorCode::Cancel };
            self.reset(place, code, StreamFault::Given);
        }
        let Some(stream) = self.streams.get_mut(place) else { return };
        let unreleased = stream.receive_window.release(u32::MAX);
        self.ahead = self.ahead.saturating_sub(stream.ahead);
        self.streams.remove(place);
        if self.streams.open() == 0 {
            self.content_sent = 0;
        }
        self.forget_answer(place);
        if unreleased > 0 {
            self.release_connection(unreleased);
        }
    }

    /// A block with memory that was used before.
    pub(super) fn block(&mut self) -> Box<Block> {
        self.blocks.pop().unwrap_or_default()
    }

    /// Keeps the memory of a block.
    pub(super) fn recycle(&mut self, block: Box<Block>) {
        if block.is_small() && self.blocks.len() < MOST_BLOCKS {
            self.blocks.push(block);
        }
    }
}
