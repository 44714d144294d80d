//! What a valid configuration is advised against.

use std::path::PathBuf;

use balancer::config;

/// The codes of what is said of a group with these lines and two targets.
fn codes(lines: &str) -> Vec<&'static str> {
    let text = format!(
        "target_group \"app\" {{\ntargets = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n{lines}\n}}\n\
         listener \"web\" {{\nport = 80\ndefault_action {{\ntype = \"forward\"\ntarget_group_arn = target_group.app.arn\n}}\n}}\n"
    );
    let read = config::parse(&[(PathBuf::from("x.hcl"), text)]).map_err(|errors| errors.to_string()).unwrap();
    let advice = config::advice(&read);
    assert!(
        advice.iter().all(|one| one.about == "target group app" && !one.what_to_do.is_empty()),
        "{advice:?}"
    );
    advice.into_iter().map(|one| one.code).collect()
}

#[test]
fn what_users_come_to_regret_is_named_and_its_remedy_ends_it() {
    assert_eq!(codes(""), [""; 0]);
    for (code, regretted, remedied) in [
        (
            "slow_health_checks",
            "health_check {\ninterval = 60\nunhealthy_threshold = 5\n}",
            "health_check {\ninterval = 10\n}",
        ),
        (
            "health_checks_hide_failures",
            "health_check {\nmatcher = \"200-404\"\n}",
            "health_check {\nmatcher = \"200-399\"\n}",
        ),
        (
            "health_checks_hide_failures",
            "health_check {\nmatcher = \"200,401\"\n}",
            "health_check {\nmatcher = \"200\"\n}",
        ),
    ] {
        assert_eq!(codes(regretted), [code], "{regretted}");
        assert_eq!(codes(remedied), [""; 0], "{remedied}");
    }
    let sticky = |lines: &str, delay: &str| {
        codes(&format!("{delay}\nstickiness {{\ntype = \"lb_cookie\"\n{lines}\n}}"))
    };
    let keep = "deregistration_stickiness = \"keep\"";
    assert_eq!(sticky("", ""), ["sessions_leave_draining"]);
    assert_eq!(sticky("", keep), [""; 0]);
    let endless = "cookie_duration = 604800";
    assert_eq!(sticky(endless, keep), ["endless_sessions"]);
    assert_eq!(sticky(&format!("{endless}\nmax_lifetime = 1209600"), keep), [""; 0]);
    assert_eq!(sticky("cookie_duration = 86400", keep), [""; 0]);
}

/// The codes of what is said of two groups with these cookies of applications, at one load balancer or at two.
fn of_two(cookies: [&str; 2], balancers: [&str; 2]) -> Vec<String> {
    let group = |(name, cookie): (&str, &str)| {
        format!(
            "target_group \"{name}\" {{\ntargets = [\"127.0.0.1:1\"]\nstickiness {{\ntype = \"app_cookie\"\ncookie_name = \"{cookie}\"\n}}\n}}\n"
        )
    };
    let listener = |(port, group, balancer): (u16, &str, &str)| {
        format!(
            "listener \"l{port}\" {{\nport = {port}\nload_balancer_arn = load_balancer.{balancer}.arn\ndefault_action {{\ntype = \"forward\"\n\
             target_group_arn = target_group.{group}.arn\n}}\n}}\n"
        )
    };
    let [one, other] = balancers;
    let text = ["one", "two"].map(|name| format!("load_balancer \"{name}\" {{}}\n")).concat()
        + &group(("shop", cookies[0]))
        + &group(("admin", cookies[1]))
        + &listener((81, "shop", one))
        + &listener((82, "admin", other));
    let read = config::parse(&[(PathBuf::from("x.hcl"), text)]).map_err(|errors| errors.to_string()).unwrap();
    config::advice(&read).into_iter().map(|one| format!("{} {}: {}", one.about, one.code, one.seen)).collect()
}

#[test]
fn two_applications_with_one_cookie_are_told_of_each_other() {
    let told = of_two(["JSESSIONID", "JSESSIONID"], ["one", "one"]);
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert!(told.starts_with("target group admin one_application_cookie: "), "{told}");
    assert!(told.contains("by JSESSIONID, as that of target group shop"), "{told}");
    assert_eq!(of_two(["JSESSIONID", "SID"], ["one", "one"]), [""; 0]);
    assert_eq!(of_two(["JSESSIONID", "JSESSIONID"], ["one", "two"]), [""; 0]);
}
