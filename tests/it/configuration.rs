//! Bad configurations: every fault with its place, exit code 2, nothing started. `check` says what `run` would.

use std::{fs, path::Path, process::Command};

use support::{Balancer, Config, Target, balancer::binary};

fn check(path: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary()).arg("check").arg("-c").arg(path).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// This text is refused by `check` and by `run`, with each of these words said.
fn refused(text: impl AsRef<[u8]>, words: &[&str]) {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]));
    fs::write(balancer.config_path(), text).unwrap();
    let (code, said) = check(&balancer.config_path());
    assert_eq!(code, Some(2), "{said}");
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    for word in words {
        assert!(
            said.contains(word) && ended.log.contains(word),
            "{word:?} is not in:\n{said}\n{}",
            ended.log
        );
    }
    assert!(!balancer.folder().join("state").exists(), "something was started");
}

fn with_group(lines: &str) -> String {
    format!(
        "listener \"web\" {{\n  port = 8080\n  default_action {{\n    type = \"forward\"\n    target_group_arn = \"app\"\n  \
         }}\n}}\ntarget_group \"app\" {{\n  port = 80\n  protocol = \"HTTP\"\n{lines}}}\n"
    )
}

#[test]
fn what_a_replacement_must_not_have_is_named() {
    let with_replacement = |replacement: &str| {
        with_group("  targets = [\"127.0.0.1:1\"]\n")
            + &format!(
                "listener_rule \"r\" {{\nlistener_arn = listener.web.arn\npriority = 1\naction {{\ntype = \"forward\"\n\
                 target_group_arn = \"app\"\n}}\ncondition {{\npath_pattern {{\nvalues = [\"/a\"]\n}}\n}}\n\
                 transform {{\ntype = \"url-rewrite\"\nurl_rewrite_config {{\nrewrite {{\nregex = \"^/a\"\n\
                 replace = \"{replacement}\"\n}}\n}}\n}}\n}}\n"
            )
    };
    refused(with_replacement("y z"), &["`replace` = \"y z\" has a space", "no spaces"]);
    refused(with_replacement("y\u{e4}"), &["has the character"]);
    refused(with_replacement(&"a".repeat(1025)), &["`replace` is of 1025 characters"]);
}

#[test]
fn every_fault_is_told_with_its_place() {
    refused(
        with_group(
            "  stickness {}\n  deregistration_delay = 3601\n  slow = 1\n  targets = [\"127.0.0.1:99999\"]\n",
        ),
        &[
            "balancer.hcl:11:",
            "balancer.hcl:12:",
            "balancer.hcl:13:",
            "balancer.hcl:14:",
            "stickiness",
            "3600",
        ],
    );
}

#[test]
fn a_missing_reference_and_a_duplicate_are_told() {
    let text = with_group("").replace("\"app\"\n  }", "target_group.other.arn\n  }");
    refused(
        format!("{text}target_group \"app\" {{\n  port = 80\n  protocol = \"HTTP\"\n}}\n"),
        &["other", "app"],
    );
}

#[test]
fn a_wrong_type_is_told() {
    refused(with_group("  deregistration_delay = [1]\n"), &["balancer.hcl:11:", "deregistration_delay"]);
}

#[test]
fn files_that_are_no_configuration_are_told() {
    refused("", &["balancer.hcl"]);
    refused([0_u8, 159, 146, 150].repeat(1000), &["balancer.hcl"]);
    refused("x".repeat(10 * 1024 * 1024), &["balancer.hcl"]);
}

#[test]
fn a_missing_file_is_told() {
    let (code, said) = check(Path::new("/nowhere/balancer.hcl"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("/nowhere/balancer.hcl"), "{said}");
}

#[test]
fn terraforms_own_words_load_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    for stickiness in [
        "type = \"lb_cookie\"\n    cookie_duration = 86400",
        "type = \"app_cookie\"\n    cookie_name = \"SESSIONID\"",
    ] {
        let text = format!(
            r#"resource "aws_lb_target_group" "app" {{
  name     = "app-tg"
  port     = 80
  protocol = "HTTP"
  vpc_id   = aws_vpc.main.id

  stickiness {{
    {stickiness}
    enabled = true
  }}
}}
"#
        );
        fs::write(folder.path().join("group.tf"), &text).unwrap();
        fs::write(
            folder.path().join("listener.hcl"),
            "listener \"web\" {\n  port = 8080\n  default_action {\n    type = \"forward\"\n    \
             target_group_arn = aws_lb_target_group.app.arn\n  }\n}\n",
        )
        .unwrap();
        let (code, said) = check(folder.path());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("app-tg"), "it says what would run: {said}");
    }
}

#[test]
fn variables_come_from_the_command_line_files_and_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let main = "variable \"port\" {\n  type = number\n}\nvariable \"hosts\" {\n  type    = list(string)\n  default = []\n}\n\
                resource \"aws_lb_target_group\" \"app\" {\n  count = length(var.hosts) + 1\n  port  = var.port + count.index\n}\n\
                resource \"aws_lb_listener\" \"web\" {\n  port = 8080\n  default_action {\n    type             = \"forward\"\n    \
                target_group_arn = aws_lb_target_group.app[0].arn\n  }\n}\n\
                resource \"aws_lb_target_group_attachment\" \"a\" {\n  target_group_arn = aws_lb_target_group.app[0].arn\n  \
                target_id        = \"127.0.0.1\"\n}\n";
    fs::write(folder.path().join("main.tf"), main).unwrap();
    fs::write(folder.path().join("prod.tfvars"), "port = 7003\n").unwrap();
    let file = folder.path().join("prod.tfvars");
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(binary());
        command.arg("check").arg("-c").arg(folder.path()).args(arguments).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = run(&[], &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`var.port` has no default and no value"), "{said}");
    let file = file.to_str().unwrap();
    for (arguments, environment, port) in [
        (vec![], vec![("TF_VAR_port", "7001")], "7001"),
        (vec!["-var", "port=7002"], vec![("TF_VAR_port", "7001")], "7002"),
        (vec!["-var=port=7002", "-var-file", file], vec![], "7003"),
        (vec!["-var-file", file, "-var=port=7002"], vec![], "7002"),
        (vec!["-var-file", file, "-var=port=7002", "-var-file", file], vec![], "7003"),
        (vec!["--var-file", file], vec![("TF_VAR_hosts", "[\"a\", \"b\"]"), ("TF_VAR_other", "x")], "7003"),
    ] {
        let (code, said) = run(&arguments, &environment);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(port), "{port}: {said}");
    }
    for (argument, wrong) in [
        ("prt=1", "-var prt:1:1: there is no such variable"),
        ("port=x", "-var port:1:1: a text that is no number stands where"),
        ("hosts=[", "-var hosts:1:1: the value is no expression"),
        ("port", "NAME=VALUE"),
    ] {
        let (code, said) = run(&["-var", argument], &[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(wrong), "{argument}: {said}");
    }
}

#[test]
fn an_import_is_printed_and_says_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let group = "{\"address\": \"aws_lb_target_group.a\", \"type\": \"aws_lb_target_group\", \"values\": {\"name\": \"a\", \"port\": 80}}";
    let firewall = "{\"address\": \"aws_wafv2_web_acl_association.w\", \"type\": \"aws_wafv2_web_acl_association\", \"values\": {}}";
    fs::write(
        &state,
        format!("{{\"values\": {{\"root_module\": {{\"resources\": [{group}, {firewall}]}}}}}}"),
    )
    .unwrap();
    let run = |arguments: &[&str]| Command::new(binary()).arg("import").args(arguments).output().unwrap();
    let output = run(&["--state", state.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("target_group \"a\" {")
            && text.contains("NOT TAKEN ALONG: aws_wafv2_web_acl_association.w"),
        "{text}"
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("warning: not taken along: aws_wafv2_web_acl_association.w"), "{told}");
    fs::write(folder.path().join("a.hcl"), text).unwrap();
    let (code, said) = check(&folder.path().join("a.hcl"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run(&["--plan", state.to_str().unwrap()]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    assert!(
        help.contains("describe-target-health") && help.contains("describe-load-balancer-attributes"),
        "{help}"
    );
}
