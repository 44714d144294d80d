variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
locals {
  tags = merge({ Name = "x" }, yamldecode("a: 1"), { When = timestamp() })
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  tags               = local.tags
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  tags = merge(local.tags, { Hash = md5("x") })
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
