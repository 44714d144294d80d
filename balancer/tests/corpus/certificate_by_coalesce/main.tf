variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "certificate_arn" { default = "" }
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

resource "aws_acm_certificate" "own" {
  count       = var.certificate_arn == "" ? 1 : 0
  domain_name = "example.com"
}
locals {
  certificate = coalesce(var.certificate_arn, one(aws_acm_certificate.own[*].arn))
}
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.main.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = local.certificate
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}
