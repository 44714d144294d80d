variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "weights" {
  type = map(number)
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}
resource "aws_lb_target_group" "blue" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
}
resource "aws_lb_target_group" "green" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.blue.arn
        weight = var.weights["blue"]
      }
      target_group {
        arn    = aws_lb_target_group.green.arn
        weight = lookup(var.weights, "green", 0)
      }
    }
  }
}
