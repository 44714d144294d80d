# Nothing gives these variables a value, and nothing that is done with a request goes by them.
variable "project" {}
variable "environment" {
  type = string
}
variable "log_bucket" {
  type = string
}
variable "tags" {
  type = map(string)
}
variable "alb_arn" {
  type        = string
  description = "Of the stack that has the load balancer."
}
locals {
  prefix = "${var.project}-${var.environment}"
}
resource "aws_lb" "main" {
  name = "${local.prefix}-alb"
  access_logs {
    bucket  = var.log_bucket
    prefix  = local.prefix
    enabled = true
  }
  tags = merge(var.tags, { Name = local.prefix })
}
resource "aws_lb_target_group" "app" {
  name     = format("%s-app", var.project)
  port     = 80
  protocol = "HTTP"
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}
resource "aws_lb_listener" "shared" {
  load_balancer_arn = var.alb_arn
  port              = 8080
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}
