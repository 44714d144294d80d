//! For how long a connection has waited for a sign of its target, in ticks, and when it is worth asking the kernel why. Costs
//! three stores and no system call where an answer comes in time. Must not know: sockets, what the kernel says.

use std::cell::Cell;

/// Ticks at the first look, and one, the first of which may come at once: shortly before the kernel sends a probe after what was
/// not acknowledged, which is two round trips and 200 ms later (RFC 8985, section 7.2). The look after that finds it.
const PATIENT: u16 = 3;
/// Most ticks between two looks at one that waits on.
const MOST_APART: u16 = 5;

/// What one connection waits for.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Ticks since something was sent or came, and one; zero: everything is acknowledged, or nobody waits.
    ticks: Cell<u16>,
    /// How many there are at the next look.
    look_at: Cell<u16>,
    /// Whether it was looked at while it waited.
    is_known: Cell<bool>,
}

impl Silence {
    /// Something is sent.
    #[inline]
    pub(super) fn sent(&self) {
        if self.ticks.get() == 0 {
            self.begin();
        }
    }

    /// Something has come, though not all that was sent may be acknowledged.
    #[inline]
    pub(super) fn heard(&self) {
        if self.ticks.get() != 0 {
            self.begin();
        }
    }

    /// Nobody waits, or everything is acknowledged.
    pub(super) fn end(&self) {
        self.ticks.set(0);
    }

    fn begin(&self) {
        self.ticks.set(1);
        self.look_at.set(PATIENT);
        self.is_known.set(false);
    }

    /// Whether it was looked at while it waited.
    pub(super) fn is_known(&self) -> bool {
        self.is_known.get()
    }

    /// A tick. Whether it is time to look.
    pub(super) fn tick(&self) -> bool {
        let ticks = self.ticks.get();
        if ticks == 0 {
            return false;
        }
        self.ticks.set(ticks.saturating_add(1));
        self.ticks.get() >= self.look_at.get()
    }

    /// It was looked at, and waits on: who does so for long is looked at less often.
    pub(super) fn goes_on(&self) {
        self.is_known.set(true);
        let ticks = self.ticks.get();
        if ticks < self.look_at.get() {
            return;
        }
        self.look_at.set(ticks.saturating_add((ticks / PATIENT).clamp(1, MOST_APART)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks at which it is looked at, of so many.
    fn looks(silence: &Silence, ticks: u16) -> Vec<u16> {
        let mut seen = Vec::new();
        for tick in 1..=ticks {
            if silence.tick() {
                silence.goes_on();
                seen.push(tick);
            }
        }
        seen
    }

    #[test]
    fn who_is_answered_in_time_or_waits_for_nothing_is_never_looked_at() {
        let silence = Silence::default();
        silence.heard();
        assert!(looks(&silence, 100).is_empty(), "it has sent nothing");
        for _ in 0..100 {
            silence.sent();
            assert!(looks(&silence, 1).is_empty());
            silence.heard();
            assert!(looks(&silence, 1).is_empty());
            // It goes back to those that are kept.
            silence.end();
            assert!(looks(&silence, 2).is_empty());
        }
        silence.sent();
        silence.end();
        assert!(looks(&silence, 100).is_empty(), "it is idle");
    }

    #[test]
    fn who_waits_is_looked_at_soon_and_less_often_then() {
        let silence = Silence::default();
        silence.sent();
        assert!(!silence.is_known());
        let seen = looks(&silence, 60);
        assert!(silence.is_known());
        assert_eq!(seen.get(..5), Some(&[2, 3, 4, 5, 7][..]), "{seen:?}");
        assert_eq!(seen.windows(2).map(|pair| pair[1] - pair[0]).max(), Some(MOST_APART));
        // What is sent meanwhile is no sign of the target.
        silence.sent();
        assert!(!looks(&silence, 5).is_empty());
        silence.heard();
        assert!(!silence.is_known(), "what was seen before is of something else");
        assert_eq!(looks(&silence, 2), [2], "not all of it may be acknowledged");
        silence.heard();
        silence.goes_on();
        assert!(silence.is_known());
        assert_eq!(looks(&silence, 2), [2], "a look in between puts none off");
    }

    #[test]
    fn hours_of_waiting_are_bounded() {
        let silence = Silence::default();
        silence.sent();
        assert!(looks(&silence, u16::MAX).len() > usize::from(u16::MAX / MOST_APART));
        assert!(!looks(&silence, 5).is_empty());
    }
}
