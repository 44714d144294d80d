//! Structures that parameters are made of, and the words that some of their members are one of (API reference: data types).
//! What only Cognito, OIDC and JWT actions have is not looked at: these are refused.

use super::{
    Member, Shape,
    member::{LONGEST, NUMBER, TEXT, list, list_of, needed, optional, pattern, text, whole},
    pattern::Pattern,
};

pub(super) const REVOCATION_TYPES: &[&str] = &["CRL"];
pub(super) const PROTOCOLS: &[&str] =
    &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];
pub(super) const ACTION_TYPES: &[&str] =
    &["forward", "authenticate-oidc", "authenticate-cognito", "redirect", "fixed-response", "jwt-validation"];
pub(super) const REDIRECT_STATUSES: &[&str] = &["HTTP_301", "HTTP_302"];
pub(super) const ASSOCIATION_STATUSES: &[&str] = &["active", "removed"];
pub(super) const ON_OFF: &[&str] = &["on", "off"];
pub(super) const IDENTITY_FIELDS: &[&str] = &["subject-cn", "subject-ou", "san-dns", "san-uri"];
pub(super) const IDENTITY_ACTIONS: &[&str] = &["accept"];
pub(super) const IDENTITY_MATCHES: &[&str] = &["exact", "prefix"];
pub(super) const SCHEMES: &[&str] = &["internet-facing", "internal"];
pub(super) const LOAD_BALANCER_TYPES: &[&str] = &["application", "network", "gateway"];
pub(super) const IP_ADDRESS_TYPES: &[&str] = &["ipv4", "dualstack", "dualstack-without-public-ipv4"];
pub(super) const IP_FAMILIES: &[&str] = &["ipv4", "ipv6"];
pub(super) const TRANSFORM_TYPES: &[&str] = &["host-header-rewrite", "url-rewrite"];
pub(super) const TARGET_TYPES: &[&str] = &["instance", "ip", "lambda", "alb"];
pub(super) const HEALTH_INCLUDES: &[&str] = &["AnomalyDetection", "All"];
pub(super) const IPAM_KINDS: &[&str] = &["ipv4"];

pub(super) const CERTIFICATE: &[Member] =
    &[optional("CertificateArn", TEXT), optional("IsDefault", Shape::Truth)];

pub(super) const TAG: &[Member] =
    &[needed("Key", pattern(1, 128, Pattern::Tag)), optional("Value", pattern(0, 256, Pattern::Tag))];

pub(super) const REVOCATION_CONTENT: &[Member] = &[
    optional("S3Bucket", TEXT),
    optional("S3Key", TEXT),
    optional("S3ObjectVersion", TEXT),
    optional("RevocationType", Shape::Choice(REVOCATION_TYPES)),
];

pub(super) const REDIRECT: &[Member] = &[
    optional("Protocol", pattern(0, LONGEST, Pattern::Protocol)),
    optional("Port", TEXT),
    optional("Host", text(1, 128)),
    optional("Path", text(1, 128)),
    optional("Query", text(0, 128)),
    needed("StatusCode", Shape::Choice(REDIRECT_STATUSES)),
];

pub(super) const FIXED_RESPONSE: &[Member] = &[
    optional("MessageBody", Shape::Lines { most: 1024 }),
    needed("StatusCode", pattern(0, LONGEST, Pattern::Status)),
    optional("ContentType", text(0, 32)),
];

pub(super) const WEIGHTED_GROUP: &[Member] = &[optional("TargetGroupArn", TEXT), optional("Weight", NUMBER)];

pub(super) const GROUP_STICKINESS: &[Member] =
    &[optional("Enabled", Shape::Truth), optional("DurationSeconds", NUMBER)];

pub(super) const FORWARD: &[Member] = &[
    optional("TargetGroups", list(&Shape::Structure(WEIGHTED_GROUP))),
    optional("TargetGroupStickinessConfig", Shape::Structure(GROUP_STICKINESS)),
];

pub(super) const ACTION: &[Member] = &[
    needed("Type", Shape::Choice(ACTION_TYPES)),
    optional("TargetGroupArn", TEXT),
    optional("AuthenticateOidcConfig", Shape::Map),
    optional("AuthenticateCognitoConfig", Shape::Map),
    optional("Order", whole(1, 50_000)),
    optional("RedirectConfig", Shape::Structure(REDIRECT)),
    optional("FixedResponseConfig", Shape::Structure(FIXED_RESPONSE)),
    optional("ForwardConfig", Shape::Structure(FORWARD)),
    optional("JwtValidationConfig", Shape::Map),
];

pub(super) const IDENTITY_FILTER: &[Member] = &[
    needed("Field", Shape::Choice(IDENTITY_FIELDS)),
    needed("Action", Shape::Choice(IDENTITY_ACTIONS)),
    needed("MatchType", Shape::Choice(IDENTITY_MATCHES)),
    needed("Value", text(1, 256)),
];

pub(super) const MUTUAL_AUTHENTICATION: &[Member] = &[
    optional("Mode", TEXT),
    optional("TrustStoreArn", TEXT),
    optional("IgnoreClientCertificateExpiry", Shape::Truth),
    optional("TrustStoreAssociationStatus", Shape::Choice(ASSOCIATION_STATUSES)),
    optional("AdvertiseTrustStoreCaNames", Shape::Choice(ON_OFF)),
    optional("ClientCertificateIdentityFilters", list_of(&Shape::Structure(IDENTITY_FILTER), 100)),
];

pub(super) const SUBNET_MAPPING: &[Member] = &[
    optional("SubnetId", TEXT),
    optional("AllocationId", TEXT),
    optional("PrivateIPv4Address", TEXT),
    optional("IPv6Address", TEXT),
    optional("SourceNatIpv6Prefix", TEXT),
];

pub(super) const IPAM_POOLS: &[Member] = &[optional("Ipv4IpamPoolId", pattern(0, 1000, Pattern::IpamPool))];

pub(super) const PATTERN_VALUES: &[Member] =
    &[optional("Values", list(&TEXT)), optional("RegexValues", list(&TEXT))];

pub(super) const HEADER_VALUES: &[Member] = &[
    optional("HttpHeaderName", TEXT),
    optional("Values", list(&TEXT)),
    optional("RegexValues", list(&TEXT)),
];

pub(super) const QUERY_PAIR: &[Member] = &[optional("Key", TEXT), optional("Value", TEXT)];

pub(super) const QUERY_VALUES: &[Member] = &[optional("Values", list(&Shape::Structure(QUERY_PAIR)))];

pub(super) const PLAIN_VALUES: &[Member] = &[optional("Values", list(&TEXT))];

pub(super) const SOURCE_VALUES: &[Member] =
    &[optional("Values", list(&TEXT)), optional("IpAddressType", Shape::Choice(IP_FAMILIES))];

pub(super) const CONDITION: &[Member] = &[
    optional("Field", text(0, 64)),
    optional("Values", list(&TEXT)),
    optional("HostHeaderConfig", Shape::Structure(PATTERN_VALUES)),
    optional("PathPatternConfig", Shape::Structure(PATTERN_VALUES)),
    optional("HttpHeaderConfig", Shape::Structure(HEADER_VALUES)),
    optional("QueryStringConfig", Shape::Structure(QUERY_VALUES)),
    optional("HttpRequestMethodConfig", Shape::Structure(PLAIN_VALUES)),
    optional("SourceIpConfig", Shape::Structure(SOURCE_VALUES)),
    optional("RegexValues", list(&TEXT)),
];

pub(super) const REWRITE: &[Member] = &[needed("Regex", TEXT), needed("Replace", TEXT)];

pub(super) const REWRITES: &[Member] = &[optional("Rewrites", list(&Shape::Structure(REWRITE)))];

pub(super) const TRANSFORM: &[Member] = &[
    needed("Type", Shape::Choice(TRANSFORM_TYPES)),
    optional("HostHeaderRewriteConfig", Shape::Structure(REWRITES)),
    optional("UrlRewriteConfig", Shape::Structure(REWRITES)),
];

pub(super) const MATCHER: &[Member] = &[optional("HttpCode", TEXT), optional("GrpcCode", TEXT)];

pub(super) const TARGET: &[Member] = &[
    needed("Id", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("AvailabilityZone", TEXT),
    optional("QuicServerId", text(1, 256)),
];

pub(super) const CAPACITY: &[Member] = &[optional("CapacityUnits", NUMBER)];

pub(super) const ATTRIBUTE: &[Member] =
    &[optional("Key", pattern(0, 256, Pattern::AttributeKey)), optional("Value", TEXT)];

pub(super) const LOAD_BALANCER_ATTRIBUTE: &[Member] =
    &[optional("Key", pattern(0, 256, Pattern::AttributeKey)), optional("Value", text(0, 1024))];

pub(super) const RULE_PRIORITY: &[Member] =
    &[optional("RuleArn", TEXT), optional("Priority", whole(1, 50_000))];
