//! When a target is too busy for the requests that are bound to it: bounded load.
//! Must not know: sessions, where loads come from.

/// With fewer requests in flight than this a target is never too busy: shares of small numbers say nothing.
const FEW: u64 = 8;

/// Whether one more request would take a target beyond `percent` of the mean load. `own` requests are in flight to
/// it, `total` to all `count` targets.
#[must_use]
pub fn is_too_busy(own: u64, total: u64, count: usize, percent: u16) -> bool {
    if own < FEW {
        return false;
    }
    let mean_times_count = u128::from(total) + 1;
    (u128::from(own) + 1) * 100 * (count as u128) > u128::from(percent) * mean_times_count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_target_above_its_bound_is_too_busy() {
        for (own, total, count, percent, busy) in [
            (7, 7, 8, 110, false),
            (8, 8, 8, 110, true),
            (9, 39, 4, 125, false),
            (12, 39, 4, 125, true),
            (100, 400, 4, 110, false),
            (115, 400, 4, 110, true),
            (50, 50, 1, 110, false),
            (u64::MAX, u64::MAX, 1000, 1000, true),
        ] {
            assert_eq!(
                is_too_busy(own, total, count, percent),
                busy,
                "{own} of {total} on {count}, {percent} %"
            );
        }
    }

    proptest! {
        #[test]
        fn there_is_always_a_target_that_is_not_too_busy(
            loads in prop::collection::vec(0_u64..1000, 1..50),
            percent in 110_u16..=1000,
        ) {
            let total = loads.iter().sum();
            let least = loads.iter().copied().min().unwrap();
            prop_assert!(!is_too_busy(least, total, loads.len(), percent) || least * loads.len() as u64 > total);
        }
    }
}
