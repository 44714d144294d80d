//! Subnets, security groups and addresses of load balancers: taken on trust, for there is no network of AWS'.

use crate::elbv2::{
    call::{OperationCall, shown},
    failure::ApiFailure,
    params::Params,
    xml::Element,
};

/// Most subnets: one of each zone, and no region has as many.
const MAX_SUBNETS: usize = 50;
/// Most security groups (ALB: quotas).
const MAX_SECURITY_GROUPS: usize = 50;

/// Subnets, as ids or as mappings; taken on trust.
pub(super) fn subnets(params: &Params) -> Result<Vec<String>, ApiFailure> {
    let plain = params.texts("Subnets");
    let mappings = params.list("SubnetMappings");
    if !plain.is_empty() && !mappings.is_empty() {
        let message = "Subnets and SubnetMappings cannot both be specified";
        return Err(ApiFailure::validation(message));
    }
    let of_network = ["AllocationId", "PrivateIPv4Address", "IPv6Address", "SourceNatIpv6Prefix"]
        .into_iter()
        .find(|part| mappings.iter().any(|mapping| mapping.text(part).is_some()));
    if let Some(part) = of_network {
        let message = format!(
            "{part} of a subnet mapping is of Network Load Balancers: leave it out, and give the load balancer its address \
             by a tag 'balancer:address'"
        );
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let mut subnets = plain;
    subnets.extend(mappings.iter().map(|mapping| mapping.text("SubnetId").unwrap_or_default().to_owned()));
    if subnets.iter().any(String::is_empty) {
        return Err(ApiFailure::validation("A subnet ID must be specified"));
    }
    if subnets.len() > MAX_SUBNETS {
        let message =
            format!("A load balancer can have up to {MAX_SUBNETS} subnets; these are {}", subnets.len());
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    for (index, subnet) in subnets.iter().enumerate() {
        if subnets.iter().take(index).any(|earlier| earlier == subnet) {
            let message = format!("The subnet '{}' cannot be specified more than once", shown(subnet));
            return Err(ApiFailure::new("InvalidConfigurationRequest", message));
        }
    }
    Ok(subnets)
}

/// Zones of subnets: each has its own.
pub(super) fn zones(call: &OperationCall<'_>, subnets: &[String]) -> Vec<Element> {
    let zone = |(index, subnet): (usize, &String)| {
        let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
        Element::new("member")
            .text("ZoneName", format!("{}{letter}", call.world.region))
            .text("SubnetId", subnet)
            .list("LoadBalancerAddresses", [])
    };
    subnets.iter().enumerate().map(zone).collect()
}

/// Whether a load balancer of this scheme may have addresses of this type.
pub(super) fn check_ip_address_type(scheme: &str, kind: &str) -> Result<(), ApiFailure> {
    if scheme == "internal" && kind == "dualstack-without-public-ipv4" {
        let message =
            "Internal load balancers cannot have the IP address type 'dualstack-without-public-ipv4'";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    Ok(())
}

/// Security groups that are asked for.
pub(super) fn security_groups(call: &OperationCall<'_>) -> Result<Vec<String>, ApiFailure> {
    let groups = call.params.texts("SecurityGroups");
    if let Some(wrong) = groups.iter().find(|group| !group.starts_with("sg-")) {
        let message = format!("The security group ID '{}' is not valid: it begins with 'sg-'", shown(wrong));
        return Err(ApiFailure::new("InvalidSecurityGroup", message));
    }
    if groups.len() > MAX_SECURITY_GROUPS {
        let message = format!("A load balancer can have up to {MAX_SECURITY_GROUPS} security groups");
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    Ok(groups)
}
