variable "vpc_id" {}
variable "subnets" {
  type = list(string)
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

resource "aws_wafv2_web_acl_association" "main" {
  resource_arn = aws_lb.main.arn
  web_acl_arn  = aws_wafv2_web_acl.main.arn
}
resource "aws_ecs_service" "app" {
  name = "app"
  dynamic "load_balancer" {
    for_each = [aws_lb_target_group.app.arn]
    content {
      target_group_arn = load_balancer.value
      container_name   = "app"
      container_port   = 80
    }
  }
}
resource "aws_autoscaling_attachment" "app" {
  count                  = 1
  autoscaling_group_name = aws_autoscaling_group.app.id
  lb_target_group_arn    = aws_lb_target_group.app.arn
}
resource "aws_wafv2_web_acl_association" "none" {
  count        = var.vpc_id == "" ? 1 : 0
  resource_arn = aws_lb.main.arn
  web_acl_arn  = "x"
}
resource "aws_wafv2_web_acl_association" "off" {
  for_each     = toset([for name in ["x"] : name if false])
  resource_arn = aws_lb.main.arn
  web_acl_arn  = each.key
}
