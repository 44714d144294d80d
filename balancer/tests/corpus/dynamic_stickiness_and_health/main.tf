variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "stickiness" {
  default = { enabled = true, type = "app_cookie", cookie_name = "SESSION", cookie_duration = 3600 }
}
variable "health_check" {
  type    = map(string)
  default = { path = "/up", interval = "10", timeout = "3", matcher = "200-299" }
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
  dynamic "stickiness" {
    for_each = length(keys(var.stickiness)) == 0 ? [] : [var.stickiness]
    content {
      enabled         = lookup(stickiness.value, "enabled", null)
      type            = lookup(stickiness.value, "type", "lb_cookie")
      cookie_name     = lookup(stickiness.value, "cookie_name", null)
      cookie_duration = lookup(stickiness.value, "cookie_duration", null)
    }
  }
  dynamic "health_check" {
    for_each = [var.health_check]
    iterator = check
    content {
      path                = lookup(check.value, "path", null)
      interval            = lookup(check.value, "interval", null)
      timeout             = lookup(check.value, "timeout", null)
      healthy_threshold   = lookup(check.value, "healthy_threshold", null)
      unhealthy_threshold = lookup(check.value, "unhealthy_threshold", null)
      matcher             = lookup(check.value, "matcher", null)
    }
  }
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
