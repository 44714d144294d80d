variable "vpc_id" {}
variable "subnets" {
  type = list(string)
}
resource "aws_lb" "main" {
  name               = "main"
  load_balancer_type = "application"
  enable_deletion_protection = terraform.workspace == "prod"
  dynamic "access_logs" {
    for_each = []
    content {
      bucket = aws_s3_bucket.logs.id
    }
  }
  timeouts {
    create = "10m"
  }
  subnets            = var.subnets
}
resource "aws_lb_target_group" "app" {
  port     = 80
  protocol = "HTTP"
  vpc_id   = var.vpc_id
  lifecycle {
    create_before_destroy = true
    ignore_changes        = [name]
  }
}
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.id
  port              = 80
  protocol          = "HTTP"
  lifecycle {
    ignore_changes = [default_action]
  }
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}
output "dns" {
  value = aws_lb.main.dns_name
}
