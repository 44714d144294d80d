data "aws_vpc" "main" {
  default = true
}
data "aws_subnets" "public" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.main.id]
  }
}
data "aws_availability_zones" "available" {}
resource "aws_lb" "main" {
  name            = "main"
  subnets         = slice(sort(data.aws_subnets.public.ids), 0, length(data.aws_availability_zones.available.names))
  security_groups = [aws_security_group.lb.id, module.sg.this_id]
}
resource "aws_security_group" "lb" {
  vpc_id = data.aws_vpc.main.id
}
module "sg" {
  source = "terraform-aws-modules/security-group/aws"
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = data.aws_vpc.main.id
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
