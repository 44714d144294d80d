//! Windows (RFC 9113, section 5.2): what may be sent, and what may come.

/// Largest size of a window.
const MOST: i64 = 0x7fff_ffff;
/// Size of a window that nobody has said anything about.
pub(super) const INITIAL: u32 = 65_535;

/// A window is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// What may be sent. Below nothing once the other side has made it smaller (RFC 9113, section 6.9.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct SendWindow(i64);

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// How much may be sent now.
    #[inline]
    pub(super) fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// So much is sent; no more than there is room for.
    #[inline]
    pub(super) fn spend(&mut self, length: usize) {
        self.0 -= i64::try_from(length).unwrap_or(MOST);
    }

    /// It grows by `change`, or gets smaller.
    ///
    /// # Errors
    /// It would be too large.
    pub(super) fn shift(&mut self, change: i64) -> Result<(), Overflow> {
        let size = self.0.saturating_add(change);
        if size > MOST {
            return Err(Overflow);
        }
        self.0 = size;
        Ok(())
    }
}

/// What may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveWindow {
    /// How much may have come, or be to come, and not be used up.
    size: u32,
    /// What the other side may still send.
    left: u32,
    /// What has come and is not used up.
    held: u32,
    /// What may still come on top of that from somebody who does not know that it began smaller than [`INITIAL`].
    beyond: u32,
}

impl ReceiveWindow {
    /// One of this size.
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size, held: 0, beyond: INITIAL.saturating_sub(size) }
    }

    /// It is to be so large from now on. What the other side was told it may send it still may.
    #[inline]
    pub(super) fn resize(&mut self, size: u32) {
        self.size = size;
    }

    /// So much has come. False: more than may. Where it began smaller than [`INITIAL`], what that is smaller by may come once on top
    /// of it if `is_borne`: clients send before they know (RFC 9113, section 6.9.2), and there are targets that never look.
    #[must_use]
    #[inline]
    pub(super) fn take(&mut self, length: u32, is_borne: impl FnOnce() -> bool) -> bool {
        self.held = self.held.saturating_add(length);
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                true
            }
            None => self.take_beyond(length) && is_borne(),
        }
    }

    #[cold]
    fn take_beyond(&mut self, length: u32) -> bool {
        let over = length.saturating_sub(std::mem::take(&mut self.left));
        let beyond = self.beyond.checked_sub(over);
        self.beyond = beyond.unwrap_or(0);
        beyond.is_some()
    }

    /// So much of what has come is used up, or all that has come. Gives back how much that was.
    #[inline]
    pub(super) fn release(&mut self, length: u32) -> u32 {
        let length = length.min(self.held);
        self.held -= length;
        length
    }

    /// What is to be given to the other side now: little at a time would cost frames.
    #[inline]
    pub(super) fn grant(&mut self) -> Option<u32> {
        let owed = self.owed();
        if owed == 0 || owed < self.size / 2 {
            return None;
        }
        self.left += owed;
        Some(owed)
    }

    /// What has come and is not used up.
    #[inline]
    pub(super) fn held(self) -> u32 {
        self.held
    }

    /// What could be given.
    pub(super) fn owed(self) -> u32 {
        self.size.saturating_sub(self.left.saturating_add(self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> bool {
        false
    }

    #[test]
    fn what_may_be_sent_can_be_below_nothing_and_not_above_the_most() {
        let mut window = SendWindow::new(10);
        window.spend(10);
        window.shift(-5).unwrap();
        assert_eq!(window.room(), 0);
        window.shift(4).unwrap();
        assert_eq!(window.room(), 0);
        window.shift(2).unwrap();
        assert_eq!(window.room(), 1);
        assert_eq!(window.shift(MOST), Err(Overflow));
        window.shift(MOST - 1).unwrap();
        assert_eq!(window.room(), 0x7fff_ffff);
    }

    #[test]
    fn what_has_come_is_given_back_by_halves() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(60, never) && !ReceiveWindow::new(100).take(101, never));
        assert_eq!(
            (window.release(49), window.grant(), window.release(1), window.grant()),
            (49, None, 1, Some(50))
        );
        assert!(window.take(90, never), "40 and 50");
        assert!(!window.take(1, never));
        assert_eq!((window.release(u32::MAX), window.grant()), (101, Some(100)), "no more than its size");
        assert!(window.take(100, never) && !window.take(1, never));
    }

    #[test]
    fn a_window_becomes_larger_at_once_and_smaller_as_it_is_used() {
        let mut window = ReceiveWindow::new(10);
        window.resize(100);
        assert_eq!((window.grant(), window.grant()), (Some(90), None));
        window.resize(10);
        assert!(window.take(95, never));
        assert_eq!((window.release(95), window.grant()), (95, Some(5)));
        assert!(window.take(10, never) && !window.take(1, never));
        assert_eq!((window.release(4), window.grant()), (4, None));
        window.resize(0);
        assert_eq!((window.release(100), window.grant()), (7, None), "it stays shut");
    }

    #[test]
    fn a_window_that_begins_small_bears_what_a_usual_one_does_once_and_no_more() {
        let mut window = ReceiveWindow::new(1000);
        assert!(window.take(600, never) && window.take(INITIAL - 600, || true));
        assert!(!window.take(1, || true));
        let mut window = ReceiveWindow::new(1000);
        assert!(window.take(1400, || true));
        assert_eq!(
            (window.release(1400), window.grant()),
            (1400, Some(1000)),
            "what came beyond is none of it"
        );
        assert!(window.take(INITIAL - 400, || true), "1000, and what it was smaller by but for those 400");
        assert!(!window.take(1, || true));
        let mut window = ReceiveWindow::new(INITIAL + 1);
        window.resize(10);
        assert!(window.take(INITIAL + 1, never) && !window.take(1, || true), "it did not begin small");
        let mut window = ReceiveWindow::new(0);
        assert!(!window.take(1, never), "nobody bears it");
    }
}
