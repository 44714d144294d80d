variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "services" {
  default = {
    web = { port = 80, hosts = ["www.example.com", "example.com"] }
    api = { port = 81, hosts = ["api.example.com"] }
  }
}
locals {
  pairs = flatten([
    for name, service in var.services : [
      for host in service.hosts : { service = name, host = host }
    ]
  ])
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
  name     = each.key
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.svc["web"].arn
  }
}

resource "aws_lb_listener_rule" "host" {
  for_each     = { for pair in local.pairs : "${pair.service}.${pair.host}" => pair }
  listener_arn = aws_lb_listener.http.arn
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.svc[each.value.service].arn
  }
  condition {
    host_header {
      values = [each.value.host]
    }
  }
}
