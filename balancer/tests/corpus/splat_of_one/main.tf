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
  load_balancer_arn = element(aws_lb.main[*].arn, 0)
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = try(aws_lb_target_group.none[0].arn, aws_lb_target_group.app.arn)
  }
}
resource "aws_lb_target_group" "none" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  count = 0
}
