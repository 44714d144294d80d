//! Sessions by a header field that the application gives out and that its clients return: for clients without a cookie jar.

use std::collections::HashSet;

use support::{Answer, Balancer, Config, Group, Target, http::Response, kernel, until};

/// An application with sessions in its memory: `/begin` begins one and gives out its id; whoever comes with an id that is not
/// its own gets 404 and a new id that means nothing, as `/refused` does; `/who` says nothing of the id.
fn application(name: &'static str) -> Target {
    let known = std::sync::Mutex::new(HashSet::new());
    Target::start(move |exchange| {
        let mut known = known.lock().unwrap();
        let id = exchange.request.headers.get("mcp-session-id").map(str::to_owned);
        let fresh = format!("{name}-{}-{}", known.len(), exchange.earlier);
        match (exchange.request.target.as_str(), id) {
            ("/begin", None) => {
                known.insert(fresh.clone());
                exchange.ok(&format!("Mcp-Session-Id: {fresh}\r\n"), name)
            }
            ("/who", Some(id)) if known.contains(&id) => exchange.ok("", name),
            (path, id) => {
                let status = if path == "/refused" { "400 Bad Request" } else { "404 Not Found" };
                let given = if path == "/refused" { "refused".to_owned() } else { fresh };
                let kept = id.filter(|id| known.contains(id)).unwrap_or(given);
                exchange.send(format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 0\r\nMcp-Session-Id: {kept}\r\n\r\n"
                ));
                Answer::KeepAlive
            }
        }
    })
}

fn config(targets: &[&Target]) -> Config {
    Config::with(Group::new("app", targets).algorithm("round_robin").app_header("Mcp-Session-Id")).http2()
}

fn ask(balancer: &Balancer, path: &str, id: &str, more: &str) -> Response {
    balancer.connect().get(path, &format!("mcp-session-id: {id}\r\n{more}"))
}

/// Begins sessions until there are `count`; their ids.
fn begun(balancer: &Balancer, count: usize) -> Vec<String> {
    (0..count).map(|_| balancer.connect().get("/begin", "").header("mcp-session-id").to_owned()).collect()
}

fn home(id: &str) -> &str {
    id.split('-').next().unwrap()
}

#[test]
fn clients_without_cookies_come_back_by_the_field() {
    let targets = [application("a"), application("b"), application("c")];
    let balancer = Balancer::start(&config(&targets.each_ref()).workers(2));
    let ids = begun(&balancer, 30);
    assert_eq!(ids.iter().map(|id| home(id)).collect::<HashSet<_>>().len(), 3, "{ids:?}");
    for id in ids.iter().chain(&ids) {
        let response = ask(&balancer, "/who", id, "");
        assert_eq!((response.status, response.text().as_str()), (200, home(id)));
    }
    let status = balancer.status();
    let stickiness = &status.0["target_groups"][0]["stickiness"];
    assert_eq!(
        (&stickiness["type"], &stickiness["header_name"]),
        (&"app_header".into(), &"Mcp-Session-Id".into())
    );
    assert_eq!(status.decisions("pinned"), 60);
    assert!(!balancer.log().contains(&ids[0]), "no id of a session is logged");
}

#[test]
fn over_http2_too() {
    let targets = [application("a"), application("b"), application("c")];
    let balancer = Balancer::start(&config(&targets.each_ref()));
    for id in begun(&balancer, 9) {
        let output = std::process::Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "20",
                "--http2-prior-knowledge",
                "-H",
                &format!("Mcp-Session-Id: {id}"),
            ])
            .arg(format!("http://{}/who", balancer.address))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), home(&id));
    }
}

#[test]
fn an_id_on_a_refusal_binds_nobody() {
    let targets = [application("a"), application("b")];
    let balancer = Balancer::start(&config(&targets.each_ref()));
    for _ in 0..4 {
        let refused = balancer.connect().get("/refused", "");
        assert_eq!((refused.status, refused.header("mcp-session-id")), (400, "refused"));
        ask(&balancer, "/refused", "refused", "");
    }
    assert_eq!(balancer.status().decisions("pinned"), 0, "a dead id");
    let id = &begun(&balancer, 1)[0];
    assert_eq!(ask(&balancer, "/refused", id, "").status, 400);
    assert_eq!(ask(&balancer, "/who", id, "").text(), home(id), "and ends no session");
}

/// A client that keeps cookies has those of its latest answer, whichever dialogue that was of.
#[test]
fn the_dialogues_of_one_jar_keep_apart() {
    let targets = [application("a"), application("b"), application("c")];
    let balancer = Balancer::start(&config(&targets.each_ref()));
    let ids = begun(&balancer, 6);
    let mut client = balancer.client();
    for id in ids.iter().chain(ids.iter().rev()).chain(&ids) {
        let response = ask(&balancer, "/who", id, &client.cookie_line());
        assert_eq!((response.status, response.text().as_str()), (200, home(id)));
        for name in ["AWSALBAPP-0", "AWSALBAPP-1"] {
            let value = response.cookie(name).expect("set");
            client.jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn sessions_outlive_the_process(assist: &str) {
    let targets = [application("a"), application("b"), application("c")];
    let mut balancer = Balancer::start(&config(&targets.each_ref()).kernel_assist(assist));
    let ids = begun(&balancer, 9);
    balancer.kill_and_restart();
    for id in &ids {
        assert_eq!(ask(&balancer, "/who", id, "").text(), home(id));
    }
}

#[test]
fn sessions_outlive_a_killed_balancer() {
    sessions_outlive_the_process("off");
}

#[test]
fn sessions_outlive_a_killed_balancer_with_the_kernel_side() {
    if kernel::available() {
        sessions_outlive_the_process("required");
    }
}

/// No client begins anew at a 404: what drains keeps its sessions unless that is said otherwise.
#[test]
fn a_target_that_drains_keeps_its_sessions_by_default() {
    for (line, kept) in [(None, true), (Some("deregistration_stickiness = \"move\""), false)] {
        let (leaving, staying) = (application("leaving"), application("staying"));
        let config = |targets: &[&Target]| {
            let group = Group::new("app", targets).algorithm("round_robin").app_header("Mcp-Session-Id");
            let group = group.deregistration_delay(300);
            Config::with(match line {
                Some(line) => group.line(line),
                None => group,
            })
        };
        let balancer = Balancer::start(&config(&[&leaving, &staying]));
        let id = until("a session there", 20.0, || {
            begun(&balancer, 1).into_iter().find(|id| home(id) == "leaving")
        });
        balancer.reload(&config(&[&staying]));
        let response = ask(&balancer, "/who", &id, "");
        assert_eq!(response.status, if kept { 200 } else { 404 }, "{line:?}");
        assert!(begun(&balancer, 4).iter().all(|id| home(id) == "staying"), "and gets no new ones");
    }
}

/// As long as a line may be, beside others that nobody knows, in whichever case.
#[test]
fn an_id_may_be_long_and_come_beside_others() {
    let long = |name: &'static str| {
        Target::start(move |exchange| {
            let id = format!("{name}-{}", "x".repeat(15_000));
            exchange.ok(&format!("MCP-SESSION-ID: {id}\r\n"), name)
        })
    };
    let targets = [long("a"), long("b"), long("c")];
    let balancer = Balancer::start(&config(&targets.each_ref()));
    let ids: HashSet<String> = begun(&balancer, 3).into_iter().collect();
    assert_eq!(ids.len(), 3, "each of another target");
    for id in &ids {
        for others in [0, 1, 3] {
            let more: String = (0..others)
                .map(|at| format!("Mcp-Session-Id: nobody-{at}\r\nMcp-Session-Id: \r\n"))
                .collect();
            for _ in 0..2 {
                let before = balancer.connect().get("/who", &format!("{more}mCP-sESSION-iD: {id}\r\n"));
                let behind = balancer.connect().get("/who", &format!("mCP-sESSION-iD: {id}\r\n{more}"));
                for response in [before, behind] {
                    assert_eq!(
                        (response.status, response.text().as_str()),
                        (200, home(id)),
                        "beside {others}"
                    );
                }
            }
        }
    }
}

/// The group is drawn by a cookie, which these clients do not return.
#[test]
fn a_dialogue_stays_with_its_group() {
    let targets = [application("a"), application("b"), application("c"), application("d")];
    let [a, b, c, d] = targets.each_ref();
    let group = |name: &str, targets: &[&Target]| {
        Group::new(name, targets).algorithm("round_robin").app_header("Mcp-Session-Id")
    };
    let forward = "type = \"forward\"\nforward {\ntarget_group {\narn = target_group.app.arn\nweight = 50\n}\ntarget_group {\narn \
                   = target_group.new.arn\nweight = 50\n}\nstickiness {\nenabled = true\nduration = 3600\n}\n}";
    let config = Config::with(group("app", &[a, b])).group(group("new", &[c, d])).default_action(forward);
    let balancer = Balancer::start(&config);
    let ids = begun(&balancer, 12);
    assert!(ids.iter().map(|id| home(id)).collect::<HashSet<_>>().len() > 2, "{ids:?}");
    for id in ids.iter().chain(&ids) {
        let response = ask(&balancer, "/who", id, "");
        assert_eq!((response.status, response.text().as_str()), (200, home(id)));
    }
}
