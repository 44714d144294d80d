variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "weights" {
  default = { blue = 75, green = 25 }
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "color" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  for_each = var.weights
  name     = each.key
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "forward"
    forward {
      dynamic "target_group" {
        for_each = var.weights
        content {
          arn    = aws_lb_target_group.color[target_group.key].arn
          weight = target_group.value
        }
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
}
