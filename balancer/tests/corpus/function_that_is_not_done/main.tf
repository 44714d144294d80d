variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
locals {
  config = yamldecode(provider::local::read("ports"))
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = local.config.port
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
