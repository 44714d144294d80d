//! What of a load balancer is changed: attributes, subnets, security groups, the version of its addresses; and what only
//! accounts have that reserve capacity or addresses.

use crate::elbv2::{
    arn::ArnKind,
    attributes::{given, load_balancer::RULES, told, told_of, value},
    call::OperationCall,
    failure::ApiFailure,
    records::{LoadBalancerRecord, Records},
    resource::{find, find_own},
    xml::Element,
};

use super::network::{check_ip_address_type, security_groups, subnets, zones};

fn own<'r>(
    call: &OperationCall<'_>,
    records: &'r mut Records,
) -> Result<&'r mut LoadBalancerRecord, ApiFailure> {
    find_own(call, records, call.arn("LoadBalancerArn", ArnKind::LoadBalancer)?)
}

/// `DescribeLoadBalancerAttributes`.
pub(super) fn describe_attributes(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    let arn = call.arn("LoadBalancerArn", ArnKind::LoadBalancer)?;
    let balancer = find::<LoadBalancerRecord>(call, records, arn)?;
    let told = told(RULES, &balancer.attributes);
    Ok(Element::new("DescribeLoadBalancerAttributesResult").list("Attributes", told))
}

/// `ModifyLoadBalancerAttributes`.
pub(super) fn modify_attributes(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    let given = given("Load balancer", RULES, call.params)?;
    let balancer = own(call, records)?;
    balancer.attributes.extend(given.iter().cloned());
    for log in ["access_logs", "connection_logs", "health_check_logs"] {
        let of = |part: &str| value(RULES, &balancer.attributes, &format!("{log}.s3.{part}")).to_owned();
        if of("enabled") == "true" && of("bucket").is_empty() {
            let message = format!("'{log}.s3.bucket' must be specified when '{log}.s3.enabled' is true");
            return Err(ApiFailure::new("InvalidConfigurationRequest", message));
        }
    }
    let told = told_of(&balancer.attributes, given.iter().map(|(key, _)| key));
    Ok(Element::new("ModifyLoadBalancerAttributesResult").list("Attributes", told))
}

/// `SetIpAddressType`.
pub(super) fn set_ip_address_type(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    let balancer = own(call, records)?;
    let kind = call.params.text("IpAddressType").unwrap_or_default();
    check_ip_address_type(&balancer.scheme, kind)?;
    kind.clone_into(&mut balancer.ip_address_type);
    Ok(Element::new("SetIpAddressTypeResult").text("IpAddressType", kind))
}

/// `SetSecurityGroups`: taken on trust.
pub(super) fn set_security_groups(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    let balancer = own(call, records)?;
    if call.params.text("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic").is_some() {
        let message =
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic is of Network Load Balancers: leave it out";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    balancer.security_groups = security_groups(call)?;
    Ok(Element::new("SetSecurityGroupsResult").texts("SecurityGroupIds", &balancer.security_groups))
}

/// `SetSubnets`: taken on trust.
pub(super) fn set_subnets(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let asked = subnets(call.params)?;
    if asked.is_empty() {
        return Err(ApiFailure::validation("Either subnets or subnet mappings must be specified"));
    }
    let balancer = own(call, records)?;
    if let Some(kind) = call.params.text("IpAddressType") {
        check_ip_address_type(&balancer.scheme, kind)?;
        kind.clone_into(&mut balancer.ip_address_type);
    }
    balancer.subnets = asked;
    let zones = zones(call, &balancer.subnets);
    let result = Element::new("SetSubnetsResult").list("AvailabilityZones", zones);
    Ok(result.text("IpAddressType", &balancer.ip_address_type))
}

/// `DescribeCapacityReservation`: none is reserved.
pub(super) fn describe_capacity(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    find::<LoadBalancerRecord>(call, records, call.arn("LoadBalancerArn", ArnKind::LoadBalancer)?)?;
    Ok(Element::new("DescribeCapacityReservationResult").list("CapacityReservationState", []))
}

/// `ModifyCapacityReservation`: taking a reservation back that nobody has is all that there is.
pub(super) fn modify_capacity(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    own(call, records)?;
    let units = call.params.part("MinimumLoadBalancerCapacity").whole("CapacityUnits").unwrap_or_default();
    if units != 0 {
        let message = "Capacity is not reserved here: a load balancer has what its host has. Leave out \
                       MinimumLoadBalancerCapacity, or give ResetCapacityReservation";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    Ok(Element::new("ModifyCapacityReservationResult").list("CapacityReservationState", []))
}

/// `ModifyIpPools`: taking pools away that nobody has is all that there is.
pub(super) fn modify_ip_pools(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    own(call, records)?;
    if call.params.part("IpamPools").text("Ipv4IpamPoolId").is_some() {
        let message = "IpamPools are of AWS' address manager, which is not here: a listener is at an address of its host";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    Ok(Element::new("ModifyIpPoolsResult").with(Element::new("IpamPools")))
}
