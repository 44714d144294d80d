//! What is counted of a listener's rules, by their names, and for as long as there is a rule of that name.
//! Must not know: what a rule says.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Counter, figures::figures};

figures! {
    /// What one worker counts of a rule, or of a default action. Outlives reloads.
    pub struct RuleShard => /// What came of a rule.
    RuleFigures {
        requests: Counter => "balancer_rule_requests_total",
            "Requests that met the conditions of the rule, and of none that is tried before it.";
    }
}

/// Figures of a rule, one shard a worker.
#[derive(Debug)]
pub struct RuleRuntime(Box<[RuleShard]>);

impl RuleRuntime {
    /// The shard that worker number `worker` writes.
    #[must_use]
    pub fn shard(&self, worker: usize) -> Option<&RuleShard> {
        self.0.get(worker)
    }

    /// What all have counted.
    #[must_use]
    pub fn sum(&self) -> RuleFigures {
        RuleShard::sum(self.0.iter())
    }
}

/// Figures of the rules of a listener. Off the request path.
#[derive(Debug, Default)]
pub struct RuleRuntimes(Mutex<Vec<(Option<String>, Weak<RuleRuntime>)>>);

impl RuleRuntimes {
    /// The figures of the rules of these names and of the default action (none), which go on where somebody holds them.
    pub fn of<'n>(
        &self,
        names: impl Iterator<Item = Option<&'n str>>,
        workers: usize,
    ) -> Box<[Arc<RuleRuntime>]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        let named = before.into_iter().filter_map(|(name, runtime)| Some((name, runtime.upgrade()?)));
        let kept: std::collections::HashMap<_, _> = named.collect();
        names
            .map(|name| {
                let name = name.map(str::to_owned);
                let runtime = kept.get(&name).map_or_else(
                    || Arc::new(RuleRuntime((0..workers).map(|_| RuleShard::default()).collect())),
                    Arc::clone,
                );
                known.push((name, Arc::downgrade(&runtime)));
                runtime
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_goes_on_counting_for_as_long_as_it_is_there() {
        let runtimes = RuleRuntimes::default();
        let of = |names: &[Option<&'static str>]| runtimes.of(names.iter().copied(), 2);
        let first = of(&[Some("api"), None]);
        first[0].shard(1).unwrap().requests.add(3);
        first[1].shard(0).unwrap().requests.add(4);
        let second = of(&[Some("new"), Some("api"), None]);
        assert_eq!(second.iter().map(|rule| rule.sum().requests).collect::<Vec<_>>(), [0, 3, 4]);
        drop(first);
        // One that is gone and comes again begins anew.
        let third = of(&[None]);
        drop(second);
        let fourth = of(&[Some("api"), None]);
        assert_eq!(fourth.iter().map(|rule| rule.sum().requests).collect::<Vec<_>>(), [0, 4]);
        assert!(third[0].shard(2).is_none());
    }
}
