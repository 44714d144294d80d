# As it was written before Terraform 0.12.
variable "with_balancer" {
  default = "1"
}
variable "checks" {
  type = "map"
  default = {
    path     = "/ping"
    interval = "12"
  }
}
data "template_file" "sorry" {
  template = "${file("sorry.txt.tpl")}"
  vars {
    team  = "night shift"
    phone = 5550100
  }
}
resource "aws_alb" "front" {
  count   = "${var.with_balancer}"
  name    = "front"
  subnets = ["${aws_subnet.public.*.id}"]
  tags {
    Team = "night shift"
  }
}
resource "aws_alb_target_group" "front" {
  count = "${var.with_balancer}"
  name  = "${replace("tg-front-of-the-house-and-of-the-yard", "/(.{0,32})(.*)/", "$1")}"
  port  = "${lookup(var.checks, "port", 8080)}"
  health_check {
    path     = "${var.checks["path"]}"
    interval = "${var.checks["interval"]}"
  }
}
resource "aws_alb_listener" "front" {
  count             = "${var.with_balancer}"
  load_balancer_arn = "${aws_alb.front.arn}"
  port              = "80"
  default_action {
    type             = "forward"
    target_group_arn = "${aws_alb_target_group.front.arn}"
  }
}
resource "aws_alb_listener_rule" "sorry" {
  listener_arn = "${aws_alb_listener.front.arn}"
  priority     = 5
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "${data.template_file.sorry.rendered}"
      status_code  = "503"
    }
  }
  condition {
    field  = "host-header"
    values = ["${join(".", list("closed", "example", "com"))}"]
  }
}
variable "hosts" {
  type    = "list"
  default = ["a.example.com", "b.example.com"]
}
resource "aws_alb_listener_rule" "hosts" {
  count        = "${var.with_balancer}"
  listener_arn = "${aws_alb_listener.front.arn}"
  priority     = 20
  action {
    type             = "forward"
    target_group_arn = "${aws_alb_target_group.front.arn}"
  }
  condition {
    field  = "host-header"
    values = ["${var.hosts}", "c.example.com"]
  }
}
