//! ARNs of load balancers, groups, listeners, rules and trust stores:
//! `arn:aws:elasticloadbalancing:REGION:ACCOUNT:KIND/…`. Listeners and rules continue the path of their load balancer.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// What an ARN is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArnKind {
    /// `loadbalancer/app/NAME/ID`.
    LoadBalancer,
    /// `targetgroup/NAME/ID`.
    TargetGroup,
    /// `listener/app/NAME/ID/ID`.
    Listener,
    /// `listener-rule/app/NAME/ID/ID/ID`.
    Rule,
    /// `truststore/NAME/ID`.
    TrustStore,
}

impl ArnKind {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load balancer",
            Self::TargetGroup => "target group",
            Self::Listener => "listener",
            Self::Rule => "listener rule",
            Self::TrustStore => "trust store",
        }
    }

    /// What an ARN is of; nothing when it is none of this service, or has another number of parts.
    #[must_use]
    pub fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let is_ours = parts.next() == Some("arn")
            && parts.next().is_some_and(|partition| partition.starts_with("aws"))
            && parts.next() == Some("elasticloadbalancing");
        let path: Vec<&str> = parts.nth(2).filter(|_| is_ours)?.split('/').collect();
        match path.as_slice() {
            _ if path.iter().any(|part| part.is_empty()) => None,
            ["loadbalancer", "app", _, _] => Some(Self::LoadBalancer),
            ["targetgroup", _, _] => Some(Self::TargetGroup),
            ["listener", "app", _, _, _] => Some(Self::Listener),
            ["listener-rule", "app", _, _, _, _] => Some(Self::Rule),
            ["truststore", _, _] => Some(Self::TrustStore),
            _ => None,
        }
    }
}

/// Makes ARNs of a region and an account.
#[derive(Clone, Copy, Debug)]
pub struct ArnMaker<'a> {
    /// Region.
    pub region: &'a str,
    /// Account.
    pub account: &'a str,
}

impl ArnMaker<'_> {
    fn arn(self, path: &str) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:{path}", self.region, self.account)
    }

    /// Of a load balancer.
    #[must_use]
    pub fn load_balancer(self, name: &str, id: u64) -> String {
        self.arn(&format!("loadbalancer/app/{name}/{id:016x}"))
    }

    /// Of a target group.
    #[must_use]
    pub fn target_group(self, name: &str, id: u64) -> String {
        self.arn(&format!("targetgroup/{name}/{id:016x}"))
    }

    /// Of a trust store.
    #[must_use]
    pub fn trust_store(self, name: &str, id: u64) -> String {
        self.arn(&format!("truststore/{name}/{id:016x}"))
    }
}

/// The ARN of a listener of a load balancer.
#[must_use]
pub fn listener_arn(load_balancer: &str, id: u64) -> String {
    format!("{}/{id:016x}", load_balancer.replacen(":loadbalancer/", ":listener/", 1))
}

/// The ARN of a rule of a listener.
#[must_use]
pub fn rule_arn(listener: &str, id: u64) -> String {
    format!("{}/{id:016x}", listener.replacen(":listener/", ":listener-rule/", 1))
}

/// The ARN of a listener's default rule.
#[must_use]
pub fn default_rule_arn(listener: &str) -> String {
    rule_arn(listener, id_of(0, "default rule", listener))
}

/// An id that follows from a number and texts: the same ones give the same id.
#[must_use]
pub fn id_of(seed: u64, kind: &str, name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, 0x61_72_6e);
    hasher.write(kind.as_bytes());
    hasher.write_u8(0);
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// The name in an ARN: of a listener or a rule, that of its load balancer.
pub(super) fn name_in(arn: &str) -> &str {
    let mut parts = arn.split('/').skip(1);
    match parts.next() {
        Some("app") => parts.next().unwrap_or_default(),
        other => other.unwrap_or_default(),
    }
}

/// The last part of an ARN's path: its id.
#[must_use]
pub fn id_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKER: ArnMaker<'_> = ArnMaker { region: "eu-west-1", account: "123456789012" };

    #[test]
    fn arns_are_of_the_kind_they_were_made_as() {
        let balancer = MAKER.load_balancer("web", 1);
        assert_eq!(
            balancer,
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/0000000000000001"
        );
        let listener = listener_arn(&balancer, 2);
        assert!(listener.ends_with(":listener/app/web/0000000000000001/0000000000000002"));
        let rule = rule_arn(&listener, 3);
        assert!(rule.ends_with(":listener-rule/app/web/0000000000000001/0000000000000002/0000000000000003"));
        let group = MAKER.target_group("g", 4);
        let kinds =
            [&balancer, &listener, &rule, &group, &MAKER.trust_store("t", 5)].map(|arn| ArnKind::of(arn));
        let expected = [
            ArnKind::LoadBalancer,
            ArnKind::Listener,
            ArnKind::Rule,
            ArnKind::TargetGroup,
            ArnKind::TrustStore,
        ];
        assert_eq!(kinds, expected.map(Some));
        assert_eq!(ArnKind::of(&default_rule_arn(&listener)), Some(ArnKind::Rule));
        assert_eq!(id_in(&rule), "0000000000000003");
        assert_eq!([&balancer, &listener, &rule, &group].map(|arn| name_in(arn)), ["web", "web", "web", "g"]);
        assert_eq!((name_in("app"), name_in("x/app"), name_in("")), ("", "", ""));
    }

    #[test]
    fn a_load_balancer_of_that_name_does_not_lead_a_listener_astray() {
        let listener = listener_arn(&MAKER.load_balancer("listener", 1), 2);
        assert_eq!(ArnKind::of(&listener), Some(ArnKind::Listener));
        assert_eq!(ArnKind::of(&rule_arn(&listener, 1)), Some(ArnKind::Rule));
    }

    #[test]
    fn other_texts_are_no_arns() {
        for text in [
            "",
            "web",
            "arn:aws:s3:::bucket",
            "arn:aws:elasticloadbalancing:r:a:loadbalancer/net/web/1",
            "arn:aws:elasticloadbalancing:r:a:loadbalancer/app//1",
            "arn:aws:elasticloadbalancing:r:a:targetgroup/g",
            "arn:aws:elasticloadbalancing:r:a:targetgroup/g/1/2",
            "arn:aws:elasticloadbalancing:r",
        ] {
            assert_eq!(ArnKind::of(text), None, "{text}");
        }
    }
}
