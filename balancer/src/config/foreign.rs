//! What stands in a folder of Terraform beside load balancers and changes what they do: firewalls in front of them,
//! what feeds their groups, modules that may add to them. None of it is done here, so all of it is told, with its position.
//! Must not know what a load balancer makes of its own blocks.

use std::{cell::RefCell, collections::HashMap};

use super::{
    bindings::Env,
    eval,
    fields::BlockContext,
    instances::{self, Instances},
    kinds::{CLASSIC, is_ours, native_kind},
    raw::{RawBlock, RawBody, RawExpression, path_text},
    scope::Scope,
};

/// How often a local may lead to another.
const MAX_DEPTH: usize = 16;

const FIREWALL: &str =
    "is behind a firewall (WAF) on AWS, which is not here: what it would refuse reaches the targets";
const SHIELD: &str = "is protected by Shield on AWS, which is not here";
const VERIFIED: &str =
    "is behind Verified Access on AWS, which is not here: whom it would refuse reaches the targets";
const FEEDS: &str =
    "gets targets from it on AWS, which are not known here; give them in `target_group_attachment` blocks";
const DEPLOYS: &str = "is switched between groups by deployments on AWS; here it stays as it is written";

/// Resources that change what a load balancer does, and how.
const KNOWN: [(&str, &str); 16] = [
    ("aws_wafv2_web_acl_association", FIREWALL),
    ("aws_wafregional_web_acl_association", FIREWALL),
    ("aws_shield_protection", SHIELD),
    ("aws_shield_protection_group", SHIELD),
    ("aws_shield_application_layer_automatic_response", SHIELD),
    ("aws_verifiedaccess_endpoint", VERIFIED),
    ("aws_autoscaling_attachment", FEEDS),
    ("aws_autoscaling_group", FEEDS),
    ("aws_autoscaling_traffic_source_attachment", FEEDS),
    ("aws_ec2_fleet", FEEDS),
    ("aws_ecs_service", FEEDS),
    ("aws_ecs_task_set", FEEDS),
    ("aws_elastic_beanstalk_environment", FEEDS),
    ("aws_spot_fleet_request", FEEDS),
    ("kubernetes_manifest", FEEDS),
    ("aws_codedeploy_deployment_group", DEPLOYS),
];

const NETWORK: &str = "decides on AWS which packets reach the network of a load balancer, and is not here: whom it would refuse is served";

/// Resources that stand before a network, and with it before every load balancer that may be in it. Which of them is in
/// which is mostly known to modules alone.
const OF_NETWORKS: [&str; 5] = [
    "aws_default_network_acl",
    "aws_network_acl",
    "aws_networkfirewall_firewall",
    "aws_networkfirewall_vpc_endpoint_association",
    "aws_vpc_block_public_access_options",
];

/// Those of them that are told of groups by name.
const BY_NAME: [&str; 2] = ["aws_codedeploy_deployment_group", "kubernetes_manifest"];

/// What begins so is told of load balancers and does nothing to them: names, figures, rights, and what stands in front.
const HARMLESS: [&str; 31] = [
    "aws_acm_",
    "aws_api_gateway_",
    "aws_apigatewayv2_",
    "aws_appautoscaling_",
    "aws_athena_",
    "aws_autoscaling_policy",
    "aws_autoscaling_schedule",
    "aws_backup_",
    "aws_cloudfront_",
    "aws_cloudtrail",
    "aws_cloudwatch_",
    "aws_config_",
    "aws_flow_log",
    "aws_globalaccelerator_",
    "aws_glue_",
    "aws_iam_",
    "aws_kms_",
    "aws_lambda_permission",
    "aws_network_acl",
    "aws_resourcegroups_",
    "aws_route53_",
    "aws_s3_",
    "aws_secretsmanager_",
    "aws_security_group",
    "aws_sns_",
    "aws_ssm_",
    "aws_vpc_endpoint_service",
    "aws_vpc_security_group_",
    "aws_wafv2_",
    "local_",
    "random_",
];

/// Public modules that make no listeners, rules or targets, by the second part of their address.
const HARMLESS_MODULES: [&str; 33] = [
    "acm",
    "cloudfront",
    "cloudwatch",
    "customer-gateway",
    "dynamic-subnets",
    "dynamodb-table",
    "ecr",
    "efs",
    "elasticache",
    "eventbridge",
    "global-accelerator",
    "iam",
    "key-pair",
    "kms",
    "label",
    "lambda",
    "msk-kafka-cluster",
    "opensearch",
    "rds",
    "rds-aurora",
    "redshift",
    "route53",
    "s3-bucket",
    "secrets-manager",
    "security-group",
    "sns",
    "sqs",
    "ssm-parameter",
    "step-functions",
    "subnets",
    "transit-gateway",
    "vpc",
    "vpn-gateway",
];

/// Those that stand before a network.
const GUARDING_MODULES: [&str; 1] = ["network-firewall"];

/// What of a block is about Terraform itself: a reference there gives nothing to anybody.
const META: [&str; 3] = ["depends_on", "lifecycle", "providers"];
/// Parts of our blocks that say what they are called and lead to no change of them.
const HARMLESS_PARTS: [&str; 8] = [
    "arn_suffix",
    "dns_name",
    "load_balancer_arns",
    "name",
    "security_groups",
    "tags_all",
    "vpc_id",
    "zone_id",
];
/// What of our blocks matters to requests, where Terraform is told to leave it as it is on AWS.
const MATTERS: [&str; 17] = [
    "action",
    "all",
    "certificate_arn",
    "condition",
    "default_action",
    "health_check",
    "listener_arn",
    "load_balancer_arn",
    "port",
    "priority",
    "protocol",
    "ssl_policy",
    "stickiness",
    "target_group_arn",
    "target_id",
    "transform",
    "weight",
];

/// Notes what is not done here, each with its position.
pub(super) fn note_all(context: &BlockContext<'_>, bodies: &[RawBody]) {
    let blocks = || bodies.iter().flat_map(|body| &body.blocks);
    let is_balancer = |block: &RawBlock| match block.labels.first() {
        Some((kind, _)) if block.kind == "resource" => native_kind(kind) == Some("load_balancer"),
        _ => false,
    };
    let has_balancer = blocks().any(is_balancer);
    let references = References { context, has_balancer, locals: RefCell::default() };
    for block in blocks() {
        let labels: Vec<&str> = block.labels.iter().map(|(label, _)| label.as_str()).collect();
        match (block.kind.as_str(), labels.as_slice()) {
            _ if is_counted_out(block, context.scope) => {}
            ("module", [name, ..]) => references.note_module(block, &named("module", name)),
            ("resource", [kind, name, ..]) if is_ours(kind) && !CLASSIC.contains(kind) => {
                references.note_ignored_changes(block, &named(kind, name));
            }
            ("resource", [kind, name, ..]) if OF_NETWORKS.contains(kind) && has_balancer => {
                context.faults.note(block.position, format!("{} {NETWORK}", named(kind, name)));
            }
            ("resource", [kind, name, ..]) => references.note_resource(block, kind, &named(kind, name)),
            _ => {}
        }
    }
}

/// As Terraform names it, be it in a module.
fn named(kind: &str, name: &str) -> String {
    path_text(&[kind.to_owned(), name.to_owned()])
}

/// `count = 0`, or a `for_each` of nothing: the block makes nothing.
fn is_counted_out(block: &RawBlock, scope: &Scope<'_>) -> bool {
    let Some(by) = instances::repeating(block) else { return false };
    let value = eval::evaluate(scope, &by.value, &Env::default());
    match value.and_then(|value| instances::of(&by.name, &value)) {
        Ok(Instances::Counted(count)) => count == 0,
        Ok(Instances::Keyed(members)) => members.is_empty(),
        _ => false,
    }
}

/// The first reference to a block of ours: any, and one that can lead to a change of it.
#[derive(Clone, Default)]
struct FirstReferences {
    any: Option<String>,
    changing: Option<String>,
}

impl FirstReferences {
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.changing.is_some() {
            return self;
        }
        let other = other();
        Self { any: self.any.or(other.any), changing: other.changing }
    }
}

struct References<'c> {
    context: &'c BlockContext<'c>,
    /// Whether there is a load balancer of Terraform's in the folder.
    has_balancer: bool,
    /// What is found in locals that were looked at.
    locals: RefCell<HashMap<String, FirstReferences>>,
}

impl References<'_> {
    fn note_resource(&self, block: &RawBlock, kind: &str, name: &str) {
        let faults = self.context.faults;
        if CLASSIC.contains(&kind) {
            let message =
                format!("{name} is of Classic Load Balancers, which are not done here: it is not read");
            return faults.note(block.position, message);
        }
        let found = self.in_body(&block.body);
        if let Some((_, how)) = KNOWN.iter().find(|(known, _)| *known == kind) {
            // Elsewhere a name in a tag or a variable leads nowhere.
            match if BY_NAME.contains(&kind) { found.any } else { found.changing } {
                Some(ours) => faults.note(block.position, format!("{name}: {ours} {how}")),
                None if self.may_be_ours(block) && (*how == FIREWALL || *how == SHIELD) => {
                    faults.note(block.position, format!("{name}: what it is for {how}"));
                }
                None => {}
            }
        } else if let Some(ours) =
            found.changing.filter(|_| !HARMLESS.iter().any(|start| kind.starts_with(start)))
        {
            let message =
                format!("{name} is given {ours}: what it makes of it is not known here, and not done");
            faults.note(block.position, message);
        }
    }

    fn note_module(&self, block: &RawBlock, name: &str) {
        let faults = self.context.faults;
        let source = block.body.attributes.iter().find(|attribute| attribute.name == "source");
        let source = source.and_then(|source| match &source.value.expression {
            RawExpression::Text(text) => Some(text.as_str()),
            _ => None,
        });
        if let Some(ours) = self.in_body(&block.body).changing {
            let message = format!(
                "{name} is given {ours}: rules, targets and what else it adds are not here, since it is \
                 not read{}",
                why_unread(source)
            );
            faults.note(block.position, message);
        } else if source.is_some_and(|source| is_of_registry(source, &GUARDING_MODULES)) {
            if self.has_balancer {
                faults.note(block.position, format!("{name} {NETWORK}"));
            }
        } else if !source.is_some_and(|source| is_of_registry(source, &HARMLESS_MODULES)) {
            let message = format!(
                "{name} is not read: load balancers, listeners, rules and targets that it makes are not here{}",
                why_unread(source)
            );
            faults.note(block.position, message);
        }
    }

    fn note_ignored_changes(&self, block: &RawBlock, name: &str) {
        let lifecycles = block.body.blocks.iter().filter(|inner| inner.kind == "lifecycle");
        for attribute in lifecycles.flat_map(|lifecycle| &lifecycle.body.attributes) {
            let mut named = match &attribute.value.expression {
                RawExpression::List(items) => items.iter().map(|item| &item.expression).collect(),
                expression => vec![expression],
            }
            .into_iter()
            .filter_map(|expression| match expression {
                RawExpression::Path(path, _) => path.first().map(String::as_str),
                RawExpression::Text(text) => text.split(['.', '[']).next(),
                _ => None,
            });
            if attribute.name == "ignore_changes"
                && let Some(first) = named.find(|first| MATTERS.contains(first))
            {
                let message = format!(
                    "{name}: `ignore_changes` names `{first}`: on AWS it may have been changed since; here it is as \
                     written"
                );
                self.context.faults.note(attribute.position, message);
            }
        }
    }

    /// Whether what a block is for is told in a way that could lead to a load balancer: no reference to a resource of
    /// another type, and no name of another service.
    fn may_be_ours(&self, block: &RawBlock) -> bool {
        let of = block.body.attributes.iter().find(|attribute| attribute.name == "resource_arn");
        match of.map(|of| &of.value.expression) {
            Some(RawExpression::Path(path, _)) => {
                let root = path.first().map_or("", String::as_str);
                let is_data = root == "data" && path.get(1).is_some_and(|kind| !is_ours(kind));
                !is_data && (!root.contains('_') || is_ours(root))
            }
            Some(RawExpression::Text(text)) => text.contains(":elasticloadbalancing:"),
            Some(RawExpression::Template(pieces)) => names_no_other_service(pieces),
            Some(_) => true,
            None => false,
        }
    }

    fn in_body(&self, body: &RawBody) -> FirstReferences {
        let attributes = body.attributes.iter().filter(|attribute| !META.contains(&attribute.name.as_str()));
        let blocks = body.blocks.iter().filter(|block| !META.contains(&block.kind.as_str()));
        let found = attributes.fold(FirstReferences::default(), |found, attribute| {
            found.or(|| self.in_expression(&attribute.value.expression, 0))
        });
        blocks.fold(found, |found, block| found.or(|| self.in_body(&block.body)))
    }

    fn in_expression(&self, expression: &RawExpression, depth: usize) -> FirstReferences {
        let found = match expression {
            RawExpression::Path(path, _) => self.in_path(path, depth),
            _ => FirstReferences::default(),
        };
        let inner = expression.inner().into_iter();
        inner.fold(found, |found, inner| found.or(|| self.in_expression(inner, depth)))
    }

    fn in_path(&self, path: &[String], depth: usize) -> FirstReferences {
        match path {
            [kind, name, ..] if kind == "local" => self.in_local(name, depth),
            [kind, label, part @ ..] if is_ours(kind) => {
                let ours = Some(path_text(&[kind.clone(), label.clone()]));
                let part = part.iter().find(|step| !step.starts_with('['));
                let changing = !part.is_some_and(|part| HARMLESS_PARTS.contains(&part.as_str()));
                FirstReferences { any: ours.clone(), changing: ours.filter(|_| changing) }
            }
            _ => FirstReferences::default(),
        }
    }

    fn in_local(&self, name: &str, depth: usize) -> FirstReferences {
        if let Some(found) = self.locals.borrow().get(name) {
            return found.clone();
        }
        let Some(local) = self.context.scope.local(name).filter(|_| depth < MAX_DEPTH) else {
            return FirstReferences::default();
        };
        let found = self.in_expression(local, depth + 1);
        self.locals.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }
}

/// Whether an ARN that is put together may be of a load balancer: of `arn:PARTITION:SERVICE:…`, what is not written may be
/// anything.
fn names_no_other_service(pieces: &[RawExpression]) -> bool {
    const UNKNOWN: &str = "?";
    let known = |piece: &RawExpression| match piece {
        RawExpression::Text(text) => text.clone(),
        _ => UNKNOWN.to_owned(),
    };
    let arn: String = pieces.iter().map(known).collect();
    let mut parts = arn.split(':');
    let is_arn = parts.next().is_some_and(|first| first == "arn");
    let service = parts.nth(1).unwrap_or(UNKNOWN);
    !is_arn || service.contains(UNKNOWN) || service == "elasticloadbalancing"
}

/// What to do for a module that was not found, in words that go on.
fn why_unread(source: Option<&str>) -> &'static str {
    match source {
        Some(source) if source.starts_with("./") || source.starts_with("../") => {
            " (its folder is not there, or it holds nothing of Terraform's)"
        }
        Some(_) => " (`terraform init` fetches it, and then it is)",
        None => "",
    }
}

/// Whether it is one of these modules of the public registry.
fn is_of_registry(source: &str, modules: &[&str]) -> bool {
    let mut parts = source.split("//").next().unwrap_or_default().split('/');
    let registry = parts.next().is_some_and(|owner| !owner.is_empty() && !owner.contains(['.', ':']));
    registry && parts.next().is_some_and(|name| modules.contains(&name)) && parts.next().is_some()
}
