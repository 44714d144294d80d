//! JSON as Terraform takes it where its form and that of HCL differ, and faults that follow from others: they are not
//! told.
use std::path::PathBuf;

use balancer::{config, model::Configuration};

/// Files in the order in which a folder gives them.
fn read(files: &[(&str, &str)]) -> Result<Configuration, String> {
    let mut files: Vec<(PathBuf, String)> =
        files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
    files.sort();
    config::parse(&files).map_err(|errors| errors.to_string())
}

const GROUP: &str = "target_group \"app\" {\n  port = 80\n}\n";
const LISTENER: &str = "listener \"web\" {\n  port = 8080\n  default_action {\n    type = \"forward\"\n    \
                        target_group_arn = target_group.app.arn\n  }\n}\n";

fn main_file() -> String {
    format!("{GROUP}{LISTENER}")
}

/// A folder with a rule in JSON, and the faults in it.
fn rule(body: &str) -> String {
    let json = format!("{{\"listener_rule\": {{\"r\": {{\n{body}\n}}}}}}");
    read(&[("main.hcl", &main_file()), ("rules.tf.json", &json)]).map(|_| ()).unwrap_err()
}

const ACTION: &str = "\"action\": {\"type\": \"forward\", \"target_group_arn\": \"app\"}";
const CONDITION: &str = "\"condition\": {\"path_pattern\": {\"values\": [\"/a\"]}}";
const OF_LISTENER: &str = "\"listener_arn\": \"${listener.web.arn}\", \"priority\": 1";

#[test]
fn an_empty_list_is_given_where_it_is_a_value_and_nothing_where_it_would_be_blocks() {
    let upgrades = |written: &str| {
        let json = format!("{{\"resource\": {{\"aws_lb\": {{\"m\": {{{written}\"name\": \"m\"}}}}}}}}");
        let main = LISTENER.replace("port = 8080", "port = 8080\n  load_balancer_arn = aws_lb.m.arn");
        let files = [("main.tf", format!("{GROUP}{main}")), ("more.tf.json", json)];
        let files = [(files[0].0, files[0].1.as_str()), (files[1].0, files[1].1.as_str())];
        format!("{:?}", read(&files).unwrap().load_balancers[0].upgrade_protocols)
    };
    let hcl = {
        let text = format!("load_balancer \"m\" {{\n  upgrade_protocols = []\n}}\n{}", main_file());
        format!(
            "{:?}",
            read(&[("main.hcl", &text), ("z.hcl", "")]).unwrap().load_balancers[0].upgrade_protocols
        )
    };
    assert_eq!(upgrades("\"upgrade_protocols\": [], "), hcl);
    assert_ne!(upgrades(""), hcl);
    assert_eq!(upgrades("\"access_logs\": [], \"dynamic\": [], "), upgrades(""));
    // Blocks that are needed are missing where the list of them is empty.
    let fault = rule(&format!("{OF_LISTENER}, {ACTION}, \"condition\": []"));
    assert!(fault.contains("ondition must be specified") && fault.lines().count() == 1, "{fault}");
    // An override by no blocks leaves those that there are.
    let over = "{\"listener\": {\"web\": {\"default_action\": []}}}";
    assert_eq!(read(&[("main.hcl", &main_file()), ("override.tf.json", over)]).unwrap().listeners.len(), 1);
}

#[test]
fn one_fault_in_json_is_told_once() {
    for (body, fault) in [
        (
            format!("\"listener_arn\": \"${{listener.web.arn\", \"priority\": 1, {ACTION}, {CONDITION}"),
            "rules.tf.json:2:17: syntax error in the text",
        ),
        (
            format!(
                "{OF_LISTENER}, {ACTION},\n\"dynamic\": {{\"condition\": {{\"for_each\": {{\"a\": 1}}, \"content\": {{}}}}}}"
            ),
            "rules.tf.json:3:1: a condition holds nothing",
        ),
        (
            format!("{OF_LISTENER}, {ACTION}, {CONDITION},\n\"for_each\": [1]"),
            "rules.tf.json:3:13: `for_each`: a list makes no blocks",
        ),
    ] {
        let faults = rule(&body);
        assert!(faults.starts_with(fault) && faults.lines().count() == 1, "{body}\n{faults}");
    }
    // The second of two is at its own place.
    let second = "\"condition\": [{\"path_pattern\": {\"values\": [\"/a\"]}},\n{}]";
    let faults = rule(&format!("{OF_LISTENER}, {ACTION}, {second}"));
    assert!(faults.starts_with("rules.tf.json:3:1: ") && faults.lines().count() == 1, "{faults}");
}

#[test]
fn what_follows_from_text_that_cannot_be_read_is_no_fault_of_its_own() {
    let using = |value: &str| main_file().replace("port = 80\n", &format!("port = {value}\n"));
    let variable = "variable \"p\" {\n  type = number\n}\n";
    for (files, fault) in [
        (vec![("main.hcl", using("local.p") + "locals {\n  p = = 80\n}\n")], "main.hcl:12:"),
        (vec![("main.hcl", using("var.p") + "variable \"p\" {\n  default = = 80\n}\n")], "main.hcl:12:"),
        (
            vec![("main.hcl", using("var.p") + variable), ("terraform.tfvars", "p = = 80\n".into())],
            "terraform.tfvars:1:",
        ),
        (
            vec![("main.hcl", using("var.p") + variable), ("terraform.tfvars", "p = min(80)\n".into())],
            "terraform.tfvars:1:5: `p` is no value as it stands",
        ),
    ] {
        let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        files.push(("z.hcl", ""));
        let faults = read(&files).unwrap_err();
        assert!(faults.starts_with(fault) && faults.lines().count() == 1, "{fault}\n{faults}");
    }
    // Where all is read, it is.
    let faults = read(&[("main.hcl", &using("local.p")), ("z.hcl", "")]).unwrap_err();
    assert!(faults.contains("there is no local `p`"), "{faults}");
    let whole = [("main.hcl", &*(using("var.p") + variable)), ("z.hcl", "")];
    assert!(read(&whole).unwrap_err().contains("`var.p` has no default"));
}

#[test]
fn a_key_that_has_to_be_worked_out_is_a_key() {
    let port = |map: &str, part: &str| {
        let text = format!(
            "variable \"a\" {{\n  default = \"zz\"\n}}\nlocals {{\n  m = {map}\n}}\n{}",
            main_file().replace("port = 80\n", &format!("port = local.m{part}\n"))
        );
        read(&[("main.hcl", &text), ("z.hcl", "")]).map(|read| read.target_groups[0].port)
    };
    for (map, part, expected) in [
        ("{ zz = 80, \"${var.a}\" = 86 }", ".zz", 86),
        ("{ zz = 80, (var.a) = 86 }", "[\"zz\"]", 86),
        ("{ (var.a) = 86, zz = 80 }", ".zz", 80),
        ("{ 5 = 85, zz = 80 }", "[\"5\"]", 85),
        ("{ zz = 80, (upper(\"zz\")) = 86 }", ".zz", 80),
    ] {
        assert_eq!(port(map, part), Ok(expected), "{map}");
    }
    // A key that leads to its own map ends.
    assert!(port("{ (local.m.x) = 86, (local.m.y) = 87 }", ".zz").is_err());
}

#[test]
fn a_counted_attachment_makes_as_many_targets_as_it_says() {
    let targets = |count: &str| {
        let text = format!(
            "variable \"n\" {{\n  default = 1\n}}\n{}target_group_attachment \"a\" {{\n  {count}\n  target_group_arn = \
             target_group.app.arn\n  target_id = aws_instance.web[count.index].id\n}}\nbalancer {{\n  terraform_values = {{\n    \
             \"aws_instance.web.id\" = [\"10.0.0.1\", \"10.0.0.2\"]\n  }}\n}}\n",
            main_file()
        );
        read(&[("main.hcl", &text), ("z.hcl", "")]).map(|read| read.target_groups[0].targets.len())
    };
    for (count, expected) in [
        ("count = 0", 0),
        ("count = var.n", 1),
        ("count = 2", 2),
        ("count = length(aws_instance.web)", 2),
        ("for_each = {}", 0),
    ] {
        assert_eq!(targets(count), Ok(expected), "{count}");
    }
    for (count, wrong) in [
        (
            "count = 3",
            "`aws_instance.web[2].id` goes into a part of what `terraform_values` says that is not there",
        ),
        ("for_each = { a = 1 }", "`count.index` is known in blocks with `count` alone"),
        ("for_each = toset(aws_instance.web)", "`for_each` goes by aws_instance.web[0]"),
    ] {
        let faults = targets(count).unwrap_err();
        assert!(faults.contains(wrong) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn references_in_directives_and_indices_are_seen() {
    for value in [
        "\"%{ if true }${listener.web.arn}%{ endif }\"",
        "\"%{ if true }a%{ else }${listener.web.arn}%{ endif }\"",
        "\"%{ if listener.web.arn == 1 }a%{ endif }\"",
        "\"%{ for x in [listener.web.arn] }${x}%{ endfor }\"",
        "local.x[listener.web.arn]",
        "local.x[\"a-${listener.web.arn}\"].b",
    ] {
        let value = value.replace("listener.web", "aws_lb_listener.web");
        let main = main_file()
            .replace("listener \"web\"", "resource \"aws_lb_listener\" \"web\"")
            .replace("target_group \"app\"", "resource \"aws_lb_target_group\" \"app\"")
            .replace("= target_group.", "= aws_lb_target_group.");
        let text = format!(
            "{main}locals {{\n  x = {{}}\n}}\nresource \"null_resource\" \"n\" {{\n  triggers = {{ a = {value} }}\n}}\n"
        );
        let warnings = config::warnings(&read(&[("main.tf", &text), ("z.tf", "")]).unwrap());
        assert!(
            warnings.iter().any(|warning| warning.contains("null_resource.n is given aws_lb_listener.web")),
            "{value}: {warnings:?}"
        );
    }
}

#[test]
fn a_data_source_in_the_place_of_a_block_is_told_the_way_out() {
    let main = main_file().replace("port = 8080", "port = 8080\n  load_balancer_arn = data.aws_lb.m.arn");
    let faults = read(&[("main.hcl", &main), ("z.hcl", "")]).unwrap_err();
    let told =
        "data.aws_lb.m.arn is no reference to a load balancer (say which it is here under `terraform_values`";
    assert!(faults.contains(told) && faults.lines().count() == 1, "{faults}");
}
