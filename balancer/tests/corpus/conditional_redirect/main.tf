variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "force_https" {
  type    = bool
  default = true
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
  load_balancer_arn = aws_lb.main.arn
  port              = "80"
  protocol          = "HTTP"
  default_action {
    type             = var.force_https ? "redirect" : "forward"
    target_group_arn = var.force_https ? null : aws_lb_target_group.app.arn
    dynamic "redirect" {
      for_each = var.force_https ? [1] : []
      content {
        port        = "443"
        protocol    = "HTTPS"
        status_code = "HTTP_301"
      }
    }
  }
}
