//! What can never be, and is warned of: conditions that no request meets, ranges that look like addresses, sessions that are
//! kept for no time.

use balancer::config;

use super::folders::read;

/// The warnings of a rule with these conditions, behind a load balancer and a listener that say this.
fn told(balancer: &str, listener: &str, conditions: &str) -> Vec<String> {
    let text = format!(
        "load_balancer \"lb\" {{\n{balancer}\n}}\ntarget_group \"app\" {{\n  targets = [\"10.0.0.1:80\"]\n}}\nlistener \
         \"web\" {{\n  port = 8080\n{listener}\n  default_action {{\n    type = \"forward\"\n    target_group_arn = \
         target_group.app.arn\n  }}\n}}\nlistener_rule \"r\" {{\n  listener_arn = listener.web.arn\n  action {{\n    \
         type = \"forward\"\n    target_group_arn = target_group.app.arn\n  }}\n  condition {{\n{conditions}\n  }}\n}}\n"
    );
    let read = read(&[("main.hcl", &text), ("z.hcl", "")]).unwrap_or_else(|fault| panic!("{fault}"));
    let lines = config::warnings(&read).into_iter();
    lines
        .filter_map(|line| Some(line.strip_prefix("listener rule r of listener web: ")?.to_owned()))
        .collect()
}

#[test]
fn paths_that_no_request_has() {
    let path = |value: &str| told("", "", &format!("path_pattern {{\nvalues = [\"{value}\"]\n}}"));
    for value in ["/a/../b", "/./a", "/a/..", "/a/.", "/../*", "*/../b"] {
        let told = path(value);
        let [line] = &told[..] else { panic!("{value}: {told:?}") };
        assert!(
            line.starts_with(&format!("path_pattern {value} is never met: paths are matched without")),
            "{line}"
        );
    }
    for value in ["api/*", "a", ".", "$x"] {
        let told = path(value);
        let [line] = &told[..] else { panic!("{value}: {told:?}") };
        assert!(line.ends_with("is never met: every path begins with `/`"), "{line}");
    }
    for value in ["/a/.b", "/a/..b", "/a/...", "/a/.*", "/*..", "*", "?a", "*.php", "/.well-known/*", "/a/b."]
    {
        assert_eq!(path(value), Vec::<String>::new(), "{value}");
    }
    let regex = told("", "", "path_pattern {\nregex_values = [\"a/../b\"]\n}");
    assert_eq!(regex, Vec::<String>::new());
}

#[test]
fn fields_that_are_left_out_before_and_values_that_none_has() {
    let header = |balancer: &str, name: &str, value: &str| {
        told(
            balancer,
            "",
            &format!("http_header {{\nhttp_header_name = \"{name}\"\nvalues = [\"{value}\"]\n}}"),
        )
    };
    let drops = "drop_invalid_header_fields = true";
    for name in ["X_Foo", "x.y", "X-Foo!"] {
        let told = header(drops, name, "a");
        let [line] = &told[..] else { panic!("{name}: {told:?}") };
        assert!(line.starts_with(&format!("http_header {name} is never met: with `drop_invalid_")), "{line}");
        assert_eq!(header("", name, "a"), Vec::<String>::new(), "{name}");
    }
    assert_eq!(header(drops, "X-Foo-1", "a b"), Vec::<String>::new());
    for value in [" a", "a ", " "] {
        let told = header("", "X-Foo", value);
        assert!(
            matches!(&told[..], [line] if line.contains("no value begins or ends with a blank")),
            "{told:?}"
        );
    }
}

#[test]
fn ranges_that_are_more_than_an_address_or_of_no_client() {
    let source =
        |listener: &str, values: &str| told("", listener, &format!("source_ip {{\nvalues = {values}\n}}"));
    assert_eq!(
        source("", "[\"10.1.2.3/8\", \"10.0.0.0/8\", \"10.1.2.3/32\"]"),
        ["source_ip 10.1.2.3/8 is the whole of 10.0.0.0/8; for one address alone it is 10.1.2.3/32"]
    );
    assert_eq!(source("", "[\"10.1.2.3/0\"]").len(), 1);
    assert_eq!(
        source("address = \"::\"", "[\"2001:db8::1/64\", \"::/0\"]"),
        [
            "source_ip 2001:db8::1/64 is the whole of 2001:db8::/64; for one address alone it is 2001:db8::1/128"
        ]
    );
    for (listener, values) in
        [("", "[\"2001:db8::/32\"]"), ("address = \"::\"", "[\"10.0.0.0/8\", \"192.0.2.0/24\"]")]
    {
        let told = source(listener, values);
        assert!(
            matches!(&told[..], [line] if line.contains("is never met: the listener is at ")),
            "{told:?}"
        );
    }
    for listener in ["", "address = \"::\"", "address = \"127.0.0.1\""] {
        assert_eq!(source(listener, "[\"0.0.0.0/0\", \"::/0\"]"), Vec::<String>::new(), "{listener}");
    }
}

#[test]
fn sessions_that_are_kept_for_no_time() {
    let group = |more: &str| {
        let text =
            format!("target_group \"a\" {{\n  targets = [\"10.0.0.1:80\"]\n  stickiness {{}}\n{more}\n}}\n");
        let read = read(&[("main.hcl", &text), ("z.hcl", "")]).unwrap();
        config::warnings(&read).into_iter().filter(|line| line.contains("keeps nothing")).collect::<Vec<_>>()
    };
    let keep = "deregistration_stickiness = \"keep\"\n";
    assert_eq!(
        group(&format!("{keep}deregistration_delay = 0")),
        ["target group a: deregistration_stickiness keeps nothing, since deregistration_delay is 0"]
    );
    assert!(group(keep).is_empty() && group("deregistration_delay = 0").is_empty());
    assert!(group(&format!("{keep}deregistration_delay = 1")).is_empty());
}
