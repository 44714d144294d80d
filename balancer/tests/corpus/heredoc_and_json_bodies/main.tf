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
      message_body = <<-EOT
        <p>"back" soon</p>
          <i>${upper("x")}</i>
      EOT
      status_code  = "503"
    }
  }
}
resource "aws_lb_listener_rule" "json" {
  listener_arn = aws_lb_listener.http.arn
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "application/json"
      message_body = jsonencode({ status = "ok", code = 1 + 1, list = [for x in ["a", "b"] : upper(x)] })
      status_code  = "200"
    }
  }
  condition {
    path_pattern {
      values = ["/status"]
    }
  }
}
