//! Groups that set cookies of one name for one client: `check` and `run` say so, with the places.
use std::{fmt::Write as _, path::PathBuf};

use balancer::config;

/// A listener, by its name, port and group.
type Listener<'a> = (&'a str, u16, &'a str);
/// A rule: its listener, its group, and what stands in its conditions.
type Rule<'a> = (&'a str, &'a str, &'a [&'a str]);
/// A group and what stands in its `stickiness`; nothing: it has none.
type Group<'a> = (&'a str, &'a str);

const LB: &str = "type = \"lb_cookie\"";
const HEALTH: &[&str] = &["path_pattern { values = [\"/health*\"] }"];

fn warnings(text: &str) -> Vec<String> {
    let read = config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).map_err(|error| error.to_string());
    let warnings = config::warnings(&read.unwrap());
    warnings.into_iter().filter(|warning| warning.contains("cookie")).collect()
}

fn text(listeners: &[Listener<'_>], rules: &[Rule<'_>], groups: &[Group<'_>]) -> String {
    let mut text = String::new();
    for (name, stickiness) in groups {
        let block =
            if stickiness.is_empty() { String::new() } else { format!("stickiness {{\n{stickiness}\n}}") };
        writeln!(text, "target_group \"{name}\" {{\ntargets = [\"127.0.0.1:1\"]\n{block}\n}}").unwrap();
    }
    for (name, port, group) in listeners {
        let (name, more) = name.split_once('@').unwrap_or((name, ""));
        writeln!(
            text,
            "listener \"{name}\" {{\nport = {port}\n{more}\ndefault_action {{\ntype = \"forward\"\n\
             target_group_arn = target_group.{group}.arn\n}}\n}}"
        )
        .unwrap();
    }
    for (number, (listener, group, conditions)) in rules.iter().enumerate() {
        let conditions: String =
            conditions.iter().map(|condition| format!("condition {{\n{condition}\n}}\n")).collect();
        writeln!(
            text,
            "listener_rule \"r{number}\" {{\nlistener_arn = listener.{listener}.arn\naction {{\ntype = \"forward\"\n\
             target_group_arn = target_group.{group}.arn\n}}\n{conditions}}}"
        )
        .unwrap();
    }
    text
}

fn of(listeners: &[Listener<'_>], rules: &[Rule<'_>], groups: &[Group<'_>]) -> Vec<String> {
    warnings(&text(listeners, rules, groups))
}

const WEB: &[Listener<'_>] = &[("web", 80, "site")];
const BOTH: &[Group<'_>] = &[("site", LB), ("api", LB)];

#[test]
fn two_groups_behind_one_listener_are_named_with_their_places() {
    assert_eq!(
        of(WEB, &[("web", "api", HEALTH)], BOTH),
        [
            "the cookie AWSALB is set by target group site (x.hcl:3:1) and by target group api (x.hcl:9:1): a client \
          that gets to more than one of them, on listener web, loses its session each time; give each a `cookie_prefix` \
          of its own"
        ]
    );
}

#[test]
fn groups_that_do_not_get_into_each_others_way_are_not_warned_of() {
    let other = "type = \"lb_cookie\"\ncookie_prefix = \"API\"";
    let app = "type = \"app_cookie\"\ncookie_name = \"SID\"";
    for groups in [
        [("site", LB), ("api", other)],
        [("site", LB), ("api", "")],
        [("site", LB), ("api", app)],
        // One map is for all of them.
        [("site", app), ("api", app)],
        [("site", LB), ("api", "type = \"lb_cookie\"\nenabled = false")],
    ] {
        assert_eq!(of(WEB, &[("web", "api", HEALTH)], &groups), Vec::<String>::new(), "{groups:?}");
    }
    // One group, by whatever rules.
    let same: &[Rule<'_>] =
        &[("web", "site", HEALTH), ("web", "site", &["host_header { values = [\"a.example\"] }"])];
    assert_eq!(of(WEB, same, &[("site", LB)]), Vec::<String>::new());
}

#[test]
fn hosts_keep_their_cookies_apart() {
    let host = |host: &str| format!("host_header {{ values = [\"{host}\"] }}");
    let regex = |text: &str| format!("host_header {{ regex_values = [\"{text}\"] }}");
    let path = "path_pattern { values = [\"/x\"] }";
    // Of two rules, the first to api and the second to site, before a listener of a group without sessions.
    let two = |first: &[&str], second: &[&str]| {
        let groups = [("site", LB), ("api", LB), ("none", "")];
        let rules: [Rule<'_>; 2] = [("web", "api", first), ("web", "site", second)];
        !of(&[("web", 80, "none")], &rules, &groups).is_empty()
    };
    assert!(!two(&[&host("a.example")], &[&host("b.example")]));
    assert!(!two(&[&host("a.example"), path], &[&host("b.example"), path]));
    assert!(two(&[&host("a.example"), path], &[&host("A.example")]));
    assert!(two(&[&host("*.example"), path], &[&host("a.example")]));
    assert!(two(&[&host("*.example"), path], &[path]));
    assert!(!two(&[&host("*.example"), path], &[&host("*.test")]));
    assert!(two(&[&regex("^(a|b)[.]example$"), path], &[&host("b.example")]));
    assert!(!two(&[&regex("^(a|b)[.]example$"), path], &[&host("c.example")]));
    // What goes by nothing but the host takes it all, and what goes by the source takes all of a client.
    assert!(!two(&[&host("a.example")], &[&host("*.example")]));
    assert!(two(&[&host("*.example"), path], &[&host("a.example")]));
    assert!(!two(&["source_ip { values = [\"10.0.0.0/8\"] }"], &[path]));
    let header = "http_header {\nhttp_header_name = \"Upgrade\"\nvalues = [\"websocket\"]\n}";
    assert!(two(&[header], &[path]));
    // And the default action gets the hosts that are left.
    let of_host = host("a.example");
    assert_eq!(of(WEB, &[("web", "api", &[&of_host])], BOTH), Vec::<String>::new());
    assert_eq!(of(WEB, &[("web", "api", &[&of_host, path])], BOTH).len(), 1);
}

#[test]
fn cookies_know_no_ports() {
    let two = |first: &str, second: &str| {
        let listeners = [(first, 8080, "site"), (second, 9090, "api")];
        let balancers = "load_balancer \"x\" {}\nload_balancer \"y\" {}\n";
        warnings(&(balancers.to_owned() + &text(&listeners, &[], BOTH)))
    };
    let on = |balancer: &str, address: &str| {
        format!("load_balancer_arn = load_balancer.{balancer}.arn\naddress = \"{address}\"")
    };
    let listener = |name: &str, lines: &str| format!("{name}@{lines}");
    let any = "0.0.0.0";
    let [warning] = &two(&listener("web", &on("x", any)), &listener("admin", &on("x", any)))[..] else {
        panic!("one warning")
    };
    assert!(warning.contains("on listeners admin, web, whose ports cookies do not know"), "{warning}");
    // Load balancers have names of their own, and so have addresses.
    assert!(two(&listener("web", &on("x", any)), &listener("admin", &on("y", any))).is_empty());
    let addresses =
        |one: &str, other: &str| two(&listener("web", &on("x", one)), &listener("admin", &on("x", other)));
    assert!(addresses("10.0.0.1", "10.0.0.2").is_empty());
    assert_eq!((addresses("10.0.0.1", "10.0.0.1").len(), addresses("10.0.0.1", any).len()), (1, 1));
}

#[test]
fn actions_that_draw_groups_have_cookies_too() {
    let draw = |groups: [&str; 2], prefix: &str| {
        format!(
            "action {{\ntype = \"forward\"\nforward {{\ntarget_group {{ arn = target_group.{}.arn }}\n\
             target_group {{ arn = target_group.{}.arn }}\n\
             stickiness {{\nenabled = true\nduration = 60\ncookie_prefix = \"{prefix}\"\n}}\n}}\n}}",
            groups[0], groups[1]
        )
    };
    let with = |first: String, second: String, stickiness: &str| {
        let groups: Vec<(&str, &str)> = ["a", "b", "c"].map(|name| (name, stickiness)).into();
        let mut all = text(&[("web", 80, "none")], &[], &[&groups[..], &[("none", "")]].concat());
        for (number, action) in [first, second].iter().enumerate() {
            writeln!(
                all,
                "listener_rule \"r{number}\" {{\nlistener_arn = listener.web.arn\n{action}\ncondition {{\n\
                 path_pattern {{ values = [\"/{number}*\"] }}\n}}\n}}"
            )
            .unwrap();
        }
        warnings(&all)
    };
    // In one action it is the group's cookie that keeps a client from the others.
    assert_eq!(with(draw(["a", "b"], "X"), draw(["b", "a"], "X"), ""), Vec::<String>::new());
    assert_eq!(with(draw(["a", "b"], "X"), draw(["b", "a"], "X"), LB), Vec::<String>::new());
    assert_eq!(with(draw(["a", "b"], "X"), draw(["b", "a"], "Y"), LB).len(), 1, "each draws for itself");
    let [warning] = &with(draw(["a", "b"], "X"), draw(["b", "c"], "X"), "")[..] else {
        panic!("one warning")
    };
    assert!(
        warning.starts_with("the cookie XTG is set by the action that draws one of a, b (x.hcl:"),
        "{warning}"
    );
    assert_eq!(with(draw(["a", "b"], "X"), draw(["b", "c"], "Y"), ""), Vec::<String>::new());
}

#[test]
fn names_that_meet_without_being_of_one_kind_are_told() {
    let lb = |prefix: &str| format!("{LB}\ncookie_prefix = \"{prefix}\"");
    let app = |name: &str, prefix: &str| {
        format!("type = \"app_cookie\"\ncookie_name = \"{name}\"\ncookie_prefix = \"{prefix}\"")
    };
    let two = |site: &str, api: &str| of(WEB, &[("web", "api", HEALTH)], &[("site", site), ("api", api)]);
    for (site, api, cookie) in [
        (lb("FOO"), app("FOO", "BAR"), "FOO"),
        (lb("FOO"), app("FOOCORS", "BAR"), "FOOCORS"),
        (app("BARAPP-2", "FOO"), app("SID", "BAR"), "BARAPP-2"),
        (lb("FOOAPP-1"), app("SID", "FOO"), "FOOAPP-1"),
        (lb("FOO"), lb("FOOCORS"), "FOOCORS"),
    ] {
        let [warning] = &two(&site, &api)[..] else { panic!("one warning: {site} {api}") };
        assert!(warning.starts_with(&format!("the cookie {cookie} is set by ")), "{warning}");
    }
    assert_eq!(
        two(&lb("FOO"), &app("FOO", "BAR")),
        [
            "the cookie FOO is set by target group site (x.hcl:3:1) and by the application of target group api \
             (x.hcl:10:1): a client that gets to more than one of them, on listener web, loses its session each time; \
             give each a `cookie_prefix` of its own"
        ]
    );
    for (site, api) in [
        // Applications know of each other's cookies what the balancer does not: they are set for paths.
        (app("SID", "FOO"), app("SID", "BAR")),
        (lb("FOO"), app("FOOX", "BAR")),
        (lb("FOO"), app("foo", "BAR")),
        (lb("FOOAPP-4"), app("SID", "FOO")),
        (lb("FOOTG"), lb("FOO")),
    ] {
        assert_eq!(two(&site, &api), Vec::<String>::new(), "{site} {api}");
    }
}

#[test]
fn an_action_that_draws_may_get_into_the_way_of_its_own_groups() {
    let of = |prefix: &str, a: &str, b: &str| {
        let groups = [("a", a), ("b", b), ("none", "")];
        let action = format!(
            "listener_rule \"r\" {{\nlistener_arn = listener.web.arn\naction {{\ntype = \"forward\"\nforward {{\n\
             target_group {{ arn = target_group.a.arn }}\ntarget_group {{ arn = target_group.b.arn }}\n\
             stickiness {{\nenabled = true\nduration = 60\ncookie_prefix = \"{prefix}\"\n}}\n}}\n}}\n\
             condition {{\npath_pattern {{ values = [\"/*\"] }}\n}}\n}}"
        );
        warnings(&(text(&[("web", 80, "none")], &[], &groups) + &action))
    };
    let lb = |prefix: &str| format!("{LB}\ncookie_prefix = \"{prefix}\"");
    let app =
        |name: &str| format!("type = \"app_cookie\"\ncookie_name = \"{name}\"\ncookie_prefix = \"FOO\"");
    for (a, cookie) in [(lb("XTG"), "XTG"), (lb("XTGCORS"), "XTGCORS"), (app("XTG"), "XTG")] {
        let [warning] = &of("X", &a, "")[..] else { panic!("one warning: {a}") };
        let told = format!("the cookie {cookie} is set by ");
        assert!(
            warning.starts_with(&told) && warning.contains("the action that draws one of a, b"),
            "{warning}"
        );
    }
    // Of its groups a client has one.
    assert_eq!(of("X", &lb("Y"), &lb("Y")), Vec::<String>::new());
    assert_eq!(of("X", &app("Y"), &lb("Y")), Vec::<String>::new());
    assert_eq!(of("X", &app("SID"), &lb("FOOAPP-0")), Vec::<String>::new());
}

#[test]
fn a_field_that_names_sessions_and_is_dropped_is_warned_of() {
    let of = |name: &str, drops: bool| {
        let text = format!(
            "load_balancer \"main\" {{\ndrop_invalid_header_fields = {drops}\n}}\nlistener \"web\" {{\nport = 80\ndefault_action \
             {{\ntype = \"forward\"\ntarget_group_arn = target_group.app.arn\n}}\n}}\ntarget_group \"app\" {{\ntargets = \
             [\"127.0.0.1:1\"]\nstickiness {{\ntype = \"app_header\"\nheader_name = \"{name}\"\n}}\n}}\n"
        );
        let read = config::parse(&[(PathBuf::from("x.hcl"), text)]).map_err(|error| error.to_string());
        let warnings = config::warnings(&read.unwrap());
        warnings.iter().filter(|warning| warning.contains("targets never see")).count()
    };
    assert_eq!((of("Mcp_Session", true), of("Mcp_Session", false), of("Mcp-Session", true)), (1, 0, 0));
}
