//! Structures that parameters are made of, and the words that some of their members are one of (API reference: data types).
//! What only Cognito, OIDC and JWT actions have is not looked at: these are refused.

use super::{
    InputParameter, ParameterShape,
    member::{LONGEST, NUMBER, TEXT, list, list_of, needed, optional, pattern, text, whole},
    pattern::ParameterPattern,
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

pub(super) const CERTIFICATE: &[InputParameter] =
    &[optional("CertificateArn", TEXT), optional("IsDefault", ParameterShape::Truth)];

pub(super) const TAG: &[InputParameter] = &[
    needed("Key", pattern(1, 128, ParameterPattern::Tag)),
    optional("Value", pattern(0, 256, ParameterPattern::Tag)),
];

pub(super) const REVOCATION_CONTENT: &[InputParameter] = &[
    optional("S3Bucket", TEXT),
    optional("S3Key", TEXT),
    optional("S3ObjectVersion", TEXT),
    optional("RevocationType", ParameterShape::Choice(REVOCATION_TYPES)),
];

pub(super) const REDIRECT: &[InputParameter] = &[
    optional("Protocol", pattern(0, LONGEST, ParameterPattern::Protocol)),
    optional("Port", TEXT),
    optional("Host", text(1, 128)),
    optional("Path", text(1, 128)),
    optional("Query", text(0, 128)),
    needed("StatusCode", ParameterShape::Choice(REDIRECT_STATUSES)),
];

pub(super) const FIXED_RESPONSE: &[InputParameter] = &[
    optional("MessageBody", ParameterShape::Lines { most: 1024 }),
    needed("StatusCode", pattern(0, LONGEST, ParameterPattern::Status)),
    optional("ContentType", text(0, 32)),
];

pub(super) const WEIGHTED_GROUP: &[InputParameter] =
    &[optional("TargetGroupArn", TEXT), optional("Weight", NUMBER)];

pub(super) const GROUP_STICKINESS: &[InputParameter] =
    &[optional("Enabled", ParameterShape::Truth), optional("DurationSeconds", NUMBER)];

pub(super) const FORWARD: &[InputParameter] = &[
    optional("TargetGroups", list(&ParameterShape::Structure(WEIGHTED_GROUP))),
    optional("TargetGroupStickinessConfig", ParameterShape::Structure(GROUP_STICKINESS)),
];

pub(super) const ACTION: &[InputParameter] = &[
    needed("Type", ParameterShape::Choice(ACTION_TYPES)),
    optional("TargetGroupArn", TEXT),
    optional("AuthenticateOidcConfig", ParameterShape::Map),
    optional("AuthenticateCognitoConfig", ParameterShape::Map),
    optional("Order", whole(1, 50_000)),
    optional("RedirectConfig", ParameterShape::Structure(REDIRECT)),
    optional("FixedResponseConfig", ParameterShape::Structure(FIXED_RESPONSE)),
    optional("ForwardConfig", ParameterShape::Structure(FORWARD)),
    optional("JwtValidationConfig", ParameterShape::Map),
];

pub(super) const IDENTITY_FILTER: &[InputParameter] = &[
    needed("Field", ParameterShape::Choice(IDENTITY_FIELDS)),
    needed("Action", ParameterShape::Choice(IDENTITY_ACTIONS)),
    needed("MatchType", ParameterShape::Choice(IDENTITY_MATCHES)),
    needed("Value", text(1, 256)),
];

pub(super) const MUTUAL_AUTHENTICATION: &[InputParameter] = &[
    optional("Mode", TEXT),
    optional("TrustStoreArn", TEXT),
    optional("IgnoreClientCertificateExpiry", ParameterShape::Truth),
    optional("TrustStoreAssociationStatus", ParameterShape::Choice(ASSOCIATION_STATUSES)),
    optional("AdvertiseTrustStoreCaNames", ParameterShape::Choice(ON_OFF)),
    optional("ClientCertificateIdentityFilters", list_of(&ParameterShape::Structure(IDENTITY_FILTER), 100)),
];

pub(super) const SUBNET_MAPPING: &[InputParameter] = &[
    optional("SubnetId", TEXT),
    optional("AllocationId", TEXT),
    optional("PrivateIPv4Address", TEXT),
    optional("IPv6Address", TEXT),
    optional("SourceNatIpv6Prefix", TEXT),
];

pub(super) const IPAM_POOLS: &[InputParameter] =
    &[optional("Ipv4IpamPoolId", pattern(0, 1000, ParameterPattern::IpamPool))];

pub(super) const PATTERN_VALUES: &[InputParameter] =
    &[optional("Values", list(&TEXT)), optional("RegexValues", list(&TEXT))];

pub(super) const HEADER_VALUES: &[InputParameter] = &[
    optional("HttpHeaderName", TEXT),
    optional("Values", list(&TEXT)),
    optional("RegexValues", list(&TEXT)),
];

pub(super) const QUERY_PAIR: &[InputParameter] = &[optional("Key", TEXT), optional("Value", TEXT)];

pub(super) const QUERY_VALUES: &[InputParameter] =
    &[optional("Values", list(&ParameterShape::Structure(QUERY_PAIR)))];

pub(super) const PLAIN_VALUES: &[InputParameter] = &[optional("Values", list(&TEXT))];

pub(super) const SOURCE_VALUES: &[InputParameter] =
    &[optional("Values", list(&TEXT)), optional("IpAddressType", ParameterShape::Choice(IP_FAMILIES))];

pub(super) const CONDITION: &[InputParameter] = &[
    optional("Field", text(0, 64)),
    optional("Values", list(&TEXT)),
    optional("HostHeaderConfig", ParameterShape::Structure(PATTERN_VALUES)),
    optional("PathPatternConfig", ParameterShape::Structure(PATTERN_VALUES)),
    optional("HttpHeaderConfig", ParameterShape::Structure(HEADER_VALUES)),
    optional("QueryStringConfig", ParameterShape::Structure(QUERY_VALUES)),
    optional("HttpRequestMethodConfig", ParameterShape::Structure(PLAIN_VALUES)),
    optional("SourceIpConfig", ParameterShape::Structure(SOURCE_VALUES)),
    optional("RegexValues", list(&TEXT)),
];

pub(super) const REWRITE: &[InputParameter] = &[needed("Regex", TEXT), needed("Replace", TEXT)];

pub(super) const REWRITES: &[InputParameter] =
    &[optional("Rewrites", list(&ParameterShape::Structure(REWRITE)))];

pub(super) const TRANSFORM: &[InputParameter] = &[
    needed("Type", ParameterShape::Choice(TRANSFORM_TYPES)),
    optional("HostHeaderRewriteConfig", ParameterShape::Structure(REWRITES)),
    optional("UrlRewriteConfig", ParameterShape::Structure(REWRITES)),
];

pub(super) const MATCHER: &[InputParameter] = &[optional("HttpCode", TEXT), optional("GrpcCode", TEXT)];

pub(super) const TARGET: &[InputParameter] = &[
    needed("Id", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("AvailabilityZone", TEXT),
    optional("QuicServerId", text(1, 256)),
];

pub(super) const CAPACITY: &[InputParameter] = &[optional("CapacityUnits", NUMBER)];

pub(super) const ATTRIBUTE: &[InputParameter] =
    &[optional("Key", pattern(0, 256, ParameterPattern::AttributeKey)), optional("Value", TEXT)];

pub(super) const LOAD_BALANCER_ATTRIBUTE: &[InputParameter] =
    &[optional("Key", pattern(0, 256, ParameterPattern::AttributeKey)), optional("Value", text(0, 1024))];

pub(super) const RULE_PRIORITY: &[InputParameter] =
    &[optional("RuleArn", TEXT), optional("Priority", whole(1, 50_000))];
