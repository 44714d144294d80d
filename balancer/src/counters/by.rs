//! Counters of one figure, told apart by a word. Must not know: the words (see `keys`).

use std::{fmt::Debug, ops::Deref};

use super::{
    Counter,
    figures::{Counts, Figure, FigureValue, Sample},
};

/// What tells the counters of one figure apart: an enumeration, each with a word.
pub trait LabelValue: Copy + 'static {
    /// What the label is called in the metrics.
    const LABEL: &'static str;
    /// Whether those are told, too, that there was none of.
    const TELLS_ZERO: bool = true;
    /// All of them, in the order of [`Self::index`].
    const KEYS: &'static [Self];
    /// A counter for each.
    type Counters: AsRef<[Counter]> + Debug;

    /// A new counter for each.
    fn counters() -> Self::Counters;
    /// Index in [`Self::KEYS`].
    fn index(self) -> usize;
    /// The word.
    fn word(self) -> String;
}

/// A counter for each of the keys. They can be looked at as a slice.
#[derive(Debug)]
pub struct By<K: LabelValue>(K::Counters);

impl<K: LabelValue> Default for By<K> {
    fn default() -> Self {
        Self(K::counters())
    }
}

impl<K: LabelValue> By<K> {
    /// Counts one. Only the owning worker may call this.
    #[inline]
    pub fn count(&self, key: K) {
        if let Some(counter) = self.0.as_ref().get(key.index()) {
            counter.inc();
        }
    }

    /// How many there were so far; any thread.
    #[must_use]
    pub fn of(&self, key: K) -> u64 {
        self.0.as_ref().get(key.index()).map_or(0, Counter::get)
    }
}

impl<K: LabelValue> Deref for By<K> {
    type Target = [Counter];

    fn deref(&self) -> &[Counter] {
        self.0.as_ref()
    }
}

impl<K: LabelValue> Figure for By<K> {
    type Told = Counts;

    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> Counts {
        let mut sums = vec![0_u64; K::KEYS.len()];
        for shard in shards {
            for (sum, counter) in sums.iter_mut().zip(shard.iter()) {
                *sum = sum.wrapping_add(counter.get());
            }
        }
        let told = K::KEYS.iter().zip(sums).filter(|(_, sum)| K::TELLS_ZERO || *sum > 0);
        told.map(|(key, sum)| (key.word(), sum)).collect()
    }

    fn tell(told: &Counts, sample: &mut Sample<'_>) {
        for (word, count) in told {
            sample(Some((K::LABEL, word)), FigureValue::Number(*count));
        }
    }
}
