variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "create" { default = true }
variable "https" { default = false }
resource "aws_lb" "main" {
  count = var.create ? 1 : 0
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  count = var.create ? 1 : 0
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main[0].arn
  port              = 80
  protocol          = "HTTP"
  count = var.create && !var.https ? 1 : 0
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app[0].arn
  }
}
resource "aws_lb_listener" "https" {
  load_balancer_arn = join("", aws_lb.main.*.arn)
  port              = 443
  protocol          = "HTTP"
  count = var.https ? 1 : 0
  default_action {
    type             = "forward"
    target_group_arn = element(concat(aws_lb_target_group.app.*.arn, [""]), 0)
  }
}
