variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  subnets            = var.subnets
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/html"
      message_body = templatefile("${path.module}/down.tpl", { title = "Down", links = ["a", "b"] })
      status_code  = 503
    }
  }
}
resource "aws_lb_listener_rule" "file" {
  listener_arn = aws_lb_listener.http.arn
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = trimspace(file("robots.txt"))
      status_code  = 200
    }
  }
  condition {
    path_pattern {
      values = ["/robots.txt"]
    }
  }
}
