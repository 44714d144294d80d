variable "vpc_id" {}
variable "subnets" {
  type = list(string)
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

locals {
  paths = { "/b/*" = 20, "/a/*" = 10 }
  order = sort(keys(local.paths))
}
resource "aws_lb_listener_rule" "path" {
  for_each     = local.paths
  listener_arn = aws_lb_listener.http.arn
  priority     = index(local.order, each.key) + 1
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
  condition {
    path_pattern {
      values = [each.key]
    }
  }
}
