variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "services" {
  type    = list(string)
  default = ["web", "api", "admin"]
}
variable "ports" { default = [8080, 8081, 8082] }
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "svc" {
  port     = var.ports[count.index]
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  count = length(var.services)
  name  = "svc-${element(var.services, count.index)}"
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.svc[0].arn
  }
}

resource "aws_lb_listener_rule" "svc" {
  count        = length(var.services) - 1
  listener_arn = aws_lb_listener.http.arn
  priority     = 100 + count.index
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.svc[count.index + 1].arn
  }
  condition {
    path_pattern {
      values = ["/${var.services[count.index + 1]}/*"]
    }
  }
}
