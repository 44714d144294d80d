variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

locals {
  rules = [
    { name = "old", type = "redirect", hosts = ["old.example.com"], paths = [] },
    { name = "down", type = "fixed", hosts = [], paths = ["/down", "/down/*"] },
    { name = "app", type = "forward", hosts = ["app.example.com"], paths = ["/app*"] },
  ]
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_lb_listener_rule" "all" {
  for_each     = { for index, rule in local.rules : rule.name => merge(rule, { priority = (index + 1) * 10 }) }
  listener_arn = aws_lb_listener.http.arn
  priority     = each.value.priority
  dynamic "action" {
    for_each = each.value.type == "forward" ? [1] : []
    content {
      type             = "forward"
      target_group_arn = aws_lb_target_group.app.arn
    }
  }
  dynamic "action" {
    for_each = each.value.type == "redirect" ? [1] : []
    content {
      type = "redirect"
      redirect {
        host        = "new.example.com"
        status_code = "HTTP_301"
      }
    }
  }
  dynamic "action" {
    for_each = each.value.type == "fixed" ? [1] : []
    content {
      type = "fixed-response"
      fixed_response {
        content_type = "text/plain"
        status_code  = "503"
      }
    }
  }
  dynamic "condition" {
    for_each = length(each.value.hosts) > 0 ? [each.value.hosts] : []
    content {
      host_header {
        values = condition.value
      }
    }
  }
  dynamic "condition" {
    for_each = length(each.value.paths) > 0 ? [each.value.paths] : []
    content {
      path_pattern {
        values = condition.value
      }
    }
  }
}
