//! Whether records that somebody else has written are such as operations would have made them: what a configuration does not
//! look at is told back to clients, and has to be what they know. Must not know: where they come from.

use super::{
    arn::ArnKind,
    attributes::{self, AttributeRule, SetAttributes},
    call::shown,
    document::address_of,
    names,
    records::{
        ActionRecord, ListenerRecord, LoadBalancerRecord, PACKET_PROTOCOLS, RecordOwner, Records, RuleRecord,
        TargetGroupRecord, TrustStoreRecord,
    },
    resource::RecordKind,
    tagging,
};

/// Most faults that are told.
const TOLD: usize = 20;

impl Records {
    /// What of them no operation would have made; the first of it, where it is much.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = RecordFaults::default();
        faults.of_kind::<LoadBalancerRecord>(self, |record| &record.arn);
        faults.of_kind::<TargetGroupRecord>(self, |record| &record.arn);
        faults.of_kind::<ListenerRecord>(self, |record| &record.arn);
        faults.of_kind::<RuleRecord>(self, |record| &record.arn);
        faults.of_kind::<TrustStoreRecord>(self, |record| &record.arn);
        self.load_balancers.iter().for_each(|(arn, record)| faults.of_load_balancer(arn, record));
        self.target_groups.iter().for_each(|(arn, record)| faults.of_target_group(arn, record));
        for (arn, record) in &self.listeners {
            faults.of_attributes(arn, attributes::listener::RULES, &record.attributes);
            faults.of_actions(arn, &record.default_actions);
        }
        self.rules.iter().for_each(|(arn, record)| faults.of_actions(arn, &record.actions));
        faults.0
    }
}

#[derive(Default)]
struct RecordFaults(Vec<String>);

impl RecordFaults {
    fn add(&mut self, arn: &str, what: &str) {
        if self.0.len() < TOLD {
            self.0.push(format!("{}: {what}", shown(arn)));
        }
    }

    fn word(&mut self, arn: &str, name: &str, word: &str, allowed: &[&str]) {
        if !allowed.contains(&word) {
            self.add(arn, &format!("{name} is '{}'; allowed: {}", shown(word), allowed.join(", ")));
        }
    }

    fn of_kind<R: RecordKind>(&mut self, records: &Records, own_arn: fn(&R) -> &String) {
        let name = R::KIND.name();
        for (arn, record) in R::all(records) {
            if ArnKind::of(arn) != Some(R::KIND) {
                self.add(arn, &format!("is no ARN of a {name}"));
            }
            if own_arn(record) != arn {
                self.add(arn, &format!("holds a {name} with another ARN, '{}'", shown(own_arn(record))));
            }
            if let RecordOwner::File(file) = record.owner() {
                let file = shown(file);
                self.add(
                    arn,
                    &format!("is of the file {file}; a state has what was made through the API alone"),
                );
            }
            if let Err(failure) = tagging::within_limit(record.tags()) {
                self.add(arn, &failure.message);
            }
        }
    }

    fn of_load_balancer(&mut self, arn: &str, record: &LoadBalancerRecord) {
        self.word(arn, "scheme", &record.scheme, &["internet-facing", "internal"]);
        let types = ["ipv4", "dualstack", "dualstack-without-public-ipv4"];
        self.word(arn, "ip_address_type", &record.ip_address_type, &types);
        self.of_attributes(arn, attributes::load_balancer::RULES, &record.attributes);
        for failure in
            [names::check("The name", &record.name).err(), address_of(record).err()].into_iter().flatten()
        {
            self.add(arn, &failure.message);
        }
    }

    fn of_target_group(&mut self, arn: &str, record: &TargetGroupRecord) {
        self.word(arn, "target_type", &record.target_type, &["instance", "ip"]);
        self.word(arn, "ip_address_type", &record.ip_address_type, &["ipv4", "ipv6"]);
        if !record.is_http() {
            // A configuration, which has the others, never sees it.
            self.word(arn, "protocol", &record.protocol, PACKET_PROTOCOLS);
        }
        self.of_attributes(arn, attributes::packet_group::rules_of(&record.protocol), &record.attributes);
        if !record.health_check.enabled {
            self.add(arn, "has no health checks; allowed: groups that have");
        }
    }

    fn of_attributes(&mut self, arn: &str, rules: &'static [AttributeRule], set: &SetAttributes) {
        for (key, value) in set {
            match attributes::kept(rules, key, value) {
                None => self.add(arn, &format!("attribute key '{}' is not recognized", shown(key))),
                Some(Err(failure)) => self.add(arn, &failure.message),
                Some(Ok(kept)) if kept != *value => {
                    self.add(arn, &format!("'{key}' value '{}' is kept as '{kept}'", shown(value)));
                }
                Some(Ok(_)) => {}
            }
        }
    }

    fn of_actions(&mut self, arn: &str, actions: &[ActionRecord]) {
        if actions.len() != 1 {
            self.add(arn, &format!("has {} actions; allowed: one", actions.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Changes the one group there is.
    type Spoil = fn(&mut TargetGroupRecord);

    fn group() -> TargetGroupRecord {
        let mut group = TargetGroupRecord {
            arn: "arn:aws:elasticloadbalancing:r:a:targetgroup/app/1".to_owned(),
            name: "app".to_owned(),
            protocol: "HTTP".to_owned(),
            target_type: "ip".to_owned(),
            ip_address_type: "ipv4".to_owned(),
            attributes: BTreeMap::from([("stickiness.enabled".to_owned(), "true".to_owned())]),
            ..TargetGroupRecord::default()
        };
        group.health_check.enabled = true;
        group
    }

    #[test]
    fn what_no_operation_would_have_made_is_told() {
        let of = |spoil: Spoil| {
            let mut group = group();
            let arn = group.arn.clone();
            spoil(&mut group);
            Records { target_groups: BTreeMap::from([(arn, group)]), ..Records::default() }
                .faults()
                .join("\n")
        };
        assert_eq!(of(|_| ()), "");
        let cases: [(Spoil, &str); 8] = [
            (|group| group.arn.push('x'), "another ARN"),
            (|group| group.owner = RecordOwner::File("/etc/b.hcl".to_owned()), "is of the file /etc/b.hcl"),
            (
                |group| group.target_type = "lambda".to_owned(),
                "target_type is 'lambda'; allowed: instance, ip",
            ),
            (|group| group.ip_address_type = String::new(), "ip_address_type is ''"),
            (|group| group.health_check.enabled = false, "no health checks"),
            (
                |group| drop(group.attributes.insert("no.such".into(), "1".into())),
                "'no.such' is not recognized",
            ),
            (
                |group| drop(group.attributes.insert("stickiness.enabled".into(), "maybe".into())),
                "'maybe' must be",
            ),
            (
                |group| drop(group.attributes.insert("stickiness.enabled".into(), "TRUE".into())),
                "is kept as 'true'",
            ),
        ];
        for (spoil, told) in cases {
            let faults = of(spoil);
            assert!(faults.contains(told), "{told}: {faults}");
        }
        let misnamed = Records {
            load_balancers: BTreeMap::from([("web".to_owned(), LoadBalancerRecord::default())]),
            rules: BTreeMap::from([(group().arn, RuleRecord { arn: group().arn, ..RuleRecord::default() })]),
            ..Records::default()
        };
        let faults = misnamed.faults().join("\n");
        for told in [
            "web: is no ARN of a load balancer",
            "scheme is ''",
            "'' cannot be empty",
            "is no ARN of a listener rule",
            "has 0 actions",
        ] {
            assert!(faults.contains(told), "{told}: {faults}");
        }
    }
}
