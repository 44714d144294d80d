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
    size: u32,
    left: u32,
    /// What was taken and is not given back yet.
    owed: u32,
}

impl ReceiveWindow {
    /// One of this size.
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size, owed: 0 }
    }

    /// What was taken and is not given back yet.
    #[cfg(test)]
    pub(super) fn owed(self) -> u32 {
        self.owed
    }

    /// So much has come. False: more than may.
    #[must_use]
    #[inline]
    pub(super) fn take(&mut self, length: u32) -> bool {
        let left = self.left.checked_sub(length);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// So much of what has come is used up. What is to be given back now: little at a time would cost frames.
    #[inline]
    pub(super) fn release(&mut self, length: u32) -> Option<u32> {
        self.owed = self.owed.saturating_add(length);
        if self.owed < self.size / 2 {
            return None;
        }
        let owed = std::mem::take(&mut self.owed);
        self.left = self.left.saturating_add(owed).min(self.size);
        Some(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(window.take(60) && !ReceiveWindow::new(100).take(101));
        assert_eq!((window.release(49), window.release(1)), (None, Some(50)));
        assert!(window.take(90), "40 and 50");
        assert!(!window.take(1));
        assert_eq!(window.release(u32::MAX), Some(u32::MAX));
        assert!(window.take(100) && !window.take(1), "no more than its size");
    }
}
