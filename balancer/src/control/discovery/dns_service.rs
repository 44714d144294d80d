//! Targets in DNS: the records of a service (SRV, RFC 2782), asked for again when their time to live is over. Their names are
//! resolved as host names of a configuration are, each by its own time to live. Must not know: how a name server is asked.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    document,
    lister::{Listing, SourceFault, TargetLister},
};
use crate::{
    control::resolver::{NameService, ServiceRecord},
    model::{FoundTarget, TargetShare, TargetSource},
};

/// Shortest and longest time between two questions.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// A record of weight 0 among others gets a hundredth of what one of weight 1 gets: "very small chances" (RFC 2782).
const WEIGHT_OF_ONE: u32 = 100;

pub(super) struct DnsServiceLister {
    name: String,
    patience: Duration,
    /// How long what was said last holds.
    holds: Option<Duration>,
}

impl DnsServiceLister {
    pub(super) fn new(name: &str, source: &TargetSource) -> Self {
        Self { name: name.to_owned(), patience: source.timeout, holds: None }
    }
}

impl TargetLister for DnsServiceLister {
    async fn next(&mut self) -> Result<Listing, SourceFault> {
        if let Some(holds) = self.holds.take() {
            sleep(holds.clamp(SHORTEST, LONGEST)).await;
        }
        let answer = NameService::of_system().services(&self.name, self.patience).await;
        let (records, holds) = answer.map_err(|why| SourceFault::away(format!("{}: {why}", self.name)))?;
        self.holds = Some(holds.unwrap_or(SHORTEST));
        Ok(listing(&records))
    }
}

fn listing(records: &[ServiceRecord]) -> Listing {
    let has_weights = records.iter().any(|record| record.weight > 0);
    let mut listing = Listing::default();
    // One that names the root says that there is no such service.
    for record in records.iter().filter(|record| record.target != ".") {
        let weight = match (has_weights, record.weight) {
            (false, _) | (true, 0) => 1,
            (true, weight) => u32::from(weight) * WEIGHT_OF_ONE,
        };
        let share = TargetShare { priority: record.priority.into(), weight, leaving: false };
        match document::spec(&format!("{}:{}", record.target, record.port), None) {
            Ok(spec) => listing.targets.push(FoundTarget { spec, share }),
            Err(wrong) => listing.left_out.push(wrong),
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str, priority: u16, weight: u16, port: u16) -> ServiceRecord {
        ServiceRecord { target: target.to_owned(), priority, weight, port }
    }

    fn shares(records: &[ServiceRecord]) -> Vec<(u32, u32)> {
        let each = |target: &FoundTarget| (target.share.priority, target.share.weight);
        listing(records).targets.iter().map(each).collect()
    }

    #[test]
    fn weights_are_those_of_records_and_none_is_nothing() {
        assert_eq!(shares(&[record("a.", 1, 0, 80), record("b.", 2, 0, 80)]), [(1, 1), (2, 1)]);
        assert_eq!(shares(&[record("a.", 0, 0, 80), record("b.", 0, 3, 80)]), [(0, 1), (0, 300)]);
        assert_eq!(shares(&[record("a.", 0, 65_535, 80)]), [(0, 6_553_500)]);
    }

    #[test]
    fn what_is_no_target_is_left_out_and_told() {
        let records = [
            record(".", 0, 0, 0),
            record("a.test.", 0, 0, 0),
            record("-?.test.", 0, 0, 80),
            record("b.test.", 0, 0, 81),
        ];
        let listing = listing(&records);
        assert_eq!((listing.targets.len(), listing.left_out.len()), (1, 2), "{listing:?}");
        assert_eq!(listing.targets[0].spec.port, 81);
    }
}
