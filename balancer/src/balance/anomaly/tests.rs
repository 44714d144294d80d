//! Simulations with seeds: groups of targets under traffic, seen through the rounds of the detector.

use super::*;
use crate::balance::{Random, WeightedTargets};

/// A group under traffic that `weighted_random` spreads by the weights that the detector gives.
struct Fleet {
    random: Random,
    watches: Vec<AnomalyState>,
    /// Part of the requests that each target fails.
    failing: Vec<f64>,
    mitigate: bool,
}

#[allow(clippy::cast_precision_loss, reason = "53 bits are taken")]
fn chance(random: &mut Random) -> f64 {
    (random.draw() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Fleet {
    fn new(seed: u64, failing: &[f64]) -> Self {
        Self {
            random: Random::new(seed),
            watches: vec![AnomalyState::default(); failing.len()],
            failing: failing.to_vec(),
            mitigate: true,
        }
    }

    /// Five seconds with `requests` requests; gives back how many each target got.
    fn round(&mut self, requests: usize) -> Vec<u64> {
        let weights = WeightedTargets::new((0_u32..).zip(self.watches.iter().map(AnomalyState::weight)));
        let mut rounds = vec![Round::default(); self.watches.len()];
        for _ in 0..requests {
            let target = weights.pick(self.random.draw(), &[]).unwrap();
            rounds[target].requests += 1;
            rounds[target].trouble_requests += 1;
            rounds[target].errors += u64::from(chance(&mut self.random) < self.failing[target]);
        }
        let got = rounds.iter().map(|round| round.requests).collect();
        self.take(rounds);
        got
    }

    /// The same while all have parity and fail alike: each is as likely as any other, and one number tells of a request
    /// where it goes and whether it fails, so that there is time for weeks of them.
    #[allow(clippy::cast_precision_loss, reason = "32 bits are taken")]
    fn round_of_alike(&mut self, requests: usize) {
        let (count, failing) = (self.watches.len() as u64, self.failing[0]);
        let mut got = vec![(0, 0); self.watches.len()];
        for _ in 0..requests {
            let draw = self.random.draw();
            let (index, luck) = (draw >> 32, draw & u64::from(u32::MAX));
            let (all, bad) = &mut got[usize::try_from((index * count) >> 32).unwrap()];
            *all += 1;
            *bad += u64::from((luck as f64) < failing * 4_294_967_296.0);
        }
        let round = |(requests, errors)| Round { requests, errors, trouble: 0, trouble_requests: requests };
        self.take(got.into_iter().map(round).collect());
    }

    fn take(&mut self, rounds: Vec<Round>) {
        let mut targets: Vec<_> = self.watches.iter_mut().zip(rounds).collect();
        assess(&mut targets, self.mitigate);
    }

    fn anomalous(&self) -> Vec<usize> {
        (0..self.watches.len()).filter(|index| self.watches[*index].is_anomalous()).collect()
    }

    fn mitigated(&self) -> usize {
        self.watches.iter().filter(|watch| watch.is_mitigated()).count()
    }
}

#[test]
fn targets_that_are_alike_give_no_false_alarm_over_long_runs() {
    // 3,000 rounds are more than four hours; together more than a week.
    for (seed, (count, rate, requests)) in [3, 10, 40]
        .into_iter()
        .flat_map(|count| {
            [(0.0, 200), (0.001, 2_000), (0.02, 300), (0.2, 60), (0.5, 400), (1.0, 100)]
                .map(|(rate, each)| (count, rate, each * count / 10 + 5))
        })
        .zip(1..)
        .map(|(case, seed)| (seed, case))
    {
        let mut fleet = Fleet::new(seed, &vec![rate; count]);
        for round in 0..3_000 {
            fleet.round_of_alike(requests);
            assert!(
                fleet.anomalous().is_empty(),
                "{count} targets at {rate}, {requests} a round: round {round}"
            );
            assert_eq!(fleet.mitigated(), 0);
        }
    }
}

#[test]
fn a_bad_target_among_good_ones_is_found_within_seconds() {
    for seed in 0..50 {
        let mut failing = vec![0.001; 10];
        failing[4] = 0.2;
        let mut fleet = Fleet::new(seed, &failing);
        // 100 requests a second.
        let took = (1..10).find(|_| {
            fleet.round(500);
            fleet.anomalous() == [4]
        });
        assert!(took.is_some_and(|rounds| rounds <= 2), "seed {seed}: {took:?} rounds of five seconds");
    }
}

#[test]
fn two_bad_targets_do_not_hide_one_another() {
    for seed in 0..20 {
        let mut fleet = Fleet::new(seed, &[0.001, 0.9, 0.001, 0.3, 0.001]);
        for _ in 0..3 {
            fleet.round(1_000);
        }
        assert_eq!(fleet.anomalous(), [1, 3], "seed {seed}");
    }
}

#[test]
fn a_bad_target_gets_the_least_that_measures_it_and_recovers_gradually() {
    for seed in 0..20 {
        let mut failing = vec![0.001; 5];
        failing[2] = 0.5;
        let mut fleet = Fleet::new(seed, &failing);
        for _ in 0..4 {
            fleet.round(5_000);
        }
        for _ in 0..200 {
            let got = fleet.round(5_000);
            assert!(fleet.watches[2].is_anomalous() && fleet.watches[2].is_mitigated());
            assert!((5..60).contains(&got[2]), "seed {seed}: {got:?}");
            assert!(got.iter().enumerate().all(|(index, got)| index == 2 || *got > 1_000), "{got:?}");
        }
        fleet.failing[2] = 0.001;
        let normal = (1..30).find(|_| {
            fleet.round(5_000);
            !fleet.watches[2].is_anomalous()
        });
        assert!(normal.is_some_and(|rounds| rounds <= 8), "seed {seed}: normal after {normal:?} rounds");
        let mut weights = vec![fleet.watches[2].weight()];
        while fleet.watches[2].is_mitigated() {
            fleet.round(5_000);
            weights.push(fleet.watches[2].weight());
        }
        assert!((8..=12).contains(&weights.len()), "back to parity step by step: {weights:?}");
        assert!(weights.is_sorted_by(|one, other| one < other), "{weights:?}");
    }
}

#[test]
fn at_most_half_of_the_targets_are_mitigated() {
    for seed in 0..10 {
        for bad in 1..=6 {
            let failing: Vec<f64> = (0..6).map(|index| if index < bad { 0.9 } else { 0.0 }).collect();
            let mut fleet = Fleet::new(seed, &failing);
            for _ in 0..50 {
                fleet.round(2_000);
                assert!(fleet.mitigated() <= 3, "{bad} bad of 6");
            }
            if bad <= 3 {
                assert_eq!(fleet.mitigated(), bad, "{bad} bad of 6");
            } else if bad == 6 {
                assert_eq!(fleet.anomalous().len(), 0, "all are alike");
            }
        }
    }
}

#[test]
fn another_that_turns_bad_takes_the_place_of_one_that_recovers() {
    let mut fleet = Fleet::new(1, &[0.0, 0.0, 0.9]);
    for _ in 0..3 {
        fleet.round(3_000);
    }
    assert_eq!((fleet.anomalous(), fleet.mitigated()), (vec![2], 1));
    fleet.failing = vec![0.0, 0.9, 0.0];
    for _ in 0..12 {
        fleet.round(3_000);
        assert!(fleet.mitigated() <= 1);
    }
    assert_eq!(fleet.anomalous(), [1]);
    assert_eq!(fleet.watches[2].weight(), PARITY);
}

#[test]
fn without_mitigation_anomalies_are_only_told() {
    let mut fleet = Fleet::new(1, &[0.0, 0.0, 0.9]);
    fleet.mitigate = false;
    for _ in 0..3 {
        fleet.round(300);
    }
    assert_eq!((fleet.anomalous(), fleet.mitigated()), (vec![2], 0));
}

#[test]
fn mitigation_that_is_turned_off_ends_at_once() {
    let mut fleet = Fleet::new(1, &[0.0, 0.0, 0.9]);
    (0..3).for_each(|_| _ = fleet.round(300));
    assert_eq!(fleet.mitigated(), 1);
    fleet.mitigate = false;
    fleet.round(300);
    assert_eq!(fleet.mitigated(), 0);
}

#[test]
fn two_targets_are_never_compared() {
    let mut fleet = Fleet::new(1, &[0.0, 1.0]);
    for _ in 0..10 {
        fleet.round(1_000);
        assert!(fleet.anomalous().is_empty());
    }
}

#[test]
fn a_handful_of_requests_condemns_nobody() {
    let mut fleet = Fleet::new(1, &[0.0, 0.0, 1.0]);
    fleet.round(6);
    assert!(fleet.anomalous().is_empty());
    // Nor does a pause bring old figures back.
    for _ in 0..100 {
        fleet.round(0);
    }
    assert!(fleet.anomalous().is_empty());
}

#[test]
fn resets_and_retransmissions_count_where_they_are_many() {
    let mut watches = [AnomalyState::default(); 4];
    let mut rounds = |trouble: [u64; 4]| {
        let mut targets: Vec<_> = watches
            .iter_mut()
            .zip(trouble)
            .map(|(watch, trouble)| {
                (watch, Round { requests: 500, errors: 0, trouble, trouble_requests: 500 })
            })
            .collect();
        assess(&mut targets, false);
        targets.iter().map(|(watch, _)| watch.is_anomalous()).collect::<Vec<_>>()
    };
    assert_eq!(rounds([3, 40, 2, 0]), [false; 4], "a lossy moment");
    assert_eq!(rounds([3, 400, 2, 900]), [false, true, false, true]);
}

#[test]
fn errors_and_trouble_together_find_half_of_the_targets_at_most() {
    let mut watches = [AnomalyState::default(); 4];
    let quiet = Round { requests: 500, trouble_requests: 500, ..Round::default() };
    // The better half of the one kind is the worse half of the other.
    let rounds = [
        Round { errors: 500, ..quiet },
        Round { errors: 400, ..quiet },
        Round { trouble: 300, ..quiet },
        Round { trouble: 100, ..quiet },
    ];
    for _ in 0..5 {
        let mut targets: Vec<_> = watches.iter_mut().zip(rounds).collect();
        assess(&mut targets, false);
        let found: Vec<bool> = watches.iter().map(AnomalyState::is_anomalous).collect();
        assert_eq!(found, [true, true, false, false], "the clearest cases");
    }
}

#[test]
fn a_change_is_told_once() {
    let mut watches = [AnomalyState::default(); 3];
    let mut round = |errors: u64| {
        let mut targets: Vec<_> = watches
            .iter_mut()
            .zip([0, 0, errors])
            .map(|(watch, errors)| {
                (watch, Round { requests: 300, errors, trouble_requests: 300, trouble: 0 })
            })
            .collect();
        assess(&mut targets, false)
    };
    assert!(!round(0));
    assert!(round(200));
    assert!(!round(200));
}
