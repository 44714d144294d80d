//! What there may be at most, and which security policies there are.

use crate::{
    config::{MAX_VALUES, MAX_WILDCARDS},
    elbv2::{
        call::{OperationCall, shown},
        failure::ApiFailure,
        paging,
        records::Records,
        xml::Element,
    },
    model::{MAX_TARGETS, SecurityPolicy},
    tls,
};

use super::{
    certificates, forwards, listeners, load_balancers, revocations, rules, target_groups, targets,
    trust_stores,
};

/// `DescribeAccountLimits`: in ALB's names, the numbers of here.
pub(super) fn describe(call: &OperationCall<'_>, _: &mut Records) -> Result<Element, ApiFailure> {
    let limits = [
        ("application-load-balancers", load_balancers::MAX_LOAD_BALANCERS),
        ("ca-certificates-per-trust-store", trust_stores::MAX_AUTHORITIES),
        ("certificates-per-application-load-balancer", certificates::MAX_MORE),
        ("condition-values-per-alb-rule", MAX_VALUES),
        ("condition-wildcards-per-alb-rule", MAX_WILDCARDS),
        ("listeners-per-application-load-balancer", listeners::MAX_LISTENERS),
        ("revocation-lists-per-trust-store", revocations::MAX_LISTS),
        ("rules-per-application-load-balancer", rules::MAX_RULES),
        ("target-groups", target_groups::MAX_GROUPS),
        ("target-groups-per-action-on-application-load-balancer", forwards::MAX_GROUPS),
        ("target-groups-per-application-load-balancer", target_groups::MAX_GROUPS),
        ("targets-per-application-load-balancer", targets::MAX_ENDPOINTS),
        ("targets-per-target-group", MAX_TARGETS),
        ("trust-stores", trust_stores::MAX_TRUST_STORES),
    ];
    let items = limits.map(|limit| (limit.0.to_owned(), limit));
    let page = paging::page(call, items.into())?;
    Ok(page.end(Element::new("DescribeAccountLimitsResult"), "Limits", |(name, most)| {
        Element::new("member").text("Name", name).text("Max", most)
    }))
}

/// `DescribeSSLPolicies`: with the versions and suites that are spoken here.
pub(super) fn describe_policies(call: &OperationCall<'_>, _: &mut Records) -> Result<Element, ApiFailure> {
    let asked = call.params.texts("Names");
    if let Some(missing) = asked.iter().find(|name| tls::policy(name).is_none()) {
        let message = format!("SSL policy '{}' not found", shown(missing));
        return Err(ApiFailure::new("SSLPolicyNotFound", message));
    }
    let is_for_others = call.params.text("LoadBalancerType").is_some_and(|kind| kind != "application");
    let is_asked = |policy: &&SecurityPolicy| {
        !is_for_others && (asked.is_empty() || asked.iter().any(|name| name == policy.name))
    };
    let found = tls::POLICIES.iter().filter(is_asked).map(|policy| (policy.name.to_owned(), policy));
    let page = paging::page(call, found.collect())?;
    Ok(page.end(Element::new("DescribeSSLPoliciesResult"), "SslPolicies", policy))
}

fn policy(policy: &SecurityPolicy) -> Element {
    let versions = [(policy.tls12, "TLSv1.2"), (policy.tls13, "TLSv1.3")];
    let versions = versions.into_iter().filter(|(spoken, _)| *spoken).map(|(_, name)| name);
    let ciphers = tls::suites(policy)
        .into_iter()
        .zip(1_u32..)
        .map(|(name, priority)| Element::new("member").text("Name", name).text("Priority", priority));
    Element::new("member")
        .texts("SslProtocols", versions)
        .list("Ciphers", ciphers)
        .text("Name", policy.name)
        .texts("SupportedLoadBalancerTypes", ["application"])
}
