resource "aws_lb_listener" "http" {
  port = 8080 + 1
}
