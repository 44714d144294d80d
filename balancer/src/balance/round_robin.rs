//! Targets in turn. Owns no state: whoever keeps the turn number makes the turn.

/// The candidate whose turn it is; the next one in order when that one is in `excluded` (targets that this
/// request has already failed to reach, in order). `candidates` holds indices of targets in their group; none is
/// picked when all are excluded or there are none.
#[must_use]
pub fn round_robin(candidates: &[u32], turn: u32, excluded: &[usize]) -> Option<usize> {
    let start = usize::try_from(turn).ok()?.checked_rem(candidates.len())?;
    let (before, from) = candidates.split_at_checked(start)?;
    from.iter()
        .chain(before)
        .map(|&index| index as usize)
        .find(|index| excluded.binary_search(index).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(candidates: &[u32], turns: std::ops::Range<u32>, excluded: &[usize]) -> Vec<Option<usize>> {
        turns.map(|turn| round_robin(candidates, turn, excluded)).collect()
    }

    #[test]
    fn each_candidate_has_its_turn() {
        assert_eq!(picks(&[4, 7, 9], 0..6, &[]), [4, 7, 9, 4, 7, 9].map(Some));
    }

    #[test]
    fn an_excluded_candidate_gives_its_turn_to_the_next() {
        assert_eq!(picks(&[4, 7, 9], 0..3, &[9]), [4, 7, 4].map(Some));
        assert_eq!(picks(&[4, 7, 9], 0..3, &[4, 9]), [7, 7, 7].map(Some));
    }

    #[test]
    fn nothing_to_pick_from_is_none() {
        assert_eq!(round_robin(&[], 3, &[]), None);
        assert_eq!(round_robin(&[1, 2], 3, &[1, 2]), None);
    }

    #[test]
    fn the_turn_may_wrap() {
        assert_eq!(round_robin(&[5, 6], u32::MAX, &[]), Some(6));
        assert_eq!(round_robin(&[5, 6], 0, &[]), Some(5));
    }
}
