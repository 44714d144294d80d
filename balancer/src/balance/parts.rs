//! What of all requests each target is to get, where that is not as much for each: parts that sources of targets give.
//! Must not know: sources, who counts load.

/// TargetParts are held against this one: that of the target that gets most.
const WHOLE: u64 = 1 << 16;

/// The parts of the targets of a group, of which some get more than others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetParts {
    /// By target, 1 to [`WHOLE`].
    shares: Box<[u64]>,
    /// Of all that may get requests.
    sum: u64,
}

impl TargetParts {
    /// Of `count` targets, of which `routable` may get requests, by their weights. None where these have the same.
    #[must_use]
    pub fn new(count: usize, routable: &[u32], weight: impl Fn(u32) -> u32) -> Option<Self> {
        let weights = || routable.iter().map(|&index| weight(index));
        let (least, most) = (weights().min()?, u64::from(weights().max()?));
        if u64::from(least) == most {
            return None;
        }
        let share = |weight: u32| (u64::from(weight) * WHOLE / most).clamp(1, WHOLE);
        let shares =
            (0..count).map(|index| u32::try_from(index).map_or(1, |index| share(weight(index)))).collect();
        Some(Self { shares, sum: weights().map(share).sum() })
    }

    /// The part of a target, of that which gets most ([`Self::of_the_most`] has it as a fraction).
    #[must_use]
    pub fn share(&self, target: usize) -> u64 {
        self.shares.get(target).copied().unwrap_or(1)
    }

    /// The part of a target, 1 being that of the one that gets most.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "both are below 2^17")]
    pub fn of_the_most(&self, target: usize) -> f64 {
        self.share(target) as f64 / WHOLE as f64
    }

    /// How much `load` requests are to a target, as compared to what they are to others: the more, the smaller its part. One
    /// more is reckoned with, so that of idle targets the one with the largest part comes first.
    #[must_use]
    pub fn burden(&self, target: usize, load: u64) -> u64 {
        // Some 64 for each request where parts are whole, so that small differences of parts show, and for the smallest
        // part as many as leave room for 1,000 requests.
        load.saturating_add(1).saturating_mul((64 * WHOLE / self.share(target)).min(WHOLE * 64))
    }

    /// The part of a target and that of all.
    #[must_use]
    pub fn of_all(&self, target: usize) -> (u64, u64) {
        (self.share(target), self.sum)
    }
}

/// A number for a pick by weights at this turn: spread evenly, and by each stretch of turns as evenly as can be, which makes turns
/// of picks by weights. Steps of the golden ratio, the sequence that leaves the least gaps.
#[must_use]
pub fn at_turn(turn: u32) -> u64 {
    u64::from(turn).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{WeightedTargets, least_outstanding};

    fn parts(weights: &[u32]) -> Option<TargetParts> {
        let all: Vec<u32> = (0..u32::try_from(weights.len()).unwrap()).collect();
        TargetParts::new(weights.len(), &all, |index| weights[index as usize])
    }

    #[test]
    fn equal_weights_are_no_parts() {
        assert_eq!(parts(&[7, 7, 7]), None);
        assert_eq!(parts(&[]), None);
        assert_eq!(parts(&[1, u32::MAX]).unwrap().share(0), 1, "never nothing");
    }

    #[test]
    fn turns_by_weights_are_shared_as_the_weights_are_and_never_in_a_heap() {
        let parts = parts(&[1, 3]).unwrap();
        let weights = WeightedTargets::new((0..2).map(|index| (index, parts.share(index as usize))));
        let picks: Vec<usize> = (0..400).map(|turn| weights.pick(at_turn(turn), &[]).unwrap()).collect();
        let first = picks.iter().filter(|pick| **pick == 0).count();
        assert!((98..=102).contains(&first), "{first} of 400");
        assert!(picks.windows(7).all(|picks| picks.contains(&0)), "within each stretch of turns");
    }

    #[test]
    fn requests_in_flight_come_to_be_shared_by_parts() {
        let parts = parts(&[1, 3, 6]).unwrap();
        let mut loads = [0_u64; 3];
        for turn in 0..100 {
            let least = least_outstanding(&[0, 1, 2], |index| parts.burden(index, loads[index]), turn, &[]);
            loads[least.unwrap()] += 1;
        }
        for (load, due) in loads.iter().zip([10, 30, 60]) {
            assert!(load.abs_diff(due) <= 1, "{loads:?}");
        }
    }
}
