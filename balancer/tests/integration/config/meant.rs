//! What is written is what is done: nothing else in its place, and where it is not, that is told with its place.

use std::path::Path;

use balancer::{config, model::Configuration};

use super::folders::{EMPTY, answering, read};

fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    config::warnings(&read(files).unwrap_or_else(|fault| panic!("{fault}")))
}

fn targets(of: &Configuration) -> Vec<Vec<String>> {
    let targets = of.target_groups.iter().map(|group| &group.targets);
    targets.map(|targets| targets.iter().map(|target| format!("{:?}", target.address)).collect()).collect()
}

#[test]
fn an_index_goes_into_what_a_reference_is_said_to_be() {
    let text = |first: &str, second: &str| {
        let attached = |group: &str, id: &str| {
            format!(
                "resource \"aws_lb_target_group\" \"{group}\" {{\n  port = 80\n}}\n\
                 resource \"aws_lb_target_group_attachment\" \"{group}\" {{\n  \
                 target_group_arn = aws_lb_target_group.{group}.arn\n  target_id = {id}\n}}\n"
            )
        };
        answering("\"x\"") + &attached("blue", first) + &attached("green", second)
    };
    let said = |value: &str| format!("balancer {{\n  terraform_values = {{\n    {value}\n  }}\n}}\n");
    let list = said("\"aws_instance.web.id\" = [\"10.0.0.7\", \"10.0.0.8\"]");
    let map = said("\"aws_instance.web\" = { a = \"10.0.0.7\", b = \"10.0.0.8\" }");
    let one = said("\"aws_instance.web.id\" = \"10.0.0.7\"");
    let (seven, eight) = ("Ip(10.0.0.7)", "Ip(10.0.0.8)");
    for (said, first, second, expected) in [
        (&list, "aws_instance.web[0].id", "aws_instance.web[1].id", [vec![seven], vec![eight]]),
        (&list, "aws_instance.web[1].id", "aws_instance.web[0].id", [vec![eight], vec![seven]]),
        (&map, "aws_instance.web[\"b\"].id", "aws_instance.web[\"a\"].id", [vec![eight], vec![seven]]),
        // Who says one value means it for all of them.
        (&one, "aws_instance.web[0].id", "aws_instance.web[1].id", [vec![seven], vec![seven]]),
    ] {
        let read = read(&[("main.tf", &text(first, second)), ("local.hcl", said)]).unwrap();
        assert_eq!(targets(&read), expected, "{first} {second}");
    }
    for (said, wrong) in [
        (&list, "aws_instance.web[2].id"),
        (&list, "aws_instance.web[\"a\"].id"),
        (&map, "aws_instance.web[\"c\"].id"),
        (&map, "aws_instance.web[0].id"),
    ] {
        let files = [("main.tf", &*text("\"10.0.0.1\"", wrong)), ("local.hcl", said)];
        let fault = read(&files).unwrap_err();
        let place = "main.tf:24:15: `target_id`";
        assert!(fault.starts_with(place) && fault.lines().count() == 1, "{wrong}: {fault}");
    }
    let arns = said("\"module.tg.arns\" = [\"blue\", \"green\"]");
    let forwards = "resource \"aws_lb_target_group\" \"blue\" {}\nresource \"aws_lb_target_group\" \"green\" {}\n\
                    resource \"aws_lb_listener\" \"web\" {\n  port = 80\n  default_action {\n    type = \"forward\"\n    \
                    target_group_arn = module.tg.arns[1]\n  }\n}\n";
    let read = read(&[("main.tf", forwards), ("local.hcl", &arns)]).unwrap();
    assert_eq!(read.listeners[0].default_action.groups().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_name_has_one_value() {
    for (kind, one, two) in [
        ("local", "locals {\n  p = 1\n}\n", "locals {\n  q = 1\n  p = 2\n}\n"),
        ("variable", "variable \"p\" {\n  default = 1\n}\n", "variable \"p\" {\n  default = 2\n}\n"),
    ] {
        let fault = read(&[("a.tf", &(answering("\"x\"") + one)), ("b.tf", two)]).unwrap_err();
        let (line, first) = if kind == "local" { (3, "a.tf:13:3") } else { (1, "a.tf:12:1") };
        assert!(fault.starts_with(&format!("b.tf:{line}:")), "{fault}");
        assert!(fault.contains(&format!("{kind} \"p\" is given twice, first at {first}")), "{fault}");
        // One that is put over another by Terraform's own rules is none.
        read(&[("a.tf", &(answering("\"x\"") + one)), ("b_override.tf", one)]).unwrap();
    }
}

#[test]
fn thresholds_are_terraforms_in_a_block_that_is_written() {
    let groups = "resource \"aws_lb_target_group\" \"a\" {}\n\
                  resource \"aws_lb_target_group\" \"b\" {\n  health_check {}\n}\n\
                  target_group \"c\" {\n  health_check {}\n}\n";
    let read = read(&[("main.tf", &(answering("\"x\"") + groups)), EMPTY]).unwrap();
    let thresholds = read.target_groups.iter().map(|group| {
        (group.name.as_str(), group.health_check.healthy_threshold, group.health_check.unhealthy_threshold)
    });
    assert_eq!(thresholds.collect::<Vec<_>>(), [("a", 5, 2), ("b", 3, 3), ("c", 5, 2)]);
}

#[test]
fn what_browsers_would_drop_is_refused() {
    let text = |attributes: &str| {
        answering("\"x\"")
            + &format!(
                "target_group \"a\" {{\n  stickiness {{\n    type = \"lb_cookie\"\n    {attributes}\n  }}\n}}\n"
            )
    };
    for prefix in ["__Host-", "__Secure-", "__HOST-x", "__secure-"] {
        let plain = text(&format!("cookie_prefix = \"{prefix}\""));
        let fault = read(&[("main.hcl", &plain)]).unwrap_err();
        assert!(fault.starts_with("main.hcl:15:21: `cookie_prefix`"), "{fault}");
        assert!(fault.contains("allowed: `cookie_secure` = true beside it"), "{fault}");
        read(&[("main.hcl", &text(&format!("cookie_prefix = \"{prefix}\"\n    cookie_secure = true")))])
            .unwrap();
    }
    read(&[("main.hcl", &text("cookie_prefix = \"__Hosts\""))]).unwrap();
}

#[test]
fn a_load_balancer_that_is_meant_for_few_is_told_to_be_open() {
    let text = |internal: &str, address: &str| {
        format!(
            "resource \"aws_lb\" \"lb\" {{\n  internal = {internal}\n}}\nlocals {{\n  yes = true\n}}\n{}",
            answering("\"x\"").replace("port = 8080", &format!("port = 8080\n  {address}"))
        )
    };
    for internal in ["true", "local.yes"] {
        let told = warnings(&[("main.tf", &text(internal, "")), EMPTY]);
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert!(told.starts_with("main.tf:2:3: `internal` keeps nobody out here"), "{told}");
        assert!(told.contains("0.0.0.0:8080") && told.contains("`address`"), "{told}");
    }
    for (internal, address) in [("false", ""), ("var.unknown", ""), ("true", "address = \"127.0.0.1\"")] {
        assert_eq!(warnings(&[("main.tf", &text(internal, address)), EMPTY]), Vec::<String>::new());
    }
}

#[test]
fn a_rewrite_that_is_never_done_is_told() {
    let rule = |action: &str| {
        answering("\"x\"")
            + &format!(
                "target_group \"a\" {{\n  targets = [\"127.0.0.1:1\"]\n}}\nlistener_rule \"r\" {{\n  \
                 listener_arn = aws_lb_listener.web.arn\n  priority = 1\n  {action}\n  condition {{\n    path_pattern {{\n      \
                 values = [\"/a\"]\n    }}\n  }}\n  transform {{\n    type = \"url-rewrite\"\n    url_rewrite_config {{\n      \
                 rewrite {{\n        regex = \"^/a\"\n        replace = \"/b\"\n      }}\n    }}\n  }}\n}}\n"
            )
    };
    let told = |action: &str| {
        let told = warnings(&[("main.tf", &rule(action)), EMPTY]);
        told.into_iter().filter(|told| told.contains("`transform` is never done")).collect::<Vec<_>>()
    };
    let own = "action {\n    type = \"fixed-response\"\n    fixed_response {\n      content_type = \"text/plain\"\n      status_code = 200\n    }\n  }";
    let [line] = &*told(own) else { panic!("one line") };
    assert!(line.starts_with("main.tf:30:3: "), "{line}");
    let forward = "action {\n    type = \"forward\"\n    target_group_arn = target_group.a.arn\n  }";
    assert_eq!(told(forward), Vec::<String>::new());
}

#[test]
fn no_log_is_written_into_the_configuration() {
    let logs = |path: &Path| {
        answering("\"x\"")
            + &format!(
                "load_balancer \"lb\" {{\n  access_logs {{\n    path = \"{}\"\n  }}\n}}\n",
                path.display()
            )
    };
    let here = std::path::absolute("main.hcl").unwrap();
    for path in [here.clone(), here.with_file_name("other").join("../main.hcl")] {
        let fault = read(&[("main.hcl", &logs(&path))]).unwrap_err();
        assert!(fault.contains("is a file of the configuration; allowed: a file of its own"), "{fault}");
    }
    read(&[("main.hcl", &logs(&here.with_extension("log")))]).unwrap();
}

#[test]
fn no_log_is_written_into_a_file_that_the_configuration_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = |log: &str| {
        format!(
            "load_balancer \"lb\" {{\n  LOG {{\n    path = \"{log}\"\n  }}\n}}\ncertificate \"c\" {{\n  certificate_file = \
             \"c.pem\"\n  private_key_file = \"c.key\"\n}}\ntrust_store \"t\" {{\n  ca_certificates_bundle_file = \
             \"sub/ca.pem\"\n}}\ntrust_store_revocation \"t\" {{\n  trust_store_arn = trust_store.t.arn\n  revocations_file \
             = \"crl.pem\"\n}}\ntarget_group \"app\" {{\n  protocol = \"HTTPS\"\n  target_tls_verification = \
             \"on\"\n  target_tls_ca_file = \"targets.pem\"\n}}\nshield {{\n  interfaces = [\"eth0\"]\n  deny_file = \
             \"deny.txt\"\n  allow_file = \"allow.txt\"\n}}\nbalancer {{\n  key_file = \"{}/keys\"\n}}\n",
            folder.path().display()
        )
    };
    // The files are not there, which is told beside it.
    let faults = |log: &str, path: &str| {
        let text = text(path).replace("LOG", log);
        config::parse(&[(folder.path().join("x.hcl"), text)]).unwrap_err().to_string()
    };
    for log in ["access_logs", "health_check_logs"] {
        for file in ["c.pem", "c.key", "sub/ca.pem", "crl.pem", "targets.pem", "deny.txt", "allow.txt"] {
            for path in [folder.path().join(file), folder.path().join("x/..").join(file)] {
                let faults = faults(log, &path.display().to_string());
                let told = "is a file that the configuration names and that is read along with it; allowed: a file of its own";
                assert!(
                    faults.contains(told) && faults.contains("x.hcl:3:12: `path` = "),
                    "{file}: {faults}"
                );
            }
        }
        let keys = faults(log, &folder.path().join("keys").display().to_string());
        assert!(keys.contains("is the key file; allowed: a file of its own"), "{keys}");
        let other = faults(log, &folder.path().join("c.log").display().to_string());
        assert!(!other.contains("a file of its own"), "{other}");
    }
}

#[test]
fn what_was_meant_is_said() {
    let forward = |group: &str| {
        format!(
            "target_group \"app\" {{}}\nlistener \"web\" {{\n  port = 80\n  default_action {{\n    type = \"forward\"\n    \
             target_group_arn = {group}\n  }}\n}}\n"
        )
    };
    let fault = read(&[("main.hcl", &forward("\"target_group.app.arn\""))]).unwrap_err();
    assert!(
        fault.contains("a reference stands without quotes, and in JSON as \"${target_group.app.arn}\""),
        "{fault}"
    );
    let other = read(&[("main.hcl", &forward("\"target_group.other.arn\""))]).unwrap_err();
    assert!(!other.contains("without quotes"), "{other}");
    // A socket of IPv6 serves no addresses of IPv4.
    let mapped =
        forward("target_group.app.arn").replace("port = 80", "port = 80\n  address = \"::ffff:127.0.0.1\"");
    let fault = read(&[("main.hcl", &mapped)]).unwrap_err();
    assert!(fault.starts_with("main.hcl:4:13: `address` = \"::ffff:127.0.0.1\"; allowed: "), "{fault}");
}

#[test]
fn what_cannot_be_asked_for_is_no_path_of_a_check() {
    let text = |path: &str| {
        answering("\"x\"")
            + &format!("target_group \"a\" {{\n  health_check {{\n    path = \"{path}\"\n  }}\n}}\n")
    };
    for path in ["/a<b>", "/a`", "/?q=<a>"] {
        let fault = read(&[("main.hcl", &text(path))]).unwrap_err();
        assert!(
            fault.starts_with("main.hcl:14:12: `path` = ") && fault.contains("that a URL may have"),
            "{fault}"
        );
    }
    for path in ["/live?deep=1&x={y}", "/%3Ca%3E", "/~a/b;c=d,e!f'(g)*h"] {
        read(&[("main.hcl", &text(path))]).unwrap();
    }
}
