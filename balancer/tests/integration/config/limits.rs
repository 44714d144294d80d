//! How many of a thing a configuration may have: the most is taken, one more is told.
use super::one_fault::{assert_one_fault, parse};

#[test]
fn limits_on_how_many() {
    let groups: String = (0..101).map(|n| format!("target_group \"g{n}\" {{}}\n")).collect();
    assert_one_fault(&groups, "101:1", "too many target groups", "at most 100");
    assert!(parse(&groups.replace("target_group \"g100\" {}\n", "")).is_ok());

    let targets = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("\"10.0.{}.{}\"", n / 250, n % 250 + 1)).collect();
        format!("target_group \"a\" {{\nport = 80\ntargets = [\n{}\n]\n}}\n", list.join(",\n"))
    };
    assert_eq!(parse(&targets(1000)).unwrap().target_groups[0].targets.len(), 1000);
    assert_one_fault(&targets(1002), "1004:1", "too many targets in target group \"a\"", "at most 1000");

    let listeners: String = (1..=51)
        .map(|n| {
            format!(
                "listener \"l{n}\" {{\nport = {n}\ndefault_action {{\ntype = \"forward\"\ntarget_group_arn = \"a\"\n}}\n}}\n"
            )
        })
        .collect();
    let listeners = format!("{listeners}target_group \"a\" {{}}\n");
    assert_one_fault(&listeners, "351:1", "too many listeners", "at most 50");
}

/// PEM of an authority, and of a list of what it has taken back.
fn authority() -> (String, String) {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod,
        KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).unwrap();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2999, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    (certificate.pem(), list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap())
}

#[test]
fn limits_of_trust_stores() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, list) = authority();
    let file = |name: &str, text: &str, times: usize| {
        let path = folder.path().join(name);
        std::fs::write(&path, text.repeat(times)).unwrap();
        path.display().to_string()
    };
    let store = |path: &str| {
        format!(
            "target_group \"a\" {{}}\ntrust_store \"b\" {{\nca_certificates_bundle_file = \"{path}\"\n}}\n"
        )
    };
    let most = store(&file("most", &certificate, 25));
    assert!(parse(&most).is_ok());
    let path = file("more", &certificate, 26);
    assert_one_fault(&store(&path), "3:31", &format!("{path} holds 26 CA certificates"), "at most 25");

    let revoked = |label: &str, path: &str| {
        format!(
            "trust_store_revocation \"{label}\" {{\ntrust_store_arn = trust_store.b.arn\nrevocations_file = \"{path}\"\n}}\n"
        )
    };
    let most = most + &revoked("c", &file("lists", &list, 30));
    assert!(parse(&most).is_ok());
    let text = most + &revoked("d", &file("one", &list, 1));
    assert_one_fault(&text, "11:20", "trust store b comes to 31 revocation lists", "at most 30");
}
