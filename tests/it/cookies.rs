//! Cookies: what is set, when, with which attributes, and what becomes of cookies that are not as they should be.

use support::{Balancer, Config, Group, Response, Target, until};

fn two_targets() -> [Target; 2] {
    [Target::plain(), Target::plain()]
}

fn sticky(targets: &[Target; 2]) -> Balancer {
    Balancer::start(&Config::with(
        Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin").lb_cookie(),
    ))
}

fn with_cookie(balancer: &Balancer, cookies: &str) -> Response {
    balancer.connect().get("/", &format!("Cookie: {cookies}\r\n"))
}

#[test]
fn both_cookies_are_set_on_every_response() {
    let targets = two_targets();
    let balancer = sticky(&targets);
    let first = balancer.connect().get("/", "");
    let line = first.set_cookie("AWSALB").expect("AWSALB").to_owned();
    assert!(line.contains("; Expires=") && line.contains("; Path=/") && line.contains(" GMT"), "{line}");
    assert!(line.contains("; Max-Age=86400; Path=/"), "{line}");
    assert!(
        !line.contains("Secure") && !line.contains("HttpOnly") && !line.contains("Partitioned"),
        "{line}"
    );
    let cors = first.set_cookie("AWSALBCORS").expect("AWSALBCORS");
    assert!(cors.contains("; SameSite=None"), "{cors}");
    assert_eq!(first.cookie("AWSALB"), first.cookie("AWSALBCORS"), "one value in both");
    let second = with_cookie(&balancer, &format!("AWSALB={}", first.cookie("AWSALB").unwrap()));
    assert!(second.set_cookie("AWSALB").is_some() && second.set_cookie("AWSALBCORS").is_some());
    assert_eq!(second.text(), first.text());
    assert_eq!(balancer.status().decisions("pinned"), 1);
}

#[test]
fn attributes_and_prefix_are_as_configured() {
    let target = Target::plain();
    let group = Group::new("app", &[&target])
        .lb_cookie()
        .stickiness("cookie_secure = true")
        .stickiness("cookie_http_only = true")
        .stickiness("cookie_partitioned = true")
        .stickiness("cookie_max_age = false")
        .stickiness("cookie_prefix = \"EDGE\"");
    let balancer = Balancer::start(&Config::with(group));
    let response = balancer.connect().get("/", "");
    assert!(response.set_cookie("AWSALB").is_none());
    for name in ["EDGE", "EDGECORS"] {
        let line = response.set_cookie(name).expect(name);
        assert!(line.ends_with("; Secure; HttpOnly; Partitioned") && !line.contains("Max-Age"), "{line}");
    }
}

/// A clock that is ahead of ours by more than the duration: by the date alone no cookie would be kept.
#[test]
fn a_client_whose_clock_is_wrong_keeps_the_cookie() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let script = "
import http.cookiejar, sys, time, urllib.request
real, ahead = time.time, float(sys.argv[2])
time.time = lambda: real() + ahead
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
opener.open(sys.argv[1]).read()
opener.open(sys.argv[1]).read()
print(*sorted(cookie.name for cookie in jar))
";
    let url = format!("http://{}/", balancer.address);
    for ahead in ["0", "172800", "-172800"] {
        let output =
            std::process::Command::new("python3").args(["-c", script, &url, ahead]).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "AWSALB AWSALBCORS\n", "{ahead}: {complaint}");
    }
    assert_eq!(balancer.status().decisions("pinned"), 3);
}

#[test]
fn a_preflight_gets_no_cookie() {
    let targets = two_targets();
    let balancer = sticky(&targets);
    let mut connection = balancer.connect();
    connection.send(
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    );
    let response = connection.response();
    assert_eq!(response.status, 200);
    assert!(response.headers.get("set-cookie").is_none());
    // An OPTIONS that is no preflight is a request like any other.
    connection.send("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.response().set_cookie("AWSALB").is_some());
}

#[test]
fn a_response_with_a_session_is_not_left_publicly_cacheable() {
    let target = Target::start(|exchange| {
        let fields = match exchange.request.target.as_str() {
            "/public" => "Cache-Control: public, max-age=60\r\n",
            "/private" => "Cache-Control: private\r\n",
            "/no-cache" => "Cache-Control: no-cache\r\n",
            "/no-store" => "Cache-Control: no-store\r\n",
            "/targeted" => "Cache-Control: private\r\nCDN-Cache-Control: max-age=60\r\n",
            "/qualified" => "Cache-Control: private=\"set-cookie\", no-cache=\"set-cookie\"\r\n",
            _ => "",
        };
        exchange.ok(fields, "x")
    });
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let mut connection = balancer.connect();
    for path in ["/public", "/private", "/none", "/no-cache", "/no-store", "/qualified", "/targeted"] {
        let response = connection.get(path, "");
        assert!(response.headers.get("cdn-cache-control").is_none(), "{path}");
        assert!(response.set_cookie("AWSALB").is_some());
        let control: Vec<_> = response.headers.all("cache-control").collect();
        let control = control.join(", ").to_ascii_lowercase();
        // A shared cache may store what says `no-cache`.
        let guarded = control.split(',').any(|directive| matches!(directive.trim(), "private" | "no-store"));
        assert!(guarded && !control.contains("public"), "{path}: {control:?}");
    }
}

#[test]
fn own_responses_carry_no_cookie() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie().unchecked()));
    assert!(balancer.connect().get("/", "").set_cookie("AWSALB").is_some());
    target.kill();
    let response = balancer.connect().get("/", "");
    assert_eq!(response.status, 502);
    assert!(response.headers.get("set-cookie").is_none());
}

#[test]
fn renewal_when_due_sets_cookies_only_when_needed() {
    let targets = two_targets();
    let group = Group::new("app", &[&targets[0], &targets[1]])
        .algorithm("round_robin")
        .lb_cookie()
        .stickiness("cookie_renewal = \"when_due\"");
    let balancer = Balancer::start(&Config::with(group));
    let mut client = balancer.client();
    let first = client.get("/");
    assert!(first.set_cookie("AWSALB").is_some(), "the session starts");
    // What was set in the very second of the start may be of the process before: it is set once more.
    until("that second is over", 10.0, || {
        let set = client.get("/").set_cookie("AWSALB").is_some();
        (set || balancer.status().0["uptime_seconds"].as_u64() >= Some(2)).then_some(())
    });
    for _ in 0..3 {
        let again = client.get("/");
        assert_eq!(again.text(), first.text());
        assert!(again.headers.get("set-cookie").is_none(), "nothing is due");
    }
}

#[test]
fn bad_cookies_are_treated_as_absent_and_counted() {
    let targets = two_targets();
    let balancer = sticky(&targets);
    let valid = balancer.connect().get("/", "").cookie("AWSALB").unwrap().to_owned();
    let mut forged = valid.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let huge = "A".repeat(14_000);
    for (what, value) in [
        ("forged", forged.as_str()),
        ("truncated", &valid[..valid.len() - 1]),
        ("empty", ""),
        ("percent-encoded", "%41%42"),
        ("quoted nonsense", "\"abc\""),
        ("not ASCII", "\u{fc}\u{1f36a}"),
        ("huge", huge.as_str()),
    ] {
        let response = with_cookie(&balancer, &format!("a=b; AWSALB={value}; c=d"));
        assert_eq!(response.status, 200, "{what}");
        assert!(response.set_cookie("AWSALB").is_some(), "{what}: a new session starts");
    }
    let status = balancer.status();
    assert!(status.decisions("forged") >= 1, "{}", status.0["target_groups"][0]["stickiness"]);
    assert!(status.decisions("malformed") >= 4, "{}", status.0["target_groups"][0]["stickiness"]);
    assert_eq!(status.decisions("pinned"), 0);
    // What is no error is still not passed off as another's: the target gets the cookie header as it came.
    assert!(targets.iter().flat_map(Target::requests).any(|request| request.cookie("AWSALB").is_some()));
}

#[test]
fn of_repeated_cookies_the_valid_one_counts_and_cors_wins() {
    let targets = two_targets();
    let balancer = sticky(&targets);
    let one = balancer.connect().get("/", "");
    let other = balancer.connect().get("/", "");
    assert_ne!(one.text(), other.text(), "round robin gives two clients two targets");
    let (a, b) = (one.cookie("AWSALB").unwrap(), other.cookie("AWSALB").unwrap());
    for _ in 0..4 {
        assert_eq!(with_cookie(&balancer, &format!("AWSALB=garbage; AWSALB={a}")).text(), one.text());
        assert_eq!(with_cookie(&balancer, &format!("AWSALB={a}; AWSALBCORS={b}")).text(), other.text());
        assert_eq!(with_cookie(&balancer, &format!("x=1; AWSALBCORS={a}")).text(), one.text());
    }
}

#[test]
fn a_cookie_of_another_group_or_key_means_nothing() {
    let targets = two_targets();
    let here = sticky(&targets);
    let there = sticky(&targets);
    let foreign = there.connect().get("/", "").cookie("AWSALB").unwrap().to_owned();
    let served: std::collections::BTreeSet<_> =
        (0..4).map(|_| with_cookie(&here, &format!("AWSALB={foreign}")).text()).collect();
    assert_eq!(served.len(), 2, "balanced as new clients are");
    assert_eq!(here.status().decisions("pinned"), 0);
}

#[test]
fn a_session_ends_after_its_duration() {
    let targets = two_targets();
    let group = Group::new("app", &[&targets[0], &targets[1]])
        .algorithm("round_robin")
        .lb_cookie()
        .stickiness("cookie_duration = 1");
    let balancer = Balancer::start(&Config::with(group));
    let response = balancer.connect().get("/", "");
    let cookie = format!("AWSALB={}", response.cookie("AWSALB").unwrap());
    support::until("the cookie expires", 20.0, || {
        with_cookie(&balancer, &cookie);
        (balancer.status().decisions("expired") > 0).then_some(())
    });
}

#[test]
fn ten_thousand_mutations_of_a_valid_cookie_are_refused() {
    let targets = two_targets();
    let balancer = sticky(&targets);
    let valid = balancer.connect().get("/", "").cookie("AWSALB").unwrap().to_owned();
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_").collect();
    // A small generator is random enough to choose places and letters, and repeats for a failure.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut connection = balancer.connect();
    for _ in 0..200 {
        let mut batch = String::new();
        for _ in 0..50 {
            let mut value = valid.clone().into_bytes();
            while value == valid.as_bytes() {
                for _ in 0..=random(3) {
                    let place = random(value.len());
                    value[place] = alphabet[random(alphabet.len())];
                }
            }
            let value = String::from_utf8(value).unwrap();
            batch.push_str(&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: AWSALB={value}\r\n\r\n"));
        }
        connection.send(batch);
        for _ in 0..50 {
            assert_eq!(connection.response().status, 200);
        }
    }
    let status = balancer.status();
    assert_eq!(status.decisions("pinned"), 0, "accepted a mutation");
    assert!(
        status.decisions("forged") + status.decisions("malformed") + status.decisions("expired") >= 10_000
    );
}

#[test]
fn the_application_cookie_starts_a_session_and_its_absence_ends_it() {
    let targets = [Target::sessions(), Target::sessions()];
    let group =
        Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin").app_cookie("SESSIONID");
    let balancer = Balancer::start(&Config::with(group));
    let mut client = balancer.client();
    let first = client.get("/");
    let line = first.set_cookie("AWSALBAPP-0").expect("AWSALBAPP-0");
    assert!(line.contains("; Path=/") && !line.contains("_remove_"), "{line}");
    for _ in 0..5 {
        let again = client.get("/");
        assert_eq!(again.header("x-target"), first.header("x-target"));
        assert!(again.headers.get("x-lost").is_none());
    }
    // AWSALBAPP without the application's cookie is no session.
    client.jar.remove("SESSIONID");
    let served: std::collections::BTreeSet<_> = (0..4)
        .map(|_| {
            let cookie = format!("AWSALBAPP-0={}", client.jar["AWSALBAPP-0"]);
            with_cookie(&balancer, &cookie).header("x-target").to_owned()
        })
        .collect();
    assert_eq!(served.len(), 2);
}

#[test]
fn without_the_applications_cookie_the_shards_are_removed() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).app_cookie("SESSIONID")));
    let response = balancer.connect().get("/", "");
    for shard in 0..4 {
        assert_eq!(response.cookie(&format!("AWSALBAPP-{shard}")), Some("_remove_"));
    }
}
