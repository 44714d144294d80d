//! Readings of the monotonic clock as one number, for what measures several spans at every request: a difference is one
//! subtraction. Must not know: what is measured.

/// Nanoseconds: since the system's start, or of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// From `earlier` to `self`; nothing when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// Whole microseconds.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.0 / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_go_negative() {
        let (earlier, later) = (Nanos(1_500), Nanos(4_499));
        assert_eq!(later.since(earlier), Nanos(2_999));
        assert_eq!(later.since(earlier).micros(), 2);
        assert_eq!(earlier.since(later), Nanos(0));
    }
}
