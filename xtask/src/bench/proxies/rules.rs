//! Rules with hosts and paths, of which none but the last takes the requests of the load: each request is held against all.

use std::fmt::Write;

/// Blocks of balancer's, wildcards among them.
pub(super) fn balancer(count: usize) -> String {
    let mut text = String::new();
    for number in 1..=count {
        let path = if number == count { "/" } else { &format!("/app{number}/*\", \"/*/app{number}/?") };
        let mut conditions = condition("path_pattern", path);
        if number < count {
            let hosts = format!("app{number}.example.com\", \"*.app{number}.example.org");
            conditions.push_str(&condition("host_header", &hosts));
        }
        // Writing to a String cannot fail.
        write!(
            text,
            r#"listener_rule "rule{number}" {{
  listener_arn = listener.bench.arn
  priority     = {number}
  action {{
    type             = "forward"
    target_group_arn = target_group.bench.arn
  }}
{conditions}}}
"#
        )
        .unwrap_or_default();
    }
    text
}

fn condition(kind: &str, values: &str) -> String {
    format!("  condition {{\n    {kind} {{\n      values = [\"{values}\"]\n    }}\n  }}\n")
}

/// The same of HAProxy's.
pub(super) fn haproxy(count: usize) -> String {
    let rule = |number: usize| {
        if number == count {
            return "  use_backend targets if { path / }\n".to_owned();
        }
        let host = format!("{{ hdr(host) -m str app{number}.example.com }}");
        let hosts = format!("{{ hdr(host) -m end .app{number}.example.org }}");
        let path = format!("{{ path -m beg /app{number}/ }}");
        format!("  use_backend targets if {path} {host}\n  use_backend targets if {path} {hosts}\n")
    };
    (1..=count).map(rule).collect()
}

/// Locations of nginx's.
pub(super) fn nginx(count: usize) -> String {
    (1..count).map(|number| format!("        location ~ ^/(.*/)?app{number}/ {{ return 404; }}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_means_none() {
        assert_eq!([balancer(0), haproxy(0), nginx(0)], ["", "", ""]);
    }

    #[test]
    fn the_last_one_takes_the_load() {
        assert_eq!(balancer(100).matches("listener_rule").count(), 100);
        assert!(balancer(1).contains("values = [\"/\"]"));
        assert!(haproxy(3).ends_with("use_backend targets if { path / }\n"));
        assert_eq!(nginx(100).lines().count(), 99);
    }
}
