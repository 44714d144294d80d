//! The `control_api` block: what is read, and every fault with its place.
use std::{fs, net::SocketAddr, path::Path};

use balancer::{
    config,
    model::{Configuration, ControlApiSettings, MutualAuthentication},
};

use super::one_fault::{assert_one_fault, parse};

const GROUP: &str = "target_group \"app\" {\n  targets = [\"127.0.0.1:9001\"]\n}\n";
const PLAIN: &str = "address = \"127.0.0.1:9901\"\naccess_keys_file = \"keys\"";

fn text(lines: &str) -> String {
    format!("control_api {{\n{lines}\n}}\n")
}

fn read(text: &str) -> Configuration {
    parse(text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn api(lines: &str) -> ControlApiSettings {
    read(&text(lines)).control_api.expect("an API")
}

fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["api.internal".to_owned()]).unwrap();
    let (pem, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&pem, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    format!("certificate_file = \"{}\"\n  private_key_file = \"{}\"", pem.display(), key.display())
}

#[test]
fn it_stands_alone_and_what_is_left_out_has_a_default() {
    let found = api(PLAIN);
    assert_eq!(found.address, "127.0.0.1:9901".parse::<SocketAddr>().unwrap());
    assert!(found.access_keys_file.ends_with("keys") && found.access_keys_file.is_absolute());
    assert_eq!(found.state_file, Path::new("/var/lib/balancer/control-api-default.redb"));
    assert_eq!((found.region.as_str(), found.account_id.as_str()), ("us-east-1", "000000000000"));
    assert_eq!(found.dns_suffix, "elb.localhost");
    assert!(found.tls.is_none() && found.instances.is_empty() && found.buckets_dir.is_none());
    assert_eq!(read(GROUP).control_api, None, "there is none where none is asked for");
    let elsewhere =
        format!("balancer {{\n  instance = \"two\"\n  state_dir = \"/srv/lb\"\n}}\n{}", text(PLAIN));
    let found = read(&elsewhere).control_api.expect("an API");
    assert_eq!(found.state_file, Path::new("/srv/lb/control-api-two.redb"));
}

#[test]
fn everything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = format!(
        "certificate \"api\" {{\n  {}\n}}\ntrust_store \"ops\" {{\n  ca_certificates_bundle_file = \"{}\"\n}}\n",
        certificate(folder.path()),
        folder.path().join("cert.pem").display()
    );
    let lines = "address = \"0.0.0.0:9901\"\naccess_keys_file = \"/etc/keys\"\ncertificate_arn = certificate.api.arn\n\
                 trust_store_arn = trust_store.ops.arn\nstate_file = \"/srv/state.redb\"\nregion = \"eu-central-1\"\n\
                 account_id = \"123456789012\"\ndns_suffix = \"lb.example\"\nbuckets_dir = \"/srv/buckets\"\n\
                 instances = {\n  \"i-0123456789abcdef0\" = \"10.0.0.5\"\n  i-01234567 = \"fd00::5\"\n}";
    let found = read(&format!("{blocks}{}", text(lines))).control_api.expect("an API");
    let tls = found.tls.as_ref().expect("TLS");
    assert_eq!(tls.default_certificate.name, "api");
    assert!(
        matches!(&tls.mutual_authentication, Some(MutualAuthentication::Verify { trust_store, .. }) if trust_store.name == "ops")
    );
    assert_eq!(found.state_file, Path::new("/srv/state.redb"));
    assert_eq!((found.region.as_str(), found.account_id.as_str()), ("eu-central-1", "123456789012"));
    assert_eq!(found.dns_suffix, "lb.example");
    assert_eq!(found.buckets_dir.as_deref(), Some(Path::new("/srv/buckets")));
    let instances: Vec<String> = found.instances.iter().map(|(id, at)| format!("{id} {at}")).collect();
    assert_eq!(instances, ["i-01234567 fd00::5", "i-0123456789abcdef0 10.0.0.5"]);
    let json = r#"{"control_api": {"address": "127.0.0.1:9901", "access_keys_file": "keys",
                   "instances": {"i-01234567": "10.0.0.5"}}}"#;
    let found = config::parse(&[("x.tf.json".into(), json.to_owned())]).unwrap().control_api.unwrap();
    assert_eq!(found.instances.len(), 1);
}

#[test]
fn faults_are_told_with_their_places() {
    for (lines, place, wrong, allowed) in [
        ("access_keys_file = \"keys\"", "1:1", "control_api needs `address`", "ADDRESS:PORT"),
        ("address = \"127.0.0.1:9901\"", "1:1", "control_api needs `access_keys_file`", "path of a file"),
        (
            "address = \"localhost\"\naccess_keys_file = \"k\"",
            "2:11",
            "`address` = \"localhost\"",
            "ADDRESS:PORT",
        ),
        (
            "address = \"0.0.0.0:9901\"\naccess_keys_file = \"k\"",
            "2:11",
            "`address` = \"0.0.0.0:9901\" can be reached from other hosts",
            "`certificate_arn`",
        ),
        (
            "address = \"[::1]:9901\"\naccess_keys_file = \"k\"\nregion = \"EU\"",
            "4:10",
            "`region` = \"EU\"",
            "a-z",
        ),
        (&format!("{PLAIN}\naccount_id = \"12\""), "4:14", "`account_id` = \"12\"", "12 digits"),
        (&format!("{PLAIN}\ndns_suffix = \"a..b\""), "4:14", "`dns_suffix` = \"a..b\"", "host name"),
        (&format!("{PLAIN}\nstate_file = \"state\""), "4:14", "`state_file` = \"state\"", "absolute path"),
        (&format!("{PLAIN}\nstate_file = \"/srv/\""), "4:14", "`state_file` = \"/srv/\"", "absolute path"),
        (
            &format!("{PLAIN}\nstate_file = \"/run/balancer/default/state\""),
            "4:14",
            "`state_file` = \"/run/balancer/default/state\" is in /run/balancer/default, which is kept",
            "outside of it",
        ),
        (
            &format!("{PLAIN}\nstate_file = \"/var/lib/balancer/stickiness.key\""),
            "4:14",
            "`state_file` = \"/var/lib/balancer/stickiness.key\" is the key file",
            "a file of its own",
        ),
        (
            &format!("{PLAIN}\ninstances = [\"i-01234567\"]"),
            "4:13",
            "`instances` is no map",
            "ids of instances",
        ),
        (
            &format!("{PLAIN}\ninstances = {{ \"web\" = \"10.0.0.1\" }}"),
            "4:23",
            "`instances` has \"web\"",
            "ids of instances",
        ),
        (
            &format!("{PLAIN}\ninstances = {{ \"i-01234567\" = \"10.0.0.1:80\" }}"),
            "4:30",
            "`instances` has \"10.0.0.1:80\" for \"i-01234567\"",
            "without a port",
        ),
        (
            &format!("{PLAIN}\ninstances = {{ \"i-01234567\" = \"web.internal\" }}"),
            "4:30",
            "`instances` has \"web.internal\" for \"i-01234567\"",
            "without a port",
        ),
    ] {
        assert_one_fault(&text(lines), place, wrong, allowed);
    }
    let two = format!("{}{}", text(PLAIN), text(PLAIN));
    assert_one_fault(&two, "5:1", "a second `control_api` block", "one");
    let admin = text("address = \"127.0.0.1:9900\"\naccess_keys_file = \"k\"");
    assert_one_fault(
        &admin,
        "2:11",
        "`address` = \"127.0.0.1:9900\" is taken by `admin_address`",
        "another port",
    );
    let listener = "listener \"web\" {\n  port = 9901\n  default_action {\n    type = \"forward\"\n    \
                    target_group_arn = \"app\"\n  }\n}\n";
    let taken = format!("{}{GROUP}{listener}", text(PLAIN));
    assert_one_fault(
        &taken,
        "2:11",
        "`address` = \"127.0.0.1:9901\" is taken by listener \"web\"",
        "another port",
    );
}

#[test]
fn a_certificate_goes_by_the_name_that_aws_gives_it() {
    const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path());
    let block =
        |label: &str, arn: &str| format!("certificate \"{label}\" {{\n  arn = \"{arn}\"\n  {files}\n}}\n");
    let listener = format!(
        "{GROUP}resource \"aws_lb_listener\" \"web\" {{\n  port = 443\n  protocol = \"HTTPS\"\n  certificate_arn = \"{ARN}\"\n  \
         default_action {{\n    type = \"forward\"\n    target_group_arn = target_group.app.arn\n  }}\n}}\n"
    );
    let found = read(&format!("{}{listener}", block("web", ARN)));
    let tls = found.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!(tls.default_certificate.arn.as_deref(), Some(ARN));
    assert_eq!(found.inventory.certificates.len(), 1, "it is told of whether a listener has it or not");
    let twice = format!("{}{}{listener}", block("web", ARN), block("other", ARN));
    assert_one_fault(
        &twice,
        "7:9",
        "`arn` = \"arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234…\" is that of the certificate at x.hcl:1:1 too",
        "one that no other has",
    );
    for wrong in ["web", "arn:aws:acm:us-east-1:1:key/1", "arn:aws:acm:us-east-1:1:certificate/", ""] {
        let text = format!("{}{GROUP}", block("web", wrong));
        assert_one_fault(&text, "2:9", &format!("`arn` = \"{wrong}\""), "arn:aws:acm:");
    }
}

#[test]
fn files_of_blocks_are_known() {
    let listener = "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"forward\"\n    \
                    target_group_arn = \"app\"\n  }\n}\n";
    let files = [("a.hcl".into(), GROUP.to_owned()), ("b.hcl".into(), listener.to_owned())];
    let found = config::parse(&files).unwrap().inventory;
    assert_eq!(found.target_groups, [Path::new("a.hcl")]);
    assert_eq!(found.listeners["web"], Path::new("b.hcl"));
    assert!(found.load_balancers.is_empty(), "the one that nobody has written is in no file");
}
