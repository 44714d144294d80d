//! `forward` made ready: the group of a client that has one, or else a draw by weight (ALB: forward actions).
//! A group that is drawn is kept to, whatever the state of its targets: there is no fail-over between groups.
//! Must not know: targets.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{
    clock::UnixSeconds,
    model::{self, RequestHead, WeightedGroup},
    stickiness::{GroupCookie, GroupDecision, Keyring},
};

/// 2^32 over the golden ratio: multiples of it, modulo 2^32, spread as evenly as any sequence can, however many are
/// taken.
const GOLDEN: u32 = 0x9E37_79B9;

/// What group cookies are made with, and the names of all groups.
#[derive(Clone, Debug)]
pub struct GroupKeys {
    /// The stickiness secrets.
    pub ring: Arc<Keyring>,
    /// Names of the groups, in the order of the configuration.
    pub names: Vec<String>,
    /// Where draws begin: by chance, so that the clients just after each of many reloads are spread, too.
    pub turn: u32,
}

/// A `forward` action, ready to route.
#[derive(Debug)]
pub struct CompiledForward {
    groups: Vec<WeightedGroup>,
    total: u32,
    turn: AtomicU32,
    cookie: Option<Box<GroupCookie>>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    /// Index of the group in the action; none: every weight is 0.
    pub index: Option<usize>,
    /// What came of the group cookies, where the action has group stickiness.
    pub decision: Option<GroupDecision>,
}

impl CompiledForward {
    pub(super) fn compile(forward: &model::Forward, keys: &GroupKeys) -> Self {
        let name = |group: &WeightedGroup| keys.names.get(group.group).map_or("", String::as_str);
        let cookie = forward.stickiness.as_ref().map(|settings| {
            Box::new(GroupCookie::new(settings, forward.groups.iter().map(name), Arc::clone(&keys.ring)))
        });
        Self {
            groups: forward.groups.clone(),
            total: forward.groups.iter().map(|group| u32::from(group.weight)).sum(),
            turn: AtomicU32::new(keys.turn),
            cookie,
        }
    }

    /// Where a request goes.
    #[must_use]
    pub fn route(&self, head: &RequestHead<'_>, now: UnixSeconds) -> Routed {
        let Some(cookie) = &self.cookie else {
            return Routed { index: self.draw(), decision: None };
        };
        let decision = cookie.decide(head, now);
        Routed { index: decision.index.or_else(|| self.draw()), decision: Some(decision) }
    }

    /// The next group by weight.
    fn draw(&self) -> Option<usize> {
        if let [only] = self.groups.as_slice() {
            return (only.weight > 0).then_some(0);
        }
        let point = self.turn.fetch_add(GOLDEN, Relaxed);
        let share = (u64::from(point) * u64::from(self.total)) >> 32;
        let mut end = 0;
        self.groups.iter().position(|group| {
            end += u64::from(group.weight);
            share < end
        })
    }

    /// How many groups there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is one at least")]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// The group at an index of the action, as an index into the groups of the snapshot.
    #[must_use]
    pub fn group(&self, index: usize) -> Option<usize> {
        self.groups.get(index).map(|group| group.group)
    }

    /// The group cookies, where clients stick to groups.
    #[must_use]
    pub fn cookie(&self) -> Option<&GroupCookie> {
        self.cookie.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(weights: &[u16]) -> CompiledForward {
        forward_from(weights, 0)
    }

    fn forward_from(weights: &[u16], turn: u32) -> CompiledForward {
        let groups = weights.iter().enumerate();
        let forward = model::Forward {
            groups: groups.map(|(group, &weight)| WeightedGroup { group: group + 10, weight }).collect(),
            stickiness: None,
        };
        let ring = Arc::new(Keyring::from_bytes(&[1; 32]).unwrap());
        let keys = GroupKeys { ring, names: Vec::new(), turn };
        CompiledForward::compile(&forward, &keys)
    }

    #[test]
    fn draws_follow_the_weights_closely_at_any_number() {
        for weights in [&[90, 10][..], &[1, 1], &[999, 1], &[1, 2, 3, 4, 5], &[0, 5, 0, 5]] {
            let forward = forward(weights);
            let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
            let mut counts = vec![0_u32; weights.len()];
            for drawn in 1..=5000_u32 {
                counts[forward.draw().unwrap()] += 1;
                for (count, weight) in counts.iter().zip(weights) {
                    let due = f64::from(drawn) * f64::from(*weight) / f64::from(total);
                    assert!((f64::from(*count) - due).abs() < 6.0, "{weights:?} after {drawn}: {counts:?}");
                }
            }
        }
    }

    #[test]
    fn first_draws_follow_the_weights_too() {
        const TABLES: u32 = 1000;
        let first = |table| forward_from(&[3, 1], table * (u32::MAX / TABLES)).draw().unwrap();
        let of_second = (0..TABLES).filter(|table| first(*table) == 1).count();
        assert!((240..=260).contains(&of_second), "{of_second}");
    }

    #[test]
    fn without_any_weight_nothing_is_drawn() {
        assert_eq!(forward(&[0, 0]).draw(), None);
        assert_eq!(forward(&[0]).draw(), None);
        assert_eq!(forward(&[5]).draw(), Some(0));
        assert_eq!(forward(&[1, 1]).group(1), Some(11));
    }
}
