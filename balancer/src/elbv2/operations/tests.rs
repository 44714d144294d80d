//! Operations by real forms, as clients send them.

mod balancers;
mod groups;
mod hostile;
mod listeners;
mod packet_groups;
mod rules;
mod stickiness;
mod targets;
mod trust;

use std::{net::IpAddr, sync::Arc};

use super::{OPERATIONS, answer, is_change, is_known};
use crate::elbv2::{
    arn::ArnMaker,
    call::OperationCall,
    failure::ApiFailure,
    form,
    records::{LoadBalancerRecord, RecordOwner, Records, TargetGroupRecord, TargetRecord},
    world::{DEFAULT_DNS_SUFFIX, TargetHealth, World},
};

pub(super) const CERTIFICATE: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/1";
pub(super) const OTHER_CERTIFICATE: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/2";
pub(super) const INSTANCE: &str = "i-0123456789abcdef0";
/// Another id of the same host.
pub(super) const OTHER_INSTANCE: &str = "i-0123456789abcdef1";

/// The API over records of its own.
pub(super) struct Api {
    pub(super) records: Records,
    pub(super) world: World,
}

impl Api {
    pub(super) fn new() -> Self {
        let healthy = |_: &TargetGroupRecord, _: &TargetRecord| TargetHealth {
            state: "healthy",
            check_port: 0,
            ..TargetHealth::default()
        };
        let world = World {
            now: 1_700_000_000,
            seed: 1,
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            dns_suffix: DEFAULT_DNS_SUFFIX.to_owned(),
            files: Arc::new(Records::default()),
            certificates: Arc::new([CERTIFICATE, OTHER_CERTIFICATE].map(str::to_owned).into()),
            instances: Arc::new(
                [INSTANCE, OTHER_INSTANCE].map(|id| (id.to_owned(), IpAddr::from([10, 0, 0, 9]))).into(),
            ),
            buckets: None,
            health: Box::new(healthy),
            draining: Box::new(|_| Vec::new()),
            read_file: Box::new(|path| std::fs::read(path).map_err(|error| error.to_string())),
        };
        Self { records: Records::default(), world }
    }

    /// What a form is answered, on a copy of the records as the controller does it.
    pub(super) fn call(&mut self, form: &str) -> Result<String, ApiFailure> {
        let params = form::read("", form.as_bytes())?;
        let action = params.text("Action").unwrap_or_default().to_owned();
        let mut records = self.records.clone();
        self.world.seed += 1;
        let call = OperationCall { action: &action, params: &params, world: &self.world };
        let element = answer(&call, &mut records)?;
        if !is_change(&action) {
            assert_eq!(records, self.records, "{action} reads and has changed something");
        }
        self.records = records;
        let mut xml = String::new();
        element.write_inside(&mut xml);
        Ok(xml)
    }

    /// What a form is answered that succeeds.
    #[track_caller]
    pub(super) fn ok(&mut self, form: &str) -> String {
        self.call(form).unwrap_or_else(|failure| panic!("{form}: {failure:?}"))
    }

    /// The code and the message of one that does not; nothing has changed then.
    #[track_caller]
    pub(super) fn fails(&mut self, form: &str) -> (&'static str, String) {
        let before = self.records.clone();
        let failure = self.call(form).expect_err(form);
        assert_eq!(before, self.records);
        assert_eq!(failure.status, 400);
        (failure.code, failure.message)
    }

    /// Makes a load balancer; its ARN.
    pub(super) fn balancer(&mut self, name: &str) -> String {
        let xml = self.ok(&format!("Action=CreateLoadBalancer&Name={name}&Subnets.member.1=subnet-1"));
        one(&xml, "LoadBalancerArn").to_owned()
    }

    /// Makes a group of addresses; its ARN.
    pub(super) fn group(&mut self, name: &str) -> String {
        let form =
            format!("Action=CreateTargetGroup&Name={name}&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip");
        one(&self.ok(&form), "TargetGroupArn").to_owned()
    }

    /// Makes a listener that forwards to a group; its ARN.
    pub(super) fn listener(&mut self, balancer: &str, port: u16, group: &str) -> String {
        let form = format!(
            "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTP&Port={port}&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={group}"
        );
        one(&self.ok(&form), "ListenerArn").to_owned()
    }

    /// Makes a rule that forwards to a group; its ARN.
    pub(super) fn rule(&mut self, listener: &str, priority: u16, group: &str) -> String {
        let form = format!(
            "Action=CreateRule&ListenerArn={listener}&Priority={priority}&{PATH}&Actions.member.1.Type=forward\
             &Actions.member.1.TargetGroupArn={group}"
        );
        one(&self.ok(&form), "RuleArn").to_owned()
    }
}

/// A condition.
pub(super) const PATH: &str =
    "Conditions.member.1.Field=path-pattern&Conditions.member.1.PathPatternConfig.Values.member.1=/a*";

/// The texts of all elements of a name.
pub(super) fn every<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let pieces = xml.split(&open).skip(1);
    pieces.map(|piece| piece.split(&close).next().unwrap_or_default()).collect()
}

/// The text of the one element of a name.
#[track_caller]
pub(super) fn one<'x>(xml: &'x str, name: &str) -> &'x str {
    match every(xml, name).as_slice() {
        [text] => text,
        found => panic!("{name} is there {} times in {xml}", found.len()),
    }
}

/// Value of an attribute in an answer.
#[track_caller]
pub(super) fn attribute<'x>(xml: &'x str, key: &str) -> &'x str {
    let member =
        every(xml, "member").into_iter().find(|member| member.contains(&format!("<Key>{key}</Key>")));
    let member = member.unwrap_or_else(|| panic!("{key} is not in {xml}"));
    every(member, "Value").first().copied().unwrap_or_default()
}

#[test]
fn all_51_operations_are_there_sorted_and_known() {
    assert_eq!(OPERATIONS.len(), 51);
    assert!(OPERATIONS.is_sorted_by(|one, other| one.name < other.name));
    for operation in OPERATIONS {
        assert!(is_known(operation.name));
        let reads = ["Describe", "Get"].iter().any(|start| operation.name.starts_with(start));
        assert_eq!(is_change(operation.name), !reads, "{}", operation.name);
    }
    assert!(!is_known("") && !is_known("createLoadBalancer") && !is_change("Nothing"));
    assert_eq!(Api::new().fails("Action=Nothing&Version=2015-12-01").0, "InvalidAction");
}

#[test]
fn what_is_needed_is_missed_by_its_name() {
    for operation in OPERATIONS {
        let failure = Api::new().call(&format!("Action={}&Version=2015-12-01", operation.name));
        let needs = operation.input.iter().any(crate::elbv2::shapes::InputParameter::is_needed);
        if needs {
            let (code, message) =
                failure.map_err(|failure| (failure.code, failure.message)).expect_err(operation.name);
            assert_eq!(code, "ValidationError", "{}", operation.name);
            assert!(message.contains("failed to satisfy constraint: Member must not be null"), "{message}");
        }
    }
    let (_, message) = Api::new().fails("Action=CreateTrustStore");
    assert_eq!(
        message,
        "3 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value null \
         at 'caCertificatesBundleS3Bucket' failed to satisfy constraint: Member must not be null; Value null at \
         'caCertificatesBundleS3Key' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn what_files_say_is_told_and_is_not_changed() {
    let mut api = Api::new();
    let arns = ArnMaker { region: "eu-west-1", account: "123456789012" };
    let owner = RecordOwner::File("/etc/balancer/web.hcl".to_owned());
    let balancer = LoadBalancerRecord {
        arn: arns.load_balancer("filed", 7),
        name: "filed".to_owned(),
        owner: owner.clone(),
        scheme: "internet-facing".to_owned(),
        ..LoadBalancerRecord::default()
    };
    let group = TargetGroupRecord {
        arn: arns.target_group("filed", 8),
        name: "filed".to_owned(),
        owner,
        protocol: "HTTP".to_owned(),
        protocol_version: "HTTP1".to_owned(),
        target_type: "ip".to_owned(),
        port: 80,
        ..TargetGroupRecord::default()
    };
    let (balancer_arn, group_arn) = (balancer.arn.clone(), group.arn.clone());
    let mut files = Records::default();
    files.load_balancers.insert(balancer_arn.clone(), balancer);
    files.target_groups.insert(group_arn.clone(), group);
    api.world.files = Arc::new(files);
    api.balancer("made");
    let names = api.ok("Action=DescribeLoadBalancers");
    assert_eq!(every(&names, "LoadBalancerName"), ["filed", "made"]);
    for form in [
        format!("Action=DeleteLoadBalancer&LoadBalancerArn={balancer_arn}"),
        format!("Action=SetSubnets&LoadBalancerArn={balancer_arn}&Subnets.member.1=subnet-1"),
        format!("Action=AddTags&ResourceArns.member.1={balancer_arn}&Tags.member.1.Key=a"),
        format!("Action=DeleteTargetGroup&TargetGroupArn={group_arn}"),
        format!("Action=RegisterTargets&TargetGroupArn={group_arn}&Targets.member.1.Id=10.0.0.1"),
        format!("Action=ModifyTargetGroup&TargetGroupArn={group_arn}&HealthCheckPath=/x"),
    ] {
        let (code, message) = api.fails(&form);
        assert_eq!(code, "OperationNotPermitted", "{form}");
        assert!(message.contains("/etc/balancer/web.hcl"), "{message}");
    }
    // What is made on top of it belongs to the API.
    let listener = api.listener(&balancer_arn, 8080, &group_arn);
    api.ok(&format!("Action=DeleteListener&ListenerArn={listener}"));
    for form in [
        "Action=CreateLoadBalancer&Name=filed",
        "Action=CreateTargetGroup&Name=filed&Protocol=HTTP&Port=80&TargetType=ip",
    ] {
        assert!(api.fails(form).1.ends_with("it is written in /etc/balancer/web.hcl"));
    }
}
