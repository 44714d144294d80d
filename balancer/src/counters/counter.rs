//! A number with one writing thread, and one that goes down again. Must not know: what is counted.

use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A counter with a single writing thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Adds one. Only the owning worker may call this.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// The value so far; any thread.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are of something now. It goes up with a [`Raised`] and down with the end of that, and in no other way.
#[derive(Debug, Default)]
pub struct Gauge(Counter);

impl Gauge {
    /// The value now; any thread.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Leads to a gauge for as long as it lives, and does not leave the worker that owns it.
pub trait Holder {
    /// Always the same one.
    fn gauge(&self) -> &Gauge;
}

/// One of what a gauge counts: whatever ends it, a panic too, brings the gauge down.
#[derive(Debug)]
pub struct Raised<H: Holder>(H);

impl<H: Holder> Raised<H> {
    /// There is one more. Only the worker that owns the gauge may call this, and drop what it gives back.
    #[must_use]
    pub fn new(holder: H) -> Self {
        holder.gauge().0.inc();
        Self(holder)
    }
}

impl<H: Holder> Drop for Raised<H> {
    fn drop(&mut self) {
        // Wraps around: one less.
        self.0.gauge().0.add(u64::MAX);
    }
}

impl<H: Holder> Deref for Raised<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::catch_unwind, sync::Arc};

    use super::*;

    impl Holder for Arc<Gauge> {
        fn gauge(&self) -> &Gauge {
            self
        }
    }

    #[test]
    fn a_gauge_comes_down_with_whatever_raised_it() {
        let gauge = Arc::new(Gauge::default());
        let one = Raised::new(Arc::clone(&gauge));
        let inner = Arc::clone(&gauge);
        let ended = catch_unwind(move || {
            let two = Raised::new(inner);
            assert_eq!(two.get(), 2);
            panic!("on purpose");
        });
        assert!(ended.is_err());
        assert_eq!(gauge.get(), 1);
        drop(one);
        assert_eq!(gauge.get(), 0);
    }
}
