//! What comes, frame by frame (RFC 9113, sections 4 to 6).

use super::{
    MOST_STREAMS, PREFACE, TIGHT_WINDOW,
    answers::GREETING,
    block::{Block, BlockSection},
    budget::Pressure,
    core::{Arrived, Core, FAREWELL, Leaving},
    credit::OF_RESET,
    fault::{ErrorCode, StreamFault, Violation},
    frame::{self, FrameHead, HEAD, LARGEST_PAYLOAD, MOST_PAYLOAD, Pieces, flag, kind, setting},
};
use crate::internal_errors::Part as _;

/// Bytes that a header block may come in, heads of frames among them, in any number of frames (RFC 9113, section 6.10).
const MOST_BLOCK: usize = 25 * (HEAD + MOST_PAYLOAD);

pub(super) type Handled = Result<(), Violation>;

pub(super) fn misplaced(what: &'static str) -> Violation {
    Violation::Protocol(what)
}

impl Core {
    /// Takes in what has come. Gives back how much of it needs no more to come.
    pub(super) fn receive(&mut self, input: &[u8]) -> usize {
        let mut at = 0;
        while self.violation.is_none() {
            let rest = input.part(at..);
            let taken = if self.preface > 0 { self.take_preface(rest) } else { self.take_frame(rest) };
            match taken {
                Ok(0) => break,
                Ok(taken) => at += taken,
                Err(violation) => self.fail(violation),
            }
        }
        if self.violation.is_some() { input.len() } else { at }
    }

    fn take_preface(&mut self, input: &[u8]) -> Result<usize, Violation> {
        let wanted = PREFACE.part(PREFACE.len() - self.preface..);
        let length = wanted.len().min(input.len());
        if input.get(..length) != wanted.get(..length) {
            return Err(Violation::Preface);
        }
        self.preface -= length;
        Ok(length)
    }

    /// Takes the frame at the front of `input`: 0 when it is not there whole.
    fn take_frame(&mut self, input: &[u8]) -> Result<usize, Violation> {
        let Some(head) = FrameHead::read(input) else { return Ok(0) };
        if !self.has_settings {
            if head.kind != kind::SETTINGS || head.has(flag::ACK) {
                return Err(Violation::NoSettings);
            }
            self.has_settings = true;
        }
        if head.length > MOST_PAYLOAD {
            return Err(Violation::FrameSize);
        }
        let end = HEAD + head.length;
        let Some(payload) = input.get(HEAD..end) else { return Ok(0) };
        if !self.credit.charge(head) {
            return Err(Violation::Flood);
        }
        self.frame(head, payload)?;
        Ok(end)
    }

    fn frame(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        if self.pieces.is_some() && head.kind != kind::CONTINUATION {
            return Err(misplaced("a header block is interrupted"));
        }
        match (head.kind, head.stream) {
            (kind::DATA, 1..) => self.data(head, payload),
            (kind::HEADERS, 1..) => self.headers(head, payload),
            (kind::CONTINUATION, 1..) => self.continuation(head, payload),
            (kind::PRIORITY, 1..) if payload.len() == 5 => self.priority(head, payload),
            (kind::RST_STREAM, 1..) => self.rst_stream(head, payload),
            (kind::WINDOW_UPDATE, _) => self.window_update(head, payload),
            (kind::SETTINGS, 0) => self.settings(head, payload),
            (kind::PING, 0) => self.ping(head, payload),
            (kind::GOAWAY, 0) if payload.len() >= 8 => {
                self.is_leaving = true;
                self.goes_away(payload);
                Ok(())
            }
            (kind::PRIORITY, 1..) | (kind::GOAWAY, 0) => Err(Violation::FrameSize),
            (kind::PUSH_PROMISE, _) => Err(misplaced("nothing may be promised")),
            (..=kind::CONTINUATION, _) => Err(misplaced("a frame is on a stream that it cannot be on")),
            _ => Ok(()),
        }
    }

    /// Whether nobody has opened this stream.
    fn is_idle(&self, id: u32) -> bool {
        id > self.opened || id.is_multiple_of(2)
    }

    fn data(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        let content = head.content(payload).ok_or(misplaced("padding is larger than its frame"))?;
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if !self.receive_window.take(length, || false) {
            return Err(Violation::FlowControl);
        }
        let place = self.streams.find(head.stream);
        let is_early = place.is_some_and(|place| self.awaits_head(place));
        let Some(stream) = place.and_then(|place| self.streams.get_mut(place)) else {
            if self.is_idle(head.stream) {
                return Err(misplaced("content comes on a stream that was not opened"));
            }
            return self.late(head.stream, length);
        };
        if !stream.is_receiving {
            return self.late(head.stream, length);
        }
        let place = place.unwrap_or_default();
        let (budget, is_asked) = (self.account.budget, self.asking.is_none());
        let is_borne = || is_asked || budget.pressure() < Pressure::Full;
        let has_room = stream.receive_window.take(length, is_borne);
        let held = stream.receive_window.held();
        let ends = head.has(flag::END_STREAM);
        let is_as_said =
            stream.expected.is_none_or(|expected| match expected.checked_sub(content.len() as u64) {
                None => false,
                Some(left) => {
                    stream.expected = Some(left);
                    left == 0 || !ends
                }
            });
        if !has_room {
            return self.stream_error(place, ErrorCode::FlowControl);
        }
        if !is_as_said || is_early {
            return self.stream_error(place, ErrorCode::Protocol);
        }
        if self.has_no_room_for(held) {
            self.reset(place, ErrorCode::EnhanceYourCalm, StreamFault::Given);
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(place) else { return Ok(()) };
        stream.content.extend_from_slice(content);
        if !content.is_empty() || ends {
            stream.wake();
        }
        if ends {
            self.streams.end_receiving(place);
        }
        if payload.len() > content.len() {
            self.release(place, payload.len() - content.len());
        }
        Ok(())
    }

    /// Something came behind the end of a stream, where it means nothing if this side has ended it.
    #[cold]
    fn late(&mut self, id: u32, length: u32) -> Handled {
        // Of what this side has opened it cannot be kept in mind how it ended, so many may have been taken back.
        if self.asking.is_none() && !self.streams.was_reset(id) && !self.is_beyond(id) {
            return Err(Violation::StreamClosed);
        }
        self.release_connection(length);
        Ok(())
    }

    /// Whether the stream came too late for the connection.
    fn is_beyond(&self, id: u32) -> bool {
        matches!(self.leaving, Leaving::Above(last) if id > last)
    }

    /// Ends a stream for what the client has done on it; that costs it something.
    #[cold]
    pub(super) fn stream_error(&mut self, place: usize, code: ErrorCode) -> Handled {
        if !self.credit.spend(OF_RESET) {
            return Err(Violation::Flood);
        }
        self.reset(place, code, StreamFault::Malformed);
        Ok(())
    }

    /// What it says is ignored (RFC 9113, section 5.3.2). A stream that depends on itself is a fault all the same, as of old
    /// (RFC 7540, section 5.3.1): clients are tested for it, and none that is in order does so.
    fn priority(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        if self.asking.is_some() || !head.depends_on_itself(payload) {
            return Ok(());
        }
        match self.streams.find(head.stream) {
            Some(place) => self.stream_error(place, ErrorCode::Protocol),
            None if self.is_idle(head.stream) => Err(misplaced("a stream depends on itself")),
            None => Ok(()),
        }
    }

    fn headers(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        let fragment = head.content(payload).ok_or(misplaced("padding is larger than its frame"))?;
        if head.stream.is_multiple_of(2) {
            return Err(misplaced("clients open streams of odd numbers"));
        }
        self.depends_on_itself = head.depends_on_itself(payload);
        if head.has(flag::END_HEADERS) {
            return self.header_block(head, fragment);
        }
        self.pieces = Some(Pieces { head, length: HEAD + payload.len(), bytes: fragment.to_vec() });
        Ok(())
    }

    fn continuation(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        let pieces = self.pieces.as_mut().filter(|pieces| pieces.head.stream == head.stream);
        let pieces = pieces.ok_or(misplaced("CONTINUATION continues nothing"))?;
        pieces.length += HEAD + payload.len();
        if pieces.length > MOST_BLOCK {
            return Err(Violation::HeadTooLarge);
        }
        pieces.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS)
            && let Some(pieces) = self.pieces.take()
        {
            return self.header_block(pieces.head, &pieces.bytes);
        }
        Ok(())
    }

    fn header_block(&mut self, head: FrameHead, bytes: &[u8]) -> Handled {
        if self.asking.is_some() {
            return self.answer_block(head, bytes);
        }
        let is_new = head.stream > self.opened;
        let mut block = self.block();
        block.begin(if is_new { BlockSection::Request } else { BlockSection::Trailers });
        // Also of those that mean nothing: later ones are coded after them.
        self.decoder.read(bytes, &mut block).map_err(|_| Violation::Compression)?;
        if is_new { self.request(head, block) } else { self.trailers(head, block) }
    }

    fn request(&mut self, head: FrameHead, mut block: Box<Block>) -> Handled {
        self.streams.skip_to(self.opened, head.stream);
        self.opened = head.stream;
        let ends = head.has(flag::END_STREAM);
        if ends {
            block.end();
        }
        let expected = block.content_length();
        if self.is_beyond(head.stream) {
            self.recycle(block);
            return Ok(());
        }
        let is_malformed = !block.is_well_formed() || ends && expected.is_some_and(|length| length > 0);
        if is_malformed || self.depends_on_itself {
            if !self.credit.spend(OF_RESET) {
                return Err(Violation::Flood);
            }
            block.spoil();
        }
        if self.streams.open() >= MOST_STREAMS || self.has_no_room_for_requests() {
            self.recycle(block);
            if !ends {
                self.streams.keep_in_mind(head.stream);
            }
            self.write_reset(head.stream, ErrorCode::Refused);
            return Ok(());
        }
        // How long it was to be means nothing where all of it is refused.
        let expected = expected.filter(|_| !block.is_malformed());
        self.taken = head.stream;
        let windows = (self.initial_window, self.stream_window);
        let place = self.streams.begin(head.stream, windows, !ends, expected);
        self.accepted.push_back(Arrived { place, head: block });
        Ok(())
    }

    /// Whether all connections hold so much that a request is refused; the first of a connection never is.
    #[inline]
    fn has_no_room_for_requests(&self) -> bool {
        let budget = self.account.budget;
        let has_none = self.streams.open() > 0 && budget.pressure() >= Pressure::Severe;
        if has_none {
            budget.count_refused();
        }
        has_none
    }

    /// Whether all connections hold so much that no more content of a request is taken than [`TIGHT_WINDOW`].
    #[inline]
    fn has_no_room_for(&self, held: u32) -> bool {
        let budget = self.account.budget;
        let has_none = held > TIGHT_WINDOW && self.asking.is_none() && budget.pressure() == Pressure::Full;
        if has_none {
            budget.count_refused();
        }
        has_none
    }

    pub(super) fn trailers(&mut self, head: FrameHead, block: Box<Block>) -> Handled {
        let place = self.streams.find(head.stream);
        let stream = place.and_then(|place| self.streams.get_mut(place)).filter(|stream| stream.is_receiving);
        let (Some(place), Some(stream)) = (place, stream) else {
            self.recycle(block);
            if self.streams.was_skipped(head.stream) {
                return Err(misplaced("a stream is opened below another one"));
            }
            return self.late(head.stream, 0);
        };
        if !head.has(flag::END_STREAM)
            || !block.is_well_formed()
            || stream.expected.is_some_and(|left| left > 0)
        {
            self.recycle(block);
            return self.stream_error(place, ErrorCode::Protocol);
        }
        stream.trailers = Some(block);
        stream.wake();
        self.streams.end_receiving(place);
        Ok(())
    }

    fn rst_stream(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        let code = frame::number(payload).ok_or(Violation::FrameSize)?;
        if self.is_idle(head.stream) {
            return Err(misplaced("a stream is reset that was not opened"));
        }
        let Some(place) = self.streams.find(head.stream) else { return Ok(()) };
        if self.asking.is_some() {
            self.reset_by_target(place, code);
            return Ok(());
        }
        let unreleased = self.streams.end(place, StreamFault::Reset(code));
        self.release_connection(unreleased);
        Ok(())
    }

    fn window_update(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        let more = frame::number(payload).ok_or(Violation::FrameSize)? & 0x7fff_ffff;
        if head.stream == 0 {
            if more == 0 {
                return Err(misplaced("a window grows by nothing"));
            }
            self.window.shift(more.into()).map_err(|_| Violation::FlowControl)?;
            return Ok(());
        }
        if self.is_idle(head.stream) {
            return Err(misplaced("window comes for a stream that was not opened"));
        }
        let place = self.streams.find(head.stream);
        let stream = place.and_then(|place| self.streams.get_mut(place)).filter(|stream| !stream.is_over());
        let (Some(place), Some(stream)) = (place, stream) else { return Ok(()) };
        if more == 0 {
            return self.stream_error(place, ErrorCode::Protocol);
        }
        if stream.window.shift(more.into()).is_err() {
            return self.stream_error(place, ErrorCode::FlowControl);
        }
        stream.wake_for_room();
        Ok(())
    }

    fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        if head.has(flag::ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(Violation::FrameSize) };
        }
        for (name, value) in frame::settings(payload).ok_or(Violation::FrameSize)? {
            match name {
                setting::HEADER_TABLE_SIZE => self.encoder.allow(value),
                setting::ENABLE_PUSH if value > u32::from(self.asking.is_none()) => {
                    return Err(misplaced("ENABLE_PUSH is none that there may be"));
                }
                setting::INITIAL_WINDOW_SIZE => self.initial_window(value)?,
                setting::MAX_FRAME_SIZE => {
                    let size = usize::try_from(value).unwrap_or(usize::MAX);
                    if size < MOST_PAYLOAD || value > LARGEST_PAYLOAD {
                        return Err(misplaced("MAX_FRAME_SIZE is none that there may be"));
                    }
                    self.most_payload = size;
                }
                _ => self.setting_of_target(name, value),
            }
        }
        frame::write(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
    }

    /// Windows of streams that are open change with it (RFC 9113, section 6.9.2).
    fn initial_window(&mut self, size: u32) -> Handled {
        if size > 0x7fff_ffff {
            return Err(Violation::FlowControl);
        }
        let change = i64::from(size) - i64::from(std::mem::replace(&mut self.initial_window, size));
        for stream in self.streams.each().filter(|stream| !stream.is_over()) {
            stream.window.shift(change).map_err(|_| Violation::FlowControl)?;
            stream.wake_for_room();
        }
        Ok(())
    }

    fn ping(&mut self, head: FrameHead, payload: &[u8]) -> Handled {
        if payload.len() != 8 {
            return Err(Violation::FrameSize);
        }
        if !head.has(flag::ACK) {
            frame::write(&mut self.out, kind::PING, flag::ACK, 0, payload);
        } else if let Some(asking) = &mut self.asking {
            asking.is_greeted |= payload == GREETING;
        } else if payload == FAREWELL && self.leaving == Leaving::Told {
            self.leaving = Leaving::Above(self.opened);
            self.goaway(self.opened, ErrorCode::NoError);
        }
        Ok(())
    }
}
