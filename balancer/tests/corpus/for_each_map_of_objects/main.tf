variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "services" {
  type = map(object({
    port     = number
    paths    = list(string)
    priority = number
    sticky   = optional(bool, false)
  }))
  default = {
    web = { port = 8080, paths = ["/*"], priority = 200 }
    api = { port = 8081, paths = ["/api/*", "/v2/*"], priority = 100, sticky = true }
  }
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "svc" {
  port     = each.value.port
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  for_each = var.services
  name     = "${each.key}-tg"
  stickiness {
    type    = "lb_cookie"
    enabled = each.value.sticky
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "nothing here"
      status_code  = "404"
    }
  }
}
resource "aws_lb_listener_rule" "svc" {
  for_each     = var.services
  listener_arn = aws_lb_listener.http.arn
  priority     = each.value.priority
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.svc[each.key].arn
  }
  condition {
    path_pattern {
      values = each.value.paths
    }
  }
}
