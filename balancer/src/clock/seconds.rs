//! Seconds of the wall clock as a value. Must not know: the clock.

/// Seconds since the Unix epoch, as stickiness values carry them. Good until the year 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u32);

/// How far ahead of ours another balancer's clock may be, in seconds, before its values are refused.
pub const CLOCK_SKEW: u32 = 60;

impl UnixSeconds {
    /// Seconds from `earlier` to `self`; zero when `earlier` lies in the future (clocks differ between hosts).
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved on by `seconds`, held at the end of the range.
    #[must_use]
    pub fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}
