//! Targets of groups: registered, deregistered, and how they are.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use crate::{
    elbv2::{
        arn::ArnKind,
        call::{OperationCall, shown},
        failure::ApiFailure,
        names,
        params::Params,
        records::{Records, TargetGroupRecord, TargetRecord},
        resource::{all, find, find_own},
        usage::GroupUsage,
        world::TargetHealth,
        xml::Element,
    },
    model::{MAX_TARGETS, address_of_host},
};

/// Most endpoints of all targets together: as many as the tables have rows.
pub(super) const MAX_ENDPOINTS: usize = balancer_common::MAX_SLOTS as usize;

/// What makes a target one: its id and its port.
type TargetKey = (String, u16);

/// `RegisterTargets`. One that is registered is registered again, which changes its zone alone.
pub(super) fn register(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find_own::<TargetGroupRecord>(call, records, arn)?;
    let default = group.port;
    let mut places: HashMap<TargetKey, usize> =
        group.targets.iter().enumerate().map(|(index, target)| (key(target, default), index)).collect();
    for member in call.params.list("Targets") {
        let target = target(&member);
        check_registered(call, group, &target)?;
        if member.text("QuicServerId").is_some() {
            let message = "QuicServerId is of Network Load Balancers: leave it out";
            return Err(ApiFailure::new("InvalidTarget", message));
        }
        let place = *places.entry(key(&target, default)).or_insert(group.targets.len());
        match group.targets.get_mut(place) {
            Some(other) => other.availability_zone = target.availability_zone,
            None => group.targets.push(target),
        }
        if group.targets.len() > MAX_TARGETS {
            let message =
                format!("The maximum number of targets in a target group, {MAX_TARGETS}, has been reached");
            return Err(ApiFailure::new("TooManyTargets", message));
        }
    }
    check_addresses(call, group)?;
    check_all(call, records)?;
    Ok(Element::new("RegisterTargetsResult"))
}

/// `DeregisterTargets`. Those that are not registered are passed over.
pub(super) fn deregister(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find_own::<TargetGroupRecord>(call, records, arn)?;
    let default = group.port;
    let mut gone: HashSet<TargetKey> = HashSet::new();
    for member in call.params.list("Targets") {
        let target = target(&member);
        check_form(group, &target)?;
        gone.insert(key(&target, default));
    }
    group.targets.retain(|target| !gone.contains(&key(target, default)));
    Ok(Element::new("DeregisterTargetsResult"))
}

fn target(member: &Params) -> TargetRecord {
    TargetRecord {
        id: member.text("Id").unwrap_or_default().to_owned(),
        port: member.whole("Port").and_then(|port| u16::try_from(port).ok()),
        availability_zone: member.text("AvailabilityZone").map(str::to_owned),
    }
}

fn key(target: &TargetRecord, default: u16) -> TargetKey {
    // One IPv6 address has several texts.
    let address = if target.id.contains(':') { target.id.parse::<IpAddr>().ok() } else { None };
    (address.map_or_else(|| target.id.clone(), |ip| ip.to_string()), target.port.unwrap_or(default))
}

/// Two instances may not be at one place: a client that sticks to one of them would be at either.
fn check_addresses(call: &OperationCall<'_>, group: &TargetGroupRecord) -> Result<(), ApiFailure> {
    let mut taken: HashMap<(IpAddr, u16), &str> = HashMap::new();
    for target in &group.targets {
        let Some(address) = call.world.instances.get(&target.id) else { continue };
        let port = target.port.unwrap_or(group.port);
        if let Some(other) = taken.insert((*address, port), &target.id) {
            let message = format!(
                "The targets '{}' and '{}' are one: the configuration has both instance IDs at {address}, and both are \
                 registered at port {port}",
                shown(other),
                shown(&target.id)
            );
            return Err(ApiFailure::new("InvalidTarget", message));
        }
    }
    Ok(())
}

/// Whether there is room for all targets of all groups; one that is in several is one.
fn check_all(call: &OperationCall<'_>, records: &Records) -> Result<(), ApiFailure> {
    let groups = || all::<TargetGroupRecord>(call, records).map(|(_, group)| group);
    if groups().map(|group| group.targets.len()).sum::<usize>() <= MAX_ENDPOINTS {
        return Ok(());
    }
    let place = |target: &TargetRecord, default: u16| match call.world.instances.get(&target.id) {
        Some(address) => (address.to_string(), target.port.unwrap_or(default)),
        None => key(target, default),
    };
    let endpoints: HashSet<TargetKey> =
        groups().flat_map(|group| group.targets.iter().map(|target| place(target, group.port))).collect();
    if endpoints.len() <= MAX_ENDPOINTS {
        return Ok(());
    }
    let message =
        format!("The maximum number of targets in all target groups, {MAX_ENDPOINTS}, has been reached");
    Err(ApiFailure::new("TooManyTargets", message))
}

fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|rest| {
        (8..=17).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Whether a target's id may be that of one of the group.
fn check_form(group: &TargetGroupRecord, target: &TargetRecord) -> Result<(), ApiFailure> {
    let id = shown(&target.id);
    if group.target_type == "instance" {
        if is_instance_id(&target.id) {
            return Ok(());
        }
        let message = format!(
            "The target ID '{id}' is not valid: an ID of an instance, such as 'i-0123456789abcdef0', is what target groups \
             with target type 'instance' have"
        );
        return Err(ApiFailure::new("InvalidTarget", message));
    }
    let address: Option<IpAddr> = target.id.parse().ok();
    let wants_v6 = group.ip_address_type == "ipv6";
    match address.filter(|address| address.is_ipv6() == wants_v6 && address_of_host(*address).is_some()) {
        Some(_) => Ok(()),
        None => {
            let version = if wants_v6 { "IPv6" } else { "IPv4" };
            let message = format!("The IP address '{id}' is not a valid {version} address");
            Err(ApiFailure::new("InvalidTarget", message))
        }
    }
}

fn check_registered(
    call: &OperationCall<'_>,
    group: &TargetGroupRecord,
    target: &TargetRecord,
) -> Result<(), ApiFailure> {
    check_form(group, target)?;
    if group.target_type != "instance" {
        return Ok(());
    }
    let id = shown(&target.id);
    if target.availability_zone.is_some() {
        let message = format!(
            "You cannot specify an Availability Zone for the target '{id}' of a target group with target type 'instance'"
        );
        return Err(ApiFailure::validation(message));
    }
    if call.world.instances.contains_key(&target.id) {
        return Ok(());
    }
    let message = format!(
        "The following targets are not in a running state and cannot be registered: '{id}'. Their addresses are not known \
         here: the configuration names them by instance ID, or give addresses to a target group with target type 'ip'"
    );
    Err(ApiFailure::new("InvalidTarget", message))
}

/// `DescribeTargetHealth`.
pub(super) fn health(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TargetGroupArn", ArnKind::TargetGroup)?;
    let group = find::<TargetGroupRecord>(call, records, arn)?;
    let is_used = GroupUsage::of(call, records).is_used(arn);
    let asked = call.params.list("Targets");
    names::at_most("targets", MAX_TARGETS, asked.len())?;
    // Nobody is sent to a group that is not used, and so nobody has to be waited for.
    let draining = if is_used { (call.world.draining)(group) } else { Vec::new() };
    let registered: HashMap<TargetKey, &TargetRecord> =
        group.targets.iter().map(|target| (key(target, group.port), target)).collect();
    let mut told: Vec<(TargetRecord, TargetHealth)> = Vec::new();
    if asked.is_empty() {
        let those =
            group.targets.iter().map(|target| (target.clone(), of_registered(call, group, target, is_used)));
        told.extend(those);
        let gone = draining.into_iter().filter(|target| !registered.contains_key(&key(target, group.port)));
        told.extend(gone.map(|target| (target, of_draining())));
    } else {
        let draining: HashSet<TargetKey> = draining.iter().map(|target| key(target, group.port)).collect();
        for member in &asked {
            let asked = target(member);
            check_form(group, &asked)?;
            let key = key(&asked, group.port);
            let registered = registered.get(&key).copied();
            let health = match registered {
                Some(registered) => of_registered(call, group, registered, is_used),
                None if draining.contains(&key) => of_draining(),
                None => of_unknown(),
            };
            told.push((registered.cloned().unwrap_or(asked), health));
        }
    }
    let includes = call.params.texts("Include");
    let anomalies = includes.iter().any(|include| include == "AnomalyDetection" || include == "All");
    let elements = told.iter().map(|(target, health)| element(group, target, health, anomalies));
    Ok(Element::new("DescribeTargetHealthResult").list("TargetHealthDescriptions", elements))
}

fn of_registered(
    call: &OperationCall<'_>,
    group: &TargetGroupRecord,
    target: &TargetRecord,
    is_used: bool,
) -> TargetHealth {
    if is_used {
        return (call.world.health)(group, target);
    }
    TargetHealth {
        state: "unused",
        reason: Some("Target.NotInUse"),
        description: Some(
            "Target group is not configured to receive traffic from the load balancer".to_owned(),
        ),
        ..TargetHealth::default()
    }
}

fn of_draining() -> TargetHealth {
    TargetHealth {
        state: "draining",
        reason: Some("Target.DeregistrationInProgress"),
        description: Some("Target deregistration is in progress".to_owned()),
        ..TargetHealth::default()
    }
}

fn of_unknown() -> TargetHealth {
    TargetHealth {
        state: "unused",
        reason: Some("Target.NotRegistered"),
        description: Some("Target is not registered to the target group".to_owned()),
        ..TargetHealth::default()
    }
}

fn element(
    group: &TargetGroupRecord,
    target: &TargetRecord,
    health: &TargetHealth,
    anomalies: bool,
) -> Element {
    let port = target.port.unwrap_or(group.port);
    let checked = match group.health_check.port.as_str() {
        _ if health.check_port > 0 => health.check_port.to_string(),
        "traffic-port" => port.to_string(),
        own => own.to_owned(),
    };
    let state = Element::new("TargetHealth")
        .text("State", health.state)
        .text_if("Reason", health.reason)
        .text_if("Description", health.description.as_ref());
    let described = Element::new("member")
        .with(
            Element::new("Target")
                .text("Id", &target.id)
                .text("Port", port)
                .text_if("AvailabilityZone", target.availability_zone.as_ref()),
        )
        .text("HealthCheckPort", checked)
        .with(state)
        .with(
            Element::new("AdministrativeOverride")
                .text("State", "no_override")
                .text("Reason", "AdministrativeOverride.NoOverride")
                .text("Description", "No override is currently active on target"),
        );
    if !anomalies {
        return described;
    }
    let detection = Element::new("AnomalyDetection")
        .text("Result", if health.is_anomalous { "anomalous" } else { "normal" })
        .text("MitigationInEffect", if health.is_mitigated { "yes" } else { "no" });
    described.with(detection)
}
