//! Targets at random by their weights (ALB: `weighted_random`). The weights are compiled into running totals
//! when a snapshot is made, so that a pick is one multiplication and a search in them.
//! Owns no randomness: whoever picks brings it.

/// The weight of a target that gets as much as any other. Lower weights are parts of it.
pub const PARITY: u16 = 1000;

/// The candidates of a group with their weights, ready for picks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightedTargets {
    candidates: Box<[u32]>,
    /// For each candidate the sum of the weights up to and with its own.
    totals: Box<[u64]>,
}

impl WeightedTargets {
    /// Candidates (indices of targets in their group) with their weights. A weight of 0 is never picked.
    #[must_use]
    pub fn new<W: Into<u64>>(weighted: impl IntoIterator<Item = (u32, W)>) -> Self {
        let mut total = 0;
        let (candidates, totals): (Vec<u32>, Vec<u64>) = weighted
            .into_iter()
            .map(|(candidate, weight)| {
                total += weight.into();
                (candidate, total)
            })
            .unzip();
        Self { candidates: candidates.into(), totals: totals.into() }
    }

    /// A candidate by the weights. `random` is uniform over all its values; `excluded` are targets that this
    /// request has already failed to reach, in order. None is picked when all are excluded or there are none.
    #[must_use]
    pub fn pick(&self, random: u64, excluded: &[usize]) -> Option<usize> {
        if !excluded.is_empty() {
            return self.pick_among_others(random, excluded);
        }
        let at = below(random, *self.totals.last()?);
        let index = self.totals.partition_point(|&total| total <= at);
        self.candidates.get(index).map(|&candidate| candidate as usize)
    }

    /// The same for the few requests that are sent again: the weights that are left are added up anew.
    fn pick_among_others(&self, random: u64, excluded: &[usize]) -> Option<usize> {
        let others = || {
            let starts = std::iter::once(&0).chain(&self.totals);
            let weights = self.totals.iter().zip(starts).map(|(end, start)| end - start);
            let candidates = self.candidates.iter().map(|&candidate| candidate as usize);
            candidates.zip(weights).filter(|(candidate, _)| excluded.binary_search(candidate).is_err())
        };
        let mut at = below(random, others().map(|(_, weight)| weight).sum());
        others().find_map(|(candidate, weight)| {
            let taken = at < weight;
            at = at.saturating_sub(weight);
            taken.then_some(candidate)
        })
    }
}

/// `random` brought below `bound`: evenly but for one part in 2^64 divided by `bound`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the upper half of a product of 64-bit numbers has 64 bits"
)]
const fn below(random: u64, bound: u64) -> u64 {
    ((random as u128 * bound as u128) >> 64) as u64
}

/// A source of random numbers for picks: SplitMix64. Fast and even; anybody who sees its output can foretell it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that this seed stands for.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[must_use]
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, hint::black_box, time::Instant};

    use proptest::prelude::*;

    use super::*;

    fn counts(targets: &WeightedTargets, picks: usize, excluded: &[usize]) -> HashMap<usize, usize> {
        let mut random = Random::new(7);
        let mut counts = HashMap::new();
        for _ in 0..picks {
            *counts.entry(targets.pick(random.draw(), excluded).unwrap()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn equal_weights_share_evenly() {
        let targets = WeightedTargets::new([(4, PARITY), (7, PARITY), (9, PARITY), (12, PARITY)]);
        let counts = counts(&targets, 40_000, &[]);
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_lower_weight_gets_its_part() {
        let targets = WeightedTargets::new([(0, PARITY), (1, 10), (2, 0), (3, PARITY)]);
        let counts = counts(&targets, 201_000, &[]);
        assert!(!counts.contains_key(&2), "no weight, no pick");
        assert!((850..1_150).contains(&counts[&1]), "{counts:?}");
        assert!((98_500..101_500).contains(&counts[&0]), "{counts:?}");
    }

    #[test]
    fn excluded_targets_leave_their_share_to_the_others_by_weight() {
        let targets = WeightedTargets::new([(0, PARITY), (1, PARITY / 2), (2, PARITY)]);
        let counts = counts(&targets, 30_000, &[0]);
        assert!(!counts.contains_key(&0));
        assert!((9_500..10_500).contains(&counts[&1]), "{counts:?}");
    }

    #[test]
    fn nothing_to_pick_from_is_none() {
        for random in [0, 1, u64::MAX] {
            assert_eq!(WeightedTargets::new::<u16>([]).pick(random, &[]), None);
            assert_eq!(WeightedTargets::new([(3, 0_u16)]).pick(random, &[]), None);
            assert_eq!(WeightedTargets::new([(3, 5_u16)]).pick(random, &[3]), None);
            assert_eq!(WeightedTargets::new([(3, 5_u16), (4, 0)]).pick(random, &[3]), None);
            assert_eq!(WeightedTargets::new([(3, 5_u16)]).pick(random, &[4]), Some(3));
        }
    }

    proptest! {
        #[test]
        fn only_candidates_with_weight_that_are_not_excluded_are_picked(
            weights in prop::collection::vec(0_u16..=PARITY, 0..50),
            random: u64,
            excluded in prop::collection::btree_set(0_usize..50, 0..3),
        ) {
            let excluded: Vec<usize> = excluded.into_iter().collect();
            let targets = WeightedTargets::new((0..).zip(weights.iter().copied()));
            let eligible = |index: &usize| weights.get(*index).is_some_and(|w| *w > 0) && !excluded.contains(index);
            match targets.pick(random, &excluded) {
                Some(index) => prop_assert!(eligible(&index)),
                None => prop_assert!(!(0..weights.len()).any(|index| eligible(&index))),
            }
        }
    }

    #[test]
    #[ignore = "timing: run by hand with --release"]
    fn a_pick_among_a_thousand_targets() {
        const ROUNDS: u32 = 2_000_000;
        let targets = WeightedTargets::new((0..1_000).map(|index| (index, PARITY)));
        let mut random = Random::new(1);
        let started = Instant::now();
        for _ in 0..ROUNDS {
            black_box(targets.pick(random.draw(), &[]));
        }
        println!("{:?} a pick", started.elapsed() / ROUNDS);
    }
}
