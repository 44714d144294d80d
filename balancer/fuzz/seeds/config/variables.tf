variable "port" {
  type    = number
  default = 80
}
locals {
  name = "app-${var.port}"
}
resource "aws_lb_target_group" "app" {
  name     = local.name
  port     = var.port
  protocol = "HTTP"
  health_check {
    matcher = "200-299"
  }
}
# a comment
/* another */
