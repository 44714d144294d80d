//! Load balancers: made, described, deleted.

use std::collections::BTreeMap;

use crate::{
    clock::UnixMicros,
    elbv2::{
        arn::{ArnKind, id_in},
        call::{OperationCall, shown},
        failure::ApiFailure,
        names, paging,
        params::Params,
        records::{ListenerRecord, LoadBalancerRecord, RecordOwner, Records},
        resource::{all, find, find_own},
        tagging,
        xml::Element,
    },
};

use super::network::{check_ip_address_type, security_groups, subnets, zones};

/// Most load balancers (ALB: quotas).
pub(super) const MAX_LOAD_BALANCERS: usize = 50;
/// The hosted zone of their DNS names: there is none, and clients want one.
const ZONE: &str = "Z0000000000000";
/// The network they are in: there is none, and clients want one.
const VPC: &str = "vpc-00000000";

/// `CreateLoadBalancer`.
pub(super) fn create(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let made = asked_for(call)?;
    if let Some((_, other)) =
        all::<LoadBalancerRecord>(call, records).find(|(_, other)| other.name == made.name)
    {
        return same_or_duplicate(call, other, &made);
    }
    if all::<LoadBalancerRecord>(call, records).count() >= MAX_LOAD_BALANCERS {
        let message = format!("The maximum number of load balancers, {MAX_LOAD_BALANCERS}, has been reached");
        return Err(ApiFailure::new("TooManyLoadBalancers", message));
    }
    let element = element(call, &made);
    records.load_balancers.insert(made.arn.clone(), made);
    Ok(Element::new("CreateLoadBalancerResult").list("LoadBalancers", [element]))
}

/// Who asks twice for the same gets the same.
fn same_or_duplicate(
    call: &OperationCall<'_>,
    other: &LoadBalancerRecord,
    made: &LoadBalancerRecord,
) -> Result<Element, ApiFailure> {
    let settings = |record: &LoadBalancerRecord| {
        let LoadBalancerRecord { scheme, ip_address_type, subnets, security_groups, tags, .. } =
            record.clone();
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        (scheme, ip_address_type, sorted(subnets), sorted(security_groups), tags)
    };
    if other.owner == RecordOwner::Api && settings(other) == settings(made) {
        return Ok(Element::new("CreateLoadBalancerResult").list("LoadBalancers", [element(call, other)]));
    }
    let file = names::of_file(&other.owner);
    let message = format!(
        "A load balancer with the same name '{}' exists, but with different settings{file}",
        made.name
    );
    Err(ApiFailure::new("DuplicateLoadBalancerName", message))
}

fn asked_for(call: &OperationCall<'_>) -> Result<LoadBalancerRecord, ApiFailure> {
    let params = call.params;
    refuse_others(params)?;
    let name = params.text("Name").unwrap_or_default().to_owned();
    names::check("The load balancer name", &name)?;
    if name.starts_with("internal-") {
        let message = format!("The load balancer name '{name}' cannot begin with 'internal-'");
        return Err(ApiFailure::validation(message));
    }
    let scheme = params.text("Scheme").unwrap_or("internet-facing").to_owned();
    let ip_address_type = params.text("IpAddressType").unwrap_or("ipv4").to_owned();
    check_ip_address_type(&scheme, &ip_address_type)?;
    Ok(LoadBalancerRecord {
        arn: call.arns().load_balancer(&name, call.new_id("load balancer", &name)),
        name,
        owner: RecordOwner::Api,
        created: call.world.now,
        scheme,
        ip_address_type,
        vpc_id: VPC.to_owned(),
        subnets: subnets(params)?,
        security_groups: security_groups(call)?,
        attributes: BTreeMap::new(),
        tags: tagging::given(params)?,
    })
}

/// What Network and Gateway Load Balancers, Outposts and address pools are asked with.
fn refuse_others(params: &Params) -> Result<(), ApiFailure> {
    let refused = |message: String| Err(ApiFailure::new("InvalidConfigurationRequest", message));
    match params.text("Type") {
        None | Some("application") => {}
        Some(kind) => {
            return refused(format!(
                "Load balancers of type '{}' are not done here: they pass on packets, and this is an Application Load \
                 Balancer. Leave out Type, or give 'application'",
                shown(kind)
            ));
        }
    }
    if params.text("CustomerOwnedIpv4Pool").is_some() {
        return refused("CustomerOwnedIpv4Pool is of Outposts, which are not here: leave it out".to_owned());
    }
    if params.text("EnablePrefixForIpv6SourceNat").is_some_and(|value| value != "off") {
        return refused(
            "EnablePrefixForIpv6SourceNat is of Network Load Balancers: leave it out, or give 'off'"
                .to_owned(),
        );
    }
    if params.part("IpamPools").text("Ipv4IpamPoolId").is_some() {
        return refused(
            "IpamPools are of AWS' address manager, which is not here: leave them out".to_owned(),
        );
    }
    Ok(())
}

/// `DescribeLoadBalancers`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arns = call.params.texts("LoadBalancerArns");
    let asked_names = call.params.texts("Names");
    if !arns.is_empty() && !asked_names.is_empty() {
        return Err(ApiFailure::validation(
            "Load balancer names and load balancer ARNs cannot both be specified",
        ));
    }
    names::at_most("load balancers", 20, arns.len().max(asked_names.len()))?;
    for arn in &arns {
        find::<LoadBalancerRecord>(call, records, arn).map_err(|failure| {
            failure.of_several("LoadBalancerNotFound", "One or more load balancers not found")
        })?;
    }
    let missing: Vec<String> = asked_names
        .iter()
        .filter(|name| !all::<LoadBalancerRecord>(call, records).any(|(_, record)| record.name == **name))
        .map(|name| shown(name))
        .collect();
    if !missing.is_empty() {
        let message = format!("Load balancers '[{}]' not found", missing.join(", "));
        return Err(ApiFailure::new("LoadBalancerNotFound", message));
    }
    let is_asked = |record: &LoadBalancerRecord| {
        (arns.is_empty() && asked_names.is_empty())
            || arns.contains(&record.arn)
            || asked_names.contains(&record.name)
    };
    let found = all::<LoadBalancerRecord>(call, records)
        .filter(|(_, record)| is_asked(record))
        .map(|(arn, record)| (arn.clone(), record));
    let page = paging::page(call, found.collect())?;
    let result = Element::new("DescribeLoadBalancersResult");
    Ok(page.end(result, "LoadBalancers", |record| element(call, record)))
}

/// `DeleteLoadBalancer`: its listeners and their rules go with it. One that is not there is deleted already.
pub(super) fn delete(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let done = Element::new("DeleteLoadBalancerResult");
    let arn = call.arn("LoadBalancerArn", ArnKind::LoadBalancer)?;
    let record = match find_own::<LoadBalancerRecord>(call, records, arn) {
        Err(failure) if failure.code == "LoadBalancerNotFound" => return Ok(done),
        found => found?,
    };
    if record.attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true") {
        let message =
            format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
        return Err(ApiFailure::new("OperationNotPermitted", message));
    }
    records.load_balancers.remove(arn);
    let is_of = |listener: &ListenerRecord| listener.load_balancer_arn == arn;
    let gone: Vec<String> = records
        .listeners
        .values()
        .filter(|listener| is_of(listener))
        .map(|listener| listener.arn.clone())
        .collect();
    records.listeners.retain(|_, listener| !is_of(listener));
    records.rules.retain(|_, rule| !gone.contains(&rule.listener_arn));
    Ok(done)
}

/// Its DNS name: below the configured suffix, which decides where it leads.
fn dns_name(call: &OperationCall<'_>, record: &LoadBalancerRecord) -> String {
    let internal = if record.scheme == "internal" { "internal-" } else { "" };
    let id = id_in(&record.arn).trim_start_matches('0');
    format!("{internal}{}-{id}.{}.{}", record.name, call.world.region, call.world.dns_suffix)
        .to_ascii_lowercase()
}

fn element(call: &OperationCall<'_>, record: &LoadBalancerRecord) -> Element {
    Element::new("member")
        .text("LoadBalancerArn", &record.arn)
        .text("DNSName", dns_name(call, record))
        .text("CanonicalHostedZoneId", ZONE)
        .text("CreatedTime", UnixMicros(record.created.saturating_mul(1_000_000)))
        .text("LoadBalancerName", &record.name)
        .text("Scheme", &record.scheme)
        .text("VpcId", &record.vpc_id)
        .with(Element::new("State").text("Code", "active"))
        .text("Type", "application")
        .list("AvailabilityZones", zones(call, &record.subnets))
        .texts("SecurityGroups", &record.security_groups)
        .text("IpAddressType", &record.ip_address_type)
}
