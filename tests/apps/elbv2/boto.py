"""boto3 as programs use it: load balancer, groups, targets, listener and rules, all paginators, and what is refused.

boto.py ENDPOINT PORT HTTPS_PORT CERTIFICATE_ARN TARGET TARGET
"""

import http.client
import os
import socket
import ssl
import sys

import boto3
from botocore.exceptions import ClientError

from traffic import ask, sticks, until

endpoint, port, https_port, certificate, targets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:]
elb = boto3.client("elbv2", endpoint_url=endpoint, region_name="us-east-1")


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} is not {code}: {error}"
        assert error.response["ResponseMetadata"]["RequestId"]
        return error.response["Error"]["Message"]
    raise AssertionError(f"{parameters} is not refused")


def listens(at):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", at)) == 0


def group(name, **more):
    made = elb.create_target_group(
        Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip", HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2, HealthCheckPath="/healthz", **more,
    )["TargetGroups"][0]
    return made["TargetGroupArn"]


def register(arn, *addresses):
    split = [address.rsplit(":", 1) for address in addresses]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": ip, "Port": int(at)} for ip, at in split])


def states(arn):
    described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return sorted(target["TargetHealth"]["State"] for target in described)


balancer = elb.create_load_balancer(
    Name="web", Subnets=["subnet-1", "subnet-2"], SecurityGroups=["sg-1"], Scheme="internal",
    Tags=[{"Key": "team", "Value": "shop + ü"}],
)["LoadBalancers"][0]
assert balancer["State"]["Code"] == "active", balancer
assert balancer["Type"] == "application" and balancer["DNSName"].startswith("internal-web-"), balancer
arn = balancer["LoadBalancerArn"]
main, canary = group("main"), group("canary")
register(main, *targets)
assert states(main) == ["unused", "unused"], states(main)
assert elb.modify_target_group_attributes(
    TargetGroupArn=main,
    Attributes=[
        {"Key": "stickiness.enabled", "Value": "true"},
        {"Key": "stickiness.type", "Value": "lb_cookie"},
        {"Key": "stickiness.lb_cookie.duration_seconds", "Value": "3600"},
        {"Key": "deregistration_delay.timeout_seconds", "Value": "0"},
    ],
)["Attributes"]
listener = elb.create_listener(
    LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": main}],
)["Listeners"][0]
action = listener["DefaultActions"][0]
assert action["TargetGroupArn"] == main and action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"] == main, action
until("healthy targets", lambda: states(main) == ["healthy", "healthy"])
assert sticks(port, "AWSALB") == set(targets)

# A rule, and another order of two of them.
listener_arn = listener["ListenerArn"]


def rule(priority, path, **action):
    return elb.create_rule(
        ListenerArn=listener_arn, Priority=priority, Actions=[action],
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}],
    )["Rules"][0]["RuleArn"]


gone = rule(10, "/a*", Type="fixed-response", FixedResponseConfig={"StatusCode": "410", "MessageBody": "<gone> & \"over\""})
teapot = rule(20, "/a/b*", Type="fixed-response", FixedResponseConfig={"StatusCode": "418"})
assert until("the rules", lambda: ask(port, "/a/b")[0] == 410)
elb.set_rule_priorities(RulePriorities=[{"RuleArn": gone, "Priority": 30}, {"RuleArn": teapot, "Priority": 5}])
until("the other order", lambda: ask(port, "/a/b")[0] == 418)
assert ask(port, "/a/c")[0] == 410 and ask(port)[0] == 200
message = refused("PriorityInUse", elb.create_rule, ListenerArn=listener_arn, Priority=5, Actions=[
    {"Type": "forward", "TargetGroupArn": main}], Conditions=[{"Field": "host-header", "Values": ["a.test"]}])
assert "5" in message, message

# Weights of two groups, and stickiness of a group within them.
register(canary, targets[0])
weighted = {
    "Type": "forward",
    "ForwardConfig": {
        "TargetGroups": [{"TargetGroupArn": main, "Weight": 1}, {"TargetGroupArn": canary, "Weight": 1}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    },
}
elb.modify_listener(ListenerArn=listener_arn, DefaultActions=[weighted])
until("the canary's target", lambda: states(canary) == ["healthy"])
until("a cookie of the group", lambda: any(cookie.startswith("AWSALBTG=") for cookie in ask(port)[2]))
read_back = elb.describe_listeners(ListenerArns=[listener_arn])["Listeners"][0]["DefaultActions"][0]["ForwardConfig"]
assert [target_group["Weight"] for target_group in read_back["TargetGroups"]] == [1, 1], read_back
assert read_back["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 60}, read_back

# TLS with a certificate of the configuration.
secure = elb.create_listener(
    LoadBalancerArn=arn, Protocol="HTTPS", Port=https_port, Certificates=[{"CertificateArn": certificate}],
    DefaultActions=[{"Type": "forward", "TargetGroupArn": main}],
)["Listeners"][0]
assert secure["Certificates"][0]["CertificateArn"] == certificate and secure["SslPolicy"], secure


def ask_securely():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", https_port, context=context, timeout=10)
    connection.request("GET", "/")
    return connection.getresponse().status


until("TLS", lambda: ask_securely() == 200)

# Every paginator, in pages of two where there is a page.
for number in range(5):
    group(f"more-{number}")
for name, key, parameters, least in [
    ("describe_account_limits", "Limits", {}, 3),
    ("describe_listener_certificates", "Certificates", {"ListenerArn": secure["ListenerArn"]}, 1),
    ("describe_listeners", "Listeners", {"LoadBalancerArn": arn}, 2),
    ("describe_load_balancers", "LoadBalancers", {}, 1),
    ("describe_rules", "Rules", {"ListenerArn": listener_arn}, 3),
    ("describe_ssl_policies", "SslPolicies", {}, 3),
    ("describe_target_groups", "TargetGroups", {}, 7),
    ("describe_trust_stores", "TrustStores", {}, 0),
]:
    pages = list(elb.get_paginator(name).paginate(PaginationConfig={"PageSize": 2}, **parameters))
    found = [item for page in pages for item in page[key]]
    assert len(found) >= least, (name, found)
    assert len(pages) >= (least + 1) // 2, (name, pages)
    texts = [str(item) for item in found]
    assert len(set(texts)) == len(texts), (name, found)
unknown = "arn:aws:elasticloadbalancing:us-east-1:000000000000:truststore/none/0123456789abcdef"
for name in ["describe_trust_store_associations", "describe_trust_store_revocations"]:
    refused("TrustStoreNotFound", lambda name=name: list(elb.get_paginator(name).paginate(TrustStoreArn=unknown)))

# What is refused, as ALB refuses it.
refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["none"])
refused("TargetGroupNotFound", elb.describe_target_groups, Names=["none"])
refused("ResourceInUse", elb.delete_target_group, TargetGroupArn=main)
refused("DuplicateListener", elb.create_listener, LoadBalancerArn=arn, Protocol="HTTP", Port=port,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": canary}])
refused("DuplicateTargetGroupName", elb.create_target_group, Name="main", Protocol="HTTP", Port=81, VpcId="vpc-1")
message = refused("ValidationError", elb.modify_target_group_attributes, TargetGroupArn=main,
                  Attributes=[{"Key": "stickiness.lb_cookie.duration_seconds", "Value": "999999"}])
assert "604800" in message, message
message = refused("ValidationError", elb.modify_target_group_attributes, TargetGroupArn=main,
                  Attributes=[{"Key": "no.such", "Value": "1"}])
assert "attribute key 'no.such' is not recognized" in message, message
tags = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
assert tags == [{"Key": "team", "Value": "shop + ü"}], tags


def other(region="us-east-1", key="WRITER", secret=os.environ["AWS_SECRET_ACCESS_KEY"]):
    return boto3.client("elbv2", endpoint_url=endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret)


assert other(key="READER").describe_load_balancers()["LoadBalancers"]
refused("AccessDenied", other(key="READER").delete_load_balancer, LoadBalancerArn=arn)
refused("SignatureDoesNotMatch", other(region="eu-west-1").describe_load_balancers)
refused("SignatureDoesNotMatch", other(secret="x" * 40).describe_load_balancers)
refused("InvalidClientTokenId", other(key="NOBODY").describe_load_balancers)

# And all of it goes again.
elb.deregister_targets(TargetGroupArn=main, Targets=[{"Id": targets[1].split(":")[0], "Port": int(targets[1].split(":")[1])}])
until("one target", lambda: "healthy" in states(main) and len(states(main)) == 1)
elb.delete_rule(RuleArn=gone)
elb.delete_listener(ListenerArn=listener_arn)
until("nobody at the port", lambda: not listens(port))
elb.delete_load_balancer(LoadBalancerArn=arn)
assert elb.describe_load_balancers()["LoadBalancers"] == []
refused("RuleNotFound", elb.describe_rules, RuleArns=[teapot])
for page in elb.get_paginator("describe_target_groups").paginate():
    for left in page["TargetGroups"]:
        elb.delete_target_group(TargetGroupArn=left["TargetGroupArn"])
assert elb.describe_target_groups()["TargetGroups"] == []
print("done")
