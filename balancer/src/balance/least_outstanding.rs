//! The target with fewest requests in flight (ALB: `least_outstanding_requests`).
//!
//! ALB does not say how it breaks ties; here they rotate, so that idle targets share the requests evenly wherever they stand
//! in the list: the one whose turn it is where that is idle, else one after the other of those that share the least load.
//! Counting the ties takes a second look at the candidates; loads that other workers change in between
//! make the pick at worst one that was least a moment ago.

use crate::internal_errors::Part as _;

/// How many loads are read before they are compared: reading and comparing apart lets both run without a branch.
const BLOCK: usize = 128;

/// Stands for a candidate that may not be picked; loads are held below it.
const BARRED: u32 = u32::MAX;

/// The candidate with the least load; ties rotate with `turn`. `candidates` holds indices of targets in
/// their group, `load` tells the requests in flight of such an index, `excluded` are targets that this request
/// has already failed to reach, in order. None is picked when all are excluded or there are none.
#[must_use]
pub fn least_outstanding(
    candidates: &[u32],
    load: impl Fn(usize) -> u64,
    turn: u32,
    excluded: &[usize],
) -> Option<usize> {
    let weigh = |&index: &u32| {
        let index = index as usize;
        if !excluded.is_empty() && excluded.binary_search(&index).is_ok() {
            return BARRED;
        }
        u32::try_from(load(index)).unwrap_or(BARRED).min(BARRED - 1)
    };
    // Nothing is less than nothing: most picks of a group that is not busy end here.
    let at_turn = candidates.get((turn as usize).checked_rem(candidates.len())?)?;
    if weigh(at_turn) == 0 {
        return Some(*at_turn as usize);
    }
    let (least, ties) = survey(candidates, weigh);
    if least == BARRED {
        return None;
    }
    // Turns that come here are those of the busy: by `turn` alone each of them would meet the same tie again.
    let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
    let chosen = (turn / count).wrapping_add(turn % count).checked_rem(ties)?;
    let mut passed = 0;
    let mut last_seen = None;
    for candidate in candidates {
        if weigh(candidate) <= least {
            last_seen = Some(*candidate as usize);
            if passed == chosen {
                break;
            }
            passed += 1;
        }
    }
    // All of them may have become busier since the survey: then any of the rest is as good.
    last_seen.or_else(|| candidates.iter().find(|c| weigh(c) != BARRED).map(|c| *c as usize))
}

/// The least weight and how many candidates have it.
fn survey(candidates: &[u32], weigh: impl Fn(&u32) -> u32) -> (u32, u32) {
    let (mut least, mut ties) = (BARRED, 0);
    let mut weights = [BARRED; BLOCK];
    for block in candidates.chunks(BLOCK) {
        for (weight, candidate) in weights.iter_mut().zip(block) {
            *weight = weigh(candidate);
        }
        let weights = weights.part(..block.len());
        let here = weights.iter().copied().fold(BARRED, u32::min);
        if here <= least {
            let count: u32 = weights.iter().map(|&weight| u32::from(weight == here)).sum();
            ties = if here < least { count } else { ties + count };
            least = here;
        }
    }
    (least, ties)
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        hint::black_box,
        sync::atomic::{AtomicU64, Ordering::Relaxed},
        time::Instant,
    };

    use proptest::prelude::*;

    use super::*;

    fn pick(loads: &[u64], turn: u32, excluded: &[usize]) -> Option<usize> {
        let candidates: Vec<u32> = (0..u32::try_from(loads.len()).unwrap()).collect();
        least_outstanding(&candidates, |index| loads[index], turn, excluded)
    }

    #[test]
    fn the_least_loaded_is_picked() {
        for turn in 0..7 {
            assert_eq!(pick(&[3, 1, 2], turn, &[]), Some(1));
        }
    }

    #[test]
    fn ties_rotate_evenly_wherever_they_stand() {
        let picked: Vec<_> = (0..6).map(|turn| pick(&[0, 0, 0], turn, &[]).unwrap()).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
        for tied in [0, 5] {
            let mut loads = [tied + 9; 8];
            (loads[2], loads[3]) = (tied, tied);
            let mut counts = [0; 8];
            for turn in 0..800 {
                counts[pick(&loads, turn, &[]).unwrap()] += 1;
            }
            assert_eq!(counts[2] + counts[3], 800);
            assert!((counts[2] - 400_i32).abs() <= 100, "uneven: {counts:?}");
        }
    }

    #[test]
    fn idle_targets_share_evenly_whichever_others_are_busy() {
        for count in 2..=9_usize {
            for busy in 0..(1_u32 << count) - 1 {
                let loads: Vec<u64> = (0..count).map(|index| u64::from(busy >> index & 1)).collect();
                let mut counts = vec![0_i32; count];
                for turn in 0..840 {
                    counts[pick(&loads, turn, &[]).unwrap()] += 1;
                }
                let idle = counts.iter().zip(&loads).filter(|(_, load)| **load == 0).map(|(count, _)| *count);
                let (least, most) = (idle.clone().min().unwrap(), idle.max().unwrap());
                assert!(most - least <= 4, "{loads:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn excluded_candidates_are_never_picked() {
        assert_eq!(pick(&[0, 5, 7], 0, &[0]), Some(1));
        assert_eq!(pick(&[0, 5, 7], 3, &[0, 1]), Some(2));
        assert_eq!(pick(&[0, 5, 7], 3, &[0, 1, 2]), None);
        assert_eq!(pick(&[], 3, &[]), None);
    }

    #[test]
    fn candidates_name_targets_by_their_index_in_the_group() {
        let loads = [0, 9, 0, 4];
        assert_eq!(least_outstanding(&[1, 3], |index| loads[index], 0, &[]), Some(3));
    }

    #[test]
    fn a_load_beyond_measure_can_still_be_picked() {
        assert_eq!(pick(&[u64::MAX, u64::MAX], 0, &[0]), Some(1));
        assert_eq!(pick(&[u64::MAX, 1 << 31], 0, &[]), Some(1));
    }

    #[test]
    fn loads_that_rise_while_they_are_read_still_give_a_pick() {
        let reads = RefCell::new(0_u64);
        let rising = |_| {
            *reads.borrow_mut() += 1;
            *reads.borrow()
        };
        assert!(least_outstanding(&[0, 1, 2], rising, 1, &[]).is_some());
        *reads.borrow_mut() = 0;
        assert_eq!(least_outstanding(&[0, 1, 2], rising, 1, &[0, 2]), Some(1));
    }

    proptest! {
        #[test]
        fn the_pick_is_a_minimum_of_the_eligible(
            loads in prop::collection::vec(0_u64..6, 0..300),
            turn: u32,
            excluded in prop::collection::btree_set(0_usize..300, 0..3),
        ) {
            let excluded: Vec<usize> = excluded.into_iter().collect();
            let least = loads.iter().enumerate().filter(|(i, _)| !excluded.contains(i)).map(|(_, l)| *l).min();
            let picked = pick(&loads, turn, &excluded);
            prop_assert_eq!(picked.map(|index| loads[index]), least);
            prop_assert!(picked.is_none_or(|index| !excluded.contains(&index)));
        }

        #[test]
        fn every_tie_is_reached(tied in prop::collection::btree_set(0_usize..200, 1..12), low in 0_u64..3) {
            let mut loads = vec![low + 1; 200];
            tied.iter().for_each(|&index| loads[index] = low);
            let picked: std::collections::BTreeSet<_> =
                (0..500).map(|turn| pick(&loads, turn, &[]).unwrap()).collect();
            prop_assert_eq!(picked, tied);
        }
    }

    #[test]
    #[ignore = "timing: run by hand with --release"]
    fn a_pick_among_a_thousand_targets() {
        const ROUNDS: u32 = 200_000;
        let loads: Vec<AtomicU64> = (0..1_000_u64).map(|i| AtomicU64::new(1 + (i * 7919) % 13)).collect();
        let candidates: Vec<u32> = (0..1_000).collect();
        for (what, busy) in [("all busy", 1), ("half idle", 0)] {
            if busy == 0 {
                loads.iter().step_by(2).for_each(|load| load.store(0, Relaxed));
            }
            let started = Instant::now();
            for turn in 0..ROUNDS {
                black_box(least_outstanding(&candidates, |index| loads[index].load(Relaxed), turn, &[]));
            }
            println!("{what}: {:?} a pick", started.elapsed() / ROUNDS);
        }
    }
}
