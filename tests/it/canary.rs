//! Several groups by weight, and clients that stick to theirs (ALB: weighted target groups, group stickiness).

use std::{collections::BTreeMap, thread};

use support::{Balancer, Client, Config, Group, Response, Target};

/// A client that has its cookies and nothing else: where it belongs.
#[derive(Clone, Debug)]
struct Visitor {
    cookies: String,
    home: String,
}

fn forward(weights: &[(&str, u16)], stickiness: &str) -> String {
    let groups: String = weights
        .iter()
        .map(|(group, weight)| {
            format!("target_group {{\narn = target_group.{group}.arn\nweight = {weight}\n}}\n")
        })
        .collect();
    format!("type = \"forward\"\nforward {{\n{groups}{stickiness}\n}}")
}

const STICKY: &str = "stickiness {\nenabled = true\nduration = 3600\n}";

fn cookies_of(response: &Response) -> String {
    let pairs: Vec<&str> =
        response.headers.all("set-cookie").map(|line| line.split(';').next().unwrap()).collect();
    pairs.join("; ")
}

/// Has `visits` made over several connections at once, so that all workers take part.
fn in_parallel(balancer: &Balancer, visits: &[Option<Visitor>]) -> Vec<Visitor> {
    const CONNECTIONS: usize = 8;
    thread::scope(|scope| {
        let part = |visits: Vec<Option<Visitor>>| {
            let mut connection = balancer.connect();
            visits
                .iter()
                .map(|visitor| {
                    let fields = visitor
                        .as_ref()
                        .map_or_else(String::new, |visitor| format!("Cookie: {}\r\n", visitor.cookies));
                    let response = connection.get("/", &fields);
                    assert_eq!(response.status, 200);
                    Visitor { cookies: cookies_of(&response), home: response.text() }
                })
                .collect::<Vec<_>>()
        };
        let size = visits.len().div_ceil(CONNECTIONS);
        let parts: Vec<_> = visits
            .chunks(size)
            .map(|chunk| {
                let visits = chunk.to_vec();
                scope.spawn(move || part(visits))
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

fn share(visitors: &[Visitor], targets: &[&Target]) -> f64 {
    let there = visitors.iter().filter(|visitor| targets.iter().any(|target| target.address == visitor.home));
    there.count() as f64 / visitors.len() as f64
}

#[test]
fn ten_thousand_canary_clients_stay_where_they_are_whatever_the_weights() {
    const CLIENTS: usize = 10_000;
    let targets = [Target::plain(), Target::plain(), Target::plain(), Target::plain()];
    let [stable_a, stable_b, canary_a, canary_b] = targets.each_ref();
    let config = |stable: u16, canary: u16| {
        Config::with(Group::new("stable", &[stable_a, stable_b]).lb_cookie())
            .group(Group::new("canary", &[canary_a, canary_b]).lb_cookie())
            .default_action(&forward(&[("stable", stable), ("canary", canary)], STICKY))
            .workers(2)
    };
    let balancer = Balancer::start(&config(90, 10));
    let newcomers = vec![None; CLIENTS];
    let homes = |visitors: &[Visitor]| -> Vec<String> {
        visitors.iter().map(|visitor| visitor.home.clone()).collect()
    };
    let first = in_parallel(&balancer, &newcomers);
    let canary = share(&first, &[canary_a, canary_b]);
    assert!((canary - 0.1).abs() <= 0.01, "the canary has {canary}");

    let again = in_parallel(&balancer, &first.iter().cloned().map(Some).collect::<Vec<_>>());
    assert_eq!(homes(&first), homes(&again), "nobody moves");

    balancer.reload(&config(10, 90));
    balancer.wait_until_settled();
    let flipped = in_parallel(&balancer, &again.iter().cloned().map(Some).collect::<Vec<_>>());
    assert_eq!(homes(&first), homes(&flipped), "other weights move nobody");
    let second = in_parallel(&balancer, &newcomers);
    let canary = share(&second, &[canary_a, canary_b]);
    assert!((canary - 0.9).abs() <= 0.01, "of the new ones the canary has {canary}");

    balancer.reload(&config(0, 90));
    balancer.wait_until_settled();
    let kept = in_parallel(&balancer, &flipped.iter().cloned().map(Some).collect::<Vec<_>>());
    assert_eq!(homes(&first), homes(&kept), "a group of weight 0 keeps its clients");
    let third = in_parallel(&balancer, &vec![None; 1000]);
    assert_eq!(share(&third, &[canary_a, canary_b]), 1.0, "and gets no new ones");
    let decisions = &balancer.status().0["totals"]["group_stickiness"];
    assert_eq!(decisions["pinned"], 3 * CLIENTS);
    assert_eq!(decisions["absent"], 2 * CLIENTS + 1000);
}

#[test]
fn four_cookies_bind_a_client_and_the_group_cookie_alone_binds_it_to_the_group() {
    let targets = [Target::plain(), Target::plain()];
    let config = Config::with(Group::new("blue", &[&targets[0]]).lb_cookie())
        .group(Group::new("green", &[&targets[1]]).lb_cookie())
        .default_action(&forward(&[("blue", 1), ("green", 1)], STICKY));
    let balancer = Balancer::start(&config);
    let first = balancer.connect().get("/", "");
    let names: Vec<&str> =
        first.headers.all("set-cookie").map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"]);
    let line = first.set_cookie("AWSALBTG").unwrap();
    assert!(line.contains("; Expires=") && line.contains("; Path=/") && !line.contains("SameSite"), "{line}");
    let twin = first.set_cookie("AWSALBTGCORS").unwrap();
    assert!(twin.contains("; SameSite=None"), "{twin}");
    assert_eq!(first.cookie("AWSALBTG"), first.cookie("AWSALBTGCORS"), "one value in both");
    assert_eq!(first.headers.all("cache-control").collect::<Vec<_>>(), ["private"], "said once");
    for name in ["AWSALBTG", "AWSALBTGCORS"] {
        let cookie = format!("Cookie: {name}={}\r\n", first.cookie("AWSALBTG").unwrap());
        for _ in 0..4 {
            assert_eq!(balancer.connect().get("/", &cookie).text(), first.text());
        }
    }
    let mut connection = balancer.connect();
    connection.send(
        "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    );
    assert_eq!(connection.response().headers.all("set-cookie").count(), 0, "a preflight gets no cookie");
}

#[test]
fn a_cookie_that_is_none_is_drawn_anew_and_counted() {
    let targets = [Target::plain(), Target::plain()];
    let config = |groups: &[(&str, u16)]| {
        Config::with(Group::new("blue", &[&targets[0]]))
            .group(Group::new("green", &[&targets[1]]))
            .default_action(&forward(groups, STICKY))
    };
    let balancer = Balancer::start(&config(&[("blue", 1), ("green", 0)]));
    let ask = |cookie: &str| balancer.connect().get("/", &format!("Cookie: AWSALBTG={cookie}\r\n"));
    let blue = ask("x");
    assert_eq!((blue.status, blue.text()), (200, targets[0].address.clone()));
    let value = blue.cookie("AWSALBTG").unwrap().to_owned();
    let last = if value.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{}{last}", &value[..38], if &value[38..39] == "x" { "y" } else { "x" });
    assert_eq!(ask(&forged).status, 200);
    let outcomes = balancer.status().0["totals"]["group_stickiness"].clone();
    assert_eq!((&outcomes["malformed"], &outcomes["forged"]), (&1.into(), &1.into()), "{outcomes}");
    balancer.reload(&config(&[("green", 1)]));
    balancer.wait_until_settled();
    assert_eq!(ask(&value).text(), targets[1].address, "its group is not there any more");
    assert_eq!(balancer.status().0["totals"]["group_stickiness"]["unknown_group"], 1);
    assert_eq!(balancer.metric("balancer_group_stickiness_decisions_total{outcome=\"unknown_group\"}"), 1.0);
}

#[test]
fn there_is_no_fail_over_between_groups() {
    let (there, dead) = (Target::plain(), Target::plain());
    let config = Config::with(Group::new("empty", &[]))
        .group(Group::new("there", &[&there]))
        .group(Group::new("dead", &[&dead]))
        .default_action(&forward(&[("empty", 1), ("there", 1)], ""))
        .path_rule(1, "/none/*", &format!("action {{\n{}\n}}", forward(&[("there", 0), ("dead", 0)], "")));
    let balancer = Balancer::start(&config);
    let mut statuses = BTreeMap::new();
    for _ in 0..20 {
        *statuses.entry(balancer.connect().get("/", "").status).or_insert(0) += 1;
    }
    // Draws begin anywhere, and are spread evenly from there on.
    let even = |status: u16| (9..=11).contains(&statuses[&status]);
    assert!(statuses.len() == 2 && even(200) && even(503), "{statuses:?}");
    assert_eq!(balancer.connect().get("/none/x", "").status, 503, "no group has a weight");
}

#[test]
fn a_client_whose_group_is_ill_stays_with_it() {
    let (blue, green) = (Target::plain(), Target::plain());
    let config = Config::with(Group::new("blue", &[&blue]).lb_cookie())
        .group(Group::new("green", &[&green]).lb_cookie())
        .default_action(&forward(&[("blue", 1), ("green", 0)], STICKY));
    let balancer = Balancer::start(&config);
    let mut client: Client = balancer.client();
    assert_eq!(client.get("/").text(), blue.address);
    balancer.reload(
        &Config::with(Group::new("blue", &[&blue]).lb_cookie())
            .group(Group::new("green", &[&green]).lb_cookie())
            .default_action(&forward(&[("blue", 0), ("green", 1)], STICKY)),
    );
    balancer.wait_until_settled();
    blue.set_healthy(false);
    balancer.wait_status("blue is unhealthy", 30.0, |status| status.state(&blue.address) == "unhealthy");
    assert_eq!(client.get("/").text(), blue.address, "the group fails open");
    assert_eq!(balancer.client().get("/").text(), green.address);
}

#[test]
fn a_duration_that_runs_once_is_told_once() {
    let targets = [Target::plain(), Target::plain()];
    let fixed = "stickiness {\nenabled = true\nduration = 3600\nwindow = \"fixed\"\ncookie_prefix = \"EDGE\"\n\
                 cookie_secure = true\ncookie_http_only = true\n}";
    let config = Config::with(Group::new("blue", &[&targets[0]]))
        .group(Group::new("green", &[&targets[1]]))
        .default_action(&forward(&[("blue", 1), ("green", 1)], fixed));
    let balancer = Balancer::start(&config);
    let first = balancer.connect().get("/", "");
    let line = first.set_cookie("EDGETG").unwrap();
    assert!(line.contains("; Secure") && line.contains("; HttpOnly"), "{line}");
    let cookie = format!("Cookie: EDGETG={}\r\n", first.cookie("EDGETG").unwrap());
    let second = balancer.connect().get("/", &cookie);
    assert_eq!(second.text(), first.text());
    assert_eq!(second.headers.all("set-cookie").count(), 0);
}
