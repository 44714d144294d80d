variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "project" { default = "My Project" }
variable "env" { default = "staging" }
locals {
  prefix = lower(replace(var.project, " ", "-"))
  name   = substr(format("%s-%s", local.prefix, var.env), 0, 18)
}
resource "random_string" "suffix" {
  length = 4
}
resource "aws_lb" "main" {
  name               = "${local.name}-alb"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  name = "${local.name}-${random_string.suffix.result}"
}
resource "aws_lb_target_group" "other" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  name = join("-", compact([local.prefix, "", "other"]))
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
