//! The sample of requests that workers keep, group by group. Must not know: what is made of it.

use std::{collections::HashMap, time::Duration};

use super::Inspector;
use crate::{
    clock::Nanos,
    counters::Arrival,
    telemetry::arrivals::{ArrivalsDocument, GroupArrivals, SampledRequest},
};

impl Inspector {
    /// Requests that sticky groups got lately, those alone to targets that are still there.
    #[must_use]
    pub fn arrivals(&self) -> ArrivalsDocument {
        let (snapshot, now) = (self.snapshot.get(), Nanos::now());
        let sticky = || snapshot.groups.iter().filter(|group| group.stickiness.is_some());
        let mut target_groups: Vec<_> = sticky()
            .map(|group| GroupArrivals {
                name: group.settings.name.clone(),
                targets: group.targets.iter().map(|target| target.endpoint.to_string()).collect(),
                requests: Vec::new(),
            })
            .collect();
        let registrations: HashMap<u64, (usize, usize)> = sticky()
            .enumerate()
            .flat_map(|(group, view)| {
                let targets = view.targets.iter().enumerate();
                targets.map(move |(target, view)| (view.registration, (group, target)))
            })
            .collect();
        for arrival in self.workers.iter().flat_map(|worker| worker.arrivals.read(now)) {
            let Some(&(group, target)) = registrations.get(&arrival.registration) else { continue };
            if let Some(group) = target_groups.get_mut(group) {
                group.requests.push(sampled(arrival, target));
            }
        }
        ArrivalsDocument { target_groups }
    }
}

fn sampled(arrival: Arrival, target: usize) -> SampledRequest {
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    SampledRequest {
        ago: micros(arrival.ago),
        took: micros(arrival.took),
        target,
        bound: arrival.bound,
        others: arrival.others,
        stands_for: arrival.stands_for,
        within: micros(arrival.within),
    }
}
