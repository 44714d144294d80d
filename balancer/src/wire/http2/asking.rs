//! The side that asks: requests go out on streams that it opens, and what comes of each is an answer, behind interim ones and
//! before its body. What is wrong with one answer ends its stream and no other. Must not know: which requests there are.

use std::{
    io,
    task::{Context, Poll},
};

use super::{
    HEAD_LIST, LEAST_WINDOW, MOST_STREAMS, PREFACE, READER_WINDOW, TARGET_WINDOW, TIGHT_WINDOW,
    answers::{Asking, Awaited, GREETING, GoAway, StreamEnd, Unsent},
    block::{Block, BlockSection},
    budget::Pressure,
    core::Core,
    fault::{ErrorCode, StreamFault, Violation},
    frame::{self, FrameHead, flag, kind, setting},
    frames::{Handled, misplaced},
    outgoing::HeadWriter,
};
use crate::{
    internal_errors::Part as _,
    wire::head::{MAX_INTERIM, MAX_RESPONSE_HEAD},
};

/// The number of the last stream that may be opened (RFC 9113, section 5.1.1).
const LAST_STREAM: u32 = 0x7fff_ffff;
/// Interim answers that are kept until somebody takes them: whoever does gives up before there are as many, or so large ones.
const MOST_EARLY: usize = MAX_INTERIM + 2;
const MOST_OF_EARLY: usize = 2 * MAX_RESPONSE_HEAD;
/// What the target may spend for each request, on top of what time brings: its end, and window for it.
const OF_REQUEST: u64 = 20;
/// Header blocks that come for nothing, without an answer or a request between them: no window holds back those that are on
/// their way when a request is taken back, but they come to an end.
const MOST_LATE: u32 = 1 << 16;
/// What is kept of the words of a GOAWAY.
const MOST_WORDS: usize = 200;

impl Core {
    /// That to a target.
    pub(super) fn to_target(now_millis: u64) -> Self {
        let settings = [
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, LEAST_WINDOW),
            (setting::MAX_HEADER_LIST_SIZE, HEAD_LIST),
        ];
        let mut core = Self::saying(PREFACE.to_vec(), &settings, TARGET_WINDOW, now_millis);
        core.asking = Some(Box::new(Asking::new(MOST_STREAMS)));
        core
    }

    /// Asks for a sign that the target speaks HTTP/2.
    pub(super) fn greet(&mut self) {
        frame::write(&mut self.out, kind::PING, 0, 0, GREETING);
    }

    /// Whether the sign has come.
    pub(super) fn is_greeted(&self) -> bool {
        self.has_settings && self.asking.as_ref().is_some_and(|asking| asking.is_greeted)
    }

    /// Whether more requests may ever be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.is_leaving && !self.is_lost && self.violation.is_none() && self.opened < LAST_STREAM
    }

    /// How many requests the target allows at a time.
    pub(super) fn most_requests(&self) -> usize {
        let most = self.asking.as_ref().map_or(0, |asking| asking.most_streams.min(MOST_STREAMS));
        if self.is_open() { usize::try_from(most).unwrap_or(0) } else { 0 }
    }

    /// No more requests are sent; the connection ends with those that are under way.
    pub(super) fn let_go(&mut self) {
        self.is_leaving = true;
        self.stir();
    }

    /// The connection is over: the target has closed it, or it broke.
    pub(super) fn end_by(&mut self, error: Option<io::Error>) {
        if let (Some(asking), Some(error)) = (&mut self.asking, error) {
            asking.broken.get_or_insert(error);
        }
        self.lose();
    }

    /// A place for a request.
    pub(super) fn reserve(&mut self) -> usize {
        let place = self.streams.reserve();
        if let Some(asking) = &mut self.asking {
            if asking.answers.len() <= place {
                asking.answers.resize_with(place + 1, Awaited::default);
            }
            if let Some(answer) = asking.answers.get_mut(place) {
                *answer = Awaited::default();
            }
        }
        place
    }

    /// The target may be so far ahead with the answer on the stream at `place` as there is `room` for it.
    #[inline]
    pub(super) fn let_ahead(&mut self, place: usize, room: usize) {
        let is_tight = self.account.budget.pressure() >= Pressure::Tight;
        let most = if is_tight { TIGHT_WINDOW } else { READER_WINDOW };
        let room = u32::try_from(room).unwrap_or(u32::MAX).clamp(LEAST_WINDOW, most);
        if let Some(stream) = self.streams.get_mut(place) {
            stream.receive_window.resize(room);
        }
        self.grant(place);
    }

    /// Sends the head of a request on the stream at `place`; `ends`: and that is all of it. `is_head`: its method is HEAD. There is
    /// `room` for so much of the answer. Gives back the bytes of names and values of its fields.
    pub(super) fn send_request(
        &mut self,
        place: usize,
        (ends, is_head, room): (bool, bool, usize),
        fields: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Result<u64, Unsent> {
        if !self.is_open() {
            return Err(Unsent::Ended);
        }
        let most_head = match &self.asking {
            Some(asking) if self.streams.open() < asking.most_streams => asking.most_head,
            _ => return Err(Unsent::Full),
        };
        let start = self.out.len();
        let written = self.write_block(None, fields).map_err(|_| Unsent::Malformed)?;
        if written.list > most_head {
            self.unwrite(start);
            return Err(Unsent::TooLarge);
        }
        self.opened = if self.opened == 0 { 1 } else { self.opened + 2 };
        self.close_block(start, self.opened, ends);
        self.streams.open_at(place, self.opened, self.initial_window, !ends);
        if let Some(answer) = self.answer_mut(place) {
            answer.is_of_head = is_head;
        }
        self.credit.earn(OF_REQUEST);
        if let Some(asking) = &mut self.asking {
            asking.late = 0;
        }
        self.let_ahead(place, room);
        self.stir();
        Ok(written.size)
    }

    fn answer_mut(&mut self, place: usize) -> Option<&mut Awaited> {
        self.asking.as_mut()?.answers.get_mut(place)
    }

    /// Nobody takes the answer on the stream at `place` any more.
    #[inline]
    pub(super) fn forget_answer(&mut self, place: usize) {
        let Some(answer) = self.answer_mut(place) else { return };
        if answer.head.is_some() || !answer.early.is_empty() {
            *answer = Awaited::default();
        }
    }

    /// Whether the stream at `place` is one whose answer has not begun.
    #[inline]
    pub(super) fn awaits_head(&self, place: usize) -> bool {
        self.asking
            .as_ref()
            .is_some_and(|asking| asking.answers.get(place).is_some_and(|answer| !answer.has_begun))
    }

    /// Ready when the head of an answer, or of an interim one, is there to be taken.
    pub(super) fn poll_answer(&mut self, place: usize, cx: &Context<'_>) -> Poll<Result<(), StreamFault>> {
        let is_there =
            self.answer_mut(place).is_some_and(|answer| answer.head.is_some() || !answer.early.is_empty());
        let Some(stream) = self.streams.get_mut(place) else { return Poll::Ready(Err(StreamFault::Lost)) };
        if is_there {
            return Poll::Ready(Ok(()));
        }
        if let Some(fault) = stream.fault {
            return Poll::Ready(Err(fault));
        }
        stream.wait(cx);
        Poll::Pending
    }

    /// Takes it. Nothing: there is none.
    pub(super) fn take_answer(&mut self, place: usize) -> Option<Box<Block>> {
        let answer = self.answer_mut(place)?;
        answer.early.pop_front().or_else(|| answer.head.take())
    }

    /// A header block comes to who asks.
    pub(super) fn answer_block(&mut self, head: FrameHead, bytes: &[u8]) -> Handled {
        if head.stream > self.opened {
            return Err(misplaced("an answer comes to nothing that was asked"));
        }
        let place = self.streams.find(head.stream);
        let place = place.filter(|place| self.stream(*place).is_some_and(|stream| stream.is_receiving));
        let is_head = place.is_some_and(|place| self.awaits_head(place));
        let mut block = self.block();
        block.begin(if is_head { BlockSection::Response } else { BlockSection::Trailers });
        // Also of those that mean nothing: later ones are coded after them.
        self.decoder.read(bytes, &mut block).map_err(|_| Violation::Compression)?;
        match place {
            Some(place) if is_head => self.answer(place, head.has(flag::END_STREAM), block),
            Some(_) => self.trailers(head, block),
            None => {
                self.recycle(block);
                self.late_block()
            }
        }
    }

    #[cold]
    fn late_block(&mut self) -> Handled {
        let Some(asking) = &mut self.asking else { return Ok(()) };
        asking.late += 1;
        if asking.late < MOST_LATE { Ok(()) } else { Err(Violation::Flood) }
    }

    fn answer(&mut self, place: usize, ends: bool, block: Box<Block>) -> Handled {
        let status = block.status();
        // There is no 101 in HTTP/2 (RFC 9113, section 8.6): nothing that counts follows it.
        let is_interim = (100..200).contains(&status) && status != 101;
        let is_of_head = self.answer_mut(place).is_some_and(|answer| answer.is_of_head);
        // Where there is no content, its length is that of another answer (RFC 9110, section 8.6).
        let expected = match status {
            _ if is_of_head => Some(0),
            204 | 304 => None,
            _ => block.content_length(),
        };
        let is_short = ends && expected.is_some_and(|length| length > 0);
        if !block.is_well_formed() || is_short || (is_interim && ends) {
            self.recycle(block);
            return self.stream_error(place, ErrorCode::Protocol);
        }
        if is_interim {
            self.interim_answer(place, block);
        } else {
            if let Some(asking) = &mut self.asking {
                asking.late = 0;
            }
            if let Some(answer) = self.answer_mut(place) {
                (answer.has_begun, answer.head) = (true, Some(block));
            }
            if let Some(stream) = self.streams.get_mut(place) {
                stream.expected = expected;
            }
            if ends {
                self.streams.end_receiving(place);
            }
        }
        if let Some(stream) = self.streams.get_mut(place) {
            stream.wake();
        }
        Ok(())
    }

    /// No window holds these back. Where there are too many the stream ends; whoever takes those that are there sees why.
    #[cold]
    fn interim_answer(&mut self, place: usize, block: Box<Block>) {
        let Some(answer) = self.answer_mut(place) else { return };
        answer.early_size += block.size();
        answer.early.push_back(block);
        if answer.early.len() >= MOST_EARLY || answer.early_size >= MOST_OF_EARLY {
            self.reset(place, ErrorCode::Cancel, StreamFault::Malformed);
        }
    }

    /// The target has reset a stream; behind the end of its answer it says that it needs no more of the request.
    #[cold]
    pub(super) fn reset_by_target(&mut self, place: usize, code: u32) {
        if self.stream(place).is_some_and(|stream| stream.is_receiving) {
            self.streams.break_off(place, StreamFault::Reset(code));
            return;
        }
        self.streams.end_sending(place);
        if let Some(stream) = self.streams.get_mut(place) {
            stream.wake();
        }
    }

    /// The target says that it opens or takes no more streams.
    #[cold]
    pub(super) fn goes_away(&mut self, payload: &[u8]) {
        let (Some(last), Some(code)) = (frame::number(payload.part(..4)), frame::number(payload.part(4..8)))
        else {
            return;
        };
        let Some(asking) = &mut self.asking else { return };
        let words = payload.part(8..payload.len().min(8 + MOST_WORDS)).to_vec();
        asking.goaway = Some(GoAway { code, words });
        for place in self.streams.above(last & LAST_STREAM) {
            self.streams.break_off(place, StreamFault::Unseen);
        }
    }

    /// What the target sets that a client does not.
    pub(super) fn setting_of_target(&mut self, name: u16, value: u32) {
        let Some(asking) = &mut self.asking else { return };
        match name {
            setting::MAX_CONCURRENT_STREAMS => asking.most_streams = value,
            setting::MAX_HEADER_LIST_SIZE => asking.most_head = usize::try_from(value).unwrap_or(usize::MAX),
            _ => {}
        }
    }

    /// Why a stream ended as it did.
    #[cold]
    pub(super) fn ending(&self, fault: StreamFault) -> StreamEnd {
        let asking = self.asking.as_ref();
        let goaway = || asking.and_then(|asking| asking.goaway.clone());
        match fault {
            StreamFault::Reset(code) => StreamEnd::Reset(code),
            StreamFault::Unseen => goaway().map_or(StreamEnd::Closed, StreamEnd::Unseen),
            StreamFault::Malformed | StreamFault::Given => StreamEnd::Malformed,
            StreamFault::Lost => match (self.violation, asking.and_then(|asking| asking.broken())) {
                (Some(violation), _) => StreamEnd::Violated(violation),
                (None, Some(error)) => StreamEnd::Broken(error),
                (None, None) => StreamEnd::Closed,
            },
        }
    }
}
