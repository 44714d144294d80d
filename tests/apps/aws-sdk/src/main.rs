//! AWS' SDK for Rust as programs use it: load balancer, group, targets, listener and rule, paginators, waiters, tags, and what
//! is refused by its type.
//!
//! `aws-sdk-client STEP ENDPOINT PORT TARGET TARGET`, the steps one after the other: `make`, `change`, `remove`.

use std::{env, error::Error, time::Duration};

use aws_sdk_elasticloadbalancingv2::{
    Client, Config,
    client::Waiters as _,
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata as _, SdkError},
    operation::{
        create_load_balancer::CreateLoadBalancerError, delete_target_group::DeleteTargetGroupError,
        describe_target_groups::DescribeTargetGroupsError,
    },
    types::{
        Action, ActionTypeEnum, FixedResponseActionConfig, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
        PathPatternConditionConfig, ProtocolEnum, RuleCondition, Tag, TargetDescription,
        TargetGroupAttribute, TargetHealthStateEnum, TargetTypeEnum,
    },
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long a waiter may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two looks at what has to come.
const GLANCE: Duration = Duration::from_millis(50);

struct Tried {
    client: Client,
    port: i32,
    targets: Vec<TargetDescription>,
}

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [step, endpoint, port, targets @ ..] = &arguments[..] else {
        return Err("STEP ENDPOINT PORT TARGET TARGET".into());
    };
    let tried = Tried {
        client: client(endpoint)?,
        port: port.parse()?,
        targets: targets.iter().map(|address| target(address)).collect::<Outcome<_>>()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match step.as_str() {
            "make" => tried.make().await,
            "change" => tried.change().await,
            "remove" => tried.remove().await,
            other => Err(format!("{other} is no step").into()),
        }
    })?;
    println!("done");
    Ok(())
}

fn client(endpoint: &str) -> Outcome<Client> {
    let (key, secret) = (env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(key, secret, None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Ok(Client::from_conf(config.build()))
}

fn target(address: &str) -> Outcome<TargetDescription> {
    let (host, port) = address.rsplit_once(':').ok_or("a target is ADDRESS:PORT")?;
    Ok(TargetDescription::builder().id(host).port(port.parse()?).build())
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

fn attribute(key: &str, value: &str) -> TargetGroupAttribute {
    TargetGroupAttribute::builder().key(key).value(value).build()
}

/// Fails with what was found in the place of what has to be.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} is not {wanted:?}").into()) }
}

impl Tried {
    async fn balancer(&self) -> Outcome<String> {
        let found = self.client.describe_load_balancers().names("web").send().await?;
        let arn = found.load_balancers().first().and_then(|one| one.load_balancer_arn());
        Ok(arn.ok_or("no load balancer")?.to_owned())
    }

    async fn group(&self) -> Outcome<String> {
        let found = self.client.describe_target_groups().names("app").send().await?;
        let arn = found.target_groups().first().and_then(|one| one.target_group_arn());
        Ok(arn.ok_or("no group")?.to_owned())
    }

    async fn listener(&self) -> Outcome<String> {
        let found = self.client.describe_listeners().load_balancer_arn(self.balancer().await?).send().await?;
        let arn = found.listeners().first().and_then(|one| one.listener_arn());
        Ok(arn.ok_or("no listener")?.to_owned())
    }

    async fn make(&self) -> Outcome {
        let Self { client, port, targets } = self;
        let made = client
            .create_load_balancer()
            .name("web")
            .subnets("subnet-1")
            .subnets("subnet-2")
            .scheme(LoadBalancerSchemeEnum::Internal)
            .tags(tag("team", "shop + ü"));
        let made = made.send().await?;
        let balancer = made.load_balancers().first().ok_or("nothing was made")?;
        let state = balancer.state().and_then(|state| state.code());
        expect("state", state, Some(&LoadBalancerStateEnum::Active))?;
        let arn = balancer.load_balancer_arn().ok_or("no ARN")?;
        client.wait_until_load_balancer_exists().names("web").wait(PATIENCE).await?;
        client.wait_until_load_balancer_available().load_balancer_arns(arn).wait(PATIENCE).await?;
        let group = self.make_group("app").await?;
        client.register_targets().target_group_arn(&group).set_targets(Some(targets.clone())).send().await?;
        let sticky =
            [attribute("stickiness.enabled", "true"), attribute("deregistration_delay.timeout_seconds", "0")];
        client
            .modify_target_group_attributes()
            .target_group_arn(&group)
            .set_attributes(Some(sticky.into()))
            .send()
            .await?;
        let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&group).build();
        client
            .create_listener()
            .load_balancer_arn(arn)
            .protocol(ProtocolEnum::Http)
            .port(*port)
            .default_actions(forward)
            .send()
            .await?;
        self.until_healthy(&group, targets.len()).await?;
        client.wait_until_target_in_service().target_group_arn(&group).wait(PATIENCE).await?;
        Ok(())
    }

    async fn make_group(&self, name: &str) -> Outcome<String> {
        let made = self
            .client
            .create_target_group()
            .name(name)
            .protocol(ProtocolEnum::Http)
            .port(80)
            .vpc_id("vpc-1")
            .target_type(TargetTypeEnum::Ip)
            .health_check_path("/healthz")
            .health_check_interval_seconds(5)
            .health_check_timeout_seconds(2);
        let made = made.send().await?;
        let arn = made.target_groups().first().and_then(|group| group.target_group_arn());
        Ok(arn.ok_or("no ARN of a group")?.to_owned())
    }

    async fn until_healthy(&self, group: &str, count: usize) -> Outcome {
        for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
            let told = self.client.describe_target_health().target_group_arn(group).send().await?;
            let is_healthy = |one: &&aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
                one.target_health().and_then(|health| health.state()) == Some(&TargetHealthStateEnum::Healthy)
            };
            if told.target_health_descriptions().iter().filter(is_healthy).count() == count {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
        Err("the targets do not become healthy".into())
    }

    async fn change(&self) -> Outcome {
        let Self { client, targets, .. } = self;
        let (balancer, group, listener) =
            (self.balancer().await?, self.group().await?, self.listener().await?);
        let fixed =
            FixedResponseActionConfig::builder().status_code("418").message_body("<tea> & \"more\"").build();
        let fixed =
            Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(fixed).build();
        let paths = PathPatternConditionConfig::builder().values("/tea*").build();
        let condition = RuleCondition::builder().field("path-pattern").path_pattern_config(paths).build();
        let rule =
            client.create_rule().listener_arn(&listener).priority(10).actions(fixed).conditions(condition);
        let rule = rule.send().await?;
        expect("rules", rule.rules().len(), 1)?;
        client.modify_target_group().target_group_arn(&group).health_check_path("/other").send().await?;
        let changed = client.describe_target_groups().target_group_arns(&group).send().await?;
        let path = changed.target_groups().first().and_then(|one| one.health_check_path());
        expect("path", path, Some("/other"))?;
        client.add_tags().resource_arns(&balancer).tags(tag("stage", "test")).send().await?;
        client.remove_tags().resource_arns(&balancer).tag_keys("team").send().await?;
        let told = client.describe_tags().resource_arns(&balancer).send().await?;
        let tags = told.tag_descriptions().first().map(|one| one.tags().to_vec());
        expect("tags", tags, Some(vec![tag("stage", "test")]))?;
        self.pages(&listener).await?;
        self.refused(&group).await?;
        let gone = targets.first().ok_or("no target")?.clone();
        client.deregister_targets().target_group_arn(&group).targets(gone.clone()).send().await?;
        client.wait_until_target_deregistered().target_group_arn(&group).targets(gone).wait(PATIENCE).await?;
        Ok(())
    }

    /// Lists in pages of two, or less.
    async fn pages(&self, listener: &str) -> Outcome {
        for number in 0..4 {
            self.make_group(&format!("more-{number}")).await?;
        }
        let client = &self.client;
        let mut pages = client.describe_target_groups().page_size(2).into_paginator().send();
        let (mut count, mut names) = (0, Vec::new());
        while let Some(page) = pages.next().await {
            count += 1;
            names.extend(
                page?.target_groups().iter().filter_map(|one| one.target_group_name().map(str::to_owned)),
            );
        }
        expect("pages", count, 3)?;
        expect("groups", names.len(), 5)?;
        let balancers = client.describe_load_balancers().into_paginator().items().send();
        expect("load balancers", balancers.collect::<Result<Vec<_>, _>>().await?.len(), 1)?;
        let balancer = self.balancer().await?;
        let listeners =
            client.describe_listeners().load_balancer_arn(balancer).into_paginator().items().send();
        expect("listeners", listeners.collect::<Result<Vec<_>, _>>().await?.len(), 1)?;
        let rules =
            client.describe_rules().listener_arn(listener).page_size(1).into_paginator().items().send();
        expect("rules", rules.collect::<Result<Vec<_>, _>>().await?.len(), 2)?;
        let policies = client.describe_ssl_policies().page_size(2).send().await?;
        expect("policies", policies.ssl_policies().len(), 2)?;
        for number in 0..4 {
            let found = client.describe_target_groups().names(format!("more-{number}")).send().await?;
            let arn = found.target_groups().first().and_then(|one| one.target_group_arn());
            client.delete_target_group().target_group_arn(arn.unwrap_or_default()).send().await?;
        }
        Ok(())
    }

    /// What cannot be is refused by a type of its own, with ALB's code and a number of the request.
    async fn refused(&self, group: &str) -> Outcome {
        let client = &self.client;
        match client.delete_target_group().target_group_arn(group).send().await {
            Err(SdkError::ServiceError(refused)) if refused.raw().status().as_u16() == 400 => {
                match refused.err() {
                    DeleteTargetGroupError::ResourceInUseException(_) => {}
                    other => return Err(format!("in use, and {other:?}").into()),
                }
            }
            other => return Err(format!("a group in use is gone: {other:?}").into()),
        }
        match client.describe_target_groups().names("none").send().await.map_err(SdkError::into_service_error)
        {
            Err(DescribeTargetGroupsError::TargetGroupNotFoundException(_)) => {}
            other => return Err(format!("a group that is not there: {other:?}").into()),
        }
        let again = client.create_load_balancer().name("web").subnets("other").send().await;
        match again.map_err(SdkError::into_service_error) {
            Err(CreateLoadBalancerError::DuplicateLoadBalancerNameException(_)) => {}
            other => return Err(format!("the same name again: {other:?}").into()),
        }
        let wrong = attribute("stickiness.lb_cookie.duration_seconds", "999999");
        let wrong =
            client.modify_target_group_attributes().target_group_arn(group).attributes(wrong).send().await;
        let wrong = wrong.err().ok_or("a duration that is none is taken")?;
        expect("code", wrong.code(), Some("ValidationError"))
    }

    async fn remove(&self) -> Outcome {
        let client = &self.client;
        let (balancer, group) = (self.balancer().await?, self.group().await?);
        client.delete_listener().listener_arn(self.listener().await?).send().await?;
        client.delete_load_balancer().load_balancer_arn(&balancer).send().await?;
        client.wait_until_load_balancers_deleted().load_balancer_arns(&balancer).wait(PATIENCE).await?;
        client.delete_target_group().target_group_arn(&group).send().await?;
        let left = client.describe_target_groups().send().await?;
        expect("groups left", left.target_groups().len(), 0)
    }
}
