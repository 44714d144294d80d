//! A byte stream that keeps an eye on the HTTP/2 frames read from it (RFC 9113, section 4.1): the first has to be
//! SETTINGS, and frames that make work and carry nothing are let through at a rate, and then no more. Must not
//! know: what frames mean beyond that.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use super::buffer::Buffer;
use crate::internal_errors::Part as _;

/// What every client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD: usize = 9;
/// What may be spent at once, and what comes back in a millisecond.
const MOST_CREDIT: u64 = 2000;
const CREDIT_PER_MILLI: u64 = 1;
/// Whoever reads a body gives window in small pieces: so many bytes written pay for a frame.
const BYTES_PER_CREDIT: u64 = 128;
/// Work is begun for a request before it is reset.
const COST_OF_RESET: u64 = 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

/// What a peer has done that ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Its first frame is not its settings (RFC 9113, section 3.4).
    #[error("its first frame is not SETTINGS")]
    NoSettings,
    /// It has sent more frames of no use than it may.
    #[error("it sends more frames of no use than it may")]
    Flood,
}

/// The state of a peer's account, and what has gone over the wire.
#[derive(Debug)]
pub struct Meter {
    credit: Cell<u64>,
    filled_millis: Cell<u64>,
    fault: Cell<Option<FrameFault>>,
    received: Cell<u64>,
    sent: Cell<u64>,
    /// Whether nothing was written since all was last flushed.
    clean: Cell<bool>,
    awaiting: Cell<usize>,
    written: Notify,
    /// Of whoever writes: it sleeps while there is nothing to write.
    writer: RefCell<Option<Waker>>,
}

impl Meter {
    fn new(now_millis: u64) -> Self {
        Self {
            credit: Cell::new(MOST_CREDIT),
            filled_millis: Cell::new(now_millis),
            fault: Cell::new(None),
            received: Cell::new(0),
            sent: Cell::new(0),
            clean: Cell::new(true),
            awaiting: Cell::new(0),
            written: Notify::new(),
            writer: RefCell::new(None),
        }
    }

    /// What the peer has done that it may not. Nothing more is read from it then.
    #[must_use]
    pub fn fault(&self) -> Option<FrameFault> {
        self.fault.get()
    }

    /// Whether nothing waits to be written.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.clean.get()
    }

    /// Bytes read since the last call.
    #[must_use]
    pub fn take_received(&self) -> u64 {
        self.received.take()
    }

    /// Bytes written since the last call.
    #[must_use]
    pub fn take_sent(&self) -> u64 {
        self.sent.take()
    }

    /// Waits until all that whoever writes has to write at the next occasion is written.
    pub async fn written(&self) {
        self.awaiting.set(self.awaiting.get() + 1);
        let written = self.written.notified();
        if let Some(writer) = &*self.writer.borrow() {
            writer.wake_by_ref();
        }
        written.await;
    }

    /// To be called by whoever writes before it sleeps: it is woken when somebody waits for what is written.
    pub fn before_sleep(&self, cx: &Context<'_>) {
        let mut writer = self.writer.borrow_mut();
        if !writer.as_ref().is_some_and(|writer| writer.will_wake(cx.waker())) {
            *writer = Some(cx.waker().clone());
        }
    }

    /// To be called when whoever writes has done what it could.
    pub fn look_for_written(&self) {
        if self.awaiting.get() > 0 && self.clean.get() {
            self.awaiting.set(0);
            self.written.notify_waiters();
        }
    }

    /// Gives credit for the time since the last call.
    pub fn pass_time(&self, now_millis: u64) {
        let span = now_millis.saturating_sub(self.filled_millis.replace(now_millis));
        self.earn(span.saturating_mul(CREDIT_PER_MILLI));
    }

    fn earn(&self, credit: u64) {
        self.credit.set(self.credit.get().saturating_add(credit).min(MOST_CREDIT));
    }

    fn spend(&self, cost: u64) {
        match self.credit.get().checked_sub(cost) {
            Some(left) => self.credit.set(left),
            None => self.fault.set(Some(FrameFault::Flood)),
        }
    }
}

/// Where in the stream of frames reading is.
#[derive(Debug, Default)]
struct FramePosition {
    head: [u8; FRAME_HEAD],
    have: usize,
    payload: usize,
    preface: usize,
    opened: bool,
}

impl FramePosition {
    /// Walks over `bytes` and charges for the frames that begin in it.
    fn walk(&mut self, mut bytes: &[u8], meter: &Meter) {
        while let Some(first) = bytes.first() {
            if self.preface < PREFACE.len() {
                let step = bytes.len().min(PREFACE.len() - self.preface);
                self.preface += step;
                bytes = bytes.part(step..);
            } else if self.payload > 0 {
                let step = bytes.len().min(self.payload);
                self.payload -= step;
                bytes = bytes.part(step..);
            } else {
                if let Some(byte) = self.head.get_mut(self.have) {
                    *byte = *first;
                }
                self.have += 1;
                bytes = bytes.part(1..);
                if self.have == FRAME_HEAD {
                    self.have = 0;
                    self.begin(meter);
                }
            }
        }
    }

    fn begin(&mut self, meter: &Meter) {
        let [a, b, c, kind, flags, ..] = self.head;
        if !self.opened && (kind != SETTINGS || flags & ACK != 0) {
            meter.fault.set(Some(FrameFault::NoSettings));
        }
        self.opened = true;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            DATA | CONTINUATION if self.payload > 0 => {}
            DATA if flags & END_STREAM != 0 => {}
            HEADERS => {}
            RST_STREAM => meter.spend(COST_OF_RESET),
            _ => meter.spend(1),
        }
    }
}

/// The stream, with what was read of it before in front.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    before: Buffer,
    position: FramePosition,
    meter: Rc<Meter>,
}

impl<S> Metered<S> {
    /// `before` is what was already read of `stream`.
    #[must_use]
    pub fn new(stream: S, before: Buffer, now_millis: u64) -> Self {
        Self { stream, before, position: FramePosition::default(), meter: Rc::new(Meter::new(now_millis)) }
    }

    /// The account.
    #[must_use]
    pub fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.fault().is_some() {
            // Whoever polls has to look at the account.
            return Poll::Pending;
        }
        let start = buf.filled().len();
        if this.before.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let length = this.before.len().min(buf.remaining());
            buf.put_slice(this.before.bytes().part(..length));
            this.before.consume(length);
            if this.before.is_empty() {
                this.before = Buffer::default();
            }
        }
        let read = buf.filled().part(start..);
        this.meter.received.set(this.meter.received.get() + read.len() as u64);
        this.position.walk(read, &this.meter);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn note_written(&self, result: &Poll<io::Result<usize>>) {
        self.meter.clean.set(false);
        if let Poll::Ready(Ok(written)) = result {
            let written = *written as u64;
            self.meter.earn(written / BYTES_PER_CREDIT);
            self.meter.sent.set(self.meter.sent.get() + written);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.meter.clean.set(matches!(flushed, Poll::Ready(Ok(()))));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: u16) -> Vec<u8> {
        let [high, low] = payload.to_be_bytes();
        let mut bytes = vec![0, high, low, kind, flags, 0, 0, 0, 1];
        bytes.resize(FRAME_HEAD + usize::from(payload), 0xff);
        bytes
    }

    fn spent(frames: &[Vec<u8>], piece: usize) -> u64 {
        let meter = Meter::new(0);
        let mut position = FramePosition::default();
        let bytes = [PREFACE.to_vec(), frames.concat()].concat();
        for part in bytes.chunks(piece) {
            position.walk(part, &meter);
        }
        MOST_CREDIT - meter.credit.get()
    }

    #[test]
    fn frames_that_carry_something_are_free_and_others_are_not() {
        for (kind, flags, payload, cost) in [
            (DATA, 0, 10, 0),
            (DATA, END_STREAM, 0, 0),
            (DATA, 0, 0, 1),
            (HEADERS, 0, 10, 0),
            (2, 0, 5, 1),
            (RST_STREAM, 0, 4, COST_OF_RESET),
            (4, 0, 0, 1),
            (6, 0, 8, 1),
            (8, 0, 4, 1),
            (CONTINUATION, 0, 9, 0),
            (CONTINUATION, 0, 0, 1),
            (77, 0, 300, 1),
        ] {
            assert_eq!(spent(&[frame(kind, flags, payload)], 1000), cost, "{kind} {payload}");
        }
    }

    #[test]
    fn credit_runs_out_and_comes_back_with_time() {
        let meter = Meter::new(0);
        for _ in 0..MOST_CREDIT {
            meter.spend(1);
        }
        assert_eq!(meter.fault(), None);
        meter.pass_time(1);
        meter.spend(1);
        assert_eq!(meter.fault(), None);
        meter.spend(1);
        assert_eq!(meter.fault(), Some(FrameFault::Flood));
    }

    #[test]
    fn settings_come_first() {
        for (kind, flags, fault) in [
            (SETTINGS, 0, None),
            (SETTINGS, ACK, Some(FrameFault::NoSettings)),
            (HEADERS, 5, Some(FrameFault::NoSettings)),
            (6, 0, Some(FrameFault::NoSettings)),
        ] {
            let meter = Meter::new(0);
            let mut position = FramePosition::default();
            position.walk(PREFACE, &meter);
            for part in [frame(kind, flags, 8), frame(6, 0, 8)].concat().chunks(5) {
                position.walk(part, &meter);
            }
            assert_eq!(meter.fault(), fault, "{kind} {flags}");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_cost_the_same(
            frames in proptest::collection::vec((0_u8..12, 0_u8..2, 0_u16..40), 0..20), piece in 1_usize..50,
        ) {
            let frames: Vec<_> = frames.into_iter().map(|(k, f, p)| frame(k, f, p)).collect();
            prop_assert_eq!(spent(&frames, piece), spent(&frames, usize::MAX));
        }
    }
}
