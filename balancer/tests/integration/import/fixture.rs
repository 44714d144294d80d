//! One configuration as a folder, a plan, a state and the AWS CLI's descriptions have it.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// The configuration that all of them are of.
pub(super) const FOLDER: &str = r#"
variable "weights" {
  type    = map(number)
  default = { green = 10, blue = 90 }
}
variable "hosts" { default = ["a.example.com", "b.example.com"] }
variable "sticky" { default = { duration = 3600 } }
resource "aws_lb" "main" {
  name         = "main"
  idle_timeout = 30 * 2 + 40
}
resource "aws_lb_target_group" "color" {
  for_each             = var.weights
  name                 = "app-${each.key}"
  port                 = 8080
  deregistration_delay = 60
  dynamic "stickiness" {
    for_each = [var.sticky]
    content {
      type            = "lb_cookie"
      cookie_duration = stickiness.value.duration
    }
  }
  health_check {
    path = "/up"
  }
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.color["blue"].arn
        weight = 90
      }
      target_group {
        arn    = aws_lb_target_group.color["green"].arn
        weight = 10
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
}
resource "aws_lb_listener_rule" "host" {
  count        = length(var.hosts)
  listener_arn = aws_lb_listener.http.arn
  priority     = count.index + 1
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.color["green"].arn
  }
  condition {
    host_header {
      values = [var.hosts[count.index]]
    }
  }
}
resource "aws_instance" "web" {}
resource "aws_lb_target_group_attachment" "web" {
  for_each         = aws_lb_target_group.color
  target_group_arn = each.value.arn
  target_id        = aws_instance.web.id
}
"#;

pub(super) const OF_HOST: &str =
    "balancer {\n  terraform_values = {\n    \"aws_instance.web\" = \"10.0.0.5\"\n  }\n}\n";
pub(super) const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:";

pub(super) fn balancer_arn() -> String {
    format!("{ARN}loadbalancer/app/main/50dc6c495c0c9188")
}

pub(super) fn group_arn(color: &str) -> String {
    format!("{ARN}targetgroup/app-{color}/73e2d6bc24d8a067")
}

pub(super) fn listener_arn() -> String {
    format!("{ARN}listener/app/main/50dc6c495c0c9188/f2f7dc8efc522ab2")
}

pub(super) fn health_check() -> Value {
    json!([{
        "enabled": true, "healthy_threshold": 3, "unhealthy_threshold": 3, "interval": 30, "timeout": 5, "path": "/up",
        "port": "traffic-port", "protocol": "HTTP", "matcher": "200",
    }])
}

pub(super) fn group(color: &str) -> Value {
    json!({
        "name": format!("app-{color}"), "port": 8080, "protocol": "HTTP", "deregistration_delay": "60", "slow_start": 0,
        "load_balancing_cross_zone_enabled": "use_load_balancer_configuration", "target_type": "instance",
        "stickiness": [{ "enabled": true, "type": "lb_cookie", "cookie_duration": 3600, "cookie_name": "" }],
        "health_check": health_check(), "target_failover": [{ "on_deregistration": null }], "tags": null,
        "proxy_protocol_v2": false, "vpc_id": "vpc-1",
    })
}

/// The resources of a plan; with ARNs those of a state.
pub(super) fn resources(known: bool) -> Vec<Value> {
    let mut all = vec![
        json!({ "address": "aws_lb.main", "mode": "managed", "type": "aws_lb", "name": "main", "values": {
            "name": "main", "idle_timeout": 100, "internal": null, "load_balancer_type": "application", "subnets": ["subnet-1"],
            "access_logs": [{ "bucket": "", "enabled": false, "prefix": null }],
        } }),
        json!({ "address": "aws_instance.web", "mode": "managed", "type": "aws_instance", "name": "web", "values": {
            "id": "i-0123456789abcdef0", "private_ip": "10.0.0.5",
        } }),
        json!({ "address": "aws_lb_listener.http", "mode": "managed", "type": "aws_lb_listener", "name": "http", "values": {
            "port": 80, "protocol": "HTTP", "certificate_arn": null, "mutual_authentication": [],
            // The order of a set is its own.
            "default_action": [{ "type": "forward", "order": null, "redirect": [], "fixed_response": [], "forward": [{
                "target_group": [{ "weight": 10 }, { "weight": 90 }],
                "stickiness": [{ "enabled": true, "duration": 600 }],
            }] }],
        } }),
    ];
    for color in ["blue", "green"] {
        let address = format!("aws_lb_target_group.color[\"{color}\"]");
        let mut values = group(color);
        if known {
            values["arn"] = group_arn(color).into();
            values["id"] = group_arn(color).into();
        }
        all.push(json!({
            "address": address, "mode": "managed", "type": "aws_lb_target_group", "name": "color", "index": color,
            "values": values,
        }));
        let mut values = json!({ "target_id": "i-0123456789abcdef0", "port": null });
        if known {
            values["target_group_arn"] = group_arn(color).into();
        }
        all.push(json!({
            "address": format!("aws_lb_target_group_attachment.web[\"{color}\"]"), "mode": "managed",
            "type": "aws_lb_target_group_attachment", "name": "web", "index": color, "values": values,
        }));
    }
    for (index, host) in ["a.example.com", "b.example.com"].iter().enumerate() {
        let mut action = json!({ "type": "forward", "order": null, "forward": [], "redirect": [] });
        let mut values = json!({
            "priority": index + 1,
            "condition": [{ "host_header": [{ "values": [host], "regex_values": null }], "path_pattern": [], "query_string": [] }],
        });
        if known {
            action["target_group_arn"] = group_arn("green").into();
            values["listener_arn"] = listener_arn().into();
        }
        values["action"] = json!([action]);
        all.push(json!({
            "address": format!("aws_lb_listener_rule.host[{index}]"), "mode": "managed", "type": "aws_lb_listener_rule",
            "name": "host", "index": index, "values": values,
        }));
    }
    if known {
        all[0]["values"]["arn"] = balancer_arn().into();
        let listener = &mut all[2]["values"];
        listener["arn"] = listener_arn().into();
        listener["load_balancer_arn"] = balancer_arn().into();
        let groups = &mut listener["default_action"][0]["forward"][0]["target_group"];
        groups[0]["arn"] = group_arn("green").into();
        groups[1]["arn"] = group_arn("blue").into();
    }
    all
}

pub(super) fn references(names: &[&str]) -> Value {
    json!({ "references": names })
}

pub(super) fn plan() -> Value {
    let color = |color: &str| {
        let (one, all) = (format!("aws_lb_target_group.color[\"{color}\"]"), "aws_lb_target_group.color");
        references(&[&format!("{one}.arn"), &one, all])
    };
    let weight = |weight: u32| json!({ "constant_value": weight });
    let balancer = references(&["aws_lb.main.arn", "aws_lb.main"]);
    json!({
        "format_version": "1.2",
        "planned_values": { "root_module": { "resources": resources(false) } },
        "configuration": { "root_module": { "resources": [
            { "address": "aws_lb_listener.http", "expressions": {
                "load_balancer_arn": balancer, "port": { "constant_value": 80 },
                "default_action": [{ "type": { "constant_value": "forward" }, "forward": [{
                    "target_group": [
                        { "arn": color("blue"), "weight": weight(90) },
                        { "arn": color("green"), "weight": weight(10) },
                    ],
                    "stickiness": [{ "enabled": { "constant_value": true }, "duration": { "constant_value": 600 } }],
                }] }],
            } },
            { "address": "aws_lb_listener_rule.host", "count_expression": references(&["var.hosts"]), "expressions": {
                "listener_arn": references(&["aws_lb_listener.http.arn", "aws_lb_listener.http"]),
                "priority": references(&["count.index"]),
                "action": [{ "type": { "constant_value": "forward" }, "target_group_arn": color("green") }],
                "condition": [{ "host_header": [{ "values": references(&["var.hosts", "count.index"]) }] }],
            } },
            { "address": "aws_lb_target_group_attachment.web", "expressions": {
                "target_group_arn": references(&["aws_lb_target_group.color", "each.key"]),
                "target_id": references(&["aws_instance.web.id", "aws_instance.web"]),
            } },
        ] } },
    })
}

pub(super) fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

/// The outputs of `aws elbv2 describe-*`, as the script names their files.
pub(super) fn describe(folder: &Path) {
    let name = |arn: &str| arn.replace([':', '/'], "_");
    let attributes = |pairs: &[(&str, &str)]| json!({ "Attributes": pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect::<Vec<_>>() });
    write(
        folder,
        "load-balancers.json",
        &json!({ "LoadBalancers": [{
        "LoadBalancerArn": balancer_arn(), "LoadBalancerName": "main", "Type": "application", "Scheme": "internet-facing",
    }] }),
    );
    let of = |kind: &str, arn: &str| format!("{kind}.{}.json", name(arn));
    let timeout = [("idle_timeout.timeout_seconds", "100"), ("access_logs.s3.enabled", "false")];
    write(folder, &of("balancer-attributes", &balancer_arn()), &attributes(&timeout));
    let server = [("routing.http.response.server.enabled", "true")];
    write(folder, &of("listener-attributes", &listener_arn()), &attributes(&server));
    write(
        folder,
        "instances.json",
        &json!({ "Reservations": [{ "Instances": [{
        "InstanceId": "i-0123456789abcdef0", "PrivateIpAddress": "10.0.0.5",
    }] }] }),
    );
    let group = |color: &str| {
        json!({
            "TargetGroupArn": group_arn(color), "TargetGroupName": format!("app-{color}"), "Protocol": "HTTP", "Port": 8080,
            "ProtocolVersion": "HTTP1", "TargetType": "instance", "HealthCheckEnabled": true, "HealthCheckProtocol": "HTTP",
            "HealthCheckPort": "traffic-port", "HealthCheckPath": "/up", "HealthCheckIntervalSeconds": 30,
            "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 3,
            "Matcher": { "HttpCode": "200" },
        })
    };
    write(folder, "target-groups.json", &json!({ "TargetGroups": [group("blue"), group("green")] }));
    for color in ["blue", "green"] {
        let pairs = [
            ("stickiness.enabled", "true"),
            ("stickiness.type", "lb_cookie"),
            ("stickiness.lb_cookie.duration_seconds", "3600"),
            ("stickiness.app_cookie.duration_seconds", "86400"),
            ("stickiness.app_cookie.cookie_name", ""),
            ("deregistration_delay.timeout_seconds", "60"),
            ("load_balancing.algorithm.type", "round_robin"),
            ("slow_start.duration_seconds", "0"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
        ];
        write(folder, &of("group-attributes", &group_arn(color)), &attributes(&pairs));
        write(
            folder,
            &of("targets", &group_arn(color)),
            &json!({ "TargetHealthDescriptions": [
            { "Target": { "Id": "i-0123456789abcdef0", "Port": 8080 }, "TargetHealth": { "State": "healthy" } },
            { "Target": { "Id": "i-0123456789abcdef1", "Port": 8080 }, "TargetHealth": { "State": "draining" } },
        ] }),
        );
    }
    let forward = json!([{ "Type": "forward", "ForwardConfig": {
        "TargetGroups": [
            { "TargetGroupArn": group_arn("blue"), "Weight": 90 }, { "TargetGroupArn": group_arn("green"), "Weight": 10 },
        ],
        "TargetGroupStickinessConfig": { "Enabled": true, "DurationSeconds": 600 },
    } }]);
    write(
        folder,
        &of("listeners", &balancer_arn()),
        &json!({ "Listeners": [{
        "ListenerArn": listener_arn(), "LoadBalancerArn": balancer_arn(), "Port": 80, "Protocol": "HTTP",
        "DefaultActions": forward,
    }] }),
    );
    let rule = |priority: &str, host: &str| {
        json!({
            "RuleArn": format!("{}/{priority}", listener_arn().replace(":listener/", ":listener-rule/")),
            "Priority": priority, "IsDefault": false,
            "Conditions": [{ "Field": "host-header", "Values": [host], "HostHeaderConfig": { "Values": [host] } }],
            "Actions": [{ "Type": "forward", "TargetGroupArn": group_arn("green"), "ForwardConfig": {
                "TargetGroups": [{ "TargetGroupArn": group_arn("green"), "Weight": 1 }],
                "TargetGroupStickinessConfig": { "Enabled": false },
            } }],
        })
    };
    write(
        folder,
        &of("rules", &listener_arn()),
        &json!({ "Rules": [
        rule("1", "a.example.com"), rule("2", "b.example.com"),
        { "RuleArn": "x", "Priority": "default", "IsDefault": true, "Conditions": [], "Actions": forward },
    ] }),
    );
}
