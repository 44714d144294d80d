variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}

variable "office" {
  type    = set(string)
  default = ["198.51.100.0/24", "192.0.2.0/24"]
}
variable "query" {
  default = { debug = "1", lang = "de" }
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
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_lb_listener_rule" "office" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 5
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
  condition {
    source_ip {
      values = var.office
    }
  }
  condition {
    http_request_method {
      values = ["GET", "HEAD"]
    }
  }
}
resource "aws_lb_listener_rule" "query" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 6
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
  condition {
    dynamic "query_string" {
      for_each = var.query
      content {
        key   = query_string.key
        value = query_string.value
      }
    }
  }
  condition {
    http_header {
      http_header_name = "X-Mode"
      values           = [for mode in ["fast", "slow"] : "${mode}*"]
    }
  }
}
