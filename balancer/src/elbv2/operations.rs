//! The operations of the API: which there are, and what each does to records and answers. Must not know: sockets, files,
//! the time, and how a change takes effect.

mod actions;
mod buckets;
mod certificates;
mod conditions;
mod forwards;
mod group_attributes;
mod health_checks;
mod limits;
mod listener_attributes;
mod listeners;
mod load_balancer_settings;
mod load_balancers;
mod mutual_tls;
mod network;
mod revocations;
mod rules;
mod tags;
mod target_groups;
mod targets;
mod transforms;
mod trust_stores;

use super::{
    call::OperationCall,
    failure::ApiFailure,
    records::Records,
    shapes::{self, InputParameter, inputs},
    xml::Element,
};

type Operate = fn(&OperationCall<'_>, &mut Records) -> Result<Element, ApiFailure>;

/// An operation of the API.
struct Operation {
    name: &'static str,
    is_change: bool,
    input: &'static [InputParameter],
    operate: Operate,
}

const fn reads(name: &'static str, input: &'static [InputParameter], operate: Operate) -> Operation {
    Operation { name, is_change: false, input, operate }
}

const fn changes(name: &'static str, input: &'static [InputParameter], operate: Operate) -> Operation {
    Operation { name, is_change: true, input, operate }
}

/// All operations, sorted by name.
static OPERATIONS: &[Operation] = &[
    changes("AddListenerCertificates", inputs::ADD_LISTENER_CERTIFICATES, certificates::add),
    changes("AddTags", inputs::ADD_TAGS, tags::add),
    changes("AddTrustStoreRevocations", inputs::ADD_TRUST_STORE_REVOCATIONS, revocations::add),
    changes("CreateListener", inputs::CREATE_LISTENER, listeners::create),
    changes("CreateLoadBalancer", inputs::CREATE_LOAD_BALANCER, load_balancers::create),
    changes("CreateRule", inputs::CREATE_RULE, rules::create),
    changes("CreateTargetGroup", inputs::CREATE_TARGET_GROUP, target_groups::create),
    changes("CreateTrustStore", inputs::CREATE_TRUST_STORE, trust_stores::create),
    changes("DeleteListener", inputs::DELETE_LISTENER, listeners::delete),
    changes("DeleteLoadBalancer", inputs::DELETE_LOAD_BALANCER, load_balancers::delete),
    changes("DeleteRule", inputs::DELETE_RULE, rules::delete),
    changes(
        "DeleteSharedTrustStoreAssociation",
        inputs::DELETE_SHARED_TRUST_STORE_ASSOCIATION,
        trust_stores::delete_shared,
    ),
    changes("DeleteTargetGroup", inputs::DELETE_TARGET_GROUP, target_groups::delete),
    changes("DeleteTrustStore", inputs::DELETE_TRUST_STORE, trust_stores::delete),
    changes("DeregisterTargets", inputs::DEREGISTER_TARGETS, targets::deregister),
    reads("DescribeAccountLimits", inputs::DESCRIBE_ACCOUNT_LIMITS, limits::describe),
    reads(
        "DescribeCapacityReservation",
        inputs::DESCRIBE_CAPACITY_RESERVATION,
        load_balancer_settings::describe_capacity,
    ),
    reads("DescribeListenerAttributes", inputs::DESCRIBE_LISTENER_ATTRIBUTES, listener_attributes::describe),
    reads("DescribeListenerCertificates", inputs::DESCRIBE_LISTENER_CERTIFICATES, certificates::describe),
    reads("DescribeListeners", inputs::DESCRIBE_LISTENERS, listeners::describe),
    reads(
        "DescribeLoadBalancerAttributes",
        inputs::DESCRIBE_LOAD_BALANCER_ATTRIBUTES,
        load_balancer_settings::describe_attributes,
    ),
    reads("DescribeLoadBalancers", inputs::DESCRIBE_LOAD_BALANCERS, load_balancers::describe),
    reads("DescribeRules", inputs::DESCRIBE_RULES, rules::describe),
    reads("DescribeSSLPolicies", inputs::DESCRIBE_SSL_POLICIES, limits::describe_policies),
    reads("DescribeTags", inputs::DESCRIBE_TAGS, tags::describe),
    reads(
        "DescribeTargetGroupAttributes",
        inputs::DESCRIBE_TARGET_GROUP_ATTRIBUTES,
        group_attributes::describe,
    ),
    reads("DescribeTargetGroups", inputs::DESCRIBE_TARGET_GROUPS, target_groups::describe),
    reads("DescribeTargetHealth", inputs::DESCRIBE_TARGET_HEALTH, targets::health),
    reads(
        "DescribeTrustStoreAssociations",
        inputs::DESCRIBE_TRUST_STORE_ASSOCIATIONS,
        trust_stores::describe_associations,
    ),
    reads("DescribeTrustStoreRevocations", inputs::DESCRIBE_TRUST_STORE_REVOCATIONS, revocations::describe),
    reads("DescribeTrustStores", inputs::DESCRIBE_TRUST_STORES, trust_stores::describe),
    reads("GetResourcePolicy", inputs::GET_RESOURCE_POLICY, trust_stores::get_policy),
    reads(
        "GetTrustStoreCaCertificatesBundle",
        inputs::GET_TRUST_STORE_CA_CERTIFICATES_BUNDLE,
        trust_stores::get_bundle,
    ),
    reads(
        "GetTrustStoreRevocationContent",
        inputs::GET_TRUST_STORE_REVOCATION_CONTENT,
        revocations::get_content,
    ),
    changes(
        "ModifyCapacityReservation",
        inputs::MODIFY_CAPACITY_RESERVATION,
        load_balancer_settings::modify_capacity,
    ),
    changes("ModifyIpPools", inputs::MODIFY_IP_POOLS, load_balancer_settings::modify_ip_pools),
    changes("ModifyListener", inputs::MODIFY_LISTENER, listeners::modify),
    changes("ModifyListenerAttributes", inputs::MODIFY_LISTENER_ATTRIBUTES, listener_attributes::modify),
    changes(
        "ModifyLoadBalancerAttributes",
        inputs::MODIFY_LOAD_BALANCER_ATTRIBUTES,
        load_balancer_settings::modify_attributes,
    ),
    changes("ModifyRule", inputs::MODIFY_RULE, rules::modify),
    changes("ModifyTargetGroup", inputs::MODIFY_TARGET_GROUP, target_groups::modify),
    changes("ModifyTargetGroupAttributes", inputs::MODIFY_TARGET_GROUP_ATTRIBUTES, group_attributes::modify),
    changes("ModifyTrustStore", inputs::MODIFY_TRUST_STORE, trust_stores::modify),
    changes("RegisterTargets", inputs::REGISTER_TARGETS, targets::register),
    changes("RemoveListenerCertificates", inputs::REMOVE_LISTENER_CERTIFICATES, certificates::remove),
    changes("RemoveTags", inputs::REMOVE_TAGS, tags::remove),
    changes("RemoveTrustStoreRevocations", inputs::REMOVE_TRUST_STORE_REVOCATIONS, revocations::remove),
    changes("SetIpAddressType", inputs::SET_IP_ADDRESS_TYPE, load_balancer_settings::set_ip_address_type),
    changes("SetRulePriorities", inputs::SET_RULE_PRIORITIES, rules::set_priorities),
    changes("SetSecurityGroups", inputs::SET_SECURITY_GROUPS, load_balancer_settings::set_security_groups),
    changes("SetSubnets", inputs::SET_SUBNETS, load_balancer_settings::set_subnets),
];

fn find(action: &str) -> Option<&'static Operation> {
    let index = OPERATIONS.binary_search_by(|operation| operation.name.cmp(action)).ok()?;
    OPERATIONS.get(index)
}

/// Whether there is an operation of this name.
#[must_use]
pub fn is_known(action: &str) -> bool {
    find(action).is_some()
}

/// Whether it changes anything: what only reads is all that a read-only key may do.
#[must_use]
pub fn is_change(action: &str) -> bool {
    find(action).is_some_and(|operation| operation.is_change)
}

/// What an operation answers: the inside of its result. Records are as they were when it fails, or may be half changed: a
/// caller gives a copy.
///
/// # Errors
/// It cannot be done, in ALB's code and words.
pub fn answer(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let Some(operation) = find(call.action) else {
        let message =
            "The action or operation requested is invalid. Verify that the action is typed correctly.";
        return Err(ApiFailure::new("InvalidAction", message));
    };
    shapes::check(operation.input, call.params)?;
    (operation.operate)(call, records)
}

#[cfg(test)]
mod tests;
