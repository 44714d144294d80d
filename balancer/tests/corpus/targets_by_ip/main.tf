variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
variable "ips" {
  default = ["10.0.1.5", "10.0.2.5"]
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
  target_type = "ip"
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

resource "aws_lb_target_group_attachment" "ip" {
  for_each         = { for index, ip in var.ips : "ip-${index}" => ip }
  target_group_arn = aws_lb_target_group.app.arn
  target_id        = each.value
  port             = 8080
}
resource "aws_lb_target_group_attachment" "computed" {
  target_group_arn = aws_lb_target_group.app.arn
  target_id        = cidrhost(cidrsubnet("10.0.0.0/16", 8, 3), 7)
}
