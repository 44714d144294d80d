//! What actions and transforms may be: read as meant, refused with place and remedy.
use balancer::model::Action;

use super::support::{assert_one_fault, parse};

const GROUPS: &str = "target_group \"a\" {}\ntarget_group \"b\" {}\ntarget_group \"s\" {\nstickiness {\ntype = \"lb_cookie\"\n}\n}\n";

/// A listener whose default action begins in line 11.
fn with_action(action: &str) -> String {
    format!("{GROUPS}listener \"web\" {{\nport = 8080\ndefault_action {{\n{action}\n}}\n}}\n")
}

fn action(text: &str) -> Action {
    parse(&with_action(text)).unwrap_or_else(|faults| panic!("{faults}\n{text}")).listeners[0]
        .default_action
        .clone()
}

fn group(name: &str, weight: u16) -> String {
    format!("target_group {{\narn = target_group.{name}.arn\nweight = {weight}\n}}\n")
}

#[test]
fn actions_are_read_as_meant() {
    let forward = format!(
        "type = \"forward\"\nforward {{\n{}{}stickiness {{\nenabled = true\nduration = 5\n}}\n}}",
        group("a", 0),
        group("s", 999)
    );
    let Action::Forward(forward) = action(&forward) else { panic!("a forward") };
    assert_eq!(
        forward.groups.iter().map(|group| (group.group, group.weight)).collect::<Vec<_>>(),
        [(0, 0), (2, 999)]
    );
    let stickiness = forward.stickiness.expect("stickiness");
    assert!(
        stickiness.duration_seconds == 5 && stickiness.sliding && stickiness.attributes.prefix == "AWSALB"
    );

    let unstuck = "type = \"forward\"\nforward {\ntarget_group {\narn = \"s\"\n}\nstickiness {\nenabled = false\nduration = 1\n}\n}";
    let Action::Forward(forward) = action(unstuck) else { panic!("a forward") };
    assert_eq!((forward.groups[0].weight, forward.stickiness), (1, None), "one group needs no stickiness");

    let redirect = action(
        "type = \"redirect\"\nredirect {\nport = 443\nprotocol = \"HTTPS\"\nstatus_code = \"HTTP_301\"\n}",
    );
    assert_eq!(redirect.describe(|_| String::new()), "redirect 301 https://#{host}:443/#{path}?#{query}");
    let redirect = action(
        "type = \"redirect\"\nredirect {\nhost = \"[2001:db8::1]\"\npath = \"/a b/ä\"\nquery = \"\"\nstatus_code = \"HTTP_302\"\n}",
    );
    assert_eq!(
        redirect.describe(|_| String::new()),
        "redirect 302 #{protocol}://[2001:db8::1]:#{port}/a%20b/%C3%A4"
    );
    let Action::FixedResponse(fixed) = action(
        "type = \"fixed-response\"\nfixed_response {\ncontent_type = \"text/css\"\nstatus_code = 404\nmessage_body = \"x\"\n}",
    ) else {
        panic!("a fixed response")
    };
    assert_eq!((fixed.status, fixed.content_type.as_str(), fixed.body.as_str()), (404, "text/css", "x"));
}

#[test]
fn faults_of_forwarding() {
    let forward = |lines: &str| with_action(&format!("type = \"forward\"\nforward {{\n{lines}\n}}"));
    let (a, b, s) = (group("a", 1), group("b", 1), group("s", 1));
    for (lines, place, wrong, allowed) in [
        (
            format!("{a}{s}"),
            "12:1",
            "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups, here \"s\"",
            "stickiness { enabled = true",
        ),
        (
            format!("{a}{s}stickiness {{\nenabled = false\nduration = 7\n}}"),
            "12:1",
            "You must enable group stickiness",
            "enabled = true",
        ),
        (
            format!("{a}{b}stickiness {{\nenabled = true\n}}"),
            "21:1",
            "stickiness needs `duration`",
            "from 1 to 604800",
        ),
        (
            format!("{a}stickiness {{\nenabled = true\nduration = 0\n}}"),
            "19:12",
            "out of range",
            "from 1 to 604800",
        ),
        (
            format!("{a}stickiness {{\nenabled = true\nduration = 604801\n}}"),
            "19:12",
            "out of range",
            "from 1 to 604800",
        ),
        (group("a", 1000), "15:10", "`weight` = 1000 is out of range", "from 0 to 999"),
        (format!("{a}{a}"), "18:7", "names the target group twice", "once"),
        (String::new(), "12:1", "needs a `target_group` block", "target_group {"),
        ("target_group {\nweight = 1\n}".to_owned(), "13:1", "needs `arn`", "target_group.LABEL.arn"),
    ] {
        assert_one_fault(&forward(&lines), place, wrong, allowed);
    }
    let many: String = (0..6).map(|n| group(&format!("g{n}"), 1)).collect();
    let groups: String = (0..6).map(|n| format!("target_group \"g{n}\" {{}}\n")).collect();
    let text = format!("{}{groups}", forward(&many));
    assert_one_fault(&text, "33:1", "too many target groups in one action", "at most 5");
}

#[test]
fn faults_of_redirects() {
    let listener = |lines: &str| with_action(&format!("type = \"redirect\"\nredirect {{\n{lines}\n}}"));
    let loops = "The redirect configuration is not valid because it creates a loop";
    for (lines, place, wrong, allowed) in [
        ("status_code = \"HTTP_301\"", "12:1", loops, "another protocol, host, port or path"),
        (
            "status_code = \"HTTP_301\"\nport = 8080\nprotocol = \"HTTP\"\nquery = \"x\"",
            "12:1",
            loops,
            "another",
        ),
        ("port = 81", "12:1", "redirect needs `status_code`", "HTTP_301"),
        (
            "port = 81\nstatus_code = \"301\"",
            "14:15",
            "`status_code` = \"301\"",
            "\"HTTP_301\" or \"HTTP_302\"",
        ),
        ("port = 0\nstatus_code = \"HTTP_301\"", "13:8", "`port` = \"0\"", "1 to 65535"),
        ("port = \"https\"\nstatus_code = \"HTTP_301\"", "13:8", "`port` = \"https\"", "1 to 65535"),
        (
            "protocol = \"https\"\nport=1\nstatus_code = \"HTTP_301\"",
            "13:12",
            "`protocol` = \"https\"",
            "\"HTTPS\"",
        ),
        ("host = \"a b\"\nstatus_code = \"HTTP_301\"", "13:8", "`host` = \"a b\"", "letters"),
        ("host = \"#{path}\"\nstatus_code = \"HTTP_301\"", "13:8", "`host` =", "#{host}"),
        ("path = \"x\"\nstatus_code = \"HTTP_301\"", "13:8", "`path` = \"x\"", "the first a slash"),
        ("path = \"/#{query}\"\nstatus_code = \"HTTP_301\"", "13:8", "`path` =", "#{path}"),
        (
            "path = \"/x\"\nquery = \"?y\"\nstatus_code = \"HTTP_301\"",
            "14:9",
            "`query` = \"?y\"",
            "without a leading",
        ),
        (
            "path = \"/x\"\nquery = \"#{nothing}\"\nstatus_code = \"HTTP_301\"",
            "14:9",
            "`query` =",
            "placeholders",
        ),
    ] {
        assert_one_fault(&listener(lines), place, wrong, allowed);
    }
    let long = format!("path = \"/{}\"\nstatus_code = \"HTTP_301\"", "x".repeat(128));
    assert_one_fault(&listener(&long), "13:8", "`path` =", "1 to 128");
    assert_one_fault(
        &with_action("type = \"redirect\""),
        "10:1",
        "the action needs a `redirect` block",
        "redirect {",
    );
    assert_one_fault(
        &with_action(
            "type = \"redirect\"\ntarget_group_arn = \"a\"\nredirect {\nport = 1\nstatus_code = \"HTTP_301\"\n}",
        ),
        "12:20",
        "`target_group_arn` has no meaning for `redirect`",
        "\"forward\"",
    );
}

#[test]
fn faults_of_fixed_responses() {
    let listener =
        |lines: &str| with_action(&format!("type = \"fixed-response\"\nfixed_response {{\n{lines}\n}}"));
    for (lines, place, wrong, allowed) in [
        ("content_type = \"text/plain\"", "12:1", "needs `status_code`", "from 200 to 299"),
        ("status_code = 200", "12:1", "needs `content_type`", "\"text/plain\""),
        (
            "status_code = 200\ncontent_type = \"image/png\"",
            "14:16",
            "`content_type` = \"image/png\"",
            "\"text/css\"",
        ),
        (
            "status_code = 301\ncontent_type = \"text/html\"",
            "13:15",
            "`status_code` = \"301\"",
            "from 400 to 599",
        ),
        (
            "status_code = \"5XX\"\ncontent_type = \"text/html\"",
            "13:15",
            "`status_code` = \"5XX\"",
            "from 400 to 599",
        ),
        (
            "status_code = 600\ncontent_type = \"text/html\"",
            "13:15",
            "`status_code` = \"600\"",
            "from 400 to 599",
        ),
        ("status_code = 100\ncontent_type = \"text/html\"", "13:15", "`status_code` = \"100\"", "from 200"),
    ] {
        assert_one_fault(&listener(lines), place, wrong, allowed);
    }
    let body = |length: usize| {
        listener(&format!(
            "status_code = 200\ncontent_type = \"text/html\"\nmessage_body = \"{}\"",
            "ä".repeat(length)
        ))
    };
    assert!(parse(&body(1024)).is_ok());
    assert_one_fault(&body(1025), "15:16", "`message_body` is too long", "at most 1024");
}

/// A rule whose transforms begin in line 26.
fn with_transforms(lines: &str) -> String {
    format!(
        "{}listener_rule \"r\" {{\nlistener_arn = \"web\"\naction {{\ntype = \"forward\"\ntarget_group_arn = \"a\"\n}}\n\
         condition {{\npath_pattern {{\nvalues = [\"/*\"]\n}}\n}}\n{lines}\n}}\n",
        with_action("type = \"forward\"\ntarget_group_arn = \"a\"")
    )
}

fn url(rewrite: &str) -> String {
    format!("transform {{\ntype = \"url-rewrite\"\nurl_rewrite_config {{\nrewrite {{\n{rewrite}\n}}\n}}\n}}")
}

#[test]
fn transforms_are_read_and_their_faults_told() {
    let read = parse(&with_transforms(&url("regex = \"^/(a)\"\nreplace = \"/$1\""))).expect("valid");
    let rewrite = read.listeners[0].rules[0].transforms.url.as_ref().expect("a rewrite");
    assert_eq!((rewrite.regex.as_str(), rewrite.replace.as_str()), ("^/(a)", "/$1"));
    for (rewrite, place, wrong, allowed) in [
        ("regex = \"(\"\nreplace = \"/\"", "30:9", "`regex` is no regular expression", "without look-around"),
        (
            "regex = \"(?=a)\"\nreplace = \"/\"",
            "30:9",
            "`regex` is no regular expression",
            "without look-around",
        ),
        ("regex = \"((a{99}){99}){99}\"\nreplace = \"/\"", "30:9", "too large", "without look-around"),
        ("regex = \"(a)\"\nreplace = \"/$2\"", "31:11", "names group 2", "groups of the expression"),
        ("regex = \"a\"\nreplace = \"/ x\"", "31:11", "`replace` = \"/ x\"", "at most 1024"),
        ("regex = \"\"\nreplace = \"/\"", "30:9", "`regex` = \"\"", "1 to 1024"),
        ("regex = \"a\"", "29:1", "rewrite needs `replace`", "at most 1024"),
        ("replace = \"/\"", "29:1", "rewrite needs `regex`", "1 to 1024"),
    ] {
        assert_one_fault(&with_transforms(&url(rewrite)), place, wrong, allowed);
    }
    let good = "regex = \"a\"\nreplace = \"b\"";
    let twice = format!("{}\n{}", url(good), url(good));
    assert_one_fault(&with_transforms(&twice), "35:1", "a second `url-rewrite` transform", "one in a rule");
    assert_one_fault(
        &with_transforms("transform {\ntype = \"url-rewrite\"\n}"),
        "26:1",
        "the transform needs url_rewrite_config",
        "`url_rewrite_config`",
    );
    let foreign = url(good).replace("url-rewrite", "host-header-rewrite");
    let faults = parse(&with_transforms(&foreign)).expect_err("the other type");
    assert!(faults.contains("belongs to the other type"), "{faults}");
    assert_one_fault(&with_transforms("transform {\n}"), "26:1", "transform needs `type`", "\"url-rewrite\"");
    let default = with_action(&format!("type = \"forward\"\ntarget_group_arn = \"a\"\n{}", url(good)));
    assert!(parse(&default).expect_err("default").contains("unknown block `transform`"));
}
