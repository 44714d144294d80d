//! Slow start (ALB: `slow_start.duration_seconds`): a target that has just become healthy takes a share of its
//! turns that rises linearly to all of them. The turns it does not take go round the targets that are
//! through with it, so that none of them gets two.
//! Owns no clock and no state: whoever keeps the turn number and the time makes the turn.

use std::time::{Duration, Instant};

use super::{WeightedTargets, at_turn, round_robin};

/// The candidates of a group of which some are in slow start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowStart {
    duration: Duration,
    /// Those in slow start and since when each is, ascending by candidate.
    slow: Box<[(u32, Instant)]>,
    /// The others.
    full: Box<[u32]>,
}

impl SlowStart {
    /// Of `candidates` (indices of targets in their group, ascending) those that `since` gives a time for began
    /// their slow start then. None when there is nobody to spare, or nobody to take the turns of the spared.
    #[must_use]
    pub fn new(
        candidates: &[u32],
        since: impl Fn(u32) -> Option<Instant>,
        duration: Duration,
    ) -> Option<Self> {
        let slow: Box<[_]> =
            candidates.iter().filter_map(|&candidate| Some((candidate, since(candidate)?))).collect();
        let full: Box<[u32]> =
            candidates.iter().copied().filter(|&candidate| since(candidate).is_none()).collect();
        (!slow.is_empty() && !full.is_empty()).then_some(Self { duration, slow, full })
    }

    /// The candidate whose turn it is at `now`, as [`round_robin`] has it but for the turns that a candidate in
    /// slow start does not take yet. `candidates` are those that this was made of.
    #[must_use]
    pub fn pick(&self, candidates: &[u32], turn: u32, now: Instant, excluded: &[usize]) -> Option<usize> {
        let count = u32::try_from(candidates.len()).ok()?;
        let (round, index) = (turn.checked_div(count)?, turn.checked_rem(count)?);
        let candidate = *candidates.get(usize::try_from(index).ok()?)?;
        let Ok(found) = self.slow.binary_search_by_key(&candidate, |(slow, _)| *slow) else {
            return round_robin(candidates, turn, excluded);
        };
        let (_, since) = self.slow.get(found)?;
        if share_of_round(round) < progress(now.saturating_duration_since(*since), self.duration) {
            return round_robin(candidates, turn, excluded);
        }
        // Each in slow start has an offset of its own, or they would all pass a round's turn to the same one.
        let offset = u32::try_from(found).ok()?;
        round_robin(&self.full, round.wrapping_add(offset), excluded)
            .or_else(|| round_robin(candidates, turn, excluded))
    }

    /// The same where the candidates have weights of their own: a turn that a candidate in slow start does not take yet goes to
    /// another one by the weights.
    #[must_use]
    pub fn pick_by_weight(
        &self,
        weights: &WeightedTargets,
        turn: u32,
        now: Instant,
        excluded: &[usize],
    ) -> Option<usize> {
        let chosen = weights.pick(at_turn(turn), excluded)?;
        let is_it = |(slow, _): &&(u32, Instant)| *slow as usize == chosen;
        let Some((_, since)) = self.slow.iter().find(is_it) else { return Some(chosen) };
        // Other steps than those by which the candidate was chosen, or turns of one would be alike in both.
        let place = u64::from(turn.wrapping_mul(0x6A09_E667));
        if place < progress(now.saturating_duration_since(*since), self.duration) {
            return Some(chosen);
        }
        let mut others: Vec<usize> = excluded.to_vec();
        others.extend(self.slow.iter().map(|(slow, _)| *slow as usize));
        others.sort_unstable();
        weights.pick(at_turn(turn.rotate_left(16)), &others).or(Some(chosen))
    }
}

/// How much of its turns a target takes this long after its slow start began: 0 to 1 (of 2^32).
fn progress(elapsed: Duration, duration: Duration) -> u64 {
    let whole = duration.as_millis().max(1);
    let scaled = (elapsed.as_millis().min(whole) << 32) / whole;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Places the rounds evenly in 0 to 1 (of 2^32), whatever stretch of them is looked at: steps of the golden
/// ratio, the sequence that leaves the least gaps.
fn share_of_round(round: u32) -> u64 {
    u64::from(round.wrapping_mul(0x9E37_79B9))
}

/// The share of its turns that a target takes at `now`, in thousandths: for figures.
#[must_use]
pub fn share_in_thousandths(since: Instant, now: Instant, duration: Duration) -> u16 {
    let share = (progress(now.saturating_duration_since(since), duration) * 1000) >> 32;
    u16::try_from(share).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DURATION: Duration = Duration::from_secs(100);

    /// Shares of `turns` picks of four candidates, the given ones in slow start for `elapsed` seconds.
    fn shares(slow: &[u32], elapsed: u64, turns: std::ops::Range<u32>) -> [f64; 4] {
        let candidates = [0, 1, 2, 3];
        let begun = Instant::now();
        let now = begun + Duration::from_secs(elapsed);
        let state =
            SlowStart::new(&candidates, |candidate| slow.contains(&candidate).then_some(begun), DURATION)
                .unwrap();
        let count = f64::from(turns.end - turns.start);
        let mut shares = [0.0; 4];
        for turn in turns {
            shares[state.pick(&candidates, turn, now, &[]).unwrap()] += 1.0 / count;
        }
        shares
    }

    #[test]
    fn the_share_rises_linearly_from_nothing_to_an_equal_one() {
        for elapsed in (0..=100).step_by(10) {
            for start in [0, 123_456, u32::MAX - 100_000] {
                let shares = shares(&[2], elapsed, start..start + 4_000);
                let due = f64::from(u32::try_from(elapsed).unwrap()) / 100.0 / 4.0;
                assert!((shares[2] - due).abs() < 0.003, "after {elapsed} s: {shares:?}, due {due}");
                for full in [0, 1, 3] {
                    assert!(
                        (shares[full] - (1.0 - due) / 3.0).abs() < 0.003,
                        "the rest is shared evenly: {shares:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn several_in_slow_start_leave_their_turns_to_all_others() {
        let shares = shares(&[0, 1], 30, 0..4_000);
        for slow in [0, 1] {
            assert!((shares[slow] - 0.075).abs() < 0.005, "{shares:?}");
        }
        assert!((shares[2] - shares[3]).abs() < 0.01, "{shares:?}");
    }

    #[test]
    fn even_a_few_turns_show_the_share() {
        // Ten rounds of four turns at 50 %: five of ten turns, give or take one.
        for start in [0, 40, 80, 4_000] {
            let taken = shares(&[1], 50, start..start + 40)[1] * 40.0;
            assert!((3.9..=6.1).contains(&taken), "{taken}");
        }
    }

    #[test]
    fn when_the_duration_is_over_it_is_round_robin() {
        let begun = Instant::now();
        let state = SlowStart::new(&[4, 7, 9], |c| (c == 7).then_some(begun), DURATION).unwrap();
        let picks: Vec<_> =
            (0..6).map(|turn| state.pick(&[4, 7, 9], turn, begun + DURATION, &[]).unwrap()).collect();
        assert_eq!(picks, [4, 7, 9, 4, 7, 9]);
    }

    #[test]
    fn nobody_to_spare_or_nobody_to_step_in_is_no_slow_start() {
        let now = Instant::now();
        assert_eq!(SlowStart::new(&[1, 2], |_| None, DURATION), None);
        assert_eq!(SlowStart::new(&[1, 2], |_| Some(now), DURATION), None);
        assert_eq!(SlowStart::new(&[], |_| None, DURATION), None);
    }

    #[test]
    fn shares_in_figures() {
        let begun = Instant::now();
        for (elapsed, share) in [(0, 0), (50, 500), (100, 1000), (1_000, 1000)] {
            assert_eq!(share_in_thousandths(begun, begun + Duration::from_secs(elapsed), DURATION), share);
        }
        assert_eq!(share_in_thousandths(begun + DURATION, begun, DURATION), 0, "a clock that is behind");
    }

    #[test]
    fn beside_weights_a_share_rises_to_what_its_weight_is() {
        let begun = Instant::now();
        let slow =
            SlowStart::new(&[0, 1, 2], |candidate| (candidate == 2).then_some(begun), DURATION).unwrap();
        let weights = WeightedTargets::new([(0, 1_u16), (1, 1), (2, 2)]);
        for elapsed in [0, 50, 100] {
            let now = begun + Duration::from_secs(elapsed);
            let picks =
                (0..4_000).filter(|turn| slow.pick_by_weight(&weights, *turn, now, &[]) == Some(2)).count();
            let due = 20 * usize::try_from(elapsed).unwrap();
            assert!(picks.abs_diff(due) < 60, "after {elapsed} s: {picks} of 4,000, due {due}");
        }
    }

    proptest! {
        #[test]
        fn a_pick_is_a_candidate_that_is_not_excluded(
            count in 2_u32..20,
            slow in prop::collection::vec(0_u32..20, 1..5),
            turn: u32,
            elapsed in 0_u64..120,
            excluded in prop::collection::btree_set(0_usize..20, 0..4),
        ) {
            let excluded: Vec<usize> = excluded.into_iter().collect();
            let candidates: Vec<u32> = (0..count).collect();
            let begun = Instant::now();
            let state = SlowStart::new(&candidates, |c| slow.contains(&c).then_some(begun), DURATION);
            prop_assume!(state.is_some());
            let now = begun + Duration::from_secs(elapsed);
            let eligible = |index: &usize| candidates.len() > *index && !excluded.contains(index);
            match state.unwrap().pick(&candidates, turn, now, &excluded) {
                Some(index) => prop_assert!(eligible(&index)),
                None => prop_assert!(!(0..candidates.len()).any(|index| eligible(&index))),
            }
        }
    }

    /// A target joins nine others and requests come at uneven times for the whole duration and beyond.
    #[test]
    fn a_whole_slow_start_under_random_traffic() {
        let candidates: Vec<u32> = (0..10).collect();
        for seed in 0..20 {
            let mut random = crate::balance::Random::new(seed);
            let begun = Instant::now();
            let state = SlowStart::new(&candidates, |c| (c == 4).then_some(begun), DURATION).unwrap();
            let (mut at, mut turn) = (Duration::ZERO, u32::MAX - 20_000);
            let mut taken = [0_u32; 12];
            let mut all = [0_u32; 12];
            while at < DURATION + DURATION / 5 {
                let tenth = usize::try_from(at.as_secs() / 10).unwrap();
                all[tenth] += 1;
                taken[tenth] += u32::from(state.pick(&candidates, turn, begun + at, &[]) == Some(4));
                turn = turn.wrapping_add(1);
                at += Duration::from_micros(random.draw() % 5_000);
            }
            for tenth in 0..12 {
                let share = f64::from(taken[tenth]) / f64::from(all[tenth]);
                let due = (f64::from(u32::try_from(tenth).unwrap()) * 0.01 + 0.005).min(0.1);
                assert!((share - due).abs() < 0.006, "seed {seed}, tenth {tenth}: {share} instead of {due}");
            }
        }
    }
}
