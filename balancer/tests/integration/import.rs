//! `balancer import`: a plan, a state and what AWS describes of one configuration, and the folder itself, come to one model.

mod certificates;
mod fixture;
mod modules;

use std::{fs, path::Path};

use balancer::{
    config::{self, ImportFrom, Imported, import},
    model::{Action, Configuration},
};
use serde_json::{Value, json};

use self::fixture::{
    FOLDER, OF_HOST, balancer_arn, describe, group_arn, listener_arn, plan, references, resources, write,
};
use super::config::corpus::summary;

/// A line of a summary without what its block is called; the groups of an action have no order.
fn unlabelled(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["listener", _, rest @ ..] => {
            let rest = rest.join(" ");
            let (listener, action) = rest.rsplit_once(": ").unwrap();
            let mut groups: Vec<&str> = action.split(", ").collect();
            groups.sort_unstable();
            format!("listener {listener}: {}", groups.join(", "))
        }
        ["", "", "rule", priority, _, rest @ ..] => format!("rule {priority} {}", rest.join(" ")),
        _ => line.to_owned(),
    }
}

/// What text comes to, without what blocks are called.
fn model(text: &str) -> String {
    let read = config::parse(&[("main.hcl".into(), text.to_owned())])
        .unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    let mut lines: Vec<String> = summary(&read).lines().map(unlabelled).collect();
    lines.push(format!("{:?}", read.load_balancers[0].idle_timeout));
    lines.push(format!(
        "{:?}",
        read.target_groups.iter().map(|group| group.deregistration_delay).collect::<Vec<_>>()
    ));
    lines.join("\n")
}

/// All of a configuration but what its blocks are called, where they stand, and the order of what has none: text in which a
/// difference of any attribute shows.
fn whole(mut read: Configuration, folder: &Path) -> String {
    let names: Vec<String> = read.target_groups.iter().map(|group| group.name.clone()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let place = |group: usize| sorted.iter().position(|name| *name == names[group]).unwrap();
    let moved = |action: &mut Action| {
        if let Action::Forward(forward) = action {
            forward.groups.iter_mut().for_each(|weighted| weighted.group = place(weighted.group));
            forward.groups.sort_unstable_by_key(|weighted| weighted.group);
        }
    };
    for listener in &mut read.listeners {
        listener.name.clear();
        moved(&mut listener.default_action);
        for rule in &mut listener.rules {
            rule.name.clear();
            moved(&mut rule.action);
        }
    }
    read.listeners.sort_by_key(|listener| listener.address);
    read.target_groups.sort_by(|one, other| one.name.cmp(&other.name));
    for group in &mut read.target_groups {
        group.targets.sort_by_key(|target| format!("{target:?}"));
    }
    for tls in read.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
        tls.certificates.sort_by(|one, other| one.certificate_file.cmp(&other.certificate_file));
    }
    let text = format!("{:#?}\n{:#?}\n{:#?}", read.load_balancers, read.listeners, read.target_groups);
    let within = |file: &str| format!("\"{}/{file}.", folder.display());
    let places = ["\"main.".to_owned(), within("main"), within("local")];
    let is_place = |line: &&str| {
        let line = line.trim_start();
        !line.contains("/main.tf:") && !places.iter().any(|place| line.starts_with(place))
    };
    text.lines().filter(is_place).collect::<Vec<_>>().join("\n")
}

fn whole_of_text(text: &str) -> String {
    let read = config::parse(&[("main.hcl".into(), text.to_owned())]);
    whole(read.unwrap_or_else(|fault| panic!("{fault}\n{text}")), Path::new("."))
}

/// Says which lines differ.
fn assert_alike(one: &str, other: &str, what: &str) {
    let differ: Vec<String> = one
        .lines()
        .zip(other.lines())
        .filter(|(one, other)| one != other)
        .map(|(one, other)| format!("{one} / {other}"))
        .collect();
    assert!(differ.is_empty() && one.lines().count() == other.lines().count(), "{what}: {differ:#?}");
}

fn of_plan(plan: &Value) -> Imported {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), plan.to_string()).unwrap();
    import(ImportFrom::Plan(file.path())).unwrap()
}

#[test]
fn plan_state_and_descriptions_of_one_configuration_are_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let plan = of_plan(&plan());
    assert_eq!(plan.left, Vec::<String>::new());
    write(
        folder.path(),
        "state.json",
        &json!({ "values": { "root_module": { "resources": resources(true) } } }),
    );
    let state = import(ImportFrom::State(&folder.path().join("state.json"))).unwrap();
    assert_eq!(state.left, Vec::<String>::new());
    let described = tempfile::tempdir().unwrap();
    describe(described.path());
    let aws = import(ImportFrom::Aws(described.path())).unwrap();
    assert_eq!(aws.left, Vec::<String>::new());
    let all = whole_of_text(&plan.text);
    assert_alike(&all, &whole_of_text(&state.text), "a plan and a state");
    assert_alike(&all, &whole_of_text(&aws.text), "a plan and what AWS describes");
    let (plan, state, aws) = (model(&plan.text), model(&state.text), model(&aws.text));
    assert_eq!(plan, state);
    assert_eq!(plan, aws);
    // And the folder itself, whose text says the same.
    let terraform = tempfile::tempdir().unwrap();
    fs::write(terraform.path().join("main.tf"), FOLDER).unwrap();
    fs::write(terraform.path().join("local.hcl"), OF_HOST).unwrap();
    let read = config::load(terraform.path()).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(read.target_groups.iter().map(|group| group.targets.len()).collect::<Vec<_>>(), [1, 1]);
    let of_folder: Vec<String> = summary(&read).lines().map(unlabelled).collect();
    let of_plan: Vec<&str> = plan.lines().collect();
    assert!(of_plan[0].contains("app-blue 90") && of_plan[0].contains("app-green 10"), "{plan}");
    assert_eq!(of_folder, of_plan[..of_folder.len()], "{plan}");
    assert_alike(&all, &whole(read, terraform.path()), "a plan and the folder");
}

#[test]
fn what_was_not_collected_is_told() {
    let described = tempfile::tempdir().unwrap();
    describe(described.path());
    for file in fs::read_dir(described.path()).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if ["balancer-attributes.", "group-attributes.", "targets.", "rules."]
            .iter()
            .any(|start| name.starts_with(start))
        {
            fs::remove_file(file).unwrap();
        }
    }
    let left = import(ImportFrom::Aws(described.path())).unwrap().left;
    let told = |arn: &str, what: &str| {
        left.iter().any(|left| left.starts_with(&format!("{arn}: its {what} are in no file")))
    };
    assert!(told(&balancer_arn(), "attributes") && told(&listener_arn(), "rules"), "{left:?}");
    assert!(told(&group_arn("blue"), "attributes") && told(&group_arn("green"), "targets"), "{left:?}");
    assert_eq!(left.len(), 6, "{left:?}");
}

#[test]
fn what_aws_asks_of_clients_is_taken_along_or_told() {
    let described = tempfile::tempdir().unwrap();
    describe(described.path());
    let mut listener = json!({
        "ListenerArn": listener_arn(), "LoadBalancerArn": balancer_arn(), "Port": 443, "Protocol": "HTTPS",
        "Certificates": [{ "CertificateArn": "arn:aws:acm:r:a:certificate/1" }],
        "DefaultActions": [{ "Type": "forward", "TargetGroupArn": group_arn("blue") }],
        "MutualAuthentication": {
            "Mode": "verify", "TrustStoreArn": "arn:aws:elasticloadbalancing:r:a:truststore/ops/1",
            "AdvertiseTrustStoreCaNames": "on",
        },
    });
    for file in fs::read_dir(described.path()).unwrap() {
        let file = file.unwrap().path();
        if file.file_name().unwrap().to_string_lossy().starts_with("listeners") {
            fs::remove_file(file).unwrap();
        }
    }
    let of = |listener: &Value| {
        write(described.path(), "listeners.json", &json!({ "Listeners": [listener] }));
        import(ImportFrom::Aws(described.path())).unwrap()
    };
    let imported = of(&listener);
    assert!(imported.text.contains("advertise_trust_store_ca_names = \"on\""), "{}", imported.text);
    let told = |imported: &Imported| {
        imported.left.iter().any(|left| left.contains("ClientCertificateIdentityFilters"))
    };
    assert!(!told(&imported), "{:?}", imported.left);
    listener["MutualAuthentication"]["ClientCertificateIdentityFilters"] =
        json!([{ "Field": "subject-cn", "Action": "accept", "MatchType": "exact", "Value": "ops" }]);
    assert!(told(&of(&listener)), "{:?}", of(&listener).left);
}

#[test]
fn shares_are_joined_by_what_is_known_or_not_at_all() {
    let text = of_plan(&plan()).text;
    let share = |color: &str| {
        let group = text.find(&format!(" arn = target_group.color_{color}.arn")).unwrap();
        text[group..].lines().nth(1).unwrap().trim().to_owned()
    };
    assert_eq!((share("blue").as_str(), share("green").as_str()), ("weight = 90", "weight = 10"), "{text}");
    let groups = "/configuration/root_module/resources/0/expressions/default_action/0/forward/0/target_group";
    // What is worked out is not known on both sides; of `dynamic` blocks nothing is written at all.
    let worked_out = references(&["var.weights"]);
    let mut by_variable = plan();
    let written = by_variable.pointer_mut(groups).unwrap();
    written[0]["weight"] = worked_out.clone();
    written[1]["weight"] = worked_out;
    let mut dynamic = plan();
    dynamic
        .pointer_mut(groups.trim_end_matches("/target_group"))
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("target_group");
    for plan in [by_variable, dynamic] {
        let imported = of_plan(&plan);
        assert!(
            imported
                .left
                .iter()
                .any(|left| left.contains("aws_lb_listener.http") && left.contains("--state")),
            "{:?}",
            imported.left
        );
        // Refused, and never run with another share.
        let fault = config::parse(&[("main.hcl".into(), imported.text.clone())]).unwrap_err().to_string();
        assert!(fault.contains("target_group needs `arn`"), "{fault}\n{}", imported.text);
    }
}

#[test]
fn which_instance_is_meant_is_said_or_refused() {
    let action = "/configuration/root_module/resources/1/expressions/action/0/target_group_arn";
    const GROUP: &str = "aws_lb_target_group.color";
    const BLUE: &str = "aws_lb_target_group.color[\"blue\"]";
    const GREEN: &str = "aws_lb_target_group.color[\"green\"]";
    let which = "which of aws_lb_target_group.color is meant is not said in a plan";
    for (names, wrong) in [
        (vec![GROUP], which),
        // It may be `[count.index]` and it may be `[2 - count.index]`; what else there is may lead anywhere.
        (vec![GROUP, "each.key", "var.names"], which),
        (vec![GROUP, "each.value.color"], "it goes by aws_lb_target_group.color and each.value.color"),
        (vec![GROUP, "each.key", "local.names"], "it goes by aws_lb_target_group.color and local.names"),
        (vec![BLUE, GREEN, GROUP, "var.green"], "and which is meant is not said"),
        (vec![BLUE, GROUP, "aws_lb_listener.http.arn"], "and which is meant is not said"),
        (vec![BLUE, GROUP, "module.x.arn"], "it goes by aws_lb_target_group.color and module.x.arn"),
        (
            vec!["aws_lb_target_group.none.arn", "aws_lb_target_group.none"],
            "aws_lb_target_group.none is not known",
        ),
        (vec!["module.x.arn"], "module.x.arn is not known before it is applied"),
    ] {
        let mut plan = plan();
        *plan.pointer_mut(action).unwrap() = references(&names);
        let imported = of_plan(&plan);
        assert!(imported.left.iter().any(|left| left.contains(wrong)), "{:?}", imported.left);
        assert!(config::parse(&[("main.hcl".into(), imported.text)]).is_err());
    }
    // As many rules as groups go by their index; one rule less may be anything.
    let mut counted = plan();
    let values = "/planned_values/root_module/resources";
    for resource in counted.pointer_mut(values).unwrap().as_array_mut().unwrap() {
        for (key, index) in [("[\"blue\"]", "[0]"), ("[\"green\"]", "[1]")] {
            let address = resource["address"].as_str().unwrap().replace(key, index);
            resource["address"] = address.into();
        }
    }
    let forward =
        "/configuration/root_module/resources/0/expressions/default_action/0/forward/0/target_group";
    for (index, weight) in [(0, 90), (1, 10)] {
        let one = format!("aws_lb_target_group.color[{index}]");
        counted.pointer_mut(forward).unwrap()[index] =
            json!({ "arn": references(&[&one, GROUP]), "weight": { "constant_value": weight } });
    }
    *counted.pointer_mut(action).unwrap() = references(&[GROUP, "count.index"]);
    *counted.pointer_mut("/configuration/root_module/resources/2/expressions/target_group_arn").unwrap() =
        references(&[GROUP, "count.index"]);
    let imported = of_plan(&counted);
    assert_eq!(imported.left, Vec::<String>::new());
    assert!(imported.text.contains("listener_rule \"host_1\""), "{}", imported.text);
    let told = "target_group_arn: aws_lb_target_group.color[1], of the same count.index; a plan does not say";
    assert!(imported.text.contains(told), "{}", imported.text);
    assert!(!of_plan(&plan()).text.contains("count.index"));
    let resources = counted.pointer_mut(values).unwrap().as_array_mut().unwrap();
    resources.retain(|resource| resource["address"] != "aws_lb_listener_rule.host[1]");
    let imported = of_plan(&counted);
    assert!(imported.left.len() == 1 && imported.left[0].contains(which), "{:?}", imported.left);
}

#[test]
fn what_is_planned_as_null_leads_nowhere() {
    let mut plan = plan();
    let listener =
        plan.pointer_mut("/planned_values/root_module/resources/2/values/default_action/0").unwrap();
    *listener = json!({
        "type": "redirect", "target_group_arn": null, "forward": [], "fixed_response": [],
        "redirect": [{ "port": "443", "protocol": "HTTPS", "status_code": "HTTP_301", "query": "#{query}" }],
    });
    let written = "/configuration/root_module/resources/0/expressions/default_action/0";
    *plan.pointer_mut(written).unwrap() = json!({
        "type": references(&["var.https"]),
        "target_group_arn": references(&["var.https", "aws_lb_target_group.color[\"blue\"].arn", "aws_lb_target_group.color[\"blue\"]"]),
    });
    let imported = of_plan(&plan);
    assert_eq!(imported.left, Vec::<String>::new());
    assert!(model(&imported.text).contains("redirect 301 https://#{host}:443"), "{}", imported.text);
}

#[test]
fn what_cannot_be_taken_along_is_told_with_its_place() {
    let resource = |kind: &str, name: &str, values: Value| json!({ "address": format!("module.m.{kind}.{name}"), "mode": "managed", "type": kind, "name": name, "values": values });
    let inner = vec![
        resource("aws_lb", "a", json!({ "arn": "arn:lb", "name": "a", "load_balancer_type": "application" })),
        resource("aws_lb", "n", json!({ "arn": "arn:nlb", "name": "n", "load_balancer_type": "network" })),
        resource("aws_wafv2_web_acl_association", "w", json!({ "resource_arn": "arn:lb" })),
        resource("aws_lb_target_group", "t", json!({ "arn": "arn:tg", "port": 80, "protocol": "HTTP" })),
        resource(
            "aws_lb_target_group_attachment",
            "t",
            json!({ "target_group_arn": "arn:tg", "target_id": "i-0123456789abcdef0" }),
        ),
        resource(
            "aws_lb_listener",
            "l",
            json!({
                "arn": "arn:l", "load_balancer_arn": "arn:lb", "port": 443, "protocol": "HTTPS",
                "certificate_arn": "arn:aws:acm:eu-west-1:1:certificate/0a1b",
                "default_action": [
                    { "type": "authenticate-oidc", "authenticate_oidc": [{ "client_secret": "geheim" }] },
                    { "type": "forward", "target_group_arn": "arn:elsewhere" },
                ],
            }),
        ),
    ];
    let state = json!({ "values": { "root_module": { "child_modules": [{ "resources": inner }] } } });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), state.to_string()).unwrap();
    let imported = import(ImportFrom::State(file.path())).unwrap();
    for left in [
        "module.m.aws_lb.n is a load balancer of type network",
        "module.m.aws_wafv2_web_acl_association.w: a firewall (WAF)",
        "the address of i-0123456789abcdef0 is not known here",
        "`authenticate_oidc` is not done here",
        "leads to arn:elsewhere, which is not among what is imported",
    ] {
        assert!(imported.left.iter().any(|told| told.contains(left)), "{left}: {:?}", imported.left);
        assert!(imported.text.contains(left), "{}", imported.text);
    }
    assert!(!imported.text.contains("geheim"), "{}", imported.text);
    assert!(imported.text.contains("certificate \"c_0a1b\" {"), "{}", imported.text);
    // It does not run with less than there was.
    let fault = config::parse(&[("main.hcl".into(), imported.text)]).unwrap_err().to_string();
    assert!(fault.contains("authenticate-oidc") && fault.contains("EC2 instance id"), "{fault}");
}

/// Version 2 of the provider wrote a condition as `field` and `values`, from 2.42 on also as the block of its kind.
#[test]
fn conditions_of_an_old_state_are_those_of_a_new_one() {
    let of = |condition: Value| {
        let mut all = resources(true);
        let rule = all.iter_mut().find(|one| one["address"] == "aws_lb_listener_rule.host[1]").unwrap();
        rule["values"]["condition"] = json!([condition]);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), json!({ "values": { "root_module": { "resources": all } } }).to_string())
            .unwrap();
        let imported = import(ImportFrom::State(file.path())).unwrap();
        assert_eq!(imported.left, Vec::<String>::new());
        whole_of_text(&imported.text)
    };
    let none = json!([]);
    for (block, field, value) in
        [("path_pattern", "path-pattern", "/b*"), ("host_header", "host-header", "*.b.example.com")]
    {
        let new = of(json!({ block: [{ "values": [value] }] }));
        assert!(new.contains(value), "{new}");
        let old = json!({ "field": field, "values": [value] });
        assert_alike(&new, &of(old), field);
        let between = json!({
            "field": field, "values": [value], block: [{ "values": [value] }],
            "http_header": none, "query_string": none, "source_ip": none,
        });
        assert_alike(&new, &of(between), field);
    }
}

#[test]
fn what_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (text, wrong) in [
        ("{", "no JSON"),
        ("[]", "is no state"),
        ("{\"planned_values\": {}}", "is a plan; allowed: --plan"),
        ("{\"values\": {}}", "is no state"),
        ("\n", "is empty; allowed: JSON"),
        ("PK\u{3}\u{4}\0\0", "is a plan as Terraform keeps it; allowed: the output of `terraform show -json"),
        ("{\0\"\0a\0\"\0:\u{0}1\0}\0", "is text in UTF-16; allowed: JSON in UTF-8"),
    ] {
        fs::write(folder.path().join("state.json"), text).unwrap();
        let fault = import(ImportFrom::State(&folder.path().join("state.json"))).unwrap_err();
        assert!(fault.contains(wrong) && fault.contains("state.json"), "{fault}");
    }
    let fault = import(ImportFrom::Plan(&folder.path().join("state.json"))).unwrap_err();
    assert!(fault.contains("is text in UTF-16"), "{fault}");
    fs::write(folder.path().join("state.json"), "{\"values\": {}}").unwrap();
    let fault = import(ImportFrom::Plan(&folder.path().join("state.json"))).unwrap_err();
    assert!(fault.contains("is a state; allowed: --state"), "{fault}");
    for (path, wrong) in
        [("none", "there is no such file or folder"), ("state.json", "is a file; allowed: a folder")]
    {
        let fault = import(ImportFrom::Aws(&folder.path().join(path))).unwrap_err();
        assert!(fault.contains(wrong) && fault.contains(path), "{fault}");
    }
    let fault = import(ImportFrom::Aws(folder.path())).unwrap_err();
    assert!(fault.contains("holds no output of describe-load-balancers"), "{fault}");
    // An empty state has nothing in it, which is no fault; nor is the mark that other systems begin a file with.
    fs::write(folder.path().join("state.json"), "\u{feff}{\"values\": {\"root_module\": {}}}").unwrap();
    assert_eq!(import(ImportFrom::State(&folder.path().join("state.json"))).unwrap().blocks, 0);
}

#[test]
fn what_is_of_other_load_balancers_is_left_out() {
    let arn = |kind: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:{kind}/0123456789abcdef");
    let resource = |kind: &str, label: &str, values: Value| json!({"address": format!("{kind}.{label}"), "mode": "managed", "type": kind, "name": label, "values": values});
    let forward = |group: &str| json!([{"type": "forward", "target_group_arn": arn(group)}]);
    let state = json!({"values": {"root_module": {"resources": [
        resource("aws_lb", "front", json!({"arn": arn("front"), "name": "front", "load_balancer_type": "application"})),
        resource("aws_lb", "ssh", json!({"arn": arn("net"), "name": "ssh", "load_balancer_type": "network"})),
        resource("aws_lb_target_group", "web", json!({"arn": arn("web"), "name": "web", "port": 80, "protocol": "HTTP"})),
        resource("aws_lb_target_group", "ssh", json!({"arn": arn("ssh"), "name": "ssh", "port": 22, "protocol": "TCP"})),
        resource("aws_lb_target_group_attachment", "ssh", json!({"target_group_arn": arn("ssh"), "target_id": "10.0.0.1"})),
        resource("aws_lb_target_group_attachment", "web", json!({"target_group_arn": arn("web"), "target_id": "10.0.0.2"})),
        resource("aws_lb_listener", "web", json!({"load_balancer_arn": arn("front"), "port": 80, "protocol": "HTTP", "default_action": forward("web")})),
        resource("aws_lb_listener", "ssh", json!({"load_balancer_arn": arn("net"), "port": 22, "protocol": "TCP", "default_action": forward("ssh")})),
    ]}}});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, state.to_string()).unwrap();
    let imported = import(ImportFrom::State(&file)).unwrap();
    for place in [
        "aws_lb.ssh ",
        "aws_lb_target_group.ssh: TCP is of Network",
        "aws_lb_listener.ssh: TCP is of Network",
    ] {
        assert_eq!(
            imported.left.iter().filter(|left| left.starts_with(place)).count(),
            1,
            "{place}: {:?}",
            imported.left
        );
    }
    assert_eq!(imported.left.len(), 3, "{:?}", imported.left);
    let read = config::parse(&[("x.hcl".into(), imported.text.clone())])
        .unwrap_or_else(|fault| panic!("{fault}\n{}", imported.text));
    assert_eq!(
        (read.listeners.len(), read.target_groups.len(), read.target_groups[0].targets.len()),
        (1, 1, 1)
    );
}
