//! When a target is too busy for the requests that are bound to it: bounded load.
//! Must not know: sessions, where loads come from.

/// With fewer requests in flight than this a target is never too busy: shares of small numbers say nothing.
const FEW: u64 = 8;

/// Whether one more request would take a target beyond `percent` of the load that is due to it. `own` requests are in flight
/// to it, `total` to all targets, of which it is to have `part` of `all` (one of so many where each gets as much).
#[must_use]
pub fn is_too_busy(own: u64, total: u64, (part, all): (u64, u64), percent: u16) -> bool {
    if own < FEW {
        return false;
    }
    // Beyond 2^100 nothing has to be exact.
    let weighed = (u128::from(own) + 1).saturating_mul(100).saturating_mul(all.into());
    weighed > u128::from(percent).saturating_mul(part.into()).saturating_mul(u128::from(total) + 1)
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
                is_too_busy(own, total, (1, count), percent),
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
            prop_assert!(!is_too_busy(least, total, (1, loads.len() as u64), percent) || least * loads.len() as u64 > total);
        }
    }
}
