//! Files of certificates that no client would take, and whose fault it is.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use balancer::config;

/// What is wrong with a listener that shows this certificate; nothing if nothing is.
fn fault(folder: &Path, certificate: &str, key: &str) -> Option<String> {
    let text = format!(
        "certificate \"c\" {{\n  certificate_file = \"{certificate}\"\n  private_key_file = \"{key}\"\n}}\ntarget_group \
         \"app\" {{\n  port = 80\n}}\nlistener \"web\" {{\n  port = 8443\n  protocol = \"HTTPS\"\n  certificate_arn = \
         certificate.c.arn\n  default_action {{\n    type = \"forward\"\n    target_group_arn = target_group.app.arn\n  \
         }}\n}}\n"
    );
    let file: PathBuf = folder.join("x.hcl");
    config::parse(&[(file, text)]).err().map(|faults| faults.to_string())
}

fn made(folder: &Path, name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["example.test".to_owned()]).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn a_chain_is_certificates_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (leaf, other) = (made(folder.path(), "leaf"), made(folder.path(), "other"));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let write = |chain: &str| fs::write(folder.path().join("chain.pem"), chain).unwrap();
    write(&format!("{leaf}{other}"));
    assert_eq!(fault(folder.path(), "chain.pem", "leaf.key"), None);
    for chain in [format!("{leaf}{garbage}"), format!("{leaf}{other}{garbage}"), format!("{garbage}{leaf}")] {
        write(&chain);
        let fault = fault(folder.path(), "chain.pem", "leaf.key").unwrap();
        assert!(fault.contains("x.hcl:2:22: ") && fault.contains("is no X.509 certificate"), "{fault}");
    }
}

#[test]
fn a_certificate_of_version_1_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "v1");
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["req", "-new", "-key", "v1.key", "-subj", "/CN=example.test", "-out", "v1.csr"]);
    // What OpenSSL 3.0 makes where nobody gives it extensions.
    run(&["x509", "-req", "-in", "v1.csr", "-signkey", "v1.key", "-days", "30", "-out", "v1.pem"]);
    let fault = fault(folder.path(), "v1.pem", "v1.key").unwrap();
    assert!(fault.contains("x.hcl:2:22: ") && fault.contains("v1.pem is of version 1 of X.509"), "{fault}");
    assert_eq!(fault.lines().count(), 1, "{fault}");
}

#[test]
fn an_expired_authority_of_targets_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = |year: i32| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let authority = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let text = "target_group \"app\" {\n  port = 443\n  protocol = \"HTTPS\"\n  target_tls_verification = \"on\"\n  \
                    target_tls_ca_file = \"ca.pem\"\n}\n";
        let read = config::parse(&[(folder.path().join("x.hcl"), text.to_owned())]);
        config::warnings(&read.unwrap_or_else(|fault| panic!("{fault}")))
    };
    let told = |warnings: Vec<String>| {
        let is_it = |warning: &String| warning.starts_with("target group app: a certificate in ");
        warnings.into_iter().find(is_it)
    };
    let warning = told(warnings(2020)).unwrap();
    assert!(warning.contains("ca.pem expired "), "{warning}");
    assert_eq!(told(warnings(4000)), None);
}
