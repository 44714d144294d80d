//! Listener rules as configured: what is read, and every fault with its place, what is wrong and what is allowed.
use balancer::model::{Action, Condition, IpRange, QueryPattern, TextPattern};

use super::support::{assert_one_fault, parse};

const LISTENER: &str = "target_group \"app\" {}\nlistener \"web\" {\nport = 80\ndefault_action {\ntype = \"forward\"\n\
                        target_group_arn = \"app\"\n}\n}\n";
const ACTION: &str = "action {\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}";
const ANY_PATH: &str = "condition {\npath_pattern {\nvalues = [\"/a\"]\n}\n}";

/// A rule whose lines begin in line 10 of the text.
fn rule(lines: &str) -> String {
    format!("{LISTENER}listener_rule \"r\" {{\n{lines}\n}}\n")
}

/// A rule whose conditions begin in line 15.
fn conditions(lines: &str) -> String {
    rule(&format!("listener_arn = \"web\"\n{ACTION}\n{lines}"))
}

#[test]
fn rules_are_read_in_both_spellings_and_sorted_by_priority() {
    let text = format!(
        "{LISTENER}{}",
        r#"
resource "aws_lb_listener_rule" "late" {
  listener_arn = aws_lb_listener.web.arn
  action {
    type = "forward"
    forward {
      target_group {
        arn = aws_lb_target_group.app.arn
      }
    }
  }
  condition {
    query_string {
      key   = "a"
      value = "b*"
    }
    query_string {
      value = "c"
    }
  }
  tags = { a = "b" }
}
listener_rule "early" {
  listener_arn = listener.web.arn
  priority     = 10
  action {
    type             = "forward"
    target_group_arn = target_group.app.arn
  }
  condition {
    host_header {
      values = ["*.example.com"]
    }
  }
  condition {
    source_ip {
      values = ["2001:db8::/32"]
    }
  }
  condition {
    http_header {
      http_header_name = "X-A"
      regex_values     = ["^1$"]
    }
  }
}
"#
    );
    let rules = parse(&text).expect("valid").listeners[0].rules.clone();
    let read: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.priority)).collect();
    assert_eq!(read, [("early", 10), ("late", 11)], "without a priority it is the next after the highest");
    let wild = |text: &str| TextPattern::Wildcard(text.to_owned());
    assert_eq!(
        rules[0].conditions,
        [
            Condition::HostHeader(vec![wild("*.example.com")]),
            Condition::SourceIp(vec![IpRange::parse("2001:db8::/32").expect("range")]),
            Condition::HttpHeader { name: "X-A".into(), values: vec![TextPattern::Regex("^1$".into())] },
        ]
    );
    assert_eq!(
        rules[1].conditions,
        [Condition::QueryString(vec![
            QueryPattern { key: Some("a".into()), value: "b*".into() },
            QueryPattern { key: None, value: "c".into() },
        ])]
    );
    assert_eq!(rules[1].action, Action::forward_to(0));
}

#[test]
fn faults_in_a_rule() {
    let web = "listener_arn = \"web\"";
    for (lines, place, wrong, allowed) in [
        (format!("{ACTION}\n{ANY_PATH}"), "9:1", "listener_rule needs `listener_arn`", "a listener"),
        (
            format!("listener_arn = listener.wab.arn\n{ACTION}\n{ANY_PATH}"),
            "10:16",
            "there is no listener \"wab\" (did you mean `web`?)",
            "listener.web.arn",
        ),
        (
            format!("listener_arn = target_group.app.arn\n{ACTION}\n{ANY_PATH}"),
            "10:16",
            "target_group.app.arn is no reference to a listener",
            "listener.web.arn",
        ),
        (format!("{web}\npriority = 0\n{ACTION}\n{ANY_PATH}"), "11:12", "out of range", "1 to 50000"),
        (format!("{web}\npriority = 50001\n{ACTION}\n{ANY_PATH}"), "11:12", "out of range", "1 to 50000"),
        (format!("{web}\n{ANY_PATH}"), "9:1", "the listener rule needs an `action`", "action {"),
        (format!("{web}\n{ACTION}"), "9:1", "A condition must be specified", "`condition` blocks"),
    ] {
        assert_one_fault(&rule(&lines), place, wrong, allowed);
    }
}

#[test]
fn priorities_and_labels_differ() {
    let one = |label: &str, priority: &str| {
        format!(
            "listener_rule \"{label}\" {{\nlistener_arn = \"web\"\n{priority}\n{ACTION}\n{ANY_PATH}\n}}\n"
        )
    };
    let twice = format!("{LISTENER}{}{}", one("a", "priority = 5"), one("b", "priority = 5"));
    assert_one_fault(
        &twice,
        "24:12",
        "Priority '5' was provided multiple times, first at x.hcl:11:12",
        "differ",
    );
    let twice = format!("{LISTENER}{}{}", one("a", "priority = 5"), one("a", "priority = 6"));
    assert_one_fault(&twice, "22:15", "listener rule \"a\" is given twice", "labels that differ");
    let full = format!("{LISTENER}{}{}", one("a", "priority = 50000"), one("b", ""));
    assert_one_fault(&full, "22:1", "there is no priority left", "a `priority`");
    let many: String = (0..101).map(|n| one(&format!("r{n}"), "")).collect();
    assert_one_fault(&format!("{LISTENER}{many}"), "1309:1", "too many listener rules", "at most 100");
}

#[test]
fn faults_in_conditions() {
    let long = format!("condition {{\npath_pattern {{\nvalues = [\"/{}\"]\n}}\n}}", "a".repeat(128));
    let condition = |lines: &str| format!("condition {{\n{lines}\n}}");
    for (lines, place, wrong, allowed) in [
        (condition(""), "15:1", "a condition holds nothing", "host_header, path_pattern"),
        (
            condition("host_header {\nvalues = [\"a.b\"]\n}\npath_pattern {\nvalues = [\"/\"]\n}"),
            "15:1",
            "a condition holds several kinds",
            "one of host_header",
        ),
        (
            condition("host_heade {\n}\nsource_ip {\nvalues = [\"::/0\"]\n}"),
            "16:1",
            "unknown block `host_heade` (did you mean `host_header`?)",
            "host_header",
        ),
        (format!("{ANY_PATH}\n{ANY_PATH}"), "20:1", "a second `path_pattern` condition", "one"),
        (condition("path_pattern {\n}"), "16:1", "A condition value must be specified", "`values` = a list"),
        (
            condition("path_pattern {\nvalues = []\n}"),
            "17:10",
            "A condition value must be specified",
            "a list",
        ),
        (condition("path_pattern {\nvalues = \"/\"\n}"), "17:10", "is no list", "1 to 128"),
        (long, "17:11", "The 'path-pattern' value is too long; the limit is '128'", "1 to 128"),
        (condition("path_pattern {\nvalues = [\"/<\"]\n}"), "17:11", "`values` holds \"/<\"", "1 to 128"),
        (condition("path_pattern {\nvalues = [\"\"]\n}"), "17:11", "`values` holds \"\"", "1 to 128"),
        (
            condition("host_header {\nvalues = [\"localhost\"]\n}"),
            "17:11",
            "`values` holds \"localhost\"",
            "only letters, * and ? after",
        ),
        (
            condition("host_header {\nvalues = [\"a.b1\"]\n}"),
            "17:11",
            "`values` holds \"a.b1\"",
            "only letters, * and ? after",
        ),
        (condition("http_request_method {\nvalues = [\"get\"]\n}"), "17:11", "`values` holds \"get\"", "A-Z"),
        (condition("http_request_method {\nvalues = [\"G*\"]\n}"), "17:11", "`values` holds \"G*\"", "A-Z"),
        (
            condition("source_ip {\nvalues = [\"10.0.0.1\"]\n}"),
            "17:11",
            "`values` holds \"10.0.0.1\"",
            "192.0.2.0/24",
        ),
        (
            condition("source_ip {\nvalues = [\"255.255.255.255/32\"]\n}"),
            "17:11",
            "255.255.255.255/32",
            "not 255",
        ),
        (
            condition("http_header {\nvalues = [\"a\"]\n}"),
            "16:1",
            "http_header needs `http_header_name`",
            "1 to 40",
        ),
        (
            condition("http_header {\nhttp_header_name = \"host\"\nvalues = [\"a\"]\n}"),
            "17:20",
            "\"host\"",
            "not Host",
        ),
        (
            condition("http_header {\nhttp_header_name = \"a b\"\nvalues = [\"a\"]\n}"),
            "17:20",
            "\"a b\"",
            "token",
        ),
        (condition("query_string {\nkey = \"a\"\n}"), "16:1", "query_string needs `value`", "1 to 128"),
        (condition("query_string {\nvalue = \"é\"\n}"), "17:9", "`value` = \"é\"", "ASCII"),
        (
            condition("path_pattern {\nregex_values = [\"(\"]\n}"),
            "17:17",
            "is no regular expression: unclosed group",
            "look-around",
        ),
        (condition("path_pattern {\nregex_values = [\"(?=a)\"]\n}"), "17:17", "look-around", "look-around"),
        (
            condition("path_pattern {\nregex_values = [\"(a)\\\\1\"]\n}"),
            "17:17",
            "backreferences",
            "back-references",
        ),
        (
            condition("path_pattern {\nregex_values = [\"(a{999}){999}\"]\n}"),
            "17:17",
            "too large when compiled",
            "1 to 128",
        ),
        (
            condition("path_pattern {\nvalues = [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\"]\n}"),
            "9:1",
            "the conditions of the rule have 6 values",
            "at most 5",
        ),
        (
            condition("path_pattern {\nvalues = [\"*?*?*\", \"**\"]\n}"),
            "9:1",
            "have 7 wildcards",
            "at most 6",
        ),
    ] {
        assert_one_fault(&conditions(&lines), place, wrong, allowed);
    }
}
