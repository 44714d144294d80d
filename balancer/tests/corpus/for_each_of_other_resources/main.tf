variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "apps" {
  default = { one = 8001, two = 8002 }
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = each.value
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  for_each = var.apps
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = values(aws_lb_target_group.app)[0].arn
  }
}

resource "aws_lb_listener_rule" "app" {
  for_each     = aws_lb_target_group.app
  listener_arn = aws_lb_listener.http.arn
  action {
    type             = "forward"
    target_group_arn = each.value.arn
  }
  condition {
    host_header {
      values = ["${each.key}.example.com"]
    }
  }
}
