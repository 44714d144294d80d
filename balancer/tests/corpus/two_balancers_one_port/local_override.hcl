resource "aws_lb_listener" "http" {
  address = "192.0.2.10"
}
resource "aws_lb_listener" "inside" {
  address = "10.0.0.10"
}
