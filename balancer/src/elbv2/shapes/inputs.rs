//! What each operation takes (API reference: actions).

use super::{
    InputParameter, ParameterShape,
    member::{NUMBER, TEXT, list, list_of, needed, optional, pattern, text, whole},
    pattern::ParameterPattern,
    structures::{
        ACTION, ATTRIBUTE, CAPACITY, CERTIFICATE, CONDITION, HEALTH_INCLUDES, IP_ADDRESS_TYPES, IP_FAMILIES,
        IPAM_KINDS, IPAM_POOLS, LOAD_BALANCER_ATTRIBUTE, LOAD_BALANCER_TYPES, MATCHER, MUTUAL_AUTHENTICATION,
        ON_OFF, PROTOCOLS, REVOCATION_CONTENT, RULE_PRIORITY, SCHEMES, SUBNET_MAPPING, TAG, TARGET,
        TARGET_TYPES, TRANSFORM,
    },
};

/// Of `AddListenerCertificates`.
pub(in crate::elbv2) const ADD_LISTENER_CERTIFICATES: &[InputParameter] =
    &[needed("ListenerArn", TEXT), needed("Certificates", list(&ParameterShape::Structure(CERTIFICATE)))];

/// Of `AddTags`.
pub(in crate::elbv2) const ADD_TAGS: &[InputParameter] =
    &[needed("ResourceArns", list(&TEXT)), needed("Tags", list(&ParameterShape::Structure(TAG)))];

/// Of `AddTrustStoreRevocations`.
pub(in crate::elbv2) const ADD_TRUST_STORE_REVOCATIONS: &[InputParameter] = &[
    needed("TrustStoreArn", TEXT),
    optional("RevocationContents", list(&ParameterShape::Structure(REVOCATION_CONTENT))),
];

/// Of `CreateListener`.
pub(in crate::elbv2) const CREATE_LISTENER: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    optional("Protocol", ParameterShape::Choice(PROTOCOLS)),
    optional("Port", whole(1, 65_535)),
    optional("SslPolicy", TEXT),
    optional("Certificates", list(&ParameterShape::Structure(CERTIFICATE))),
    needed("DefaultActions", list(&ParameterShape::Structure(ACTION))),
    optional("AlpnPolicy", list(&TEXT)),
    optional("Tags", list(&ParameterShape::Structure(TAG))),
    optional("MutualAuthentication", ParameterShape::Structure(MUTUAL_AUTHENTICATION)),
];

/// Of `CreateLoadBalancer`.
pub(in crate::elbv2) const CREATE_LOAD_BALANCER: &[InputParameter] = &[
    needed("Name", TEXT),
    optional("Subnets", list(&TEXT)),
    optional("SubnetMappings", list(&ParameterShape::Structure(SUBNET_MAPPING))),
    optional("SecurityGroups", list(&TEXT)),
    optional("Scheme", ParameterShape::Choice(SCHEMES)),
    optional("Tags", list(&ParameterShape::Structure(TAG))),
    optional("Type", ParameterShape::Choice(LOAD_BALANCER_TYPES)),
    optional("IpAddressType", ParameterShape::Choice(IP_ADDRESS_TYPES)),
    optional("CustomerOwnedIpv4Pool", pattern(0, 256, ParameterPattern::CustomerPool)),
    optional("EnablePrefixForIpv6SourceNat", ParameterShape::Choice(ON_OFF)),
    optional("IpamPools", ParameterShape::Structure(IPAM_POOLS)),
];

/// Of `CreateRule`.
pub(in crate::elbv2) const CREATE_RULE: &[InputParameter] = &[
    needed("ListenerArn", TEXT),
    needed("Conditions", list(&ParameterShape::Structure(CONDITION))),
    needed("Priority", whole(1, 50_000)),
    needed("Actions", list(&ParameterShape::Structure(ACTION))),
    optional("Tags", list(&ParameterShape::Structure(TAG))),
    optional("Transforms", list(&ParameterShape::Structure(TRANSFORM))),
];

/// Of `CreateTargetGroup`.
pub(in crate::elbv2) const CREATE_TARGET_GROUP: &[InputParameter] = &[
    needed("Name", TEXT),
    optional("Protocol", ParameterShape::Choice(PROTOCOLS)),
    optional("ProtocolVersion", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("VpcId", TEXT),
    optional("HealthCheckProtocol", ParameterShape::Choice(PROTOCOLS)),
    optional("HealthCheckPort", TEXT),
    optional("HealthCheckEnabled", ParameterShape::Truth),
    optional("HealthCheckPath", text(1, 1024)),
    optional("HealthCheckIntervalSeconds", whole(5, 300)),
    optional("HealthCheckTimeoutSeconds", whole(2, 120)),
    optional("HealthyThresholdCount", whole(2, 10)),
    optional("UnhealthyThresholdCount", whole(2, 10)),
    optional("Matcher", ParameterShape::Structure(MATCHER)),
    optional("TargetType", ParameterShape::Choice(TARGET_TYPES)),
    optional("Tags", list(&ParameterShape::Structure(TAG))),
    optional("IpAddressType", ParameterShape::Choice(IP_FAMILIES)),
    optional("TargetControlPort", whole(1, 65_535)),
];

/// Of `CreateTrustStore`.
pub(in crate::elbv2) const CREATE_TRUST_STORE: &[InputParameter] = &[
    needed("Name", pattern(1, 32, ParameterPattern::Name)),
    needed("CaCertificatesBundleS3Bucket", TEXT),
    needed("CaCertificatesBundleS3Key", TEXT),
    optional("CaCertificatesBundleS3ObjectVersion", TEXT),
    optional("Tags", list(&ParameterShape::Structure(TAG))),
];

/// Of `DeleteListener`.
pub(in crate::elbv2) const DELETE_LISTENER: &[InputParameter] = &[needed("ListenerArn", TEXT)];

/// Of `DeleteLoadBalancer`.
pub(in crate::elbv2) const DELETE_LOAD_BALANCER: &[InputParameter] = &[needed("LoadBalancerArn", TEXT)];

/// Of `DeleteRule`.
pub(in crate::elbv2) const DELETE_RULE: &[InputParameter] = &[needed("RuleArn", TEXT)];

/// Of `DeleteSharedTrustStoreAssociation`.
pub(in crate::elbv2) const DELETE_SHARED_TRUST_STORE_ASSOCIATION: &[InputParameter] =
    &[needed("TrustStoreArn", TEXT), needed("ResourceArn", TEXT)];

/// Of `DeleteTargetGroup`.
pub(in crate::elbv2) const DELETE_TARGET_GROUP: &[InputParameter] = &[needed("TargetGroupArn", TEXT)];

/// Of `DeleteTrustStore`.
pub(in crate::elbv2) const DELETE_TRUST_STORE: &[InputParameter] = &[needed("TrustStoreArn", TEXT)];

/// Of `DeregisterTargets`.
pub(in crate::elbv2) const DEREGISTER_TARGETS: &[InputParameter] =
    &[needed("TargetGroupArn", TEXT), needed("Targets", list(&ParameterShape::Structure(TARGET)))];

/// Of `DescribeAccountLimits`.
pub(in crate::elbv2) const DESCRIBE_ACCOUNT_LIMITS: &[InputParameter] =
    &[optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeCapacityReservation`.
pub(in crate::elbv2) const DESCRIBE_CAPACITY_RESERVATION: &[InputParameter] =
    &[needed("LoadBalancerArn", TEXT)];

/// Of `DescribeListenerAttributes`.
pub(in crate::elbv2) const DESCRIBE_LISTENER_ATTRIBUTES: &[InputParameter] = &[needed("ListenerArn", TEXT)];

/// Of `DescribeListenerCertificates`.
pub(in crate::elbv2) const DESCRIBE_LISTENER_CERTIFICATES: &[InputParameter] =
    &[needed("ListenerArn", TEXT), optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeListeners`.
pub(in crate::elbv2) const DESCRIBE_LISTENERS: &[InputParameter] = &[
    optional("LoadBalancerArn", TEXT),
    optional("ListenerArns", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeLoadBalancerAttributes`.
pub(in crate::elbv2) const DESCRIBE_LOAD_BALANCER_ATTRIBUTES: &[InputParameter] =
    &[needed("LoadBalancerArn", TEXT)];

/// Of `DescribeLoadBalancers`.
pub(in crate::elbv2) const DESCRIBE_LOAD_BALANCERS: &[InputParameter] = &[
    optional("LoadBalancerArns", list(&TEXT)),
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeRules`.
pub(in crate::elbv2) const DESCRIBE_RULES: &[InputParameter] = &[
    optional("ListenerArn", TEXT),
    optional("RuleArns", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeSSLPolicies`.
pub(in crate::elbv2) const DESCRIBE_SSL_POLICIES: &[InputParameter] = &[
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
    optional("LoadBalancerType", ParameterShape::Choice(LOAD_BALANCER_TYPES)),
];

/// Of `DescribeTags`.
pub(in crate::elbv2) const DESCRIBE_TAGS: &[InputParameter] = &[needed("ResourceArns", list(&TEXT))];

/// Of `DescribeTargetGroupAttributes`.
pub(in crate::elbv2) const DESCRIBE_TARGET_GROUP_ATTRIBUTES: &[InputParameter] =
    &[needed("TargetGroupArn", TEXT)];

/// Of `DescribeTargetGroups`.
pub(in crate::elbv2) const DESCRIBE_TARGET_GROUPS: &[InputParameter] = &[
    optional("LoadBalancerArn", TEXT),
    optional("TargetGroupArns", list(&TEXT)),
    optional("Names", list(&TEXT)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeTargetHealth`.
pub(in crate::elbv2) const DESCRIBE_TARGET_HEALTH: &[InputParameter] = &[
    needed("TargetGroupArn", TEXT),
    optional("Targets", list(&ParameterShape::Structure(TARGET))),
    optional("Include", list(&ParameterShape::Choice(HEALTH_INCLUDES))),
];

/// Of `DescribeTrustStoreAssociations`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORE_ASSOCIATIONS: &[InputParameter] =
    &[needed("TrustStoreArn", TEXT), optional("Marker", TEXT), optional("PageSize", whole(1, 400))];

/// Of `DescribeTrustStoreRevocations`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORE_REVOCATIONS: &[InputParameter] = &[
    needed("TrustStoreArn", TEXT),
    optional("RevocationIds", list(&NUMBER)),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `DescribeTrustStores`.
pub(in crate::elbv2) const DESCRIBE_TRUST_STORES: &[InputParameter] = &[
    optional("TrustStoreArns", list(&TEXT)),
    optional("Names", list(&pattern(1, 32, ParameterPattern::Name))),
    optional("Marker", TEXT),
    optional("PageSize", whole(1, 400)),
];

/// Of `GetResourcePolicy`.
pub(in crate::elbv2) const GET_RESOURCE_POLICY: &[InputParameter] = &[needed("ResourceArn", TEXT)];

/// Of `GetTrustStoreCaCertificatesBundle`.
pub(in crate::elbv2) const GET_TRUST_STORE_CA_CERTIFICATES_BUNDLE: &[InputParameter] =
    &[needed("TrustStoreArn", TEXT)];

/// Of `GetTrustStoreRevocationContent`.
pub(in crate::elbv2) const GET_TRUST_STORE_REVOCATION_CONTENT: &[InputParameter] =
    &[needed("TrustStoreArn", TEXT), needed("RevocationId", NUMBER)];

/// Of `ModifyCapacityReservation`.
pub(in crate::elbv2) const MODIFY_CAPACITY_RESERVATION: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    optional("MinimumLoadBalancerCapacity", ParameterShape::Structure(CAPACITY)),
    optional("ResetCapacityReservation", ParameterShape::Truth),
];

/// Of `ModifyIpPools`.
pub(in crate::elbv2) const MODIFY_IP_POOLS: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    optional("IpamPools", ParameterShape::Structure(IPAM_POOLS)),
    optional("RemoveIpamPools", list(&ParameterShape::Choice(IPAM_KINDS))),
];

/// Of `ModifyListener`.
pub(in crate::elbv2) const MODIFY_LISTENER: &[InputParameter] = &[
    needed("ListenerArn", TEXT),
    optional("Port", whole(1, 65_535)),
    optional("Protocol", ParameterShape::Choice(PROTOCOLS)),
    optional("SslPolicy", TEXT),
    optional("Certificates", list(&ParameterShape::Structure(CERTIFICATE))),
    optional("DefaultActions", list(&ParameterShape::Structure(ACTION))),
    optional("AlpnPolicy", list(&TEXT)),
    optional("MutualAuthentication", ParameterShape::Structure(MUTUAL_AUTHENTICATION)),
];

/// Of `ModifyListenerAttributes`.
pub(in crate::elbv2) const MODIFY_LISTENER_ATTRIBUTES: &[InputParameter] =
    &[needed("ListenerArn", TEXT), needed("Attributes", list(&ParameterShape::Structure(ATTRIBUTE)))];

/// Of `ModifyLoadBalancerAttributes`.
pub(in crate::elbv2) const MODIFY_LOAD_BALANCER_ATTRIBUTES: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    needed("Attributes", list_of(&ParameterShape::Structure(LOAD_BALANCER_ATTRIBUTE), 20)),
];

/// Of `ModifyRule`.
pub(in crate::elbv2) const MODIFY_RULE: &[InputParameter] = &[
    needed("RuleArn", TEXT),
    optional("Conditions", list(&ParameterShape::Structure(CONDITION))),
    optional("Actions", list(&ParameterShape::Structure(ACTION))),
    optional("Transforms", list(&ParameterShape::Structure(TRANSFORM))),
    optional("ResetTransforms", ParameterShape::Truth),
];

/// Of `ModifyTargetGroup`.
pub(in crate::elbv2) const MODIFY_TARGET_GROUP: &[InputParameter] = &[
    needed("TargetGroupArn", TEXT),
    optional("HealthCheckProtocol", ParameterShape::Choice(PROTOCOLS)),
    optional("HealthCheckPort", TEXT),
    optional("HealthCheckPath", text(1, 1024)),
    optional("HealthCheckEnabled", ParameterShape::Truth),
    optional("HealthCheckIntervalSeconds", whole(5, 300)),
    optional("HealthCheckTimeoutSeconds", whole(2, 120)),
    optional("HealthyThresholdCount", whole(2, 10)),
    optional("UnhealthyThresholdCount", whole(2, 10)),
    optional("Matcher", ParameterShape::Structure(MATCHER)),
];

/// Of `ModifyTargetGroupAttributes`.
pub(in crate::elbv2) const MODIFY_TARGET_GROUP_ATTRIBUTES: &[InputParameter] =
    &[needed("TargetGroupArn", TEXT), needed("Attributes", list(&ParameterShape::Structure(ATTRIBUTE)))];

/// Of `ModifyTrustStore`.
pub(in crate::elbv2) const MODIFY_TRUST_STORE: &[InputParameter] = &[
    needed("TrustStoreArn", TEXT),
    needed("CaCertificatesBundleS3Bucket", TEXT),
    needed("CaCertificatesBundleS3Key", TEXT),
    optional("CaCertificatesBundleS3ObjectVersion", TEXT),
];

/// Of `RegisterTargets`.
pub(in crate::elbv2) const REGISTER_TARGETS: &[InputParameter] =
    &[needed("TargetGroupArn", TEXT), needed("Targets", list(&ParameterShape::Structure(TARGET)))];

/// Of `RemoveListenerCertificates`.
pub(in crate::elbv2) const REMOVE_LISTENER_CERTIFICATES: &[InputParameter] =
    &[needed("ListenerArn", TEXT), needed("Certificates", list(&ParameterShape::Structure(CERTIFICATE)))];

/// Of `RemoveTags`.
pub(in crate::elbv2) const REMOVE_TAGS: &[InputParameter] =
    &[needed("ResourceArns", list(&TEXT)), needed("TagKeys", list(&pattern(1, 128, ParameterPattern::Tag)))];

/// Of `RemoveTrustStoreRevocations`.
pub(in crate::elbv2) const REMOVE_TRUST_STORE_REVOCATIONS: &[InputParameter] =
    &[needed("TrustStoreArn", TEXT), needed("RevocationIds", list(&NUMBER))];

/// Of `SetIpAddressType`.
pub(in crate::elbv2) const SET_IP_ADDRESS_TYPE: &[InputParameter] =
    &[needed("LoadBalancerArn", TEXT), needed("IpAddressType", ParameterShape::Choice(IP_ADDRESS_TYPES))];

/// Of `SetRulePriorities`.
pub(in crate::elbv2) const SET_RULE_PRIORITIES: &[InputParameter] =
    &[needed("RulePriorities", list(&ParameterShape::Structure(RULE_PRIORITY)))];

/// Of `SetSecurityGroups`.
pub(in crate::elbv2) const SET_SECURITY_GROUPS: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    needed("SecurityGroups", list(&TEXT)),
    optional("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", ParameterShape::Choice(ON_OFF)),
];

/// Of `SetSubnets`.
pub(in crate::elbv2) const SET_SUBNETS: &[InputParameter] = &[
    needed("LoadBalancerArn", TEXT),
    optional("Subnets", list(&TEXT)),
    optional("SubnetMappings", list(&ParameterShape::Structure(SUBNET_MAPPING))),
    optional("IpAddressType", ParameterShape::Choice(IP_ADDRESS_TYPES)),
    optional("EnablePrefixForIpv6SourceNat", ParameterShape::Choice(ON_OFF)),
];
