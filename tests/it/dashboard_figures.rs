//! Words and figures of the dashboard under a load that is known: they are those of the status, and go with what goes.

use support::{Balancer, Client, Config, Group, Target, browser::Browser};

const FIXED: &str = "type = \"fixed-response\"\nfixed_response {\n  content_type = \"text/plain\"\n  status_code = \"200\"\n}";

/// A target whose `/fail` fails.
fn application() -> Target {
    Target::start(|exchange| {
        if exchange.request.target == "/fail" {
            exchange.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
            return support::Answer::KeepAlive;
        }
        exchange.ok("", "")
    })
}

/// The page, drawn some times, at this width.
fn open(browser: &mut Browser, balancer: &Balancer, width: u32) {
    browser.open(&format!("http://{}/", balancer.admin), width, "light");
    browser.wait("Number(document.documentElement.dataset.drawn) >= 2", 20.0);
}

/// A cell of a target's row.
fn cell(browser: &mut Browser, target: &str, label: &str) -> String {
    let path =
        format!("document.querySelector('[data-target=\"{target}\"] [data-label=\"{label}\"]').innerText");
    browser.eval(&path).as_str().unwrap().trim().to_owned()
}

/// What stands beside the name of a group.
fn standing(group: &str) -> String {
    format!(
        "([...document.querySelectorAll('.group-name')].find((name) => name.querySelector('h3').innerText == '{group}')\
         ?.querySelector('.pill').innerText ?? '')"
    )
}

/// A tile's value.
fn tile(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('h3').innerText == '{name}')\
         .querySelector('.tile-value').innerText"
    )
}

#[test]
fn figures_are_those_of_the_status_and_what_is_gone_leaves_no_trace() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let [one, two, api] = [application(), application(), application()];
    let both = |targets: &[&Target]| {
        let api = Group::new("api", &[&api]).unchecked();
        Config::with(Group::new("app", targets).lb_cookie()).group(api).rule(
            7,
            &["path_pattern { values = [\"/api/*\"] }"],
            "api",
        )
    };
    let balancer = Balancer::start(&both(&[&one, &two]));
    open(&mut browser, &balancer, 1440);
    let mut clients: Vec<Client> = (0..10).map(|_| balancer.client()).collect();
    for client in &mut clients {
        (0..5).for_each(|_| assert_eq!(client.get("/").status, 200));
        (0..2).for_each(|_| assert_eq!(client.get("/api/x").status, 200));
    }
    (0..7).for_each(|_| assert_eq!(clients[0].get("/fail").status, 500));

    browser.wait("document.querySelector('#tiles').innerText.includes('77 since the start')", 10.0);
    let status = balancer.status();
    let mut failed = 0;
    for target in [&one, &two] {
        let told = status.target(&target.address);
        assert_eq!(cell(&mut browser, &target.address, "Sessions"), told["sessions"].to_string());
        let said = cell(&mut browser, &target.address, "Failed, last error");
        match told["responses"]["5xx"].as_u64().unwrap_or(0) {
            0 => assert_eq!(said, "none"),
            count => assert_eq!(said, format!("{count} failed, 1 min")),
        }
        failed += told["responses"]["5xx"].as_u64().unwrap_or(0);
        let share = target.count() as f64 * 100.0 / 57.0;
        assert_eq!(cell(&mut browser, &target.address, "Share, 1 min"), format!("{share:.0} %"));
    }
    assert_eq!(failed, 7);
    browser.wait(&format!("{}.endsWith('2 of 2 healthy')", standing("app")), 5.0);
    browser.wait(&format!("{}.endsWith('1 not checked')", standing("api")), 5.0);
    assert_eq!(browser.barriers(), [""; 0]);

    // What leaves is not missing, and a group that is gone is not shown.
    balancer.reload(&Config::with(Group::new("app", &[&two]).lb_cookie()));
    browser.wait(&format!("{}.endsWith('1 of 1 healthy, 1 draining')", standing("app")), 10.0);
    browser.wait(&format!("{} == ''", standing("api")), 5.0);
    // Neither its going nor its coming back with all that it had is a burst of anything.
    let names = ["Failed a second", "Requests a second", "Sessions lost or moved"];
    let figures: Vec<String> = names.iter().map(|name| tile(name)).collect();
    browser.wait(&format!("{} == '0' && {} == '0'", figures[0], figures[1]), 20.0);
    let look = format!("seen.push([{}].join())", figures.join(", "));
    browser.eval(&format!("{{ window.seen = []; setInterval(() => {look}, 100); 1 }}"));
    balancer.reload(&Config { groups: Vec::new(), ..Config::new(&[]).default_action(FIXED) });
    browser.wait("document.querySelector('#groups').innerText.includes('There are no target groups')", 10.0);
    assert_eq!(browser.barriers(), [""; 0]);
    balancer.reload(&both(&[&one, &two]));
    browser.wait(&format!("{}.endsWith('2 of 2 healthy')", standing("app")), 20.0);
    let drawn = browser.eval("Number(document.documentElement.dataset.drawn)").as_u64().unwrap();
    browser.wait(&format!("Number(document.documentElement.dataset.drawn) >= {}", drawn + 3), 20.0);
    let bursts = browser.eval("[...new Set(seen)].join(' ')");
    assert_eq!(bursts, "0,0,0", "failed, requests, sessions");
    assert_eq!(browser.told().1, [""; 0]);
}

/// Long names and addresses, many targets, one that was removed from its file, and a session store that is away.
#[test]
fn long_names_many_targets_and_what_needs_attention_fit() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let target = Target::plain();
    let addresses: Vec<String> = (1..=200).map(|n| format!("127.0.1.{n}:{}", target.port())).collect();
    let long = "a-name-with-all-of-32-characters";
    let v6 =
        ["[2001:db8:85a3:1111:2222:8a2e:370:7334]:8080", "unix:/run/an/application/with/a/long/path.sock"];
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("targets.json");
    std::fs::write(&list, "[]").unwrap();
    let found = Group::of("found", &[]).line(&format!("targets_from = \"file:{}\"", list.display()));
    let store = format!("session_store {{\n  url = \"redis://127.0.0.1:{}\"\n}}\n", support::ports::free());
    let config = Config::with(Group::of(long, &addresses).lb_cookie().unchecked())
        .group(Group::of("far", &v6.map(str::to_owned)).unchecked())
        .group(found)
        .group(Group::new("app", &[&target]).app_cookie("SID"))
        .more(&store);
    let mut balancer = Balancer::prepare(&config);
    balancer.run();
    std::fs::remove_file(&list).unwrap();
    balancer.wait_status("both are told", 20.0, |status| {
        status.0["session_store"]["state"] == "away"
            && !status.0["target_groups"][2]["source"]["error"].is_null()
    });
    for width in [360, 1440] {
        open(&mut browser, &balancer, width);
        let wider =
            browser.eval("document.documentElement.scrollWidth - window.innerWidth").as_i64().unwrap();
        assert!(wider <= 0, "{width}: {wider} pixels do not fit");
        assert_eq!(browser.eval("document.querySelectorAll('[data-target]').length"), 203);
        browser.wait(&format!("{}.endsWith('200 not checked')", standing(long)), 10.0);
        browser.wait(&format!("{}.endsWith('no targets')", standing("found")), 10.0);
        for words in ["session store redis://127.0.0.1", "found: where it learns of its targets fails since"]
        {
            browser.wait(&format!("document.querySelector('#alerts').innerText.includes('{words}')"), 10.0);
        }
    }
}
