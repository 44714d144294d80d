//! Target groups: made, described, deleted.

use crate::elbv2::{
    arn::ArnKind,
    call::{OperationCall, shown},
    failure::ApiFailure,
    names, paging,
    params::Params,
    records::{LoadBalancerRecord, PACKET_PROTOCOLS, RecordOwner, Records, TargetGroupRecord},
    resource::{all, find, find_own},
    tagging,
    usage::GroupUsage,
    xml::Element,
};

use super::health_checks;

/// Most target groups (ALB: quotas; of one load balancer there).
pub(super) const MAX_GROUPS: usize = 100;
/// The network of groups that name none, as load balancers have it.
const VPC: &str = "vpc-00000000";

/// `CreateTargetGroup`.
pub(super) fn create(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let made = asked_for(call)?;
    let result = Element::new("CreateTargetGroupResult");
    if let Some((_, other)) =
        all::<TargetGroupRecord>(call, records).find(|(_, other)| other.name == made.name)
    {
        if other.owner == RecordOwner::Api && are_same(other, &made) {
            return Ok(result.list("TargetGroups", [element(None, other)]));
        }
        let file = names::of_file(&other.owner);
        let message = format!(
            "A target group with the same name '{}' exists, but with different settings{file}",
            made.name
        );
        return Err(ApiFailure::new("DuplicateTargetGroupName", message));
    }
    if all::<TargetGroupRecord>(call, records).count() >= MAX_GROUPS {
        let message = format!("The maximum number of target groups, {MAX_GROUPS}, has been reached");
        return Err(ApiFailure::new("TooManyTargetGroups", message));
    }
    let result = result.list("TargetGroups", [element(None, &made)]);
    records.target_groups.insert(made.arn.clone(), made);
    Ok(result)
}

/// Whether a group has the settings that another is asked for with.
fn are_same(other: &TargetGroupRecord, made: &TargetGroupRecord) -> bool {
    let mut asked = made.clone();
    asked.arn.clone_from(&other.arn);
    asked.attributes.clone_from(&other.attributes);
    asked.targets.clone_from(&other.targets);
    *other == asked
}

fn asked_for(call: &OperationCall<'_>) -> Result<TargetGroupRecord, ApiFailure> {
    let params = call.params;
    let name = params.text("Name").unwrap_or_default().to_owned();
    names::check("Target group name", &name)?;
    let target_type = target_type(params)?;
    let protocol = protocol(params)?;
    let protocol_version = protocol_version(params, &protocol)?;
    let port = params
        .whole("Port")
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| ApiFailure::validation("A port must be specified"))?;
    if params.whole("TargetControlPort").is_some() {
        let message = "TargetControlPort is of the target optimizer, which is not here: leave it out";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let default = health_checks::default_of(&protocol, &protocol_version);
    Ok(TargetGroupRecord {
        arn: call.arns().target_group(&name, call.new_id("target group", &name)),
        health_check: health_checks::changed(&default, &protocol, &protocol_version, &target_type, params)?,
        name,
        owner: RecordOwner::Api,
        protocol,
        protocol_version,
        port,
        vpc_id: params.text("VpcId").unwrap_or(VPC).to_owned(),
        target_type,
        ip_address_type: params.text("IpAddressType").unwrap_or("ipv4").to_owned(),
        tags: tagging::given(params)?,
        ..TargetGroupRecord::default()
    })
}

fn target_type(params: &Params) -> Result<String, ApiFailure> {
    let why = match params.text("TargetType").unwrap_or("instance") {
        kind @ ("instance" | "ip") => return Ok(kind.to_owned()),
        "lambda" => {
            "Target groups of type 'lambda' are not done here, since there are no Lambda functions: run the function \
             behind an HTTP server, and give 'ip'"
        }
        _ => {
            "Target groups of type 'alb' are of Network Load Balancers, which are not done here: give 'instance' or 'ip'"
        }
    };
    Err(ApiFailure::new("InvalidConfigurationRequest", why))
}

fn protocol(params: &Params) -> Result<String, ApiFailure> {
    match params.text("Protocol") {
        None => Err(ApiFailure::validation("A protocol must be specified")),
        // One of those that there are (see `shapes`).
        Some(protocol) => Ok(protocol.to_owned()),
    }
}

fn protocol_version(params: &Params, protocol: &str) -> Result<String, ApiFailure> {
    if PACKET_PROTOCOLS.contains(&protocol) {
        let Some(version) = params.text("ProtocolVersion") else { return Ok(String::new()) };
        let message = format!(
            "Protocol version '{}' is not supported for target groups with the {protocol} protocol",
            shown(version)
        );
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let version = params.text("ProtocolVersion").unwrap_or("HTTP1");
    if ["HTTP1", "HTTP2", "GRPC"].contains(&version) {
        return Ok(version.to_owned());
    }
    let message = format!("Protocol version '{}' must be one of '[HTTP1, HTTP2, GRPC]'", shown(version));
    Err(ApiFailure::validation(message))
}

/// `DescribeTargetGroups`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let balancer = call.params.text("LoadBalancerArn");
    let arns = call.params.texts("TargetGroupArns");
    let asked_names = call.params.texts("Names");
    let filters = [balancer.is_some(), !arns.is_empty(), !asked_names.is_empty()];
    if filters.into_iter().filter(|filter| *filter).count() > 1 {
        let message =
            "Only one of a load balancer ARN, target group ARNs and target group names can be specified";
        return Err(ApiFailure::validation(message));
    }
    if let Some(balancer) = balancer {
        find::<LoadBalancerRecord>(call, records, balancer)?;
    }
    let missing = || ApiFailure::new("TargetGroupNotFound", "One or more target groups not found");
    for arn in &arns {
        find::<TargetGroupRecord>(call, records, arn)
            .map_err(|failure| if failure.code == "TargetGroupNotFound" { missing() } else { failure })?;
    }
    let has_name =
        |name: &String| all::<TargetGroupRecord>(call, records).any(|(_, record)| record.name == *name);
    if !asked_names.iter().all(has_name) {
        return Err(missing());
    }
    let usage = GroupUsage::of(call, records);
    let is_asked = |record: &TargetGroupRecord| match balancer {
        Some(balancer) => usage.balancers(&record.arn).any(|other| other == balancer),
        None if arns.is_empty() && asked_names.is_empty() => true,
        None => arns.contains(&record.arn) || asked_names.contains(&record.name),
    };
    let found = all::<TargetGroupRecord>(call, records).filter(|(_, record)| is_asked(record));
    let page = paging::page(call, found.map(|(arn, record)| (arn.clone(), record)).collect())?;
    let result = Element::new("DescribeTargetGroupsResult");
    Ok(page.end(result, "TargetGroups", |record| element(Some(&usage), record)))
}

/// `ModifyTargetGroup`: its health checks.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find_own::<TargetGroupRecord>(call, records, arn)?;
    group.health_check = health_checks::changed(
        &group.health_check,
        &group.protocol,
        &group.protocol_version,
        &group.target_type,
        call.params,
    )?;
    let group = find::<TargetGroupRecord>(call, records, arn)?;
    let element = element(Some(&GroupUsage::of(call, records)), group);
    Ok(Element::new("ModifyTargetGroupResult").list("TargetGroups", [element]))
}

/// `DeleteTargetGroup`. One that is not there is deleted already.
pub(super) fn delete(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let done = Element::new("DeleteTargetGroupResult");
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    match find_own::<TargetGroupRecord>(call, records, arn) {
        Err(failure) if failure.code == "TargetGroupNotFound" => return Ok(done),
        found => found?,
    };
    if GroupUsage::of(call, records).is_used(arn) {
        // Clients go by these words: they wait for the listener or rule to be gone.
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(ApiFailure::new("ResourceInUse", message));
    }
    records.target_groups.remove(arn);
    Ok(done)
}

/// A group as it is told; who has asked for it to be made is not told who uses it.
fn element(usage: Option<&GroupUsage<'_>>, record: &TargetGroupRecord) -> Element {
    let check = &record.health_check;
    let matcher = if record.protocol_version == "GRPC" { "GrpcCode" } else { "HttpCode" };
    let is_some = |text: &&String| !text.is_empty();
    let told = Element::new("member")
        .text("TargetGroupArn", &record.arn)
        .text("TargetGroupName", &record.name)
        .text("Protocol", &record.protocol)
        .text("Port", record.port)
        .text("VpcId", &record.vpc_id)
        .text("HealthCheckProtocol", &check.protocol)
        .text("HealthCheckPort", &check.port)
        .text("HealthCheckEnabled", check.enabled)
        .text("HealthCheckIntervalSeconds", check.interval)
        .text("HealthCheckTimeoutSeconds", check.timeout)
        .text("HealthyThresholdCount", check.healthy_threshold)
        .text("UnhealthyThresholdCount", check.unhealthy_threshold)
        .text_if("HealthCheckPath", Some(&check.path).filter(is_some));
    let told = match check.matcher.as_str() {
        "" => told,
        codes => told.with(Element::new("Matcher").text(matcher, codes)),
    };
    let told = match usage {
        Some(usage) => told.texts("LoadBalancerArns", usage.balancers(&record.arn)),
        None => told,
    };
    told.text("TargetType", &record.target_type)
        .text_if("ProtocolVersion", Some(&record.protocol_version).filter(is_some))
        .text("IpAddressType", &record.ip_address_type)
}
