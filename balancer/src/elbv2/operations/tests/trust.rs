//! Trust stores, quotas and security policies.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::{Api, CERTIFICATE, every, one};
use crate::tls;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn revocations(authority: &CertifiedIssuer<'static, KeyPair>, serials: u64) -> String {
    let revoked = (1..=serials).map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2054, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).unwrap().pem().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const STORE: &str = "CaCertificatesBundleS3Bucket=trust&CaCertificatesBundleS3Key";

#[test]
fn trust_stores_are_read_from_folders_that_stand_for_buckets() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    write(folder.path(), "trust/a/ca.pem", &ours.pem());
    write(folder.path(), "trust/both.pem", &format!("{}{}", ours.pem(), theirs.pem()));
    write(folder.path(), "trust/list.pem", &revocations(&ours, 3));
    write(folder.path(), "trust/strange.pem", &revocations(&theirs, 1));
    write(folder.path(), "trust/text", "no certificate");
    write(folder.path(), "secret", &ours.pem());
    let mut api = Api::new();
    let create = format!("Action=CreateTrustStore&Name=clients&{STORE}=a/ca.pem&Tags.member.1.Key=a");
    let (code, message) = api.fails(&create);
    assert_eq!((code, message.contains("no S3 here")), ("OperationNotPermitted", true));
    api.world.buckets = Some(folder.path().display().to_string());
    let made = api.ok(&create);
    let arn = one(&made, "TrustStoreArn").to_owned();
    assert!(arn.contains(":truststore/clients/"), "{arn}");
    assert_eq!(
        (one(&made, "Status"), one(&made, "NumberOfCaCertificates"), one(&made, "TotalRevokedEntries")),
        ("ACTIVE", "1", "0")
    );
    assert_eq!(api.ok("Action=DescribeTrustStores&Names.member.1=clients"), made);
    assert_eq!(api.fails(&create).0, "DuplicateTrustStoreName");
    for (key, code) in [
        ("none.pem", "CaCertificatesBundleNotFound"),
        ("../secret", "CaCertificatesBundleNotFound"),
        ("/etc/passwd", "CaCertificatesBundleNotFound"),
        ("a//ca.pem", "CaCertificatesBundleNotFound"),
        ("a", "CaCertificatesBundleNotFound"),
        ("text", "InvalidCaCertificatesBundle"),
        ("a/ca.pem&CaCertificatesBundleS3ObjectVersion=1", "CaCertificatesBundleNotFound"),
    ] {
        assert_eq!(api.fails(&format!("Action=CreateTrustStore&Name=b&{STORE}={key}")).0, code, "{key}");
    }
    for bucket in ["..", ".", "trust/a", "%2e%2e"] {
        let form = format!(
            "Action=CreateTrustStore&Name=b&CaCertificatesBundleS3Bucket={bucket}&CaCertificatesBundleS3Key=secret"
        );
        assert_eq!(api.fails(&form).0, "CaCertificatesBundleNotFound", "{bucket}");
    }
    let told = api.ok(&format!("Action=ModifyTrustStore&TrustStoreArn={arn}&{STORE}=both.pem"));
    assert_eq!(one(&told, "NumberOfCaCertificates"), "2");
    let bundle = api.ok(&format!("Action=GetTrustStoreCaCertificatesBundle&TrustStoreArn={arn}"));
    assert!(one(&bundle, "Location").ends_with("/trust/both.pem"));
    api.ok(&format!("Action=ModifyTrustStore&TrustStoreArn={arn}&{STORE}=a/ca.pem"));
    // Revocation lists.
    let add = |key: &str| {
        format!(
            "Action=AddTrustStoreRevocations&TrustStoreArn={arn}&RevocationContents.member.1.S3Bucket=trust&RevocationContents.member.1.S3Key={key}&RevocationContents.member.1.RevocationType=CRL"
        )
    };
    assert_eq!(api.fails(&add("none")).0, "RevocationContentNotFound");
    assert_eq!(api.fails(&add("text")).0, "InvalidRevocationContent");
    assert_eq!(api.fails(&add("strange.pem")).0, "InvalidRevocationContent");
    let added = api.ok(&add("list.pem"));
    assert_eq!((one(&added, "RevocationId"), one(&added, "NumberOfRevokedEntries")), ("1", "3"));
    api.ok(&add("list.pem"));
    assert_eq!(one(&api.ok("Action=DescribeTrustStores"), "TotalRevokedEntries"), "6");
    let describe = format!("Action=DescribeTrustStoreRevocations&TrustStoreArn={arn}");
    assert_eq!(every(&api.ok(&describe), "RevocationId"), ["1", "2"]);
    assert_eq!(every(&api.ok(&format!("{describe}&RevocationIds.member.1=2")), "RevocationId"), ["2"]);
    assert_eq!(api.fails(&format!("{describe}&RevocationIds.member.1=3")).0, "RevocationIdNotFound");
    let content =
        api.ok(&format!("Action=GetTrustStoreRevocationContent&TrustStoreArn={arn}&RevocationId=1"));
    assert!(one(&content, "Location").ends_with("/trust/list.pem"));
    api.ok(&format!("Action=RemoveTrustStoreRevocations&TrustStoreArn={arn}&RevocationIds.member.1=1"));
    assert_eq!(every(&api.ok(&describe), "RevocationId"), ["2"]);
    // Who uses it.
    let (balancer, group) = (api.balancer("b"), api.group("g"));
    let listener = api.ok(&format!(
        "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=HTTPS&Port=443&Certificates.member.1.CertificateArn={CERTIFICATE}\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}&MutualAuthentication.Mode=verify\
         &MutualAuthentication.TrustStoreArn={arn}"
    ));
    let expected = format!(
        "<Mode>verify</Mode><TrustStoreArn>{arn}</TrustStoreArn><IgnoreClientCertificateExpiry>false</IgnoreClientCertificateExpiry>\
         <TrustStoreAssociationStatus>active</TrustStoreAssociationStatus><AdvertiseTrustStoreCaNames>off</AdvertiseTrustStoreCaNames>"
    );
    assert_eq!(one(&listener, "MutualAuthentication"), expected);
    let listener = one(&listener, "ListenerArn").to_owned();
    let users = api.ok(&format!("Action=DescribeTrustStoreAssociations&TrustStoreArn={arn}"));
    assert_eq!(one(&users, "ResourceArn"), listener);
    assert_eq!(api.fails(&format!("Action=DeleteTrustStore&TrustStoreArn={arn}")).0, "TrustStoreInUse");
    for (resource, code) in
        [(listener.as_str(), "DeleteAssociationSameAccount"), (&balancer, "AssociationNotFound")]
    {
        let form =
            format!("Action=DeleteSharedTrustStoreAssociation&TrustStoreArn={arn}&ResourceArn={resource}");
        assert_eq!(api.fails(&form).0, code);
    }
    assert_eq!(api.fails(&format!("Action=GetResourcePolicy&ResourceArn={arn}")).0, "ResourceNotFound");
    api.ok(&format!("Action=ModifyListener&ListenerArn={listener}&MutualAuthentication.Mode=off"));
    api.ok(&format!("Action=DeleteTrustStore&TrustStoreArn={arn}"));
    assert_eq!(api.fails(&format!("Action=DeleteTrustStore&TrustStoreArn={arn}")).0, "TrustStoreNotFound");
    assert_eq!(
        api.fails(&format!("Action=DescribeTrustStores&TrustStoreArns.member.1={arn}")).0,
        "TrustStoreNotFound"
    );
}

#[test]
fn policies_and_quotas_are_those_of_here() {
    let mut api = Api::new();
    let all = api.ok("Action=DescribeSSLPolicies");
    assert_eq!(every(&all, "SupportedLoadBalancerTypes").len(), tls::POLICIES.len());
    let one_policy = api.ok("Action=DescribeSSLPolicies&Names.member.1=ELBSecurityPolicy-TLS13-1-2-2021-06");
    assert_eq!(one(&one_policy, "SslProtocols"), "<member>TLSv1.2</member><member>TLSv1.3</member>");
    let ciphers = one(&one_policy, "Ciphers");
    assert!(
        ciphers.contains("<Name>TLS_AES_128_GCM_SHA256</Name>")
            && ciphers.contains("<Name>ECDHE-RSA-AES128-GCM-SHA256</Name>")
    );
    assert!(ciphers.contains("<Priority>1</Priority>"));
    let newest = api.ok("Action=DescribeSSLPolicies&Names.member.1=ELBSecurityPolicy-TLS13-1-3-2021-06");
    assert_eq!(one(&newest, "SslProtocols"), "<member>TLSv1.3</member>");
    assert!(!one(&newest, "Ciphers").contains("ECDHE"));
    assert_eq!(api.fails("Action=DescribeSSLPolicies&Names.member.1=none").0, "SSLPolicyNotFound");
    assert_eq!(api.ok("Action=DescribeSSLPolicies&LoadBalancerType=network"), "<SslPolicies/>");
    let limits = api.ok("Action=DescribeAccountLimits");
    for (name, most) in [
        ("application-load-balancers", 50),
        ("targets-per-target-group", 1000),
        ("rules-per-application-load-balancer", 100),
    ] {
        assert!(limits.contains(&format!("<member><Name>{name}</Name><Max>{most}</Max></member>")), "{name}");
    }
    let page = api.ok("Action=DescribeAccountLimits&PageSize=3");
    assert_eq!((every(&page, "Name").len(), every(&page, "NextMarker").len()), (3, 1));
}
