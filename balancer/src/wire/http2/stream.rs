//! One stream, as whoever serves its request holds it: the request's body comes out of it, and the response goes in; or as who
//! asks a target: the other way round. Once it is dropped the stream is over. Must not know: what heads say.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    answers::{StreamEnd, Unsent},
    block::Block,
    core::{Come, Core},
    fault::StreamFault,
    outgoing::HeadWriter,
};
use crate::{
    internal_errors::Part as _,
    model::HeaderField,
    wire::{
        body::{BodyError, Sink, Source, Trailers, Untaken},
        trailers::{TrailerFilter, may_travel},
    },
};

/// What a stream keeps of the memory for what came.
const MOST_KEPT: usize = 4096;

/// A stream.
#[derive(Debug)]
pub struct Http2Stream {
    core: Rc<RefCell<Core>>,
    place: usize,
    /// What came and was taken out of the connection, of which the part from `start` on waits, and so much is given out.
    content: Vec<u8>,
    start: usize,
    given: usize,
    is_read: bool,
    has_begun: bool,
    filter: Option<Arc<TrailerFilter>>,
    taken: u64,
    /// Whether what is given out is the end of the body that goes out.
    is_last: bool,
    is_ended: bool,
    moved: u64,
}

impl Http2Stream {
    pub(super) fn new(core: &Rc<RefCell<Core>>, place: usize) -> Self {
        Self {
            core: Rc::clone(core),
            place,
            content: Vec::new(),
            start: 0,
            given: 0,
            is_read: false,
            has_begun: false,
            filter: None,
            taken: 0,
            is_last: false,
            is_ended: false,
            moved: 0,
        }
    }

    /// The memory of the head that came with it can be used for another.
    pub fn recycle(&self, head: Box<Block>) {
        self.core.borrow_mut().recycle(head);
    }

    /// Whether nothing comes behind what was taken: the end has come. Of a stream that ended early it never does.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let core = self.core.borrow();
        core.stream(self.place).is_some_and(|stream| {
            let is_all_taken = stream.content.is_empty() && stream.trailers.is_none();
            is_all_taken && !stream.is_receiving && stream.fault.is_none()
        })
    }

    /// A body comes in, unless the head was all (`bodiless`). Of its trailers those go on that keep to `filter`.
    pub fn expect(&mut self, bodiless: bool, filter: &Arc<TrailerFilter>) {
        self.is_read = bodiless;
        if !bodiless {
            self.filter = Some(Arc::clone(filter));
        }
    }

    /// The body of an answer comes in, unless the head was all (`bodiless`).
    pub fn expect_answer(&mut self, bodiless: bool) {
        self.is_read = bodiless;
    }

    /// Sends the head of a request to a target, on a stream that was reserved for it. `ends`: and that is all of it; `is_head`: its
    /// method is HEAD; there is `room` for so much of the answer.
    ///
    /// # Errors
    /// Nothing is sent.
    pub fn send_request(
        &mut self,
        (ends, is_head, room): (bool, bool, usize),
        head: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Result<u64, Unsent> {
        self.is_ended = ends;
        self.core.borrow_mut().send_request(self.place, (ends, is_head, room), head)
    }

    /// Ready when the head of an answer is there, or of an interim one.
    ///
    /// # Errors
    /// None comes.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamFault>> {
        self.core.borrow_mut().poll_answer(self.place, cx)
    }

    /// Takes it.
    pub fn take_answer(&mut self) -> Option<Box<Block>> {
        self.core.borrow_mut().take_answer(self.place)
    }

    /// What it means that a stream to a target ended early.
    #[must_use]
    #[cold]
    pub fn ending(&self, fault: StreamFault) -> StreamEnd {
        self.core.borrow().ending(fault)
    }

    /// Bytes of the body that came in.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes of the body that went out.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether what goes out waits for the connection, and not for a window of the stream's own.
    #[must_use]
    pub fn waits_for_connection(&self) -> bool {
        self.core.borrow().stream(self.place).is_some_and(|stream| stream.is_queued)
    }

    /// Why the stream ended early, if it did.
    #[must_use]
    pub fn fault(&self) -> Option<StreamFault> {
        let core = self.core.borrow();
        core.stream(self.place).map_or(Some(StreamFault::Lost), |stream| stream.fault)
    }

    /// Ready once the stream has ended early.
    pub fn poll_fault(&mut self, cx: &mut Context<'_>) -> Poll<StreamFault> {
        self.core.borrow_mut().poll_fault(self.place, cx)
    }

    /// Whether there may be more of the body that comes in than was wanted.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        !self.is_whole()
    }

    /// Takes what comes and drops it. Ready when nothing more comes, or so much has come.
    pub fn poll_drop_content(&mut self, cx: &mut Context<'_>, most: &mut usize) -> Poll<()> {
        self.given = 0;
        loop {
            let Self { core, place, content, start, .. } = self;
            let mut core = core.borrow_mut();
            core.release(*place, content.len() - std::mem::take(start));
            content.clear();
            match ready!(core.poll_come(*place, cx, content, 0)) {
                Ok(Come::Content(length)) => match most.checked_sub(length) {
                    Some(left) => *most = left,
                    None => return Poll::Ready(()),
                },
                Ok(Come::End(_)) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Sends the head of a response; `ends`: and that is all of it. Gives back the bytes of its names and values.
    ///
    /// # Errors
    /// The stream is over, or a field has no form in HTTP/2.
    pub fn send_head(
        &mut self,
        status: u16,
        ends: bool,
        fields: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Result<u64, Untaken> {
        self.core.borrow_mut().send_block(self.place, Some(status), ends, fields)
    }

    /// Sends all of `rest` that there is room for; ready when that was all of it, and with it the stream is ended.
    ///
    /// # Errors
    /// The stream is over.
    pub fn poll_send_rest(&mut self, cx: &mut Context<'_>, rest: &mut &[u8]) -> Poll<Result<(), Untaken>> {
        let mut core = self.core.borrow_mut();
        loop {
            let room = ready!(core.poll_room(self.place, cx, rest.len())).ok_or(Untaken::Closed)?;
            let (part, more) = rest.split_at_checked(room).ok_or(Untaken::Closed)?;
            core.send_data(self.place, part, more.is_empty())?;
            *rest = more;
            if more.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Resets the stream, behind what was sent on it.
    pub fn reset(&mut self, code: impl Into<u32>) {
        self.core.borrow_mut().reset(self.place, code, StreamFault::Given);
    }

    fn release(&mut self, length: usize) {
        self.core.borrow_mut().release(self.place, length);
        if self.start == self.content.len() {
            self.start = 0;
            self.content.clear();
            if self.content.capacity() > MOST_KEPT && self.is_read {
                self.content = Vec::new();
            }
        }
    }

    fn end_with(&mut self, fields: impl FnOnce(&mut HeadWriter<'_>)) -> Result<(), Untaken> {
        let size = self.core.borrow_mut().send_block(self.place, None, true, fields)?;
        self.moved += size;
        Ok(())
    }

    /// The trailers go to `sink`, as far as they go on.
    fn pass_trailers(&self, trailers: &Block, sink: &mut impl Sink) -> Result<(), Untaken> {
        let keeps = |name: &[u8]| match &self.filter {
            Some(filter) => filter.keeps(name),
            None => may_travel(name),
        };
        let fields: Vec<HeaderField<'_>> = trailers.lines().filter(|field| keeps(field.name)).collect();
        sink.end(Trailers::Fields(&fields), false)
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        let mut core = self.core.borrow_mut();
        core.close(self.place);
        core.streams.keep(std::mem::take(&mut self.content));
    }
}

impl Source for Http2Stream {
    type Error = StreamFault;

    #[inline]
    fn is_read(&self) -> bool {
        self.is_read
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Its end comes again, where that came by itself.
    fn restart(&mut self) {
        if self.filter.is_some() && !self.has_begun {
            self.is_read = false;
        }
    }

    #[inline]
    fn has_input(&self) -> bool {
        self.given == 0 && self.content() > 0
    }

    #[inline]
    fn content(&self) -> usize {
        self.content.len() - self.start
    }

    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<StreamFault>> {
        self.given = room;
        self.is_read = room == self.content() && self.is_whole();
        sink.begin(room, self.is_read);
        Ok(true)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<StreamFault>>> {
        let room = sink.room_ahead();
        let come = self.core.borrow_mut().poll_come(self.place, cx, &mut self.content, room);
        match ready!(come).map_err(BodyError::Source)? {
            Come::Content(length) => {
                self.taken += length as u64;
                self.has_begun = true;
            }
            Come::End(trailers) => {
                self.is_read = true;
                match trailers {
                    None => sink.end(Trailers::None, false)?,
                    Some(trailers) => {
                        self.has_begun = true;
                        self.pass_trailers(&trailers, sink)?;
                        self.recycle(trailers);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn given(&self) -> &[u8] {
        self.content.part(self.start..self.start + self.given)
    }

    fn consume(&mut self, length: usize) {
        let length = length.min(self.given);
        self.start += length;
        self.given -= length;
        self.release(length);
    }

    fn is_held_up(&self) -> bool {
        self.content() > 0
    }

    fn switch(&mut self) {
        self.is_read = false;
    }
}

impl Sink for Http2Stream {
    #[inline]
    fn is_chunked(&self) -> bool {
        false
    }

    #[inline]
    fn is_ready(&self) -> bool {
        true
    }

    #[inline]
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        self.core.borrow_mut().poll_room(self.place, cx, wanted).map(|room| room.ok_or(Untaken::Closed))
    }

    #[inline]
    fn poll_space(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.borrow_mut().poll_space(self.place, cx)
    }

    #[inline]
    fn room_now(&self) -> usize {
        self.core.borrow().room_now(self.place)
    }

    #[inline]
    fn room_ahead(&self) -> usize {
        self.core.borrow_mut().room_ahead(self.place)
    }

    #[inline]
    fn begin(&mut self, _: usize, last: bool) {
        self.is_last = last;
    }

    fn poll_take(&mut self, _: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        let content = source.given();
        if !content.is_empty() {
            let length = content.len();
            self.core.borrow_mut().send_data(self.place, content, self.is_last)?;
            self.is_ended = self.is_last;
            self.moved += length as u64;
            source.consume(length);
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Trailers<'_>, _: bool) -> Result<(), Untaken> {
        self.is_ended = true;
        match trailers {
            Trailers::Fields([]) | Trailers::None => self.core.borrow_mut().send_data(self.place, b"", true),
            Trailers::Fields(fields) => self.end_with(|writer| {
                fields.iter().for_each(|field| writer.field(field.name, field.value));
            }),
        }
    }

    #[inline]
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        Poll::Ready(Ok(()))
    }

    fn is_clear(&self) -> bool {
        true
    }

    #[inline]
    fn progress(&self) -> u64 {
        self.moved + u64::from(self.is_ended)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
