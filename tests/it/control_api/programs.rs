//! boto3, and requests that nobody means.

use support::ports;

use super::{Api, CERTIFICATE};

#[test]
fn boto3_makes_changes_lists_and_deletes() {
    let Some(api) = Api::start() else { return };
    let port = api.port.to_string();
    let (secure, targets) = (ports::free().to_string(), &api.targets);
    let said =
        api.script("boto.py", &[&port, &secure, CERTIFICATE, &targets[0].address, &targets[1].address]);
    assert_eq!(said, "done\n");
    api.assert_sound();
    // What was asked is counted, and what came of it.
    let counted = |series: &str| api.balancer.metric(&format!("balancer_control_api_{series}"));
    for series in [
        "reads_total{outcome=\"done\"}",
        "reads_total{outcome=\"refused\"}",
        "changes_total{outcome=\"done\"}",
        "changes_total{outcome=\"refused\"}",
    ] {
        assert!(counted(series) >= 1.0, "{series}");
    }
    for (code, count) in
        [("AccessDenied", 1.0), ("InvalidClientTokenId", 1.0), ("SignatureDoesNotMatch", 2.0)]
    {
        assert_eq!(counted(&format!("rejected_total{{code=\"{code}\"}}")), count);
    }
    // Who changed what is told, and what was refused.
    let made = api.balancer.wait_log_line(&["a change by the ELBv2 API", "CreateListener", "key=\"WRITER\""]);
    assert!(made.contains(":listener/app/web/") && made.contains("client=127.0.0.1:"), "{made}");
    api.balancer.wait_log_line(&["was refused", "DeleteTargetGroup", "ResourceInUse", "request_id="]);
    api.balancer.wait_log_line(&["was refused", "DeleteLoadBalancer", "AccessDenied", "key=\"READER\""]);
}

#[test]
fn whatever_is_asked_is_answered() {
    let Some(api) = Api::start() else { return };
    let said = api.script("hostile.py", &["10000", "16"]);
    println!("{said}");
    assert!(said.starts_with("done"), "{said}");
    api.assert_sound();
}
