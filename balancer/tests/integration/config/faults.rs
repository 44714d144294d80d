//! Every fault of a configuration: one at a time, with its place, what is wrong and what is allowed.
use super::one_fault::{assert_one_fault, parse};

/// One fault each: what stands in a `target_group`, where the fault is, how its message begins, what is allowed.
#[test]
fn faults_in_a_target_group() {
    for (text, place, wrong, allowed) in [
        ("port = 0", "2:8", "`port` = 0 is out of range", "from 1 to 65535"),
        ("port = 1.5", "2:8", "`port` = 1.5 is no whole number", "a whole number"),
        ("port = \"http\"", "2:8", "`port` = \"http\" is no whole number", "a whole number"),
        ("port = [80]", "2:8", "`port` = a list is no whole number", "a whole number"),
        ("prot = 80", "2:1", "unknown attribute `prot` (did you mean `port`?)", "port"),
        ("name = \"-x\"", "2:8", "\"-x\" is no name", "letters, digits and hyphens"),
        ("name = \"abcdefghijklmnopqrstuvwxyz1234567\"", "2:8", "", "1 to 32"),
        ("name = var.name", "2:8", "`name`: there is no variable `name`", "a variable with a default"),
        ("name = random_pet.x.id", "2:8", "`name` = random_pet.x.id is not known here", "1 to 32"),
        (
            "deregistration_delay = 3601",
            "2:24",
            "`deregistration_delay` = 3601 is out of range",
            "from 0 to 3600",
        ),
        (
            "deregistration_delay = -1",
            "2:24",
            "`deregistration_delay` = -1 is out of range",
            "from 0 to 3600",
        ),
        (
            "deregistration_delay = 60 / 0",
            "2:24",
            "`deregistration_delay`: a division by zero",
            "another divisor",
        ),
        (
            "load_balancing_algorithm_type = \"least_outstanding_request\"",
            "2:33",
            "",
            "\"least_outstanding_requests\"",
        ),
        (
            "load_balancing_algorithm_type = \"weighted_random\"\nstickiness {\n}",
            "2:33",
            "You cannot have both stickiness and weighted random algorithm enabled on the same target group",
            "no `stickiness`",
        ),
        (
            "load_balancing_algorithm_type = \"weighted_random\"\nslow_start = 30",
            "3:14",
            "You cannot enable both slow start and weighted random algorithm on a target group",
            "`load_balancing_algorithm_type` = \"round_robin\"",
        ),
        (
            "load_balancing_algorithm_type = \"least_outstanding_requests\"\nslow_start = 900",
            "3:14",
            "You cannot enable both slow start and least outstanding requests algorithm on a target group",
            "0, or `load_balancing_algorithm_type` = \"round_robin\"",
        ),
        (
            "load_balancing_anomaly_mitigation = \"on\"",
            "2:37",
            "You cannot enable anomaly mitigation without weighted random algorithm on a target group",
            "\"off\", or `load_balancing_algorithm_type` = \"weighted_random\"",
        ),
        ("load_balancing_anomaly_mitigation = true", "2:37", "", "\"off\" or \"on\""),
        (
            "stickiness_failover = \"fail\"",
            "2:23",
            "`stickiness_failover` has no meaning without stickiness",
            "\"move\"",
        ),
        (
            "deregistration_stickiness = \"keep\"",
            "2:29",
            "`deregistration_stickiness` has no meaning without stickiness",
            "\"move\", or a `stickiness` block",
        ),
        ("slow_start = 29", "2:14", "`slow_start` = 29", "0, or a whole number from 30 to 900"),
        ("slow_start = 901", "2:14", "`slow_start` = 901", "0, or a whole number from 30 to 900"),
        ("slow_start = \"off\"", "2:14", "`slow_start` = \"off\"", "0, or a whole number from 30 to 900"),
        ("protocol = \"TCP\"", "2:12", "`protocol` = \"TCP\"", "\"HTTP\" or \"HTTPS\""),
        (
            "target_tls_verification = \"on\"",
            "2:27",
            "`target_tls_verification` is for HTTPS",
            "\"HTTPS\" beside it",
        ),
        ("target_tls_server_name = \"a.test\"", "2:26", "`target_tls_server_name` is for HTTPS", "\"HTTPS\""),
        (
            "protocol = \"HTTPS\"\ntarget_tls_server_name = \"a test\"",
            "3:26",
            "`target_tls_server_name` =",
            "a host name",
        ),
        (
            "protocol = \"HTTPS\"\ntarget_tls_ca_file = \"/a\"",
            "3:22",
            "`target_tls_ca_file` has no meaning",
            "\"on\"",
        ),
        ("protocol_version = \"HTTP3\"", "2:20", "", "\"HTTP1\", \"HTTP2\" or \"GRPC\""),
        ("target_type = \"lambda\"", "2:15", "", "\"instance\" or \"ip\""),
        ("count = -1", "2:9", "`count`: a number is no number of blocks", "a whole number from 0 to 1000"),
        ("for_each = [1]", "2:12", "`for_each`: a list makes no blocks", "toset([…])"),
        ("dynamic \"stickiness\" {}", "2:1", "a `dynamic` block needs a label", "the block itself"),
        ("stickness {}", "2:1", "unknown block `stickness` (did you mean `stickiness`?)", "stickiness"),
        ("stickiness = true", "2:1", "`stickiness` is a block, not an attribute", "`stickiness { … }`"),
        ("port {}", "2:1", "`port` is an attribute, not a block", "`port = …`"),
        ("stickiness {}\nstickiness {}", "3:1", "a second `stickiness` block is not supported", "one"),
        ("targets = \"10.0.0.1:80\"", "2:11", "`targets` = \"10.0.0.1:80\" is no list", "HOST:PORT"),
        ("targets = [\"10.0.0.1\"]", "2:12", "target \"10.0.0.1\" has no port", "a port here or there"),
        ("targets = [\"10.0.0.1:x\"]", "2:12", "target \"10.0.0.1:x\" has no port number", "1 to 65535"),
        ("targets = [\"10.0.0.1:\"]", "2:12", "target \"10.0.0.1:\" has no port number", "1 to 65535"),
        (
            "targets = [\"10.0.0.1:99999\"]",
            "2:12",
            "target \"10.0.0.1:99999\" has a port that is none, \"99999\"",
            "1 to 65535",
        ),
        (
            "targets = [aws_instance.x.id]",
            "2:12",
            "`targets` = aws_instance.x.id is not known here",
            "HOST:PORT",
        ),
        (
            "targets = [\"[::ffff:10.0.0.1]:80\", \"10.0.0.1:80\"]",
            "2:36",
            "target \"10.0.0.1:80\" is given twice in target group \"app\", first at x.hcl:2:12",
            "once",
        ),
        ("x = \"\u{1b}[31m\"", "2:1", "unknown attribute `x`", "port"),
        ("name = \"\u{1b}[31m\"", "2:8", "\"\\u{1b}[31m\" is no name", "1 to 32"),
        (
            "target_group_health {\nunhealthy_state_routing {\nminimum_healthy_targets_count = 0\n}\n}",
            "4:33",
            "`minimum_healthy_targets_count` = 0 is out of range",
            "from 1 to 1000",
        ),
        (
            "target_group_health {\nunhealthy_state_routing {\nminimum_healthy_targets_percentage = 101\n}\n}",
            "4:38",
            "`minimum_healthy_targets_percentage` = 101",
            "\"off\", or a whole number from 1 to 100",
        ),
    ] {
        assert_one_fault(&format!("target_group \"app\" {{\n{text}\n}}\n"), place, wrong, allowed);
    }
}

#[test]
fn faults_in_stickiness() {
    for (text, place, wrong, allowed) in [
        (
            "type = \"source_ip\"",
            "3:8",
            "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
            "\"lb_cookie\", \"app_cookie\" or \"app_header\"",
        ),
        ("type = \"lb_cooky\"", "3:8", "`type` = \"lb_cooky\" (did you mean `lb_cookie`?)", "\"lb_cookie\""),
        (
            "type = \"app_cookie\"",
            "3:8",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
            "`cookie_name`",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"\"",
            "4:15",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
            "the name of the application's cookie",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"AWSALBAPP-0\"",
            "4:15",
            "`cookie_name` = \"AWSALBAPP-0\" is reserved",
            "not starting with AWSALB",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"EDGE1\"\ncookie_prefix = \"EDGE\"",
            "4:15",
            "`cookie_name` = \"EDGE1\" is reserved",
            "`cookie_prefix`",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"a b\"",
            "4:15",
            "`cookie_name` = \"a b\" is no name",
            "token",
        ),
        (
            "type = \"app_header\"",
            "3:8",
            "You must set a header name to enable stickiness of type 'app_header'",
            "`header_name`",
        ),
        (
            "type = \"app_header\"\nheader_name = \"\"",
            "4:15",
            "You must set a header name to enable stickiness of type 'app_header'",
            "as \"Mcp-Session-Id\"",
        ),
        (
            "type = \"app_header\"\nheader_name = \"a b\"",
            "4:15",
            "`header_name` = \"a b\" cannot name sessions",
            "token",
        ),
        (
            "type = \"app_header\"\nheader_name = \"Set-Cookie\"",
            "4:15",
            "`header_name` = \"Set-Cookie\" cannot name sessions",
            "no field that cookies",
        ),
        (
            "type = \"app_header\"\nheader_name = \"X-Id\"\ncookie_pick = \"last\"",
            "5:15",
            "`cookie_pick` = \"last\" has no meaning for `app_header`",
            "`type` = \"app_cookie\"",
        ),
        ("cookie_duration = 0", "3:19", "`cookie_duration` = 0 is out of range", "from 1 to 604800"),
        ("cookie_duration = 604801", "3:19", "", "from 1 to 604800"),
        ("enabled = \"yes\"", "3:11", "`enabled` = \"yes\"", "true or false"),
        (
            "cookie_partitioned = true",
            "3:22",
            "`cookie_partitioned` = true without `cookie_secure`",
            "`cookie_secure` = true beside it",
        ),
        ("cookie_max_age = 60", "3:18", "`cookie_max_age` = 60", "true or false"),
        ("cookie_pick = \"both\"", "3:15", "", "\"first\" or \"last\""),
        (
            "cookie_pick = \"last\"",
            "3:15",
            "`cookie_pick` = \"last\" has no meaning for `lb_cookie`",
            "`type` = \"app_cookie\"",
        ),
        ("cookie_prefix = \"\"", "3:17", "`cookie_prefix` = \"\"", "1 to 32 token characters"),
        ("cookie_prefix = \"a;b\"", "3:17", "`cookie_prefix` = \"a;b\"", "1 to 32 token characters"),
        ("cookie_renewal = \"never\"", "3:18", "", "\"always\" or \"when_due\""),
        (
            "max_lifetime = 31536001",
            "3:16",
            "`max_lifetime` = 31536001",
            "0, or a whole number from 1 to 31536000",
        ),
        ("load_factor = 109", "3:15", "`load_factor` = 109", "0, or a whole number from 110 to 1000"),
        (
            "type = \"app_cookie\"\ncookie_name = \"SID\"\nmax_lifetime = -1",
            "5:16",
            "`max_lifetime` = -1",
            "0, or a whole number from 1 to 31536000",
        ),
        (
            "type = \"app_cookie\"\ncookie_name = \"SID\"\nload_factor = 1001",
            "5:15",
            "`load_factor` = 1001",
            "0, or a whole number from 110 to 1000",
        ),
        ("cookie_expires = 5", "3:1", "unknown attribute `cookie_expires`", "cookie_duration"),
    ] {
        let block = format!("target_group \"app\" {{\nstickiness {{\n{text}\n}}\n}}\n");
        assert_one_fault(&block, place, wrong, allowed);
    }
}

#[test]
fn faults_in_a_health_check() {
    for (text, place, wrong, allowed) in [
        (
            "interval = 5",
            "3:12",
            "Health check timeout '5' must be smaller than the interval '5'",
            "a `timeout` below `interval`",
        ),
        ("timeout = 30", "3:11", "Health check timeout '30' must be smaller than the interval '30'", ""),
        ("interval = 4\ntimeout = 2", "3:12", "`interval` = 4 is out of range", "from 5 to 300"),
        ("interval = 300\ntimeout = 121", "4:11", "", "from 2 to 120"),
        ("healthy_threshold = 1", "3:21", "", "from 2 to 10"),
        ("unhealthy_threshold = 11", "3:23", "", "from 2 to 10"),
        ("path = \"health\"", "3:8", "`path` = \"health\"", "the first one /"),
        ("path = \"/a b\"", "3:8", "", "visible ASCII"),
        ("path = \"/\\r\\nX: y\"", "3:8", "", "visible ASCII"),
        ("port = 0", "3:8", "`port` = 0", "\"traffic-port\""),
        ("port = 65536", "3:8", "`port` = 65536", "1 to 65535"),
        ("port = \"traffic\"", "3:8", "`port` = \"traffic\"", "\"traffic-port\""),
        ("protocol = \"TCP\"", "3:12", "`protocol` = \"TCP\"", "\"HTTP\" or \"HTTPS\""),
        ("matcher = \"200-600\"", "3:11", "`matcher` = \"200-600\"", "from 200 to 499"),
    ] {
        let block = format!("target_group \"app\" {{\nhealth_check {{\n{text}\n}}\n}}\n");
        assert_one_fault(&block, place, wrong, allowed);
    }
    let long =
        format!("target_group \"app\" {{\nhealth_check {{\npath = \"/{}\"\n}}\n}}\n", "a".repeat(1024));
    assert_one_fault(&long, "3:8", "", "1 to 1024");
}

#[test]
fn faults_in_a_listener() {
    let action = "default_action {\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}";
    for (text, place, wrong, allowed) in [
        (format!("port = 0\n{action}"), "3:8", "`port` = 0 is out of range", "from 1 to 65535"),
        (action.to_owned(), "2:1", "listener needs `port`", "from 1 to 65535"),
        ("port = 80".to_owned(), "2:1", "the listener needs a `default_action`", "default_action {"),
        (format!("port = 9900\n{action}"), "3:8", "0.0.0.0:9900 is taken by `admin_address`", "\"off\""),
        (format!("port = 80\naddress = \"localhost\"\n{action}"), "4:11", "`address` = \"localhost\"", "IPv4"),
        (
            format!("port = 80\nprotocol = \"HTTPS\"\n{action}"),
            "2:1",
            "listener needs `certificate_arn`",
            "a certificate",
        ),
        (
            format!("port = 80\ncertificate_arn = \"arn:x\"\n{action}"),
            "4:19",
            "`certificate_arn` is for HTTPS",
            "`protocol` = \"HTTPS\"",
        ),
        (format!("port = 80\nload_balancer_arn = \"x\"\n{action}"), "4:21", "there is no load balancer \"x\"", "none"),
        (
            "port = 80\ndefault_action {\ntarget_group_arn = \"app\"\n}".to_owned(),
            "4:1",
            "default_action needs `type`",
            "\"forward\"",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\n}".to_owned(),
            "4:1",
            "default_action needs `target_group_arn`",
            "target_group.LABEL.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"jwt-validation\"\n}".to_owned(),
            "5:8",
            "`type` = \"jwt-validation\" is not supported by this version",
            "\"forward\"",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = target_group.ap.arn\n}".to_owned(),
            "6:20",
            "there is no target group \"ap\" (did you mean `app`?)",
            "target_group.app.arn, target_group.b.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = load_balancer.app.arn\n}".to_owned(),
            "6:20",
            "load_balancer.app.arn is no reference to a target group",
            "target_group.app.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = \"arn:aws:x\"\n}".to_owned(),
            "6:20",
            "\"arn:aws:x\" is a target group of AWS",
            "target_group.app.arn",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = aws_lb_target_group.app[0].arn\n}"
                .to_owned(),
            "6:20",
            "`target_group_arn`: `aws_lb_target_group.app` is one, and has no index",
            "`count` in the block",
        ),
        (
            format!("port = 80\n{}", action.replace('}', "forward {\ntarget_group {\narn = \"b\"\n}\n}\n}")),
            "6:20",
            "`target_group_arn` and the `forward` block name different groups",
            "the same group",
        ),
    ] {
        let file = format!("target_group \"app\" {{}}\nlistener \"web\" {{\n{text}\n}}\ntarget_group \"b\" {{}}\n");
        assert_one_fault(&file, place, wrong, allowed);
    }
}

#[test]
fn faults_among_blocks() {
    let listener = |name: &str, address: &str| {
        format!(
            "listener \"{name}\" {{\nport = 80\naddress = \"{address}\"\ndefault_action {{\ntype = \"forward\"\n\
             target_group_arn = \"app\"\n}}\n}}\ntarget_group \"app\" {{}}\n"
        )
    };
    let same_port = |one: &str, other: &str| {
        let second = listener("b", other).replace("target_group \"app\" {}\n", "");
        parse(&format!("{}{second}", listener("a", one)))
    };
    assert_eq!(
        same_port("0.0.0.0", "127.0.0.1").unwrap_err(),
        "x.hcl:11:8: 127.0.0.1:80 is taken by the listener on 0.0.0.0:80 at x.hcl:2:8; allowed: an address and port \
         that no other has"
    );
    assert!(same_port("127.0.0.1", "127.0.0.1").is_err());
    assert!(same_port("::1", "::").is_err());
    assert!(same_port("127.0.0.1", "127.0.0.2").is_ok());
    assert!(same_port("0.0.0.0", "::").is_ok());

    for (text, place, wrong, allowed) in [
        (
            "target_group \"a\" {}\ntarget_group \"a\" {}",
            "2:14",
            "target group \"a\" is given twice, first at x.hcl:1:1",
            "differ",
        ),
        (
            "target_group \"a\" {}\nresource \"aws_lb_target_group\" \"a\" {}",
            "2:32",
            "target group \"a\" is given twice",
            "differ",
        ),
        (
            "target_group \"a\" {}\ntarget_group \"b\" {\nname = \"a\"\n}",
            "3:8",
            "the name \"a\" is taken by the target group at x.hcl:1:1",
            "differ",
        ),
        ("target_group {}", "1:1", "`target_group` takes one label", "\"LABEL\""),
        ("target_group \"a\" \"b\" {}", "1:18", "`target_group` takes one label", "\"LABEL\""),
        ("balancer \"x\" {}", "1:10", "`balancer` takes no label", "`balancer {"),
        ("balancer {}\nbalancer {}", "2:1", "a second `balancer` block", "one"),
        ("listner \"x\" {}", "1:1", "unknown block `listner` (did you mean `listener`?)", "listener"),
        (
            "listener \"a\" {\nport = 1\ndefault_action {\ntype = \"forward\"\ntarget_group_arn = \"x\"\n}\n\
             mutual_authentication {\nmode = \"on\"\n}\n}\ntarget_group \"x\" {}",
            "8:8",
            "`mode` = \"on\"",
            "\"off\", \"passthrough\" or \"verify\"",
        ),
        (
            "resource \"aws_lb_trust_store\" \"x\" {}",
            "1:10",
            "`aws_lb_trust_store` has its files in S3",
            "`trust_store`, which names files",
        ),
        (
            "resource \"aws_lb_trust_store_revocation\" \"x\" {}",
            "1:10",
            "`aws_lb_trust_store_revocation` has its files in S3",
            "`trust_store_revocation`, which names files",
        ),
        (
            "resource \"aws_lb_target_grup\" \"x\" {}",
            "1:10",
            "unknown type `aws_lb_target_grup` (did you mean `aws_lb_target_group`?)",
            "aws_lb_target_group",
        ),
        ("port = 80\ntarget_group \"a\" {}", "1:1", "`port` stands outside of a block", "blocks only"),
        ("balancer {\nworkers = 257\n}", "2:11", "", "from 1 to 256"),
        ("balancer {\ninstance = \"A\"\n}", "2:12", "`instance` = \"A\"", "a-z"),
        ("balancer {\nstate_dir = \"state\"\n}", "2:13", "`state_dir` = \"state\"", "an absolute path"),
        ("balancer {\nadmin_address = \"9900\"\n}", "2:17", "`admin_address` = \"9900\"", "\"off\""),
        ("balancer {\nkernel_assist = \"on\"\n}", "2:17", "", "\"required\""),
        ("balancer {\nuser = \"a:b\"\n}", "2:8", "`user` = \"a:b\"", "a user"),
        ("load_balancer \"a\" {\nidle_timeout = 4001\n}", "2:16", "", "from 1 to 4000"),
        ("load_balancer \"a\" {\nclient_keep_alive = 59\n}", "2:21", "", "from 60 to 604800"),
        ("load_balancer \"a\" {\ndesync_mitigation_mode = \"off\"\n}", "2:26", "", "\"defensive\""),
        ("load_balancer \"a\" {\ndrop_invalid_header_fields = \"yes\"\n}", "2:30", "", "true or false"),
        (
            "load_balancer \"a\" {\nupgrade_protocols = [\"a/1\"]\n}",
            "2:22",
            "`upgrade_protocols` lists \"a/1\"",
            "names",
        ),
        ("load_balancer \"a\" {\nupgrade_protocols = [\"a\", \"H2C\"]\n}", "2:27", "", "other than h2c"),
        ("load_balancer \"a\" {\nupgrade_protocols = [\"\"]\n}", "2:22", "", "up to 8 names"),
        ("load_balancer \"a\" {\nupgrade_protocols = \"a\"\n}", "2:21", "", "up to 8 names"),
        (
            "load_balancer \"a\" {\nupgrade_protocols = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]\n}",
            "2:21",
            "`upgrade_protocols` has 9 members",
            "up to 8 names",
        ),
        (
            "load_balancer \"a\" {\nconnection_logs {\nenabled = \"on\"\n}\n}",
            "3:11",
            "`enabled` = \"on\"",
            "true or false",
        ),
        (
            "load_balancer \"a\" {\naccess_logs {\nenabled = \"on\"\n}\n}",
            "3:11",
            "`enabled` = \"on\"",
            "true or false",
        ),
        (
            "load_balancer \"a\" {\naccess_logs {\npath = \"access.log\"\n}\n}",
            "3:8",
            "`path` = \"access.log\"",
            "\"stdout\" or an absolute path",
        ),
        (
            "load_balancer \"a\" {\naccess_logs {\nformat = \"combined\"\n}\n}",
            "3:10",
            "`format` = \"combined\"",
            "\"alb\" or \"json\"",
        ),
        ("load_balancer \"a\" {\nload_balancer_type = \"network\"\n}", "2:22", "", "\"application\""),
        (
            "target_group_attachment \"a\" {\ntarget_group_arn = \"x\"\ntarget_id = \"10.0.0.1\"\n}",
            "2:20",
            "there is no target group \"x\"",
            "none is given",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\ntarget_id = aws_instance.x.id\n}",
            "4:13",
            "`target_id` = aws_instance.x.id is not known here",
            "HOST:PORT",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\n}",
            "2:1",
            "target_group_attachment needs `target_id`",
            "HOST:PORT",
        ),
        (
            "target_group \"a\" {}\ntarget_group_attachment \"a\" {\ntarget_group_arn = \"a\"\ntarget_id = \"h:1\"\nport = 2\n}",
            "4:13",
            "target \"h:1\" has a port of its own",
            "not both",
        ),
        (
            "locals {\na = local.b\nb = local.a\n}\ntarget_group \"x\" {\nname = local.a\n}",
            "6:8",
            "`name`: the value leads through too many variables or parts",
            "a value",
        ),
        (
            "variable \"p\" {}\ntarget_group \"x\" {\nport = var.p\n}",
            "3:8",
            "`port`: `var.p` has no default",
            "a default",
        ),
        ("", "1:1", "nothing is configured", "listener or target_group"),
        ("# only words\n", "1:1", "nothing is configured", "listener or target_group"),
    ] {
        assert_one_fault(text, place, wrong, allowed);
    }
}

/// What seems to be missing is what is written wrong: one fault, not two.
#[test]
fn what_is_written_wrong_is_not_missing_as_well() {
    let action = "default_action {\ntype = \"fixed-response\"\nfixed_response {\ncontent_type = \"text/plain\"\n\
                  status_code = 200\n}\n}";
    for (listener, begin) in [
        (format!("prot = 80\n{action}"), "x.hcl:2:1: unknown attribute `prot` (did you mean `port`?)"),
        (format!("port {{\n}}\n{action}"), "x.hcl:2:1: `port` is an attribute, not a block"),
        (
            format!("port = 80\n{}", action.replace("status_code", "status_cod")),
            "x.hcl:7:1: unknown attribute `status_cod` (did you mean `status_code`?)",
        ),
        (
            format!("port = 80\n{}", action.replace("default_action", "default_acton")),
            "x.hcl:3:1: unknown block `default_acton` (did you mean `default_action`?)",
        ),
        (
            "port = 80\ndefault_action = {\ntype = \"forward\"\n}".to_owned(),
            "x.hcl:3:1: `default_action` is a block, not an attribute",
        ),
        (
            "port = 80\ndynamic \"default_action\" {\nfor_each = [1]\ncontent {\n}\n}".to_owned(),
            "x.hcl:3:1: default_action needs `type`",
        ),
        (
            format!("port = 80\n{}", action.replace("fixed_response {", "fixed_respons {")),
            "x.hcl:5:1: unknown block `fixed_respons` (did you mean `fixed_response`?)",
        ),
        (
            "port = 80\ndefault_action {\ntype = \"jwt-validation\"\njwt_validation {\nissuer = \"x\"\n}\n}"
                .to_owned(),
            "x.hcl:4:8: `type` = \"jwt-validation\" is not supported by this version",
        ),
    ] {
        let faults = parse(&format!("listener \"a\" {{\n{listener}\n}}\n")).unwrap_err();
        assert!(faults.starts_with(begin) && faults.lines().count() == 1, "{listener}\n{faults}");
    }
    let counted = "target_group \"t\" {\ncount = -1\nport = 80\n}\nlistener \"a\" {\nport = 80\ndefault_action {\n\
                   type = \"forward\"\ntarget_group_arn = target_group.t[0].arn\n}\n}\n";
    let faults = parse(counted).unwrap_err();
    assert!(faults.starts_with("x.hcl:2:9: `count`: ") && faults.lines().count() == 1, "{faults}");
    let uncounted = parse(&counted.replace("count = -1\n", "")).unwrap_err();
    assert!(uncounted.contains("`target_group.t` is one, and has no index"), "{uncounted}");

    let missing = parse(&format!("listener \"a\" {{\nadress = \"::\"\n{action}\n}}\n")).unwrap_err();
    assert!(missing.contains("listener needs `port`") && missing.lines().count() == 2, "{missing}");

    let rule = "listener \"a\" {\nport = 80\nACTION\n}\nlistener_rule \"r\" {\nlistener_arn = listener.a.arn\npriority = 1\n\
                action {\ntype = \"fixed-response\"\nfixed_response {\ncontent_type = \"text/plain\"\nstatus_code = 200\n}\n}\n"
        .replace("ACTION", action);
    for (condition, faults) in [
        ("condition {\nfield = \"path-patern\"\nvalues = [\"/a\"]\n}", 1),
        ("condition {\npath_patern {\nvalues = [\"/a\"]\n}\n}", 1),
        ("dynamic \"condition\" {\nfor_each = []\ncontent {\n}\n}", 1),
        ("condition {\n}", 1),
        ("", 1),
    ] {
        let found = parse(&format!("{rule}{condition}\n}}\n")).unwrap_err();
        assert_eq!(found.lines().count(), faults, "{condition}\n{found}");
    }
}
