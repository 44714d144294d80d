//! What is kept of what was made through the API. Texts are kept as they were given: what they mean is judged when they are
//! taken in, and once more by the configuration that is made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who says what a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RecordOwner {
    /// It was made through the API, and is changed there.
    #[default]
    Api,
    /// It is written in this file, and is changed there.
    File(String),
}

/// All resources, by their ARNs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Load balancers.
    pub load_balancers: BTreeMap<String, LoadBalancerRecord>,
    /// Target groups.
    pub target_groups: BTreeMap<String, TargetGroupRecord>,
    /// Listeners.
    pub listeners: BTreeMap<String, ListenerRecord>,
    /// Rules, but for default ones: these are actions of their listeners.
    pub rules: BTreeMap<String, RuleRecord>,
    /// Trust stores.
    pub trust_stores: BTreeMap<String, TrustStoreRecord>,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerRecord {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Who says what it is.
    pub owner: RecordOwner,
    /// When it was made, seconds since 1970.
    pub created: u64,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// `ipv4`, `dualstack` or `dualstack-without-public-ipv4`.
    pub ip_address_type: String,
    /// Taken on trust.
    pub vpc_id: String,
    /// Subnet ids, taken on trust.
    pub subnets: Vec<String>,
    /// Security group ids, taken on trust.
    pub security_groups: Vec<String>,
    /// Attributes that were set, by their keys; all others have their defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A target group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetGroupRecord {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Who says what it is.
    pub owner: RecordOwner,
    /// `HTTP` or `HTTPS`; or one that passes on packets, such as `TCP`.
    pub protocol: String,
    /// `HTTP1`, `HTTP2` or `GRPC`; of packets nothing.
    pub protocol_version: String,
    /// Port of targets that give none.
    pub port: u16,
    /// Taken on trust.
    pub vpc_id: String,
    /// `instance` or `ip`.
    pub target_type: String,
    /// `ipv4` or `ipv6`.
    pub ip_address_type: String,
    /// Its health checks.
    pub health_check: HealthCheckRecord,
    /// Attributes that were set, by their keys; all others have their defaults.
    pub attributes: BTreeMap<String, String>,
    /// Its targets, in the order in which they were registered.
    pub targets: Vec<TargetRecord>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// Protocols of groups that other kinds of load balancers have, which pass on packets. Such groups are kept and told of as on AWS,
/// where no Application Load Balancer can forward to them either.
pub(super) const PACKET_PROTOCOLS: &[&str] = &["TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE"];

impl TargetGroupRecord {
    /// Whether listeners can forward to it.
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(self.protocol.as_str(), "HTTP" | "HTTPS")
    }
}

/// Health checks of a target group, defaults filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheckRecord {
    /// Whether there are any.
    pub enabled: bool,
    /// `HTTP` or `HTTPS`; of groups of packets also `TCP`.
    pub protocol: String,
    /// `traffic-port` or a port.
    pub port: String,
    /// Path, or method of gRPC; with `TCP` nothing.
    pub path: String,
    /// Seconds.
    pub interval: u32,
    /// Seconds.
    pub timeout: u32,
    /// Successes in a row.
    pub healthy_threshold: u32,
    /// Failures in a row.
    pub unhealthy_threshold: u32,
    /// Codes that count as healthy, HTTP's or gRPC's.
    pub matcher: String,
}

/// A target as it was registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetRecord {
    /// Instance id or address.
    pub id: String,
    /// Its port where it was given.
    pub port: Option<u16>,
    /// `all` or a zone, where it was given.
    pub availability_zone: Option<String>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerRecord {
    /// Its ARN.
    pub arn: String,
    /// That of its load balancer.
    pub load_balancer_arn: String,
    /// Who says what it is.
    pub owner: RecordOwner,
    /// Its port.
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// Security policy of HTTPS.
    pub ssl_policy: Option<String>,
    /// Certificates, the default one among them.
    pub certificates: Vec<CertificateRecord>,
    /// Mutual TLS, where it was asked for.
    pub mutual_authentication: Option<MutualAuthenticationRecord>,
    /// Its default actions in their order.
    pub default_actions: Vec<ActionRecord>,
    /// Attributes that were set, by their keys; all others have their defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A certificate of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRecord {
    /// Its ARN, as a `certificate` block of the configuration names it.
    pub arn: String,
    /// Whether it is the one for who names no host that another is for.
    pub is_default: bool,
}

/// Mutual TLS of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MutualAuthenticationRecord {
    /// `off`, `passthrough` or `verify`.
    pub mode: String,
    /// The trust store of `verify`.
    pub trust_store_arn: Option<String>,
    /// Whether certificates that have expired are taken.
    pub ignore_client_certificate_expiry: Option<bool>,
    /// `on` or `off`.
    pub advertise_trust_store_ca_names: Option<String>,
}

/// A rule that is not a listener's default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleRecord {
    /// Its ARN.
    pub arn: String,
    /// That of its listener.
    pub listener_arn: String,
    /// Who says what it is.
    pub owner: RecordOwner,
    /// 1 to 50000.
    pub priority: u16,
    /// Its conditions.
    pub conditions: Vec<ConditionRecord>,
    /// Its actions in their order.
    pub actions: Vec<ActionRecord>,
    /// Its transforms.
    pub transforms: Vec<TransformRecord>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A condition of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionRecord {
    /// `host-header`, `path-pattern`, `http-header`, `http-request-method`, `query-string` or `source-ip`.
    pub field: String,
    /// The field's name, of `http-header`.
    pub header_name: Option<String>,
    /// Values, of all but `query-string`.
    pub values: Vec<String>,
    /// Regular expressions in the place of values.
    pub regex_values: Vec<String>,
    /// Keys, where there are, and values of `query-string`.
    pub query: Vec<(Option<String>, String)>,
    /// Whether it was given as `Values` beside the field (the old form), and is told so as well.
    pub old_form: bool,
}

/// An action of a listener or a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// Its order, where it was given.
    pub order: Option<u32>,
    /// What it does.
    pub kind: ActionKind,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionKind {
    /// `forward`.
    Forward {
        /// Groups by ARN; one at least.
        groups: Vec<WeightedGroupRecord>,
        /// `TargetGroupStickinessConfig.Enabled`, where it was given.
        sticky: Option<bool>,
        /// `TargetGroupStickinessConfig.DurationSeconds`, where it was given.
        sticky_seconds: Option<u32>,
    },
    /// `redirect`.
    Redirect {
        /// Of the parts of where it leads, those that were given.
        protocol: Option<String>,
        /// Port.
        port: Option<String>,
        /// Host.
        host: Option<String>,
        /// Path.
        path: Option<String>,
        /// Query.
        query: Option<String>,
        /// `HTTP_301` or `HTTP_302`.
        status_code: String,
    },
    /// `fixed-response`.
    FixedResponse {
        /// Three digits.
        status_code: String,
        /// Content type, where it was given.
        content_type: Option<String>,
        /// Body, where it was given.
        message_body: Option<String>,
    },
}

/// A group of a forward action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightedGroupRecord {
    /// Its ARN.
    pub arn: String,
    /// 0 to 999, where it was given.
    pub weight: Option<u16>,
}

/// A transform of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransformRecord {
    /// `host-header-rewrite` or `url-rewrite`.
    pub kind: String,
    /// Regular expression and replacement of its rewrites.
    pub rewrites: Vec<(String, String)>,
}

/// A trust store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustStoreRecord {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Who says what it is.
    pub owner: RecordOwner,
    /// Path of its certificates on this host (the API's bucket and key name a file).
    pub ca_file: String,
    /// Certificates in it.
    pub certificates: u32,
    /// Paths of its revocation lists by their numbers.
    pub revocations: BTreeMap<u64, String>,
    /// How many certificates each of them takes back.
    pub revoked: BTreeMap<u64, u64>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}
