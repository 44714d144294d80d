//! What stickiness costs, by a sample of requests.

use super::*;

/// A sample of a group of two targets, of which the first gets most requests and takes the longer for it.
fn crowded(bound: bool) -> Observation {
    let mut last = ended();
    app(&mut last).algorithm = "round_robin".into();
    let row = |number: u64, target: usize, took: u64| SampledRequest {
        ago: number * 5_000,
        took,
        target,
        bound,
        others: if target == 0 { 53 } else { 0 },
        stands_for: 10,
        within: 5_000,
    };
    let requests = (0..2_000).map(|number| match number % 10 {
        0 => row(number, 1, 2_000),
        _ => row(number, 0, 30_000),
    });
    let sample = GroupArrivals {
        name: "app".into(),
        targets: vec!["10.0.0.1:1".into(), "10.0.0.1:2".into()],
        requests: requests.collect(),
    };
    Observation::new(vec![begun(), last], 10.0)
        .unwrap()
        .with_arrivals(ArrivalsDocument { target_groups: vec![sample] })
}

#[test]
fn what_stickiness_costs_is_told_with_both_figures() {
    let observation = crowded(true);
    let told = costs(&observation);
    let [cost] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((cost.requests, cost.sampled, cost.seconds.round()), (20_000, 2_000, 10.0));
    let (with, without) = (&cost.with_sessions, &cost.without_sessions);
    assert_eq!((with.target.as_str(), with.p99_seconds), ("10.0.0.1:1", 0.030));
    assert!((52.0..=56.0).contains(&with.most_in_flight), "{cost:?}");
    assert!(without.most_in_flight * 4.0 <= with.most_in_flight, "{cost:?}");
    assert!(without.p99_seconds < 0.010, "{cost:?}");
    let complaints = examine(&observation, &told);
    assert_eq!(complaints[0].code, "stickiness_cost", "{complaints:?}");
    for words in ["30.0 ms", "10.0.0.1:1", "played again without sessions", "20000 requests", "100 %"] {
        assert!(complaints[0].seen.contains(words), "{words}: {}", complaints[0].seen);
    }
}

#[test]
fn nothing_is_said_of_the_cost_of_what_is_even_or_not_bound_or_hardly_known() {
    assert_eq!(examine(&crowded(false), &costs(&crowded(false))), []);
    let mut even = crowded(true);
    for (number, row) in even.arrivals.target_groups[0].requests.iter_mut().enumerate() {
        (row.target, row.took, row.others) = (number % 2, 10_000, 10);
    }
    let told = costs(&even);
    assert_eq!((told.len(), examine(&even, &told).len()), (1, 0), "{told:?}");
    let mut few = crowded(true);
    few.arrivals.target_groups[0].requests.truncate(99);
    assert_eq!(costs(&few), []);
    // A group that is no more, or one target, costs nothing; a target that is not there is nobody's.
    let mut gone = crowded(true);
    gone.last.target_groups.clear();
    assert_eq!(costs(&gone), []);
    let mut one = crowded(true);
    app(&mut one.last).targets.truncate(1);
    assert_eq!(costs(&one), []);
    let mut odd = crowded(true);
    odd.arrivals.target_groups[0].requests[0].target = 9;
    assert_eq!(costs(&odd)[0].requests, 19_990);
}

#[test]
fn a_sample_that_stands_for_too_many_is_cut() {
    let mut busy = crowded(true);
    for row in &mut busy.arrivals.target_groups[0].requests {
        row.stands_for = 1_000;
    }
    let told = costs(&busy);
    assert!(told[0].requests <= 500_000 && told[0].seconds < 3.0, "{told:?}");
    busy.arrivals.target_groups[0].requests[0].stands_for = u64::MAX;
    assert_eq!(costs(&busy), []);
}
