variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "active" { default = "green" }
variable "canary" { default = 5 }
locals {
  colors = ["blue", "green"]
  weight = { for color in local.colors : color => color == var.active ? 100 - var.canary : var.canary }
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
  count = length(local.colors)
  name  = "app-${local.colors[count.index]}"
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 60 * 60 * 24
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "forward"
    forward {
      dynamic "target_group" {
        for_each = { for index, color in local.colors : color => aws_lb_target_group.color[index].arn }
        content {
          arn    = target_group.value
          weight = local.weight[target_group.key]
        }
      }
      stickiness {
        enabled  = true
        duration = 3600
      }
    }
  }
}
