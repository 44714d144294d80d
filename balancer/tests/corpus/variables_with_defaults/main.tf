resource "aws_lb" "main" {
  name               = "${var.name}-lb"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = var.app_port
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  name     = "${var.name}-app"
  health_check {
    path = var.health_path
  }
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
