//! Terraform up to 0.11: blocks as values, and names in quotes.
use balancer::model::{Action, StickinessKind};

use super::folders::{EMPTY, read};

fn one(text: &str) -> Result<balancer::model::Configuration, String> {
    read(&[("main.tf", text), EMPTY])
}

#[test]
fn blocks_that_were_values_are_blocks() {
    let folder = r#"
resource "aws_alb_target_group" "shop" {
  port = "8080"
  stickiness = {
    type            = "lb_cookie"
    cookie_duration = 600
  }
  health_check = [{
    path    = "/${"alive"}"
    matcher = "200"
  }]
}
resource "aws_alb_listener" "front" {
  port = "80"
  default_action = [
    {
      type             = "forward"
      target_group_arn = "${aws_alb_target_group.shop.arn}"
    }
  ]
}
resource "aws_alb_listener_rule" "old" {
  listener_arn = "${aws_alb_listener.front.arn}"
  priority     = 7
  action = {
    type     = "redirect"
    redirect = { path = "/new", status_code = "HTTP_302" }
  }
  condition = {
    field  = "path-pattern"
    values = ["/old"]
  }
}
"#;
    let read = one(folder).unwrap();
    let [shop] = &read.target_groups[..] else { panic!("{:?}", read.target_groups) };
    assert_eq!(shop.health_check.path, "/alive");
    let kind = shop.stickiness.as_ref().map(|it| &it.kind);
    assert!(matches!(kind, Some(StickinessKind::LoadBalancerCookie)), "{kind:?}");
    let [front] = &read.listeners[..] else { panic!("{:?}", read.listeners) };
    assert!(matches!(front.default_action, Action::Forward(_)));
    let [old] = &front.rules[..] else { panic!("{:?}", front.rules) };
    assert!(matches!(&old.action, Action::Redirect(_)), "{:?}", old.action);
    assert_eq!(old.priority, 7);

    // What is wrong in them has its place.
    let fault = one(&folder.replace("600", "0")).unwrap_err();
    assert!(fault.starts_with("main.tf:6:23: `cookie_duration`"), "{fault}");
    let unknown = one(&folder.replace("field  =", "felid  =")).unwrap_err();
    assert!(unknown.contains("unknown attribute `felid`"), "{unknown}");
    // Blocks of ours were never values.
    let native = "target_group \"a\" {\n  stickiness = { type = \"lb_cookie\" }\n}\n";
    assert!(one(native).unwrap_err().contains("`stickiness` is a block, not an attribute"));
}

#[test]
fn names_in_quotes_are_names() {
    let folder = r#"
resource "aws_subnet" "a" {
  tags {
    "Name"                  = "a"
    "example.org/role.main" = "front"
    "example.org/role.side" = "front"
  }
}
resource "aws_alb_listener" "front" {
  "port" = 80
  "default_action" {
    type = "fixed-response"
    "fixed_response" { 
      content_type = "text/plain"
      message_body = "a \"b\" = {"
      status_code  = "${lookup(map(
        "one", "200",
        "two", "201"
      ), "two")}"
    }
  }
}
locals {
  kept = {
    "a.b" = 1
  }
}
"#;
    let read = one(folder).unwrap();
    let Action::FixedResponse(fixed) = &read.listeners[0].default_action else { panic!() };
    assert_eq!((fixed.body.as_str(), fixed.status), ("a \"b\" = {", 201));

    // Keys of maps stay what they are.
    let keyed = "locals {\n  m = {\n    \"x.y\" = \"/z\"\n  }\n}\nresource \"aws_lb_target_group\" \"a\" {\n  port = 80\n  \
                 health_check {\n    path = local.m[\"x.y\"]\n  }\n}\n";
    assert_eq!(one(keyed).unwrap().target_groups[0].health_check.path, "/z");
}
