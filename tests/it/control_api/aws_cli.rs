//! The command line of AWS, with its waiters.

use serde_json::Value;
use support::Client;

use super::Api;

impl Api {
    /// What `aws elbv2 …` prints; nothing where it prints nothing.
    fn aws(&self, words: &[&str]) -> Value {
        let mut command = self.program("aws");
        command.args(["--endpoint-url", &self.endpoint(), "--output", "json", "elbv2"]).args(words);
        let said = self.says(&mut command);
        serde_json::from_str(&said).unwrap_or_default()
    }
}

fn arn(value: &Value, path: &str) -> String {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {path} in {value}")).to_owned()
}

#[test]
fn the_command_line_and_all_of_its_waiters() {
    let Some(api) = Api::start() else { return };
    let made = api.aws(&[
        "create-load-balancer",
        "--name",
        "web",
        "--subnets",
        "s-1",
        "s-2",
        "--scheme",
        "internal",
    ]);
    let balancer = arn(&made, "/LoadBalancers/0/LoadBalancerArn");
    api.aws(&["wait", "load-balancer-exists", "--names", "web"]);
    api.aws(&["wait", "load-balancer-available", "--load-balancer-arns", &balancer]);
    let words = "create-target-group --name app --protocol HTTP --port 80 --vpc-id vpc-1 --target-type ip \
                 --health-check-interval-seconds 5 --health-check-timeout-seconds 2 --health-check-path /healthz";
    let made = api.aws(&words.split(' ').collect::<Vec<_>>());
    let group = arn(&made, "/TargetGroups/0/TargetGroupArn");
    let attributes =
        ["Key=stickiness.enabled,Value=true", "Key=deregistration_delay.timeout_seconds,Value=0"];
    let words = ["modify-target-group-attributes", "--target-group-arn", &group, "--attributes"];
    api.aws(&[&words[..], &attributes].concat());
    let target = |index: usize| {
        let (ip, port) = api.targets[index].address.rsplit_once(':').unwrap();
        format!("Id={ip},Port={port}")
    };
    let targets = [target(0), target(1)];
    api.aws(&["register-targets", "--target-group-arn", &group, "--targets", &targets[0], &targets[1]]);
    let (port, action) = (api.port.to_string(), format!("Type=forward,TargetGroupArn={group}"));
    let words = ["create-listener", "--load-balancer-arn", &balancer, "--protocol", "HTTP", "--port", &port];
    let made = api.aws(&[&words[..], &["--default-actions", &action]].concat());
    let listener = arn(&made, "/Listeners/0/ListenerArn");
    api.balancer.wait_until_settled();
    // The waiter looks every 15 seconds.
    api.aws(&["wait", "target-in-service", "--target-group-arn", &group]);
    let mut client = Client::new(([127, 0, 0, 1], api.port).into());
    let first = client.get("/");
    for _ in 0..5 {
        assert_eq!(client.get("/").header("x-target"), first.header("x-target"));
    }
    api.aws(&["deregister-targets", "--target-group-arn", &group, "--targets", &targets[0]]);
    let words = ["wait", "target-deregistered", "--target-group-arn", &group, "--targets", &targets[0]];
    api.aws(&words);
    api.aws(&["delete-listener", "--listener-arn", &listener]);
    api.aws(&["delete-load-balancer", "--load-balancer-arn", &balancer]);
    api.aws(&["wait", "load-balancers-deleted", "--load-balancer-arns", &balancer]);
    api.aws(&["delete-target-group", "--target-group-arn", &group]);
    // What fails is told in its words, with the exit code of a refusal.
    let mut refused = api.program("aws");
    refused.args(["--endpoint-url", &api.endpoint(), "elbv2", "describe-target-groups", "--names", "app"]);
    let refused = refused.output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        matches!(refused.status.code(), Some(254 | 255)) && told.contains("(TargetGroupNotFound)"),
        "{told}"
    );
    api.assert_sound();
}
