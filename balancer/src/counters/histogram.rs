//! How long things take, in buckets of fixed bounds: counted by one worker, added up by who reads.
//! Must not know: what is measured.

use super::{
    Counter,
    figures::{Figure, FigureValue, HistogramStatus, Sample},
};
use crate::clock::Nanos;

/// Upper bounds of the buckets, in microseconds: from a millisecond to a minute. One more bucket is without bound.
const BOUNDS_MICROS: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// A histogram with a single writing thread.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Spans up to each bound, and above all; each in one bucket alone.
    buckets: [Counter; BOUNDS_MICROS.len() + 1],
    sum_micros: Counter,
}

impl Histogram {
    /// Counts a span. Only the owning worker may call this.
    pub fn observe(&self, span: Nanos) {
        let micros = span.micros();
        let index = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.inc();
        }
        self.sum_micros.add(micros);
    }
}

/// Time spent, all together, counted by a single thread.
#[derive(Debug, Default)]
pub struct Spent(Counter);

impl Spent {
    /// Adds a span. Only the owning worker may call this.
    pub fn add(&self, span: Nanos) {
        self.0.add(span.micros());
    }
}

impl Figure for Spent {
    type Told = f64;

    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> f64 {
        seconds(Counter::sum(shards.map(|shard| &shard.0)))
    }

    fn tell(told: &f64, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Fraction(*told));
    }
}

impl Figure for Histogram {
    type Told = HistogramStatus;
    const IS_HISTOGRAM: bool = true;

    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> HistogramStatus {
        let mut counts = vec![0_u64; BOUNDS_MICROS.len() + 1];
        let mut micros = 0_u64;
        for shard in shards {
            for (count, bucket) in counts.iter_mut().zip(&shard.buckets) {
                *count = count.wrapping_add(bucket.get());
            }
            micros = micros.wrapping_add(shard.sum_micros.get());
        }
        HistogramStatus { counts, sum_seconds: seconds(micros) }
    }

    fn tell(told: &HistogramStatus, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Histogram(told));
    }
}

impl HistogramStatus {
    /// Whether nothing is told.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.counts.is_empty()
    }

    /// Upper bounds of the buckets in seconds, those alone that have one.
    pub fn bounds() -> impl Iterator<Item = f64> {
        BOUNDS_MICROS.iter().map(|micros| seconds(*micros))
    }

    /// Upper bounds of the buckets in seconds, without bound the last, each with how many took up to it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = Self::bounds().chain([f64::INFINITY]);
        let mut sum = 0;
        bounds.enumerate().map(move |(index, bound)| {
            sum += self.counts.get(index).copied().unwrap_or(0);
            (bound, sum)
        })
    }
}

/// Micros fit a double exactly up to 285 years.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_in_the_bucket_that_it_fits_into() {
        let (one, other) = (Histogram::default(), Histogram::default());
        for (micros, histogram) in
            [(0, &one), (1_000, &one), (1_001, &other), (60_000_000, &one), (60_000_001, &other)]
        {
            histogram.observe(Nanos(micros * 1000));
        }
        let sum = Histogram::sum([&one, &other].into_iter());
        let mut wanted = vec![0; 16];
        (wanted[0], wanted[1], wanted[14], wanted[15]) = (2, 1, 1, 1);
        assert_eq!(sum.counts, wanted);
        assert!((sum.sum_seconds - 120.002_002).abs() < 1e-9, "{}", sum.sum_seconds);
    }
}
