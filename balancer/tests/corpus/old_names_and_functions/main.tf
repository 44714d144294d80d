variable "vpc_id" {}
variable "subnets" {
  type = "list"
}

variable "stickiness" {
  type    = "map"
  default = { "enabled" = "true", "cookie_duration" = "60", "type" = "lb_cookie" }
}
resource "aws_alb" "main" {
  name    = "${join("-", list("old", "alb"))}"
  subnets = ["${var.subnets}"]
}
resource "aws_alb_target_group" "app" {
  port = "${lookup(map("web", "8080"), "web")}"
  stickiness {
    enabled         = "${lookup(var.stickiness, "enabled")}"
    type            = "${lookup(var.stickiness, "type")}"
    cookie_duration = "${lookup(var.stickiness, "cookie_duration")}"
  }
}
resource "aws_alb_listener" "http" {
  load_balancer_arn = "${aws_alb.main.arn}"
  port              = "80"
  default_action {
    target_group_arn = "${aws_alb_target_group.app.arn}"
    type             = "forward"
  }
}
