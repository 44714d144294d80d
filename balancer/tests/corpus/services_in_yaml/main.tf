variable "vpc_id" {
  type    = string
  default = "vpc-1"
}
locals {
  common   = yamldecode(file("${path.module}/common.yaml"))
  files    = fileset("${path.module}/services", "*.{yaml,yml}")
  services = { for name in local.files : trimsuffix(trimsuffix(name, ".yaml"), ".yml") => yamldecode(file("${path.module}/services/${name}")) }
  rules    = flatten([for name, service in local.services : [for path in service.paths : { name = name, path = path }]])
}
resource "aws_lb" "main" {
  name    = local.common.name
  subnets = local.common.subnets
}
resource "aws_lb_target_group" "service" {
  for_each = local.services
  name     = "${each.key}-${substr(md5("${each.key}-${local.common.name}"), 0, 6)}"
  port     = each.value.port
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  health_check {
    path    = try(each.value.health.path, "/")
    matcher = try(each.value.health.matcher, "200")
  }
  dynamic "stickiness" {
    for_each = try(each.value.sticky, false) ? [1] : []
    content {
      type            = "lb_cookie"
      cookie_duration = try(each.value.sticky_seconds, local.common.sticky_seconds)
    }
  }
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = formatdate("DD MMM YYYY", local.common.since)
      status_code  = 404
    }
  }
}
resource "aws_lb_listener_rule" "service" {
  for_each     = { for index, rule in local.rules : "${rule.name}${rule.path}" => merge(rule, { priority = index + 1 }) }
  listener_arn = aws_lb_listener.http.arn
  priority     = each.value.priority
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.service[each.value.name].arn
  }
  condition {
    path_pattern {
      values = [each.value.path]
    }
  }
}
