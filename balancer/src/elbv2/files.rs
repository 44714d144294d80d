//! What files say, as records: told of through the API, and changed in the files alone. Must not know: who asks.

mod rules;

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
};

use self::rules::{action, condition, transforms};
use super::{
    arn::{ArnMaker, id_of, listener_arn, rule_arn},
    records::{
        CertificateRecord, HealthCheckRecord, ListenerRecord, LoadBalancerRecord, MutualAuthenticationRecord,
        RecordOwner, Records, RuleRecord, TargetGroupRecord, TargetRecord, TrustStoreRecord,
    },
};
use crate::{
    model::{
        Certificate, Configuration, DesyncMode, HealthCheck, HealthCheckPort, Listener, LoadBalancer,
        MutualAuthentication, ProbeProtocol, ProtocolVersion, StickinessKind, StickinessSettings,
        TargetAddress, TargetGroup, TlsFact, TrustStore, XffMode,
    },
    tls,
};

/// What ids of what stands in files are made of, beside names: the same at each start.
const SEED: u64 = 0;

/// What files say.
#[derive(Clone, Debug, Default)]
pub struct FileRecords {
    /// As records.
    pub records: Arc<Records>,
    /// What each is called in the files, by its ARN.
    names: HashMap<String, String>,
    /// Where the listeners of a load balancer are, by its ARN.
    addresses: HashMap<String, IpAddr>,
}

/// Where records of files come from.
#[derive(Clone, Copy, Debug)]
pub struct FileFacts<'a> {
    /// The configuration in force.
    pub configuration: &'a Configuration,
    /// What it was read from, which is told of where no file is known.
    pub place: &'a str,
    /// The document of what was made through the API, which is left out.
    pub document: &'a Path,
    /// What makes ARNs.
    pub arns: ArnMaker<'a>,
}

impl FileRecords {
    /// Of a configuration.
    #[must_use]
    pub fn of(facts: FileFacts<'_>) -> Self {
        let mut found = RecordReader { facts, records: Records::default(), known: Self::default() };
        found.read();
        Self { records: Arc::new(found.records), ..found.known }
    }

    /// What a block is called in the files; nothing where it is in none.
    #[must_use]
    pub fn name_of(&self, arn: &str) -> Option<&str> {
        self.names.get(arn).map(String::as_str)
    }

    /// Where another listener of a load balancer of the files is.
    #[must_use]
    pub fn address_of(&self, load_balancer: &str) -> IpAddr {
        self.addresses.get(load_balancer).copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }
}

struct RecordReader<'a> {
    facts: FileFacts<'a>,
    records: Records,
    known: FileRecords,
}

impl RecordReader<'_> {
    /// Whose it is; nothing where it was made through the API.
    fn owner(&self, file: Option<&Path>) -> Option<RecordOwner> {
        if file == Some(self.facts.document) {
            return None;
        }
        Some(RecordOwner::File(
            file.map_or_else(|| self.facts.place.to_owned(), |file| file.display().to_string()),
        ))
    }

    fn read(&mut self) {
        let configuration = self.facts.configuration;
        let inventory = &configuration.inventory;
        let arns = self.facts.arns;
        let balancer_arns: Vec<String> = configuration
            .load_balancers
            .iter()
            .map(|one| arns.load_balancer(&one.name, id_of(SEED, "load balancer", &one.name)))
            .collect();
        let group_arns: Vec<String> = configuration
            .target_groups
            .iter()
            .map(|one| arns.target_group(&one.name, id_of(SEED, "target group", &one.name)))
            .collect();
        for (index, (balancer, arn)) in configuration.load_balancers.iter().zip(&balancer_arns).enumerate() {
            let file = inventory.load_balancers.get(index).map(|file| &**file);
            // One that nobody has written is there for the listeners of files that name none.
            if file.is_none()
                && !configuration.listeners.iter().any(|listener| listener.load_balancer == index)
            {
                continue;
            }
            if let Some(owner) = self.owner(file) {
                self.known.names.insert(arn.clone(), balancer.name.clone());
                self.records.load_balancers.insert(arn.clone(), load_balancer(balancer, arn, owner));
            }
        }
        for (index, (group, arn)) in configuration.target_groups.iter().zip(&group_arns).enumerate() {
            if let Some(owner) = self.owner(inventory.target_groups.get(index).map(|file| &**file)) {
                self.known.names.insert(arn.clone(), group.name.clone());
                self.records.target_groups.insert(arn.clone(), target_group(group, arn, owner));
            }
        }
        for (store, file) in &inventory.trust_stores {
            let arn = self.trust_store_arn(store);
            if let Some(owner) = self.owner(Some(file)) {
                self.known.names.insert(arn.clone(), store.name.clone());
                self.records.trust_stores.insert(arn.clone(), trust_store(store, &arn, owner));
            }
        }
        for listener in &configuration.listeners {
            let file = inventory.listeners.get(&listener.name).map(|file| &**file);
            let (owner, balancer) = (self.owner(file), balancer_arns.get(listener.load_balancer));
            if let (Some(owner), Some(balancer)) = (owner, balancer) {
                self.listener(listener, balancer, owner, &group_arns);
            }
        }
    }

    fn trust_store_arn(&self, store: &TrustStore) -> String {
        self.facts.arns.trust_store(&store.name, id_of(SEED, "trust store", &store.name))
    }

    fn listener(&mut self, listener: &Listener, balancer: &str, owner: RecordOwner, groups: &[String]) {
        let arn = listener_arn(balancer, id_of(SEED, "listener", &listener.name));
        self.known.names.insert(arn.clone(), listener.name.clone());
        self.known.addresses.entry(balancer.to_owned()).or_insert(listener.address.ip());
        for rule in &listener.rules {
            let file = self.facts.configuration.inventory.rules.get(&rule.name).map(|file| &**file);
            // A rule that was made through the API may be one of a listener of the files.
            let Some(owner) = self.owner(file) else { continue };
            let arn_of_rule = rule_arn(&arn, id_of(SEED, "rule", &rule.name));
            let record = RuleRecord {
                arn: arn_of_rule.clone(),
                listener_arn: arn.clone(),
                owner,
                priority: rule.priority,
                conditions: rule.conditions.iter().map(condition).collect(),
                actions: vec![action(&rule.action, groups)],
                transforms: transforms(&rule.transforms),
                tags: BTreeMap::new(),
            };
            self.records.rules.insert(arn_of_rule, record);
        }
        let tls = listener.tls.as_ref();
        let others = tls.into_iter().flat_map(|tls| &tls.certificates).map(|one| (one, false));
        let default = tls.map(|tls| (&tls.default_certificate, true));
        let record = ListenerRecord {
            arn: arn.clone(),
            load_balancer_arn: balancer.to_owned(),
            owner,
            port: listener.address.port(),
            protocol: if tls.is_some() { "HTTPS" } else { "HTTP" }.to_owned(),
            ssl_policy: tls.map(|tls| tls.policy.name.to_owned()),
            certificates: default
                .into_iter()
                .chain(others)
                .map(|(certificate, is_default)| CertificateRecord {
                    arn: self.certificate_arn(certificate),
                    is_default,
                })
                .collect(),
            mutual_authentication: tls
                .and_then(|tls| self.mutual_authentication(tls.mutual_authentication.as_ref()?)),
            default_actions: vec![action(&listener.default_action, groups)],
            attributes: listener_attributes(listener),
            tags: BTreeMap::new(),
        };
        self.records.listeners.insert(arn, record);
    }

    /// One that has none gets one here: clients want something to show.
    fn certificate_arn(&self, certificate: &Certificate) -> String {
        let ArnMaker { region, account } = self.facts.arns;
        let made = || format!("arn:aws:acm:{region}:{account}:certificate/{}", certificate.name);
        certificate.arn.clone().unwrap_or_else(made)
    }

    fn mutual_authentication(&self, asked: &MutualAuthentication) -> Option<MutualAuthenticationRecord> {
        Some(match asked {
            MutualAuthentication::Passthrough => MutualAuthenticationRecord {
                mode: "passthrough".to_owned(),
                ..MutualAuthenticationRecord::default()
            },
            MutualAuthentication::Verify { trust_store, ignore_expiry, advertise_names } => {
                MutualAuthenticationRecord {
                    mode: "verify".to_owned(),
                    trust_store_arn: Some(self.trust_store_arn(trust_store)),
                    ignore_client_certificate_expiry: Some(*ignore_expiry),
                    advertise_trust_store_ca_names: Some(
                        if *advertise_names { "on" } else { "off" }.to_owned(),
                    ),
                }
            }
        })
    }
}

fn attributes(pairs: impl IntoIterator<Item = (&'static str, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn load_balancer(balancer: &LoadBalancer, arn: &str, owner: RecordOwner) -> LoadBalancerRecord {
    let mode = match balancer.xff_mode {
        XffMode::Append => "append",
        XffMode::Preserve => "preserve",
        XffMode::Remove => "remove",
    };
    let desync = match balancer.desync_mitigation_mode {
        DesyncMode::Monitor => "monitor",
        DesyncMode::Defensive => "defensive",
        DesyncMode::Strictest => "strictest",
    };
    LoadBalancerRecord {
        arn: arn.to_owned(),
        name: balancer.name.clone(),
        owner,
        scheme: if balancer.internal { "internal" } else { "internet-facing" }.to_owned(),
        ip_address_type: "ipv4".to_owned(),
        attributes: attributes([
            ("idle_timeout.timeout_seconds", balancer.idle_timeout.as_secs().to_string()),
            ("client_keep_alive.seconds", balancer.client_keep_alive.as_secs().to_string()),
            ("routing.http.desync_mitigation_mode", desync.to_owned()),
            (
                "routing.http.drop_invalid_header_fields.enabled",
                balancer.drop_invalid_header_fields.to_string(),
            ),
            ("routing.http.preserve_host_header.enabled", balancer.preserve_host_header.to_string()),
            (
                "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
                balancer.tls_version_and_cipher_suite.to_string(),
            ),
            ("routing.http.x_amzn_tls_kx.enabled", balancer.tls_key_exchange.to_string()),
            ("routing.http.xff_client_port.enabled", balancer.xff_client_port.to_string()),
            ("routing.http.xff_header_processing.mode", mode.to_owned()),
            ("routing.http2.enabled", balancer.enable_http2.to_string()),
            ("access_logs.s3.enabled", balancer.access_logs.is_some().to_string()),
            ("health_check_logs.s3.enabled", balancer.health_check_logs.is_some().to_string()),
        ]),
        ..LoadBalancerRecord::default()
    }
}

fn target_group(group: &TargetGroup, arn: &str, owner: RecordOwner) -> TargetGroupRecord {
    let version = match group.protocol_version {
        ProtocolVersion::Http1 => "HTTP1",
        ProtocolVersion::Http2 => "HTTP2",
        ProtocolVersion::Grpc => "GRPC",
    };
    let percentage =
        group.minimum_healthy.percentage.map_or("off".to_owned(), |percentage| percentage.to_string());
    let slow_start = group.slow_start.map_or(0, |slow_start| slow_start.as_secs());
    let routing = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let mut attributes = attributes([
        ("deregistration_delay.timeout_seconds", group.deregistration_delay.as_secs().to_string()),
        ("slow_start.duration_seconds", slow_start.to_string()),
        ("load_balancing.algorithm.type", group.algorithm.as_str().to_owned()),
        (
            "load_balancing.algorithm.anomaly_mitigation",
            if group.anomaly_mitigation { "on" } else { "off" }.to_owned(),
        ),
        ("routing.http2.rst_stream_error_forwarding.enabled", group.forwards_resets.to_string()),
    ]);
    attributes.insert(format!("{routing}.count"), group.minimum_healthy.count.to_string());
    attributes.insert(format!("{routing}.percentage"), percentage);
    attributes.extend(group.stickiness.as_ref().map(stickiness).unwrap_or_default());
    TargetGroupRecord {
        arn: arn.to_owned(),
        name: group.name.clone(),
        owner,
        protocol: if group.tls.is_some() { "HTTPS" } else { "HTTP" }.to_owned(),
        protocol_version: version.to_owned(),
        port: group.port,
        target_type: "ip".to_owned(),
        ip_address_type: "ipv4".to_owned(),
        health_check: health_check(&group.health_check),
        attributes,
        targets: group
            .targets
            .iter()
            .map(|target| TargetRecord {
                id: match &target.address {
                    TargetAddress::Ip(address) => address.to_string(),
                    TargetAddress::Host(name) => name.clone(),
                    TargetAddress::Unix(path) => format!("unix:{}", path.display()),
                },
                port: Some(target.port),
                availability_zone: None,
            })
            .collect(),
        ..TargetGroupRecord::default()
    }
}

fn stickiness(settings: &StickinessSettings) -> BTreeMap<String, String> {
    let seconds = settings.duration_seconds.to_string();
    let mut found = attributes([("stickiness.enabled", "true".to_owned())]);
    // Bound to a header field is what ALB has no word for: next to it is the application's cookie.
    let kind = match &settings.kind {
        StickinessKind::LoadBalancerCookie => "lb_cookie",
        StickinessKind::ApplicationCookie { cookie_name } => {
            found.insert("stickiness.app_cookie.cookie_name".to_owned(), cookie_name.clone());
            "app_cookie"
        }
        StickinessKind::ApplicationHeader { header_name } => {
            found.insert("stickiness.app_cookie.cookie_name".to_owned(), header_name.clone());
            "app_cookie"
        }
    };
    found.insert("stickiness.type".to_owned(), kind.to_owned());
    found.insert(format!("stickiness.{kind}.duration_seconds"), seconds);
    found
}

fn health_check(check: &HealthCheck) -> HealthCheckRecord {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let codes = check.matcher.0.iter().map(|(low, high)| match low == high {
        true => low.to_string(),
        false => format!("{low}-{high}"),
    });
    HealthCheckRecord {
        enabled: check.enabled,
        protocol: match check.protocol {
            ProbeProtocol::Http => "HTTP",
            ProbeProtocol::Https => "HTTPS",
        }
        .to_owned(),
        port: match check.port {
            HealthCheckPort::Traffic => "traffic-port".to_owned(),
            HealthCheckPort::Port(port) => port.to_string(),
        },
        path: check.path.clone(),
        interval: seconds(check.interval),
        timeout: seconds(check.timeout),
        healthy_threshold: check.healthy_threshold.into(),
        unhealthy_threshold: check.unhealthy_threshold.into(),
        matcher: codes.collect::<Vec<_>>().join(","),
    }
}

fn listener_attributes(listener: &Listener) -> BTreeMap<String, String> {
    let fields = &listener.response_fields;
    let mut found = attributes([("routing.http.response.server.enabled", fields.server.to_string())]);
    for (field, value) in &fields.set {
        let name = field.to_ascii_lowercase().replace('-', "_");
        found.insert(format!("routing.http.response.{name}.header_value"), value.clone());
    }
    for fact in TlsFact::ALL {
        let name = listener.tls_field_names.get(fact.index());
        if let Some(name) = name.filter(|name| *name != fact.default_name()) {
            let key = fact.default_name().to_ascii_lowercase().replace('-', "_");
            found.insert(format!("routing.http.request.{key}.header_name"), name.clone());
        }
    }
    found
}

fn trust_store(store: &TrustStore, arn: &str, owner: RecordOwner) -> TrustStoreRecord {
    TrustStoreRecord {
        arn: arn.to_owned(),
        name: store.name.clone(),
        owner,
        ca_file: store.authorities.file.display().to_string(),
        certificates: u32::try_from(store.authorities.certificates.len()).unwrap_or(u32::MAX),
        revocations: (1..)
            .zip(store.revocations.iter().map(|list| list.file.display().to_string()))
            .collect(),
        revoked: (1..)
            .zip(store.revocations.iter().map(|list| tls::count_revoked(std::slice::from_ref(list))))
            .collect(),
        tags: BTreeMap::new(),
    }
}
