//! What the other side may send of frames that make work and carry nothing: at a rate, and then no more. Must not know: what frames
//! mean beyond that.

use super::frame::{FrameHead, flag, kind};

/// What may be spent at once, and what comes back in a millisecond.
pub(super) const MOST: u64 = 2000;
const PER_MILLI: u64 = 1;
/// Whoever reads a body gives window in small pieces: so many bytes written pay for a frame.
const BYTES_EACH: u64 = 128;
/// Work is begun for a request before it is reset, or before what it sends makes this side reset it.
pub(super) const OF_RESET: u64 = 10;

/// What the other side has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    left: u64,
    filled_millis: u64,
    /// Bytes written that have not paid for a frame yet.
    written: u64,
}

impl Credit {
    pub(super) fn new(now_millis: u64) -> Self {
        Self { left: MOST, filled_millis: now_millis, written: 0 }
    }

    /// Gives back for the time since the last call.
    #[inline]
    pub(super) fn pass_time(&mut self, now_millis: u64) {
        let span = now_millis.saturating_sub(std::mem::replace(&mut self.filled_millis, now_millis));
        self.earn(span.saturating_mul(PER_MILLI));
    }

    /// So much was written.
    #[inline]
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
        self.earn(self.written / BYTES_EACH);
        self.written %= BYTES_EACH;
    }

    #[inline]
    pub(super) fn earn(&mut self, credit: u64) {
        self.left = self.left.saturating_add(credit).min(MOST);
    }

    /// False: there is not enough left.
    #[must_use]
    pub(super) fn spend(&mut self, cost: u64) -> bool {
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Pays for a frame. False: there is not enough left.
    #[must_use]
    #[inline]
    pub(super) fn charge(&mut self, frame: FrameHead) -> bool {
        match frame.kind {
            kind::HEADERS => true,
            kind::DATA | kind::CONTINUATION if frame.length > 0 => true,
            kind::DATA if frame.has(flag::END_STREAM) => true,
            kind::RST_STREAM => self.spend(OF_RESET),
            _ => self.spend(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_carry_something_are_free_and_others_are_not() {
        for (kind, flags, length, cost) in [
            (kind::DATA, 0, 10, 0),
            (kind::DATA, flag::END_STREAM, 0, 0),
            (kind::DATA, 0, 0, 1),
            (kind::HEADERS, 0, 10, 0),
            (kind::PRIORITY, 0, 5, 1),
            (kind::RST_STREAM, 0, 4, OF_RESET),
            (kind::SETTINGS, 0, 0, 1),
            (kind::PING, 0, 8, 1),
            (kind::WINDOW_UPDATE, 0, 4, 1),
            (kind::CONTINUATION, 0, 9, 0),
            (kind::CONTINUATION, 0, 0, 1),
            (77, 0, 300, 1),
        ] {
            let mut credit = Credit::new(0);
            assert!(credit.charge(FrameHead { length, kind, flags, stream: 1 }));
            assert_eq!(MOST - credit.left, cost, "{kind} {length}");
        }
    }

    #[test]
    fn it_runs_out_and_comes_back_with_time_and_with_what_is_read() {
        let mut credit = Credit::new(5);
        assert!(credit.spend(MOST) && !credit.spend(1));
        credit.pass_time(6);
        assert!(credit.spend(1) && !credit.spend(1));
        (0..100).for_each(|_| credit.wrote(128));
        assert!(credit.spend(100) && !credit.spend(1));
        (0..128).for_each(|_| credit.wrote(1));
        assert!(credit.spend(1) && !credit.spend(1));
        credit.pass_time(u64::MAX);
        assert_eq!(credit.left, MOST);
    }
}
