# The provider passes over what is of an action of another type.
resource "aws_lb" "main" {}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type             = "redirect"
    target_group_arn = aws_lb_target_group.app.arn
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
resource "aws_lb_listener" "more" {
  load_balancer_arn = aws_lb.main.arn
  port              = 81
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}
