//! What each operation takes (API reference: actions).

use super::{
    Member, Shape,
    member::{NUMBER, TEXT, list, list_of, needed, optional, pattern, text, whole},
    pattern::Pattern,
    structures::{
        ACTION, ATTRIBUTE, CAPACITY, CERTIFICATE, CONDITION, HEALTH_INCLUDES, IP_ADDRESS_TYPES, IP_FAMILIES,
        IPAM_KINDS, IPAM_POOLS, LOAD_BALANCER_ATTRIBUTE, LOAD_BALANCER_TYPES, MATCHER, MUTUAL_AUTHENTICATION,
        ON_OFF, PROTOCOLS, REVOCATION_CONTENT, RULE_PRIORITY, SCHEMES, SUBNET_MAPPING, TAG, TARGET,
        TARGET_TYPES, TRANSFORM,
    },
};

/// Of `AddListenerCertificates`.
pub(in crate::elbv2) const ADD_LISTENER_CERTIFICATES: &[Member] =
    &[needed("ListenerArn", TEXT), needed("Certificates", list(&Shape::Structure(CERTIFICATE)))];

/// Of `AddTags`.
pub(in crate::elbv2) const ADD_TAGS: &[Member] =
    &[needed("ResourceArns", list(&TEXT)), needed("Tags", list(&Shape::Structure(TAG)))];

/// Of `AddTrustStoreRevocations`.
pub(in crate::elbv2) const ADD_TRUST_STORE_REVOCATIONS: &[Member] = &[
    needed("TrustStoreArn", TEXT),
    optional("RevocationContents", list(&Shape::Structure(REVOCATION_CONTENT))),
];

/// Of `CreateListener`.
pub(in crate::elbv2) const CREATE_LISTENER: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    optional("Protocol", Shape::Choice(PROTOCOLS)),
    optional("Port", whole(1, 65_535)),
    optional("SslPolicy", TEXT),
    optional("Certificates", list(&Shape::Structure(CERTIFICATE))),
    needed("DefaultActions", list(&Shape::Structure(ACTION))),
    optional("AlpnPolicy", list(&TEXT)),
    optional("Tags", list(&Shape::Structure(TAG))),
    optional("MutualAuthentication", Shape::Structure(MUTUAL_AUTHENTICATION)),
];

/// Of `CreateLoadBalancer`.
pub(in crate::elbv2) const CREATE_LOAD_BALANCER: &[Member] = &[
    needed("Name", TEXT),
    optional("Subnets", list(&TEXT)),
    optional("SubnetMappings", list(&Shape::Structure(SUBNET_MAPPING))),
    optional("SecurityGroups", list(&TEXT)),
    optional("Scheme", Shape::Choice(SCHEMES)),
    optional("Tags", list(&Shape::Structure(TAG))),
    optional("Type", Shape::Choice(LOAD_BALANCER_TYPES)),
    optional("IpAddressType", Shape::Choice(IP_ADDRESS_TYPES)),
    optional("CustomerOwnedIpv4Pool", pattern(0, 256, Pattern::CustomerPool)),
    optional("EnablePrefixForIpv6SourceNat", Shape::Choice(ON_OFF)),
    optional("IpamPools", Shape::Structure(IPAM_POOLS)),
];

/// Of `CreateRule`.
pub(in crate::elbv2) const CREATE_RULE: &[Member] = &[
    needed("ListenerArn", TEXT),
    needed("Conditions", list(&Shape::Structure(CONDITION))),
    needed("Priority", whole(1, 50_000)),
    needed("Actions", list(&Shape::Structure(ACTION))),
    optional("Tags", list(&Shape::Structure(TAG))),
    optional("Transforms", list(&Shape::Structure(TRANSFORM))),
];

/// Of `CreateTargetGroup`.
pub(in crate::elbv2) const CREATE_TARGET_GROUP: &[Member] = &[
    needed("Name", TEXT),
    optional("Protocol", Shape::Choice(PROTOCOLS)),
    optional("ProtocolVersion", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("VpcId", TEXT),
    optional("HealthCheckProtocol", Shape::Choice(PROTOCOLS)),
    optional("HealthCheckPort", TEXT),
    optional("HealthCheckEnabled", Shape::Truth),
    optional("HealthCheckPath", text(1, 1024)),
    optional("HealthCheckIntervalSeconds", whole(5, 300)),
    optional("HealthCheckTimeoutSeconds", whole(2, 120)),
    optional("HealthyThresholdCount", whole(2, 10)),
    optional("UnhealthyThresholdCount", whole(2, 10)),
    optional("Matcher", Shape::Structure(MATCHER)),
    optional("TargetType", Shape::Choice(TARGET_TYPES)),
    optional("Tags", list(&Shape::Structure(TAG))),
    optional("IpAddressType", Shape::Choice(IP_FAMILIES)),
    optional("TargetControlPort", whole(1, 65_535)),
];

/// Of `CreateTrustStore`.
pub(in crate::elbv2) const CREATE_TRUST_STORE: &[Member] = &[
    needed("Name", pattern(1, 32, Pattern::Name)),
    needed("CaCertificatesBundleS3Bucket", TEXT),
    needed("CaCertificatesBundleS3Key", TEXT),
    optional("CaCertificatesBundleS3ObjectVersion", TEXT),
    optional("Tags", list(&Shape::Structure(TAG))),
];

/// Of `DeleteListener`.
pub(in crate::elbv2) const DELETE_LISTENER: &[Member] = &[needed("ListenerArn", TEXT)];

/// Of `DeleteLoadBalancer`.
pub(in crate::elbv2) const DELETE_LOAD_BALANCER: &[Member] = &[needed("LoadBalancerArn", TEXT)];

/// Of `DeleteRule`.
pub(in crate::elbv2) const DELETE_RULE: &[Member] = &[needed("RuleArn", TEXT)];

/// Of `DeleteSharedTrustStoreAssociation`.
pub(in crate::elbv2) const DELETE_SHARED_TRUST_STORE_ASSOCIATION: &[Member] =
    &[needed("TrustStoreArn", TEXT), needed("ResourceArn", TEXT)];

/// Of `DeleteTargetGroup`.
pub(in crate::elbv2) const DELETE_TARGET_GROUP: &[Member] = &[needed("TargetGroupArn", TEXT)];

/// Of `DeleteTrustStore`.
pub(in crate::elbv2) const DELETE_TRUST_STORE: &[Member] = &[needed("TrustStoreArn", TEXT)];

/// Of `DeregisterTargets`.
pub(in crate::elbv2) const DEREGISTER_TARGETS: &[Member] =
    &[needed("TargetGroupArn", TEXT), needed("Targets", list(&Shape::Structure(TARGET)))];

/// Of `DescribeAccountLimits`.
pub(in crate::elbv2) const DESCRIBE_ACCOUNT_LIMITS: &[Member] =
    &[optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeCapacityReservation`.
pub(in crate::elbv2) const DESCRIBE_CAPACITY_RESERVATION: &[Member] = &[needed("LoadBalancerArn", TEXT)];

/// Of `DescribeListenerAttributes`.
pub(in crate::elbv2) const DESCRIBE_LISTENER_ATTRIBUTES: &[Member] = &[needed("ListenerArn", TEXT)];

/// Of `DescribeListenerCertificates`.
pub(in crate::elbv2) const DESCRIBE_LISTENER_CERTIFICATES: &[Member] =
    &[needed("ListenerArn", TEXT), optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeListeners`.
pub(in crate::elbv2) const DESCRIBE_LISTENERS: &[Member] = &[
    optional("LoadBalancerArn", TEXT),
    optional("ListenerArns", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeLoadBalancerAttributes`.
pub(in crate::elbv2) const DESCRIBE_LOAD_BALANCER_ATTRIBUTES: &[Member] = &[needed("LoadBalancerArn", TEXT)];

/// Of `DescribeLoadBalancers`.
pub(in crate::elbv2) const DESCRIBE_LOAD_BALANCERS: &[Member] = &[
    optional("LoadBalancerArns", list(&TEXT)),
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeRules`.
pub(in crate::elbv2) const DESCRIBE_RULES: &[Member] = &[
    optional("ListenerArn", TEXT),
    optional("RuleArns", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeSSLPolicies`.
pub(in crate::elbv2) const DESCRIBE_SSL_POLICIES: &[Member] = &[
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
    optional("LoadBalancerType", Shape::Choice(LOAD_BALANCER_TYPES)),
];

/// Of `DescribeTags`.
pub(in crate::elbv2) const DESCRIBE_TAGS: &[Member] = &[needed("ResourceArns", list(&TEXT))];

/// Of `DescribeTargetGroupAttributes`.
pub(in crate::elbv2) const DESCRIBE_TARGET_GROUP_ATTRIBUTES: &[Member] = &[needed("TargetGroupArn", TEXT)];

/// Of `DescribeTargetGroups`.
pub(in crate::elbv2) const DESCRIBE_TARGET_GROUPS: &[Member] = &[
    optional("LoadBalancerArn", TEXT),
    optional("TargetGroupArns", list(&TEXT)),
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeTargetHealth`.
pub(in crate::elbv2) const DESCRIBE_TARGET_HEALTH: &[Member] = &[
    needed("TargetGroupArn", TEXT),
    optional("Targets", list(&Shape::Structure(TARGET))),
    optional("Include", list(&Shape::Choice(HEALTH_INCLUDES))),
];

/// Of `DescribeTrustStoreAssociations`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORE_ASSOCIATIONS: &[Member] =
    &[needed("TrustStoreArn", TEXT), optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeTrustStoreRevocations`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORE_REVOCATIONS: &[Member] = &[
    needed("TrustStoreArn", TEXT),
    optional("RevocationIds", list(&NUMBER)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeTrustStores`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORES: &[Member] = &[
    optional("TrustStoreArns", list(&TEXT)),
    optional("Names", list(&pattern(1, 32, Pattern::Name))),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `GetResourcePolicy`.
pub(in crate::elbv2) const GET_RESOURCE_POLICY: &[Member] = &[needed("ResourceArn", TEXT)];

/// Of `GetTrustStoreCaCertificatesBundle`.
pub(in crate::elbv2) const GET_TRUST_STORE_CA_CERTIFICATES_BUNDLE: &[Member] =
    &[needed("TrustStoreArn", TEXT)];

/// Of `GetTrustStoreRevocationContent`.
pub(in crate::elbv2) const GET_TRUST_STORE_REVOCATION_CONTENT: &[Member] =
    &[needed("TrustStoreArn", TEXT), needed("RevocationId", NUMBER)];

/// Of `ModifyCapacityReservation`.
pub(in crate::elbv2) const MODIFY_CAPACITY_RESERVATION: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    optional("MinimumLoadBalancerCapacity", Shape::Structure(CAPACITY)),
    optional("ResetCapacityReservation", Shape::Truth),
];

/// Of `ModifyIpPools`.
pub(in crate::elbv2) const MODIFY_IP_POOLS: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    optional("IpamPools", Shape::Structure(IPAM_POOLS)),
    optional("RemoveIpamPools", list(&Shape::Choice(IPAM_KINDS))),
];

/// Of `ModifyListener`.
pub(in crate::elbv2) const MODIFY_LISTENER: &[Member] = &[
    needed("ListenerArn", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("Protocol", Shape::Choice(PROTOCOLS)),
    optional("SslPolicy", TEXT),
    optional("Certificates", list(&Shape::Structure(CERTIFICATE))),
    optional("DefaultActions", list(&Shape::Structure(ACTION))),
    optional("AlpnPolicy", list(&TEXT)),
    optional("MutualAuthentication", Shape::Structure(MUTUAL_AUTHENTICATION)),
];

/// Of `ModifyListenerAttributes`.
pub(in crate::elbv2) const MODIFY_LISTENER_ATTRIBUTES: &[Member] =
    &[needed("ListenerArn", TEXT), needed("Attributes", list(&Shape::Structure(ATTRIBUTE)))];

/// Of `ModifyLoadBalancerAttributes`.
pub(in crate::elbv2) const MODIFY_LOAD_BALANCER_ATTRIBUTES: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    needed("Attributes", list_of(&Shape::Structure(LOAD_BALANCER_ATTRIBUTE), 20)),
];

/// Of `ModifyRule`.
pub(in crate::elbv2) const MODIFY_RULE: &[Member] = &[
    needed("RuleArn", TEXT),
    optional("Conditions", list(&Shape::Structure(CONDITION))),
    optional("Actions", list(&Shape::Structure(ACTION))),
    optional("Transforms", list(&Shape::Structure(TRANSFORM))),
    optional("ResetTransforms", Shape::Truth),
];

/// Of `ModifyTargetGroup`.
pub(in crate::elbv2) const MODIFY_TARGET_GROUP: &[Member] = &[
    needed("TargetGroupArn", TEXT),
    optional("HealthCheckProtocol", Shape::Choice(PROTOCOLS)),
    optional("HealthCheckPort", TEXT),
    optional("HealthCheckPath", text(1, 1024)),
    optional("HealthCheckEnabled", Shape::Truth),
    optional("HealthCheckIntervalSeconds", whole(5, 300)),
    optional("HealthCheckTimeoutSeconds", whole(2, 120)),
    optional("HealthyThresholdCount", whole(2, 10)),
    optional("UnhealthyThresholdCount", whole(2, 10)),
    optional("Matcher", Shape::Structure(MATCHER)),
];

/// Of `ModifyTargetGroupAttributes`.
pub(in crate::elbv2) const MODIFY_TARGET_GROUP_ATTRIBUTES: &[Member] =
    &[needed("TargetGroupArn", TEXT), needed("Attributes", list(&Shape::Structure(ATTRIBUTE)))];

/// Of `ModifyTrustStore`.
pub(in crate::elbv2) const MODIFY_TRUST_STORE: &[Member] = &[
    needed("TrustStoreArn", TEXT),
    needed("CaCertificatesBundleS3Bucket", TEXT),
    needed("CaCertificatesBundleS3Key", TEXT),
    optional("CaCertificatesBundleS3ObjectVersion", TEXT),
];

/// Of `RegisterTargets`.
pub(in crate::elbv2) const REGISTER_TARGETS: &[Member] =
    &[needed("TargetGroupArn", TEXT), needed("Targets", list(&Shape::Structure(TARGET)))];

/// Of `RemoveListenerCertificates`.
pub(in crate::elbv2) const REMOVE_LISTENER_CERTIFICATES: &[Member] =
    &[needed("ListenerArn", TEXT), needed("Certificates", list(&Shape::Structure(CERTIFICATE)))];

/// Of `RemoveTags`.
pub(in crate::elbv2) const REMOVE_TAGS: &[Member] =
    &[needed("ResourceArns", list(&TEXT)), needed("TagKeys", list(&pattern(1, 128, Pattern::Tag)))];

/// Of `RemoveTrustStoreRevocations`.
pub(in crate::elbv2) const REMOVE_TRUST_STORE_REVOCATIONS: &[Member] =
    &[needed("TrustStoreArn", TEXT), needed("RevocationIds", list(&NUMBER))];

/// Of `SetIpAddressType`.
pub(in crate::elbv2) const SET_IP_ADDRESS_TYPE: &[Member] =
    &[needed("LoadBalancerArn", TEXT), needed("IpAddressType", Shape::Choice(IP_ADDRESS_TYPES))];

/// Of `SetRulePriorities`.
pub(in crate::elbv2) const SET_RULE_PRIORITIES: &[Member] =
    &[needed("RulePriorities", list(&Shape::Structure(RULE_PRIORITY)))];

/// Of `SetSecurityGroups`.
pub(in crate::elbv2) const SET_SECURITY_GROUPS: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    needed("SecurityGroups", list(&TEXT)),
    optional("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", Shape::Choice(ON_OFF)),
];

/// Of `SetSubnets`.
pub(in crate::elbv2) const SET_SUBNETS: &[Member] = &[
    needed("LoadBalancerArn", TEXT),
    optional("Subnets", list(&TEXT)),
    optional("SubnetMappings", list(&Shape::Structure(SUBNET_MAPPING))),
    optional("IpAddressType", Shape::Choice(IP_ADDRESS_TYPES)),
    optional("EnablePrefixForIpv6SourceNat", Shape::Choice(ON_OFF)),
];
