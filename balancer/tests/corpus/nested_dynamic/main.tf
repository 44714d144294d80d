variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "listeners" {
  default = {
    http  = { port = 80, forward = { groups = ["a", "b"] } }
    other = { port = 8080, forward = { groups = ["b"] } }
  }
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "g" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  for_each = toset(["a", "b"])
  name     = "g-${each.key}"
}

resource "aws_lb_listener" "all" {
  for_each          = var.listeners
  load_balancer_arn = aws_lb.main.arn
  port              = each.value.port
  default_action {
    type = "forward"
    dynamic "forward" {
      for_each = try([each.value.forward], [])
      content {
        dynamic "target_group" {
          for_each = forward.value.groups
          iterator = tg
          content {
            arn    = aws_lb_target_group.g[tg.value].arn
            weight = 10 * (tg.key + 1)
          }
        }
      }
    }
  }
}
