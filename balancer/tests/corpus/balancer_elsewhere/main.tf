# The load balancer is made by a module, or by another folder.
module "edge" {
  source = "./edge"
}
data "aws_lb" "shared" {
  name = "shared"
}
variable "partner_lb_arn" {
  default = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/partners/0123456789abcdef"
}
resource "aws_lb_target_group" "shop" {
  port     = 8080
  protocol = "HTTP"
  vpc_id   = module.edge.vpc_id
}
resource "aws_lb_listener" "shop" {
  load_balancer_arn = module.edge.lb_arn
  port              = 80
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
resource "aws_lb_listener" "staff" {
  load_balancer_arn = data.aws_lb.shared.arn
  port              = 8081
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
resource "aws_lb_listener" "partners" {
  load_balancer_arn = var.partner_lb_arn
  port              = 8082
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.shop.arn
  }
}
