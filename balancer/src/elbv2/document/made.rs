//! What a document is made of, and how its blocks refer to each other. Must not know: what stands in a block.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use serde_json::Value;

use crate::{
    elbv2::{
        arn::{id_in, name_in},
        failure::ApiFailure,
        files::FileRecords,
        records::{ListenerRecord, LoadBalancerRecord, Records, RuleRecord, TargetGroupRecord, TargetRecord},
    },
    model::addresses_meet,
};

/// The tag of a load balancer that says where on this host its listeners are.
pub const ADDRESS_TAG: &str = "balancer:address";

/// What a document is made of.
#[derive(Clone, Copy, Debug)]
pub struct MadeRecords<'a> {
    /// What was made through the API.
    pub records: &'a Records,
    /// What files say.
    pub files: &'a FileRecords,
    /// Addresses of instances.
    pub instances: &'a BTreeMap<String, IpAddr>,
}

/// A text as it stands: in a document it would be a template.
pub(in crate::elbv2) fn literal(text: &str) -> Value {
    Value::String(text.replace("${", "$${").replace("%{", "%%{"))
}

impl MadeRecords<'_> {
    /// How a load balancer, a group or a trust store is referred to.
    pub(in crate::elbv2) fn reference(&self, arn: &str) -> Value {
        Value::String(self.files.name_of(arn).unwrap_or(arn).to_owned())
    }

    /// What a listener is called in logs and figures, too.
    pub(in crate::elbv2) fn listener_label(&self, arn: &str) -> String {
        if let Some(name) = self.files.name_of(arn) {
            return name.to_owned();
        }
        let Some(listener) = self.records.listeners.get(arn) else { return arn.to_owned() };
        let own = self
            .records
            .load_balancers
            .get(&listener.load_balancer_arn)
            .map(|balancer| balancer.name.as_str());
        let of_file = || self.files.name_of(&listener.load_balancer_arn);
        let name = own.or_else(of_file).unwrap_or_else(|| name_in(&listener.load_balancer_arn));
        format!("{name}:{}", listener.port)
    }

    /// What a rule is called in logs and figures, too.
    pub(super) fn rule_label(&self, rule: &RuleRecord) -> String {
        format!("{}/{}", self.listener_label(&rule.listener_arn), id_in(&rule.arn))
    }

    /// Where each listener is.
    ///
    /// # Errors
    /// Two of them would be at the same place.
    pub(super) fn addresses(&self) -> Result<BTreeMap<&str, SocketAddr>, ApiFailure> {
        let mut taken: Vec<(&ListenerRecord, SocketAddr)> = Vec::new();
        for listener in self.records.listeners.values() {
            let own = self.records.load_balancers.get(&listener.load_balancer_arn);
            let ip = match own {
                Some(balancer) => address_of(balancer)?,
                None => self.files.address_of(&listener.load_balancer_arn),
            };
            let address = SocketAddr::new(ip, listener.port);
            let meets = |(_, other): &&(_, SocketAddr)| addresses_meet(*other, address);
            if let Some((other, at)) = taken.iter().find(meets) {
                let label = |one: &ListenerRecord| self.listener_label(&one.arn);
                return Err(both_at(&label(other), *at, &label(listener), address));
            }
            taken.push((listener, address));
        }
        Ok(taken.into_iter().map(|(listener, address)| (listener.arn.as_str(), address)).collect())
    }

    /// Where a target is.
    #[must_use]
    pub fn target_address(&self, group: &TargetGroupRecord, target: &TargetRecord) -> Option<SocketAddr> {
        let known = || self.instances.get(&target.id).copied();
        let ip = target.id.parse().ok().or_else(known)?;
        Some(SocketAddr::new(ip, target.port.unwrap_or(group.port)))
    }
}

/// Where on this host a load balancer's listeners are.
///
/// # Errors
/// The tag that says so names no address.
pub fn address_of(balancer: &LoadBalancerRecord) -> Result<IpAddr, ApiFailure> {
    match balancer.tags.get(ADDRESS_TAG) {
        Some(text) => text.parse().map_err(|_| {
            ApiFailure::validation(format!(
                "The tag '{ADDRESS_TAG}' of load balancer '{}' is '{text}', which is no address; allowed: an IPv4 or IPv6 \
                 address of the host that runs the load balancer",
                balancer.name
            ))
        }),
        None if balancer.scheme == "internal" => Ok(Ipv4Addr::LOCALHOST.into()),
        None => Ok(Ipv4Addr::UNSPECIFIED.into()),
    }
}

fn both_at(one: &str, at: SocketAddr, other: &str, other_at: SocketAddr) -> ApiFailure {
    ApiFailure::validation(format!(
        "Listener '{one}' at {at} and listener '{other}' at {other_at} would stand in each other's way; allowed: another port, or \
         for each load balancer an address of this host of its own, by the tag '{ADDRESS_TAG}'"
    ))
}
