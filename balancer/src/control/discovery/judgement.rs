//! What is to be believed of what a source lists. Each target once, no more than a group may have, and always the same ones of
//! too many, however they are sorted. A source that is away, or is empty when it must not be, changes nothing.
//! Must not know: sources, time but for spans.

use std::{collections::BTreeMap, time::Duration};

use super::lister::{Listing, SourceFault};
use crate::model::{FoundTarget, MAX_TARGETS, TargetSource};

/// How many things that are no targets are told of.
pub(super) const MOST_LEFT_OUT: usize = 5;
/// Longest rest after faults.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// And the first one.
const FIRST_REST: Duration = Duration::from_secs(1);

/// What came of listening.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceVerdict {
    /// The targets, where they are others than before.
    pub(super) changed: Option<Vec<FoundTarget>>,
    /// How many there are now; those of an earlier time after a fault.
    pub(super) count: usize,
    /// What is wrong with the source.
    pub(super) fault: Option<SourceFault>,
    /// What was left out of what it lists, in words; empty: nothing.
    pub(super) left_out: String,
}

/// What is known of a source.
#[derive(Debug)]
pub(super) struct Judgement {
    empty_is_error: bool,
    longest: Duration,
    last: Option<Vec<FoundTarget>>,
    faults: u32,
}

impl Judgement {
    pub(super) fn new(source: &TargetSource) -> Self {
        let longest = source.interval.clamp(FIRST_REST, LONGEST_REST);
        Self { empty_is_error: source.empty_is_error, longest, last: None, faults: 0 }
    }

    /// How long to wait before the source is asked again: not at all after an answer, and longer with each fault.
    pub(super) fn rest(&self) -> Duration {
        match self.faults.checked_sub(1) {
            None => Duration::ZERO,
            Some(earlier) => FIRST_REST.saturating_mul(1 << earlier.min(10)).min(self.longest),
        }
    }

    /// Takes in what the source says.
    pub(super) fn judge(&mut self, said: Result<Listing, SourceFault>) -> SourceVerdict {
        let said = said.and_then(|listing| {
            if listing.targets.is_empty() && self.empty_is_error {
                let mut why = "it lists no targets".to_owned();
                if let Some(first) = listing.left_out.first() {
                    why = format!("{why} that can be used: {first}");
                }
                return Err(SourceFault { cause: "empty", why });
            }
            Ok(listing)
        });
        match said {
            Ok(Listing { targets, mut left_out }) => {
                let targets = settle(targets, &mut left_out);
                self.faults = 0;
                let count = targets.len();
                let changed = (self.last.as_ref() != Some(&targets)).then(|| targets.clone());
                self.last = Some(targets);
                SourceVerdict { changed, count, fault: None, left_out: in_words(&left_out) }
            }
            Err(fault) => {
                self.faults = self.faults.saturating_add(1);
                let count = self.last.as_ref().map_or(0, Vec::len);
                SourceVerdict { changed: None, count, fault: Some(fault), left_out: String::new() }
            }
        }
    }
}

/// Each target once, with the best of what is said of it; the first ranks of too many.
fn settle(targets: Vec<FoundTarget>, left_out: &mut Vec<String>) -> Vec<FoundTarget> {
    let listed = targets.len();
    let mut once = BTreeMap::new();
    for FoundTarget { spec, share } in targets {
        let rank = |share: crate::model::TargetShare| (share.rank(), std::cmp::Reverse(share.weight));
        let known = once.entry(spec).or_insert(share);
        if rank(share) < rank(*known) {
            *known = share;
        }
    }
    if once.len() < listed {
        left_out.push(format!("{} targets are listed more than once", listed - once.len()));
    }
    let mut targets: Vec<FoundTarget> =
        once.into_iter().map(|(spec, share)| FoundTarget { spec, share }).collect();
    if targets.len() > MAX_TARGETS {
        left_out
            .push(format!("{} targets; allowed: at most {MAX_TARGETS}, the rest is left out", targets.len()));
        // Stable: those of a rank stay in their order.
        targets.sort_by_key(|target| target.share.rank());
        targets.truncate(MAX_TARGETS);
        targets.sort_by(|a, b| a.spec.cmp(&b.spec));
    }
    targets
}

fn in_words(left_out: &[String]) -> String {
    let mut words = left_out.iter().take(MOST_LEFT_OUT).cloned().collect::<Vec<_>>().join("; ");
    if left_out.len() > MOST_LEFT_OUT {
        words.push_str(&format!("; and {} more", left_out.len() - MOST_LEFT_OUT));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourcePlace, TargetAddress, TargetShare, TargetSpec};

    fn source(empty_is_error: bool) -> TargetSource {
        TargetSource {
            place: SourcePlace::File("/x.json".into()),
            interval: Duration::from_secs(8),
            timeout: Duration::from_secs(5),
            empty_is_error,
            port: None,
        }
    }

    fn target(number: u32, priority: u32) -> FoundTarget {
        let address = TargetAddress::Ip(std::net::IpAddr::from((0x0A00_0000 + number).to_be_bytes()));
        FoundTarget {
            spec: TargetSpec { address, port: 80 },
            share: TargetShare { priority, ..TargetShare::default() },
        }
    }

    fn listing(targets: &[FoundTarget]) -> Result<Listing, SourceFault> {
        Ok(Listing { targets: targets.to_vec(), left_out: Vec::new() })
    }

    #[test]
    fn a_source_that_is_away_or_empties_changes_nothing() {
        let mut judgement = Judgement::new(&source(true));
        assert_eq!(judgement.judge(listing(&[])).fault.unwrap().cause, "empty");
        let both = [target(2, 0), target(1, 0)];
        let first = judgement.judge(listing(&both));
        assert_eq!((first.changed, first.count), (Some(vec![target(1, 0), target(2, 0)]), 2));
        for said in [Err(SourceFault::away("no")), listing(&[]), Err(SourceFault::garbage("?"))] {
            let verdict = judgement.judge(said);
            assert_eq!((verdict.changed, verdict.count), (None, 2));
            assert!(verdict.fault.is_some());
        }
        let again = judgement.judge(listing(&[target(1, 0), target(2, 0)]));
        assert_eq!((again.changed, again.fault), (None, None), "the same in another order is the same");
        let mut may_be_empty = Judgement::new(&source(false));
        may_be_empty.judge(listing(&both));
        assert_eq!(may_be_empty.judge(listing(&[])).changed, Some(vec![]));
    }

    #[test]
    fn rests_grow_with_faults_and_end_with_them() {
        let mut judgement = Judgement::new(&source(true));
        assert_eq!(judgement.rest(), Duration::ZERO);
        let rests: Vec<u64> = (0..6)
            .map(|_| {
                judgement.judge(Err(SourceFault::away("no")));
                judgement.rest().as_secs()
            })
            .collect();
        assert_eq!(rests, [1, 2, 4, 8, 8, 8], "no longer than an interval");
        judgement.judge(listing(&[target(1, 0)]));
        assert_eq!(judgement.rest(), Duration::ZERO);
    }

    #[test]
    fn of_too_many_the_same_ones_are_kept_however_they_are_sorted() {
        let many: Vec<FoundTarget> = (0..3000).map(|number| target(number, number % 2)).collect();
        let mut turned = many.clone();
        turned.rotate_left(1234);
        turned.reverse();
        let mut judgement = Judgement::new(&source(true));
        let first = judgement.judge(listing(&many));
        assert_eq!(first.count, MAX_TARGETS);
        assert!(first.changed.unwrap().iter().all(|target| target.share.priority == 0));
        assert!(first.left_out.contains("3000 targets; allowed: at most 1000"), "{}", first.left_out);
        assert_eq!(judgement.judge(listing(&turned)).changed, None);
    }

    #[test]
    fn a_target_that_is_listed_twice_is_one_with_the_best_said_of_it() {
        let mut judgement = Judgement::new(&source(true));
        let verdict = judgement.judge(listing(&[target(1, 9), target(1, 3), target(1, 5)]));
        assert_eq!(verdict.changed, Some(vec![target(1, 3)]));
        assert!(verdict.left_out.contains("2 targets are listed more than once"), "{}", verdict.left_out);
    }
}
