resource "aws_lb" "default" {
  name         = "default"
  idle_timeout = 120
}
resource "aws_lb_target_group" "shop" {
  port     = 8080
  protocol = "HTTP"
}
resource "aws_lb_listener" "own" {
  load_balancer_arn = aws_lb.default.arn
  port              = 80
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
resource "aws_lb_listener" "theirs" {
  load_balancer_arn = data.terraform_remote_state.edge.outputs.lb_arn
  port              = 81
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
resource "aws_lb_listener" "said" {
  load_balancer_arn = data.aws_lb.internal.arn
  port              = 82
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
