//! Whether balancers would gain by telling each other what they have in flight, each tenth of a second: a simulation with the picker that
//! requests go by. They would not by as much as it costs, so each goes by its own figures (docs/scale.md has the table, which
//! `--nocapture` prints).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use balancer::balance::least_outstanding;

/// Microseconds between two times that a node tells its figures.
const TELLS: u64 = 100_000;
/// Requests that a target works at side by side.
const SIDE_BY_SIDE: usize = 4;
const REQUESTS: usize = 12_000;

#[derive(Clone, Copy)]
enum Knowledge {
    /// What a node has in flight itself.
    Own,
    /// And what the others had when they told it last.
    Told,
    /// And what the others have.
    All,
}

struct Scenario {
    name: &'static str,
    /// Microseconds that each target takes for a request on average.
    takes: Vec<u64>,
    /// Percent of all requests that come to each node.
    shares: [u64; 3],
    /// Percent of what all targets can do.
    load: u64,
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Exponentially distributed about this mean.
    fn about(&mut self, mean: f64) -> u64 {
        let share = ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        u64::try_from(Duration::from_secs_f64(-share.ln() * mean / 1e6).as_micros()).unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes,
    Ends { node: usize, target: usize, came: u64 },
    Tells(usize),
}

struct Simulation<'s> {
    scenario: &'s Scenario,
    knows: Knowledge,
    chance: Chance,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    in_flight: Vec<Vec<u64>>,
    told: Vec<Vec<u64>>,
    waiting: Vec<VecDeque<(usize, u64)>>,
    busy: Vec<usize>,
    turns: [u32; 3],
}

impl Simulation<'_> {
    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn comes(&mut self, now: u64) {
        let rates: f64 = self.scenario.takes.iter().map(|takes| SIDE_BY_SIDE as f64 / *takes as f64).sum();
        let gap = self.chance.about(100.0 / (rates * self.scenario.load as f64));
        self.at(now + gap, Event::Comes);
        let drawn = self.chance.next() % 100;
        let [first, second, _] = self.scenario.shares;
        let node = usize::from(drawn >= first) + usize::from(drawn >= first + second);
        let candidates: Vec<u32> = (0..).take(self.scenario.takes.len()).collect();
        let load = |target: usize| {
            let own = self.in_flight[node][target];
            let of = |figures: &[Vec<u64>]| -> u64 {
                (0..3).filter(|other| *other != node).map(|other| figures[other][target]).sum()
            };
            match self.knows {
                Knowledge::Own => own,
                Knowledge::Told => own + of(&self.told),
                Knowledge::All => own + of(&self.in_flight),
            }
        };
        let target = least_outstanding(&candidates, load, self.turns[node], &[]).unwrap();
        self.turns[node] = self.turns[node].wrapping_add(1);
        self.in_flight[node][target] += 1;
        self.waiting[target].push_back((node, now));
        self.work(target, now);
    }

    fn work(&mut self, target: usize, now: u64) {
        while self.busy[target] < SIDE_BY_SIDE
            && let Some((node, came)) = self.waiting[target].pop_front()
        {
            self.busy[target] += 1;
            let takes = self.chance.about(self.scenario.takes[target] as f64);
            self.at(now + takes, Event::Ends { node, target, came });
        }
    }

    /// Milliseconds that a request takes: of one in two, and of one in a hundred, no less.
    fn run(scenario: &Scenario, knows: Knowledge, seed: u64) -> (f64, f64) {
        let targets = scenario.takes.len();
        let mut simulation = Simulation {
            scenario,
            knows,
            chance: Chance(seed),
            events: BinaryHeap::new(),
            order: 0,
            in_flight: vec![vec![0; targets]; 3],
            told: vec![vec![0; targets]; 3],
            waiting: vec![VecDeque::new(); targets],
            busy: vec![0; targets],
            turns: [0, 3, 7],
        };
        simulation.at(0, Event::Comes);
        (0..3).for_each(|node| simulation.at(TELLS * node as u64 / 3, Event::Tells(node)));
        let mut took = Vec::with_capacity(REQUESTS);
        while took.len() < REQUESTS {
            let Reverse((now, _, event)) = simulation.events.pop().unwrap();
            match event {
                Event::Comes => simulation.comes(now),
                Event::Ends { node, target, came } => {
                    simulation.in_flight[node][target] -= 1;
                    simulation.busy[target] -= 1;
                    took.push(now - came);
                    simulation.work(target, now);
                }
                Event::Tells(node) => {
                    simulation.told[node].clone_from(&simulation.in_flight[node]);
                    simulation.at(now + TELLS, Event::Tells(node));
                }
            }
        }
        let mut took = took.split_off(REQUESTS / 10);
        took.sort_unstable();
        let part = |percent: usize| took[took.len() * percent / 100] as f64 / 1000.0;
        (part(50), part(99))
    }

    fn mean(scenario: &Scenario, knows: Knowledge) -> (f64, f64) {
        let runs: Vec<_> = (1..=3).map(|seed| Self::run(scenario, knows, seed * 7919)).collect();
        let sum = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        (sum(|run| run.0), sum(|run| run.1))
    }
}

#[test]
fn what_others_have_in_flight_is_worth_little() {
    let even = |takes| vec![takes; 10];
    let uneven = |takes: u64| [vec![takes; 8], vec![takes * 3; 2]].concat();
    let skewed = [80, 15, 5];
    let third = [34, 33, 33];
    let scenarios = [
        ("2 ms, even targets", even(2_000), skewed, 85),
        ("2 ms, two of ten slow", uneven(2_000), skewed, 85),
        ("20 ms, even targets", even(20_000), third, 85),
        ("20 ms, even targets", even(20_000), skewed, 85),
        ("20 ms, two of ten slow", uneven(20_000), third, 85),
        ("20 ms, two of ten slow", uneven(20_000), skewed, 85),
        ("20 ms, two of ten slow", uneven(20_000), skewed, 60),
        ("500 ms, two of ten slow", uneven(500_000), skewed, 85),
        ("500 ms, two of ten slow", uneven(500_000), third, 85),
    ];
    let mut worth = Vec::new();
    for (name, takes, shares, load) in scenarios {
        let scenario = Scenario { name, takes, shares, load };
        let [own, told, all] =
            [Knowledge::Own, Knowledge::Told, Knowledge::All].map(|knows| Simulation::mean(&scenario, knows));
        let figures = |(half, last): (f64, f64)| format!("{half:7.1} {last:7.1}");
        println!(
            "{:<24} {shares:?} {load} %: own {}, told {}, all {}",
            scenario.name,
            figures(own),
            figures(told),
            figures(all)
        );
        worth.push((name, told.1 / own.1, told.0 / own.0));
    }
    // With requests that are short beside the tenth of a second it is a loss.
    assert!(worth.iter().any(|(.., half)| *half > 1.03), "{worth:?}");
    assert!(worth.iter().all(|(_, last, half)| *last > 0.85 && *half > 0.85), "{worth:?}");
}
