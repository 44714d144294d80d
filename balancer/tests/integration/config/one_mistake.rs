//! One mistake is told once: what follows from it is no fault of its own.

use std::{fs, path::PathBuf};

use balancer::config;

use super::folders::read;

const GROUP: &str = "resource \"aws_lb_target_group\" \"app\" {\n  port = 80\n}\n";
const LISTENER: &str = "resource \"aws_lb_listener\" \"web\" {\n  port = 8080\n  default_action {\n    type = \"forward\"\n    \
                        target_group_arn = aws_lb_target_group.app.arn\n  }\n}\n";
const RULE: &str = "resource \"aws_lb_listener_rule\" \"r\" {\n  listener_arn = aws_lb_listener.web.arn\n  priority = 1\n  \
                    action {\n    type = \"forward\"\n    target_group_arn = aws_lb_target_group.app.arn\n  }\n  \
                    condition {\n    path_pattern {\n      values = [\"/a\"]\n    }\n  }\n}\n";
const ATTACHMENT: &str = "resource \"aws_lb_target_group_attachment\" \"t\" {\n  target_group_arn = \
                          aws_lb_target_group.app.arn\n  target_id = \"10.0.0.1\"\n  port = 81\n}\n";

fn whole(changes: &[(&str, &str)]) -> String {
    let mut text = format!("{GROUP}{LISTENER}{RULE}{ATTACHMENT}");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

/// Asserts that a change leads to one fault, which begins so.
fn assert_one(changes: &[(&str, &str)], told: &str) {
    let fault = read(&[("main.tf", &whole(changes)), ("z.tf", "")]).expect_err(told);
    assert!(fault.contains(told) && fault.lines().count() == 1, "{changes:?}\n{fault}");
}

#[test]
fn what_makes_several_blocks_and_is_not_known_is_one_mistake() {
    read(&[("main.tf", &whole(&[])), ("z.tf", "")]).unwrap();
    let each = "for_each = var.apps\n  ";
    let said = "`for_each`: there is no variable `apps`";
    for block in ["\"app\" {\n  port = 80", "\"web\" {\n  port = 8080"] {
        let (label, port) = block.split_once("port = ").unwrap();
        for value in [
            "each.value.port",
            "\"${each.value.port}\"",
            "local.ports[each.key]",
            "each.value.tls ? 443 : 80",
        ] {
            assert_one(&[(block, &format!("{label}{each}port = {value}"))], said);
        }
        // Without `for_each` there is no each.
        let changes = [(block, &*format!("{label}port = each.value.port"))];
        let fault = read(&[("main.tf", &whole(&changes)), ("z.tf", "")]).unwrap_err();
        assert!(
            fault.contains("`each.value.port` is known in blocks with `for_each` alone"),
            "{fault}{port}"
        );
    }
    // What leads to them is no mistake of its own.
    let group = "target_group_arn = aws_lb_target_group.app.arn";
    for (by, way, said) in [
        (
            "count = data.x.y.z",
            "aws_lb_target_group.app[0].arn",
            "`count` goes by data.x.y.z, which is not known here",
        ),
        ("count = var.n ? 1 : 0", "one(aws_lb_target_group.app[*].arn)", "`count`: there is no variable `n`"),
        ("for_each = var.apps", "values(aws_lb_target_group.app)[0].arn", said),
        ("for_each = var.apps", "local.groups[\"a\"]", said),
        (
            "count = length(aws_lb_target_group.app)",
            "join(\"\", aws_lb_target_group.app[*].arn)",
            "`count`: `count` leads to itself",
        ),
    ] {
        let more = "locals {\n  groups = { for name, group in aws_lb_target_group.app : name => group.arn }\n}\n\
                    resource \"aws_lb_target_group\" ";
        assert_one(
            &[
                ("resource \"aws_lb_target_group\" ", more),
                ("\"app\" {\n  port", &format!("\"app\" {{\n  {by}\n  port")),
                (group, &format!("target_group_arn = {way}")),
            ],
            said,
        );
    }
}

#[test]
fn a_name_that_is_not_known_is_nobody_elses() {
    let second = "target_group \"a-b\" {\n  name = module.x.name\n}\ntarget_group \"a_b\" {}\n";
    let fault = read(&[("main.hcl", second), ("z.hcl", "")]).unwrap_err();
    assert!(
        fault.starts_with("main.hcl:2:10: `name` = module.x.name") && fault.lines().count() == 1,
        "{fault}"
    );
}

#[test]
fn what_has_words_too_many_or_too_few_is_what_is_needed() {
    for (changes, told) in [
        (
            vec![("path_pattern {\n      values", "http_request_method {\n      regex_values")],
            "unknown attribute `regex_values`",
        ),
        (
            vec![("path_pattern {\n      values", "source_ip {\n      regex_values")],
            "unknown attribute `regex_values`",
        ),
        (vec![("values = ", "value = ")], "unknown attribute `value` (did you mean `values`?)"),
        (vec![("    target_group_arn = ", "    target_group = ")], "unknown attribute `target_group`"),
        (
            vec![("    target_group_arn = ", "    target_group_arns = "), ("app.arn", "app.arn")],
            "unknown attribute `target_group_arns`",
        ),
        (vec![("    target_group_arn = ", "    target_groups = ")], "unknown attribute `target_groups`"),
        (vec![("  target_id = ", "  id = ")], "unknown attribute `id`"),
        (
            vec![("path_pattern {\n", "http_header {\n      header_name = \"x\"\n")],
            "unknown attribute `header_name`",
        ),
    ] {
        let text = whole(&changes);
        let faults = read(&[("main.tf", &text), ("z.tf", "")]).unwrap_err();
        assert!(faults.lines().all(|line| line.contains(told)), "{faults}");
    }
    let redirect = LISTENER.replace("forward", "redirect").replace(
        "target_group_arn = aws_lb_target_group.app.arn",
        "redirect {\n      status = \"HTTP_301\"\n      port = 1\n    }",
    );
    let fault = read(&[("main.tf", &redirect), ("z.tf", "")]).unwrap_err();
    assert!(fault.contains("unknown attribute `status`") && fault.lines().count() == 1, "{fault}");
    for (part, told) in [("protocl = \"HTTPS\"", "protocl"), ("host_name = \"a.example\"", "host_name")] {
        let written = redirect.replace("port = 1", part).replace("status =", "status_code =");
        let fault = read(&[("main.tf", &written), ("z.tf", "")]).unwrap_err();
        let told = format!("unknown attribute `{told}`");
        assert!(fault.contains(&told) && fault.lines().count() == 1, "{fault}");
    }
}

/// What `load` says of a folder with these files. A text of nothing is a link that leads nowhere.
fn of_folder(name: &str, files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("one_mistake_{name}"));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        let file = folder.join(name);
        if text.is_empty() {
            std::os::unix::fs::symlink("nowhere.tf", file).unwrap();
        } else {
            fs::write(file, text).unwrap();
        }
    }
    let begins = format!("{}/", folder.display());
    let plain = |text: String| text.replace(&begins, "");
    config::load(&folder)
        .map(|read| config::warnings(&read).into_iter().map(plain).collect())
        .map_err(|errors| plain(errors.to_string()))
}

#[test]
fn files_are_what_their_names_say_however_many_can_be_read() {
    for beside in ["terraform.tfvars", "x.auto.tfvars"] {
        let fault = of_folder("dangling", &[("main.tf", ""), (beside, "port = 80\n")]).unwrap_err();
        assert!(fault.starts_with("main.tf: ") && fault.lines().count() == 1, "{fault}");
    }
    let json =
        of_folder("json", &[("main.tf", ""), ("terraform.tfvars.json", "{\"port\": 80}")]).unwrap_err();
    assert!(json.starts_with("main.tf: ") && json.lines().count() == 1, "{json}");
    // Values alone are no configuration.
    let values = of_folder("values", &[("terraform.tfvars", "port = 80\n")]).unwrap_err();
    assert!(values.contains("nothing is configured") && values.lines().count() == 1, "{values}");
}

#[test]
fn an_override_alone_has_nothing_to_be_put_over() {
    for name in ["override.tf", "prod_override.tf"] {
        let fault = of_folder("override", &[(name, GROUP)]).unwrap_err();
        let told = format!("{name}:1:1: there is no resource aws_lb_target_group.app to put this over");
        assert!(fault.starts_with(&told) && fault.lines().count() == 1, "{fault}");
    }
    // Blocks of the balancer's own are new where there are none of their name.
    of_folder("own", &[("local_override.hcl", "target_group \"app\" {\n  targets = [\"10.0.0.1:80\"]\n}\n")])
        .unwrap();
    // And a file that is given by itself is read as it stands.
    config::parse(&[(PathBuf::from("override.tf"), GROUP.to_owned())]).unwrap();
}

#[test]
fn a_block_that_is_not_known_is_told_which_are_and_one_that_stands_for_itself_where() {
    let listener = |block: &str| {
        let text = format!(
            "{GROUP}{}",
            LISTENER.replace("  default_action", &format!("  {block}\n  default_action"))
        );
        config::parse(&[(PathBuf::from("x.tf"), text)]).expect_err(block).to_string()
    };
    for (block, told) in [
        (
            "rule {\n  }",
            "unknown block `rule` in listener; allowed: `listener_rule \"LABEL\" { … }`, beside it",
        ),
        ("shield {\n  }", "unknown block `shield` in listener; allowed: `shield { … }`, beside it"),
        ("routes {\n  }", "unknown block `routes` in listener; allowed: default_action, "),
    ] {
        let fault = listener(block);
        assert!(fault.starts_with(&format!("x.tf:6:3: {told}")) && fault.lines().count() == 1, "{fault}");
        assert!(!fault.contains("ssl_policy"), "attributes are no blocks: {fault}");
    }
}

#[test]
fn a_protocol_that_is_not_https_is_told_once_of_all_that_is_for_https() {
    let listener = |more: &str| format!("port = 8080\n  {more}");
    for (more, said) in [
        (
            "ssl_policy = \"x\"",
            "main.tf:6:16: `ssl_policy` is for HTTPS; allowed: `protocol` = \"HTTPS\" beside it",
        ),
        (
            "ssl_policy = \"x\"\n  certificate_arn = \"c\"",
            "main.tf:6:16: `ssl_policy` and `certificate_arn` are for HTTPS; allowed: `protocol` = \"HTTPS\" beside them",
        ),
        (
            "protocol = \"HTTP\"\n  ssl_policy = \"x\"\n  certificate_arn = \"c\"\n  alpn_policy = \"HTTP2Only\"\n  \
             mutual_authentication {\n    mode = \"passthrough\"\n  }",
            "main.tf:7:16: `ssl_policy`, `certificate_arn` and `alpn_policy` are for HTTPS; allowed:",
        ),
        ("alpn_policy = \"HTTP2Only\"", "`alpn_policy` is for HTTPS; allowed: \"None\""),
        ("mutual_authentication {\n    mode = \"passthrough\"\n  }", "`mode` = \"passthrough\" is for HTTPS"),
    ] {
        assert_one(&[("port = 8080", &listener(more))], said);
    }
    let group = "port = 80\n  target_tls_verification = \"on\"\n  target_tls_server_name = \"a.b\"\n}";
    assert_one(
        &[("port = 80\n}", group)],
        "main.tf:3:29: `target_tls_verification` and `target_tls_server_name` are for HTTPS; allowed: `protocol` = \
         \"HTTPS\" beside them",
    );
}

#[test]
fn an_action_with_what_belongs_to_another_type_lacks_nothing_beside() {
    let own = "type = \"forward\"\n    target_group_arn = aws_lb_target_group.app.arn";
    for (action, said) in [
        (
            own.replace("forward", "fixed-response"),
            "`target_group_arn` has no meaning for `fixed-response`; allowed: `type` = \"forward\"",
        ),
        (own.replace("forward", "redirect"), "`target_group_arn` has no meaning for `redirect`"),
        (
            "type = \"forward\"\n    redirect {\n      port = \"1\"\n      status_code = \"HTTP_301\"\n    }"
                .to_owned(),
            "`redirect` has no meaning for `forward`; allowed: `type` = \"redirect\"",
        ),
    ] {
        let listener = LISTENER.replace(own, &action);
        assert_ne!(listener, LISTENER);
        assert_one(&[(LISTENER, &listener)], said);
    }
}

#[test]
fn references_that_would_do_are_written_as_their_blocks_are() {
    let to = "target_group_arn = aws_lb_target_group.app.arn\n  }\n}\nresource";
    let wrong = |by: &str| to.replace("aws_lb_target_group.app.arn", by);
    assert_one(
        &[(to, &wrong("aws_lb_target_group.ap.arn"))],
        "there is no target group \"ap\" (did you mean `app`?); allowed: aws_lb_target_group.app.arn",
    );
    // It stands here: there is nothing to say of it elsewhere.
    assert_one(
        &[(to, &wrong("aws_lb.main.arn"))],
        "aws_lb.main.arn is no reference to a target group; allowed: aws_lb_target_group.app.arn",
    );
    assert_one(
        &[(to, &wrong("aws_instance.main.arn"))],
        "aws_instance.main.arn is no reference to a target group (say which it is here under `terraform_values`",
    );
    assert_one(
        &[("listener_arn = aws_lb_listener.web.arn", "listener_arn = aws_lb.main.arn")],
        "aws_lb.main.arn is no reference to a listener; allowed: aws_lb_listener.web.arn",
    );
}

#[test]
fn what_belongs_into_an_inner_block_is_told_once_and_nothing_is_missing_beside() {
    let own = "type = \"forward\"\n    target_group_arn = aws_lb_target_group.app.arn";
    let listener = |action: &str| LISTENER.replace(own, action);
    let flat = "type = \"fixed-response\"\n    content_type = \"text/plain\"\n    message_body = \"x\"\n    status_code = 200";
    assert_one(
        &[(LISTENER, &listener(flat))],
        "main.tf:8:5: `content_type`, `message_body` and `status_code` are no attributes of default_action, but of its \
         `fixed_response` block; allowed: fixed_response { content_type = … }",
    );
    let condition = "  condition {\n    path_pattern {\n      values = [\"/a\"]\n    }\n  }\n";
    assert_one(
        &[(condition, "  path_pattern {\n    values = [\"/a\"]\n  }\n")],
        "`path_pattern` is no block of listener_rule, but of its `condition` block; allowed: condition { path_pattern { … } }",
    );
    assert_one(
        &[(
            "path_pattern {\n      values = [\"/a\"]\n    }",
            "http_header_name = \"X\"\n    values = [\"a\"]",
        )],
        "`http_header_name` is no attribute of condition, but of its `http_header` block",
    );
    assert_one(
        &[("port = 80\n}", "port = 80\n  matcher = \"200\"\n}")],
        "`matcher` is no attribute of target_group, but of its `health_check` block; allowed: health_check { matcher = … }",
    );
    // Of two blocks it may be either.
    assert_one(
        &[("port = 80\n}", "port = 80\n  enabled = true\n}")],
        "unknown attribute `enabled` in target_group",
    );
}

#[test]
fn a_label_that_is_missing_in_json_is_told_once() {
    let text = "{\"listener\": {\"port\": 80, \"default_action\": {\"type\": \"fixed-response\", \"fixed_response\": \
                {\"content_type\": \"text/plain\", \"status_code\": 200}}},\n\"listener_rule\": {\"r\": {\"listener_arn\": \
                \"${listener.web.arn}\", \"action\": {\"type\": \"fixed-response\", \"fixed_response\": {\"content_type\": \
                \"text/plain\", \"status_code\": 200}}, \"condition\": {\"path_pattern\": {\"values\": [\"/a\"]}}}}}";
    let parse = |text: &str| config::parse(&[(PathBuf::from("x.tf.json"), text.to_owned())]);
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "x.tf.json:1:2: `listener` needs a label around its values; allowed: {\"LABEL\": { … }}"
    );
    // One that has a label and no values is that.
    let said = parse("{\"listener\": {\"web\": 80}}").unwrap_err().to_string();
    assert!(said.contains("1:22: this is no object") && !said.contains("label"), "{said}");
}
