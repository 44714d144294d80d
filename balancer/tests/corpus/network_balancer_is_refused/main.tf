variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
resource "aws_lb" "nlb" {
  load_balancer_type = "network"
}
resource "aws_lb_target_group" "tcp" {
  port     = 443
  protocol = "TCP"
}
resource "aws_lb_listener" "tcp" {
  load_balancer_arn = aws_lb.nlb.arn
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tcp.arn
  }
}
