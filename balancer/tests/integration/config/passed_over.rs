//! What a folder of Terraform says and what is not done here: told where it matters, passed over where it does not.

use balancer::config;

use super::folders::read;

const MAIN: &str = "resource \"aws_lb\" \"a\" {\n  ARGUMENT\n}\nresource \"aws_lb_listener\" \"web\" {\n  load_balancer_arn = \
                    aws_lb.a.arn\n  port = 8080\n  ADDRESS\n  default_action {\n    type = \"fixed-response\"\n    \
                    fixed_response {\n      content_type = \"text/plain\"\n      status_code = 200\n    }\n  }\n}\n";

/// The warnings of a folder with this in its load balancer, this address, and this beside it, that are about who gets in.
fn told(argument: &str, address: &str, more: &str) -> Vec<String> {
    let address = if address.is_empty() { String::new() } else { format!("address = \"{address}\"") };
    let main = MAIN.replace("ARGUMENT", argument).replace("ADDRESS", &address);
    let read = read(&[("main.tf", &main), ("more.tf", more)]).unwrap_or_else(|fault| panic!("{fault}"));
    let is_such = |line: &String| line.contains("keeps nobody out") || line.contains("which packets reach");
    config::warnings(&read).into_iter().filter(is_such).collect()
}

#[test]
fn security_groups_that_keep_nobody_out_are_told() {
    for groups in [
        "[aws_security_group.lb.id]",
        "[\"sg-1\"]",
        "concat(var.a, [var.b])",
        "local.groups",
        "module.sg.ids",
    ] {
        for address in ["", "10.0.0.1", "::"] {
            let told = told(&format!("security_groups = {groups}"), address, "");
            let [line] = &told[..] else { panic!("{groups} {address}: {told:?}") };
            assert!(
                line.starts_with("main.tf:2:3: `security_groups` keeps nobody out here: whoever reaches "),
                "{line}"
            );
            assert!(line.contains("reaches listener \"web\""), "{line}");
        }
        // Nobody but this host reaches it.
        assert_eq!(told(&format!("security_groups = {groups}"), "127.0.0.1", ""), Vec::<String>::new());
    }
    for nothing in ["", "security_groups = []", "security_groups = null"] {
        assert_eq!(told(nothing, "", ""), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn what_guards_a_network_is_told_beside_a_load_balancer() {
    for kind in [
        "aws_network_acl",
        "aws_default_network_acl",
        "aws_networkfirewall_firewall",
        "aws_networkfirewall_vpc_endpoint_association",
        "aws_vpc_block_public_access_options",
    ] {
        let more = format!("\nresource \"{kind}\" \"x\" {{\n  subnet_ids = var.subnets\n}}\n");
        let told = told("", "", &more);
        let [line] = &told[..] else { panic!("{kind}: {told:?}") };
        assert!(
            line.starts_with(&format!("more.tf:2:1: {kind}.x decides on AWS which packets reach")),
            "{line}"
        );
        assert!(self::told("", "", &more.replace("subnet_ids", "count = 0\n  subnet_ids")).is_empty());
        // Without a load balancer it is about something else.
        let group = "resource \"aws_lb_target_group\" \"t\" {\n  port = 80\n}\n";
        let alone = read(&[("main.tf", group), ("more.tf", &more)]).unwrap();
        assert!(!config::warnings(&alone).iter().any(|line| line.contains("which packets reach")));
    }
    let module = "module \"f\" {\n  source = \"terraform-aws-modules/network-firewall/aws\"\n}\n";
    let guarded = told("", "", module);
    assert!(
        matches!(&guarded[..], [line] if line.starts_with("more.tf:1:1: module.f decides on AWS which")),
        "{guarded:?}"
    );
    let rule = "resource \"aws_network_acl_rule\" \"x\" {\n  cidr_block = aws_lb.a.name\n}\n";
    assert_eq!(told("", "", rule), Vec::<String>::new(), "the list that it is in is told");
}

#[test]
fn what_makes_blocks_that_are_not_looked_at_is_not_looked_at() {
    let made =
        |kind: &str| format!("dynamic \"{kind}\" {{\n    for_each = var.x\n    content {{\n    }}\n  }}");
    for kind in ["subnet_mapping", "ipam_pools", "minimum_load_balancer_capacity", "timeouts"] {
        assert_eq!(told(&made(kind), "", ""), Vec::<String>::new(), "{kind}");
    }
    for kind in ["access_logs", "subnet_maping", "connection_logs"] {
        let fault =
            read(&[("main.tf", &MAIN.replace("ARGUMENT", &made(kind)).replace("ADDRESS", "")), ("z.tf", "")])
                .unwrap_err();
        assert!(
            (fault.contains("`for_each`: there is no variable `x`")
                || fault.contains("a `dynamic` block needs a label"))
                && fault.lines().count() == 1,
            "{fault}"
        );
    }
    let json = "{\"resource\": {\"aws_lb\": {\"b\": {\"dynamic\": {\"subnet_mapping\": {\"for_each\": [1], \"content\": {}}}}}}}";
    read(&[("main.tf.json", json), ("z.tf", "")]).unwrap();
}
