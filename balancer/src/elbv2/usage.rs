//! Which target groups are used by which load balancers, through actions of listeners and rules.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    call::OperationCall,
    records::{ActionKind, ActionRecord, ListenerRecord, Records, RuleRecord, WeightedGroupRecord},
    resource::all,
};

/// ARNs of groups, and of the load balancers that use each.
#[derive(Debug, Default)]
pub(super) struct GroupUsage<'r>(BTreeMap<&'r str, BTreeSet<&'r str>>);

impl<'r> GroupUsage<'r> {
    /// By all listeners and rules there are.
    pub(super) fn of(call: &OperationCall<'r>, records: &'r Records) -> Self {
        let mut usage = Self::default();
        let mut balancers: BTreeMap<&str, &str> = BTreeMap::new();
        for (arn, listener) in all::<ListenerRecord>(call, records) {
            balancers.insert(arn, &listener.load_balancer_arn);
            usage.add(&listener.default_actions, &listener.load_balancer_arn);
        }
        for (_, rule) in all::<RuleRecord>(call, records) {
            if let Some(balancer) = balancers.get(rule.listener_arn.as_str()) {
                usage.add(&rule.actions, balancer);
            }
        }
        usage
    }

    fn add(&mut self, actions: &'r [ActionRecord], balancer: &'r str) {
        for group in groups_of(actions) {
            self.0.entry(&group.arn).or_default().insert(balancer);
        }
    }

    /// The load balancers that use a group.
    pub(super) fn balancers(&self, group: &str) -> impl Iterator<Item = &'r str> {
        self.0.get(group).into_iter().flatten().copied()
    }

    /// Whether a group is used at all.
    pub(super) fn is_used(&self, group: &str) -> bool {
        self.0.contains_key(group)
    }
}

/// The groups that actions forward to.
pub(super) fn groups_of(actions: &[ActionRecord]) -> impl Iterator<Item = &WeightedGroupRecord> {
    actions.iter().flat_map(|action| match &action.kind {
        ActionKind::Forward { groups, .. } => groups.as_slice(),
        _ => &[],
    })
}
