//! Who may ask, seen from outside, by curl, which signs by itself: TLS, certificates of clients, other keys by a reload, another
//! process, a user with few rights.

use std::{
    os::unix::fs::chown,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use support::{authority::Authority, tls::Certificate, until};

use super::{Api, Besides, SECRET, write_keys};

const DESCRIBE: &str = "Action=DescribeLoadBalancers&Version=2015-12-01";

impl Api {
    /// Status and answer to a form, signed with this key; the exit code of curl where there is none.
    pub(super) fn curl(
        &self,
        scheme: &str,
        key: &str,
        form: &str,
        more: &[&str],
    ) -> Result<(u16, String), i32> {
        let port = self.balancer.address.port();
        let mut command = Command::new("curl");
        command.args(["--silent", "--max-time", "30", "--noproxy", "*", "--write-out", "\n%{http_code}"]);
        command.args([
            "--aws-sigv4",
            "aws:amz:us-east-1:elasticloadbalancing",
            "--user",
            &format!("{key}:{SECRET}"),
        ]);
        command.args(["--resolve", &format!("api.test:{port}:127.0.0.1"), "--data", form]).args(more);
        command.arg(format!("{scheme}://api.test:{port}/"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        if !output.status.success() {
            return Err(output.status.code().unwrap_or(-1));
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let (answer, status) = text.rsplit_once('\n').unwrap();
        Ok((status.parse().unwrap(), answer.to_owned()))
    }

    /// Status and code of what is answered to a call without TLS.
    pub(super) fn code(&self, key: &str, form: &str) -> String {
        let (status, answer) = self.curl("http", key, form, &[]).unwrap();
        let code = answer.split("<Type>Sender</Type><Code>").nth(1).and_then(|rest| rest.split('<').next());
        format!("{status} {}", code.unwrap_or_default())
    }
}

#[test]
fn with_a_certificate_it_speaks_tls_and_may_ask_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificate::make(folder.path(), "api", &["api.test"]);
    let authority = Authority::make(folder.path(), "root");
    let client = authority.client("client", "/CN=deployer");
    let trusted = ["--cacert", own.certificate.to_str().unwrap()];
    let blocks = own.block("api") + &authority.trust_store("deployers");
    let asking = |api: &str| Api::with(Besides { api, blocks: &blocks, ..Besides::default() }, |_| {});

    let api = asking("certificate_arn = certificate.api.arn");
    let (status, answer) = api.curl("https", "READER", DESCRIBE, &trusted).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("<DescribeLoadBalancersResult>"), "{answer}");
    assert_eq!(api.curl("https", "READER", "Action=X", &trusted).unwrap().0, 400);
    assert!(api.curl("http", "READER", DESCRIBE, &[]).is_err(), "nothing is answered without TLS");
    drop(api);

    let api = asking("certificate_arn = certificate.api.arn\n  trust_store_arn = trust_store.deployers.arn");
    assert!(api.curl("https", "READER", DESCRIBE, &trusted).is_err(), "without a certificate of its own");
    let shown = ["--cert", client.certificate.to_str().unwrap(), "--key", client.key.to_str().unwrap()];
    let all = [&trusted[..], &shown].concat();
    assert_eq!(api.curl("https", "READER", DESCRIBE, &all).unwrap().0, 200);
    // A certificate is no signature.
    assert_eq!(api.curl("https", "NOBODY", DESCRIBE, &all).unwrap().0, 403);
}

#[test]
fn other_keys_take_effect_by_a_reload_and_wrong_ones_do_not() {
    let api = Api::with(Besides::default(), |_| {});
    let keys = api.balancer.folder().join("keys");
    assert_eq!(api.code("READER", DESCRIBE), "200 ");
    assert_eq!(
        api.code("READER", "Action=CreateLoadBalancer&Version=2015-12-01&Name=web"),
        "403 AccessDenied"
    );
    write_keys(&keys, &format!("OTHER {SECRET}\nOTHER {SECRET}\n"));
    api.balancer.signal(Signal::HUP);
    let refused =
        api.balancer.wait_log_line(&["reload refused", "keys (access_keys_file of control_api) line 2"]);
    assert!(!refused.contains(SECRET), "{refused}");
    assert_eq!(api.code("READER", DESCRIBE), "200 ");
    write_keys(&keys, &format!("OTHER {SECRET}\n"));
    api.balancer.signal(Signal::HUP);
    until("the other key", 30.0, || (api.code("OTHER", DESCRIBE) == "200 ").then_some(()));
    assert_eq!(api.code("READER", DESCRIBE), "403 InvalidClientTokenId");
    assert!(!api.balancer.log().contains(SECRET));
}

#[test]
fn the_next_process_answers_at_the_same_address() {
    let api = Api::with(Besides::default(), |_| {});
    let made = "Action=CreateTargetGroup&Version=2015-12-01&Name=app&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip";
    assert_eq!(api.code("WRITER", made), "200 ");
    let before = api.balancer.pid();
    assert_ne!(api.balancer.upgraded(), before);
    let (status, answer) =
        api.curl("http", "READER", "Action=DescribeTargetGroups&Version=2015-12-01", &[]).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("<TargetGroupName>app</TargetGroupName>"), "{answer}");
    let deleted = answer.split("<TargetGroupArn>").nth(1).unwrap().split('<').next().unwrap();
    let deleted = format!("Action=DeleteTargetGroup&Version=2015-12-01&TargetGroupArn={deleted}");
    assert_eq!(api.code("WRITER", &deleted), "200 ");
}

#[test]
fn a_user_with_few_rights_serves_it_and_reads_its_keys_again() {
    if !support::kernel::is_root() {
        return;
    }
    let user = "user = \"nobody\"\n  seccomp = \"on\"";
    let api = Api::with(Besides { process: user, ..Besides::default() }, |folder| {
        chown(folder.join("keys"), Some(65534), Some(65534)).unwrap();
    });
    let create = "Action=CreateLoadBalancer&Version=2015-12-01&Name=web&Scheme=internal&Subnets.member.1=s-1&Subnets.member.2=s-2";
    assert_eq!(api.code("WRITER", create), "200 ");
    write_keys(&api.balancer.folder().join("keys"), &format!("OTHER {SECRET}\n"));
    api.balancer.signal(Signal::HUP);
    until("the other key", 30.0, || (api.code("OTHER", DESCRIBE) == "200 ").then_some(()));
    api.assert_sound();
}
