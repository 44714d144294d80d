//! Folders with a Network Load Balancer beside the Application Load Balancer.
use super::folders::{EMPTY, read};

const APPLICATION: &str = r#"
resource "aws_lb" "front" { load_balancer_type = "application" }
resource "aws_lb_target_group" "web" { port = 80 }
resource "aws_lb_listener" "web" {
  load_balancer_arn = aws_lb.front.arn
  port              = 80
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
"#;

const NETWORK: &str = r#"
variable "kind" { default = "network" }
resource "aws_lb" "packets" {
  count              = 2
  load_balancer_type = var.kind
}
resource "aws_lb_target_group" "ssh" {
  count       = 2
  port        = 22
  protocol    = "TCP"
  health_check { protocol = "TCP" }
}
resource "aws_lb_target_group" "to_front" {
  port        = 80
  protocol    = "TCP"
  target_type = "alb"
}
resource "aws_lb_target_group_attachment" "to_front" {
  target_group_arn = aws_lb_target_group.to_front.arn
  target_id        = aws_lb.front.arn
}
resource "aws_lb_listener" "ssh" {
  count             = 2
  load_balancer_arn = element(aws_lb.packets[*].arn, count.index)
  port              = 22
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.ssh[count.index].arn
  }
}
"#;

#[test]
fn what_is_of_other_load_balancers_is_left_out_and_told() {
    let read_ = |text: &str| read(&[("main.tf", text), EMPTY]);
    let both = read_(&format!("{APPLICATION}{NETWORK}")).unwrap();
    assert_eq!(both.listeners.len(), 1);
    assert_eq!(both.load_balancers.len(), 1);
    assert_eq!(both.target_groups.len(), 1);
    let told: Vec<&String> =
        both.remarks.iter().filter(|remark| remark.contains("Network or Gateway")).collect();
    let [told] = told[..] else { panic!("{:?}", both.remarks) };
    assert!(told.starts_with("main.tf:14:1: aws_lb.packets[0], aws_lb.packets[1], "), "{told}");
    for name in ["aws_lb_listener.ssh[1]", "aws_lb_target_group.ssh[0]", "aws_lb_target_group.to_front, "] {
        assert!(told.contains(name), "{told}");
    }
    assert!(told.contains("they are left out; leave it to"), "{told}");

    // A listener of one that is elsewhere goes by its protocol, and one of Gateway Load Balancers by its owner.
    let elsewhere = NETWORK.replace("element(aws_lb.packets[*].arn, count.index)", "data.aws_lb.packets.arn");
    assert_eq!(read_(&format!("{APPLICATION}{elsewhere}")).unwrap().listeners.len(), 1);
    let gateway = NETWORK
        .replace("\"network\"", "\"gateway\"")
        .replace("  port              = 22\n  protocol          = \"TCP\"\n", "");
    assert_eq!(read_(&format!("{APPLICATION}{gateway}")).unwrap().listeners.len(), 1);
}

#[test]
fn a_folder_of_others_alone_is_refused() {
    let fault = read(&[("main.tf", NETWORK), EMPTY]).unwrap_err();
    assert!(fault.contains("`load_balancer_type` = \"network\" is not supported"), "{fault}");
}

#[test]
fn a_group_of_packets_that_requests_would_go_to_is_a_fault() {
    let mixed = format!("{APPLICATION}{NETWORK}").replacen(
        "aws_lb_target_group.web.arn",
        "aws_lb_target_group.ssh[0].arn",
        1,
    );
    let fault = read(&[("main.tf", &mixed), EMPTY]).unwrap_err();
    assert!(fault.contains("`protocol` = \"TCP\" is of Network and Gateway Load Balancers"), "{fault}");
}

#[test]
fn a_listener_of_an_application_load_balancer_with_their_protocol_is_a_fault() {
    let mixed = format!("{APPLICATION}{NETWORK}").replacen(
        "  port              = 80\n",
        "  port              = 80\n  protocol          = \"TLS\"\n",
        1,
    );
    let fault = read(&[("main.tf", &mixed), EMPTY]).unwrap_err();
    assert!(fault.contains("`protocol` = \"TLS\" is of Network and Gateway Load Balancers"), "{fault}");
}
