//! Listeners: made, described, changed, deleted.

use crate::{
    elbv2::{
        arn::{ArnKind, listener_arn},
        call::OperationCall,
        failure::ApiFailure,
        names, paging,
        params::Params,
        records::{
            ListenerRecord, LoadBalancerRecord, MutualAuthenticationRecord, RecordOwner, Records, RuleRecord,
        },
        resource::{all, find, find_own},
        tagging,
        xml::Element,
    },
    tls,
};

use super::{actions, certificates, mutual_tls};

/// Most listeners (ALB: quotas; of one load balancer there).
pub(super) const MAX_LISTENERS: usize = 50;
/// The policy of HTTPS listeners that name none (API reference).
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// `CreateListener`.
pub(super) fn create(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let balancer = call.arn("LoadBalancerArn", ArnKind::LoadBalancer)?;
    find::<LoadBalancerRecord>(call, records, balancer)?;
    let protocol = protocol(call.params)?
        .ok_or_else(|| ApiFailure::validation("A listener protocol must be specified"))?;
    let port =
        port(call.params).ok_or_else(|| ApiFailure::validation("A listener port must be specified"))?;
    let arn = listener_arn(balancer, call.new_id("listener", &format!("{balancer} {port}")));
    let mut made = ListenerRecord {
        arn,
        load_balancer_arn: balancer.to_owned(),
        owner: RecordOwner::Api,
        port,
        protocol,
        tags: tagging::given(call.params)?,
        ..ListenerRecord::default()
    };
    tls_settings(call, records, &mut made)?;
    made.default_actions = actions::read(call, records, &made, &call.params.list("DefaultActions"))?;
    let result = Element::new("CreateListenerResult");
    let at_port =
        |listener: &&ListenerRecord| listener.load_balancer_arn == balancer && listener.port == port;
    if let Some(other) = all::<ListenerRecord>(call, records).map(|(_, listener)| listener).find(at_port) {
        if other.owner == RecordOwner::Api && are_same(other, &made) {
            return Ok(result.list("Listeners", [element(other)]));
        }
        return Err(duplicate(other));
    }
    if all::<ListenerRecord>(call, records).count() >= MAX_LISTENERS {
        let message = format!("The maximum number of listeners, {MAX_LISTENERS}, has been reached");
        return Err(ApiFailure::new("TooManyListeners", message));
    }
    let element = element(&made);
    records.listeners.insert(made.arn.clone(), made);
    Ok(result.list("Listeners", [element]))
}

fn duplicate(other: &ListenerRecord) -> ApiFailure {
    let message = format!(
        "A listener already exists on this port for this load balancer '{}'{}",
        other.load_balancer_arn,
        names::of_file(&other.owner)
    );
    ApiFailure::new("DuplicateListener", message)
}

/// Whether a listener has the settings that another is asked for with.
fn are_same(other: &ListenerRecord, made: &ListenerRecord) -> bool {
    other.protocol == made.protocol
        && other.ssl_policy == made.ssl_policy
        && certificates::default_of(other) == certificates::default_of(made)
        && other.mutual_authentication == made.mutual_authentication
        && other.tags == made.tags
        && actions::are_same(&other.default_actions, &made.default_actions)
}

fn port(params: &Params) -> Option<u16> {
    params.whole("Port").and_then(|port| u16::try_from(port).ok())
}

fn protocol(params: &Params) -> Result<Option<String>, ApiFailure> {
    match params.text("Protocol") {
        None => Ok(None),
        Some(protocol @ ("HTTP" | "HTTPS")) => Ok(Some(protocol.to_owned())),
        Some(protocol) => Err(ApiFailure::validation(format!(
            "Listener protocol '{protocol}' must be one of 'HTTPS, HTTP'"
        ))),
    }
}

/// What is said of TLS, onto a listener whose protocol is as it will be.
fn tls_settings(
    call: &OperationCall<'_>,
    records: &Records,
    listener: &mut ListenerRecord,
) -> Result<(), ApiFailure> {
    let params = call.params;
    if params.texts("AlpnPolicy").iter().any(|policy| policy != "None") {
        let message = "AlpnPolicy is of TLS listeners of Network Load Balancers: leave it out; HTTP/2 is offered as the load \
                       balancer's attribute 'routing.http2.enabled' says";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let policy = params.text("SslPolicy");
    let given = params.list("Certificates");
    if listener.protocol != "HTTPS" {
        if policy.is_some() || !given.is_empty() {
            let what = if policy.is_some() { "An SSL policy" } else { "A certificate" };
            return Err(ApiFailure::validation(format!("{what} can only be specified for HTTPS listeners")));
        }
        listener.ssl_policy = None;
        listener.certificates.clear();
    } else {
        if let Some(policy) = policy {
            listener.ssl_policy = Some(known_policy(policy)?);
        } else if listener.ssl_policy.is_none() {
            listener.ssl_policy = Some(DEFAULT_POLICY.to_owned());
        }
        if !given.is_empty() {
            certificates::set_default(call, listener, &given)?;
        }
        if certificates::default_of(listener).is_none() {
            return Err(ApiFailure::validation("A certificate must be specified for HTTPS listeners"));
        }
    }
    if params.has("MutualAuthentication") {
        listener.mutual_authentication = mutual_tls::read(call, records, listener)?;
    } else if listener.protocol != "HTTPS" {
        listener.mutual_authentication = None;
    }
    Ok(())
}

fn known_policy(name: &str) -> Result<String, ApiFailure> {
    if tls::policy(name).is_some() {
        return Ok(name.to_owned());
    }
    let message = format!(
        "SSL policy '{}' not found: DescribeSSLPolicies tells which there are",
        crate::elbv2::call::shown(name)
    );
    Err(ApiFailure::new("SSLPolicyNotFound", message))
}

/// `DescribeListeners`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let balancer = call.params.text("LoadBalancerArn");
    let arns = call.params.texts("ListenerArns");
    if balancer.is_some() != arns.is_empty() {
        let message = "You must specify either listener ARNs or a load balancer ARN";
        return Err(ApiFailure::validation(message));
    }
    if let Some(balancer) = balancer {
        find::<LoadBalancerRecord>(call, records, balancer)?;
    }
    for arn in &arns {
        find::<ListenerRecord>(call, records, arn)
            .map_err(|failure| failure.of_several("ListenerNotFound", "One or more listeners not found"))?;
    }
    let is_asked = |listener: &ListenerRecord| match balancer {
        Some(balancer) => listener.load_balancer_arn == balancer,
        None => arns.contains(&listener.arn),
    };
    let found = all::<ListenerRecord>(call, records).filter(|(_, listener)| is_asked(listener));
    let page = paging::page(call, found.map(|(arn, listener)| (arn.clone(), listener)).collect())?;
    Ok(page.end(Element::new("DescribeListenersResult"), "Listeners", element))
}

/// `ModifyListener`: what is given takes the place of what was.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("ListenerArn", ArnKind::Listener)?;
    let mut changed = find_own::<ListenerRecord>(call, records, arn)?.clone();
    if let Some(port) = port(call.params) {
        changed.port = port;
    }
    if let Some(protocol) = protocol(call.params)? {
        changed.protocol = protocol;
    }
    tls_settings(call, records, &mut changed)?;
    let given = call.params.list("DefaultActions");
    if given.is_empty() {
        actions::check(call, records, &changed, &changed.default_actions)?;
    } else {
        changed.default_actions = actions::read(call, records, &changed, &given)?;
    }
    let of_it = all::<RuleRecord>(call, records).filter(|(_, rule)| rule.listener_arn == arn);
    for (_, rule) in of_it {
        actions::check(call, records, &changed, &rule.actions)?;
    }
    let is_taken = |other: &&ListenerRecord| {
        other.arn != arn && other.load_balancer_arn == changed.load_balancer_arn && other.port == changed.port
    };
    if let Some(other) = all::<ListenerRecord>(call, records).map(|(_, listener)| listener).find(is_taken) {
        return Err(duplicate(other));
    }
    let element = element(&changed);
    records.listeners.insert(arn.to_owned(), changed);
    Ok(Element::new("ModifyListenerResult").list("Listeners", [element]))
}

/// `DeleteListener`: its rules go with it.
pub(super) fn delete(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("ListenerArn", ArnKind::Listener)?;
    find_own::<ListenerRecord>(call, records, arn)?;
    records.listeners.remove(arn);
    records.rules.retain(|_, rule| rule.listener_arn != arn);
    Ok(Element::new("DeleteListenerResult"))
}

fn element(listener: &ListenerRecord) -> Element {
    let element = Element::new("member")
        .text("ListenerArn", &listener.arn)
        .text("LoadBalancerArn", &listener.load_balancer_arn)
        .text("Port", listener.port)
        .text("Protocol", &listener.protocol);
    let element = match certificates::default_of(listener) {
        None => element,
        Some(arn) => element.list("Certificates", [Element::new("member").text("CertificateArn", arn)]),
    };
    let element = element
        .text_if("SslPolicy", listener.ssl_policy.as_ref())
        .list("DefaultActions", actions::elements(&listener.default_actions));
    if listener.protocol != "HTTPS" {
        return element;
    }
    let off = MutualAuthenticationRecord { mode: "off".to_owned(), ..MutualAuthenticationRecord::default() };
    element.with(mutual_tls::element(listener.mutual_authentication.as_ref().unwrap_or(&off)))
}
