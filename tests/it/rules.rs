//! Listener rules: which group gets a request.

use std::process::Command;

use support::{
    Balancer, Config, Group, Target,
    balancer::binary,
    http2::{Connection, Outcome},
};

/// A balancer with a group for what no rule takes, `default`, and one that rules forward to, `ruled`.
struct Ruled {
    default: Target,
    ruled: Target,
    balancer: Balancer,
}

impl Ruled {
    fn new(rules: &[(u16, &[&str])]) -> Self {
        let (default, ruled) = (Target::plain(), Target::plain());
        let mut config =
            Config::with(Group::new("default", &[&default])).group(Group::new("ruled", &[&ruled]));
        for (priority, conditions) in rules {
            config = config.rule(*priority, conditions, "ruled");
        }
        let balancer = Balancer::start(&config);
        Self { default, ruled, balancer }
    }

    /// Whether a rule took the request with this request line's start and these header lines.
    fn takes(&self, request: &str, fields: &str) -> bool {
        let (default, ruled) = (self.default.count(), self.ruled.count());
        let mut connection = self.balancer.connect();
        connection.send(format!("{request} HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(connection.response().status, 200);
        let taken = self.ruled.count() - ruled;
        assert_eq!(self.default.count() - default + taken, 1);
        taken == 1
    }
}

#[test]
fn a_host_is_matched_without_its_port_whatever_its_case() {
    let ruled = Ruled::new(&[
        (1, &["host_header {\nvalues = [\"*.example.com\", \"a.org\", \"api.*\"]\n}"]),
        (2, &["host_header {\nregex_values = [\"^shop[0-9]+[.]net$\"]\n}"]),
    ]);
    assert!(ruled.takes("GET /", "Host: WWW.example.COM:8080\r\n"));
    assert!(ruled.takes("GET /", "Host: a.org\r\n"));
    assert!(ruled.takes("GET http://a.org/", "Host: b.org\r\n"), "the request target's host wins");
    assert!(ruled.takes("GET /", "Host: Shop12.NET:80\r\n"));
    assert!(!ruled.takes("GET /", "Host: shop.net\r\n") && !ruled.takes("GET /", "Host: xshop1.net\r\n"));
    assert!(!ruled.takes("GET /", "Host: example.com\r\n"));
    assert!(ruled.takes("GET /", "Host: api.test\r\n") && ruled.takes("GET /", "Host: API.b.org:81\r\n"));
    assert!(!ruled.takes("GET /", "Host: api\r\n") && !ruled.takes("GET /", "Host: xapi.test\r\n"));
    assert!(!ruled.takes("GET http://b.org/", "Host: a.org\r\n"));
}

#[test]
fn a_host_is_matched_in_one_form_and_forwarded_with_its_dot() {
    let ruled = Ruled::new(&[
        (1, &["host_header {\nvalues = [\"app.example.com\"]\n}"]),
        (2, &["host_header {\nregex_values = [\"^shop[.]net$\"]\n}"]),
    ]);
    for host in [
        "app.example.com.",
        "APP.example.com.",
        "app.example.com.:80",
        "app.example.com:",
        "app.example.com.:",
        "%61pp.example.com",
        "shop.net.",
    ] {
        assert!(ruled.takes("GET /", &format!("Host: {host}\r\n")), "{host}");
        assert!(ruled.takes(&format!("GET http://{host}/"), "Host: b.org\r\n"), "{host}");
    }
    assert!(ruled.takes("GET /", "Host: app.example.com.:81\r\n"));
    assert_eq!(ruled.ruled.last().headers.get("host"), Some("app.example.com.:81"));
    for host in ["app.example.com..", ".app.example.com", "app.example.co", "com.", "."] {
        assert!(!ruled.takes("GET /", &format!("Host: {host}\r\n")), "{host}");
    }
}

#[test]
fn a_path_is_matched_in_one_form_and_forwarded_as_received() {
    let ruled = Ruled::new(&[
        (1, &["path_pattern {\nvalues = [\"/admin/*\"]\n}"]),
        (2, &["path_pattern {\nregex_values = [\"^/v[0-9]$\"]\n}"]),
    ]);
    for target in ["/admin/", "/x/../%61dmin/y?z=%61", "/%2e/admin/", "/v7"] {
        assert!(ruled.takes(&format!("GET {target}"), "Host: a\r\n"), "{target}");
        assert_eq!(ruled.ruled.last().target, target);
    }
    for target in ["/admin", "/ADMIN/", "/?/admin/", "/v10", "/admin/../x"] {
        assert!(!ruled.takes(&format!("GET {target}"), "Host: a\r\n"), "{target}");
    }
}

#[test]
fn a_method_is_matched_exactly() {
    let ruled = Ruled::new(&[(1, &["http_request_method {\nvalues = [\"PUT\", \"PURGE\"]\n}"])]);
    assert!(ruled.takes("PURGE /", "Host: a\r\n"));
    assert!(!ruled.takes("GET /", "Host: a\r\n") && !ruled.takes("put /", "Host: a\r\n"));
}

#[test]
fn the_source_is_the_peer_and_never_what_a_header_says() {
    let ruled = Ruled::new(&[(1, &["source_ip {\nvalues = [\"127.0.0.0/8\"]\n}"])]);
    assert!(ruled.takes("GET /", "Host: a\r\nX-Forwarded-For: 192.0.2.1\r\n"));
    let ruled = Ruled::new(&[(1, &["source_ip {\nvalues = [\"192.0.2.0/24\"]\n}"])]);
    assert!(!ruled.takes("GET /", "Host: a\r\nX-Forwarded-For: 192.0.2.1\r\n"));
}

#[test]
fn a_source_can_be_an_ipv6_address() {
    let group = |name: &str, answer: &'static str| {
        let target = Target::start(move |exchange| exchange.ok("", answer));
        (Group::new(name, &[&target]), target)
    };
    let ((rest, _rest), (near, _near)) = (group("rest", "rest"), group("near", "near"));
    let config = Config::with(rest)
        .group(near)
        .rule(1, &["source_ip {\nvalues = [\"2001:db8::/32\", \"127.0.0.0/8\", \"::/128\"]\n}"], "rest")
        .rule(2, &["source_ip {\nvalues = [\"192.0.2.0/24\", \"::1/128\"]\n}"], "near");
    let balancer = Balancer::start(&Config { address: "::1".to_owned(), ..config });
    assert_eq!(balancer.connect().get("/", "").text(), "near");
    assert_eq!(balancer.connect().get("/", "X-Forwarded-For: 2001:db8::1\r\n").text(), "near");
}

#[test]
fn each_line_of_a_header_is_tried() {
    let ruled = Ruled::new(&[
        (1, &["http_header {\nhttp_header_name = \"X-Client\"\nvalues = [\"*mobile*\"]\n}"]),
        (2, &["http_header {\nhttp_header_name = \"X-Client\"\nregex_values = [\"^v[12]$\"]\n}"]),
    ]);
    assert!(ruled.takes("GET /", "Host: a\r\nx-client: desk\r\nX-CLIENT: a Mobile one\r\n"));
    assert!(ruled.takes("GET /", "Host: a\r\nX-Client: V2\r\n"));
    assert!(!ruled.takes("GET /", "Host: a\r\nX-Client: desk\r\nX-Other: mobile\r\n"));
}

#[test]
fn parameters_of_the_query_are_matched_by_key_and_value() {
    let ruled = Ruled::new(&[(
        1,
        &["query_string {\nkey = \"version\"\nvalue = \"v?\"\n}\nquery_string {\nvalue = \"*\\\\*star\"\n}"],
    )]);
    assert!(ruled.takes("GET /?a=b&VERSION=V1", "Host: a\r\n"));
    assert!(ruled.takes("GET /?x=a*STAR", "Host: a\r\n"));
    assert!(!ruled.takes("GET /?version=v10&x=star", "Host: a\r\n"));
    assert!(!ruled.takes("GET /version=v1", "Host: a\r\n"));
}

#[test]
fn all_conditions_have_to_be_met_and_the_lowest_priority_wins() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let [default, first, second] = targets.each_ref();
    let path = "path_pattern {\nvalues = [\"/a*\"]\n}";
    let config = Config::with(Group::new("default", &[default]))
        .group(Group::new("first", &[first]))
        .group(Group::new("second", &[second]))
        .rule(50_000, &[path], "second")
        .rule(7, &[path, "http_request_method {\nvalues = [\"GET\"]\n}"], "first");
    let balancer = Balancer::start(&config);
    let mut connection = balancer.connect();
    connection.get("/a", "");
    connection.post("/a", b"x");
    connection.get("/b", "");
    assert_eq!(targets.each_ref().map(Target::count), [1, 1, 1]);
    assert_eq!(balancer.metric("balancer_rule_evaluations_total"), 5.0);
    let status = balancer.status();
    let rules = &status.0["listeners"][0]["rules"];
    assert_eq!(rules[0]["priority"], 7);
    assert_eq!(rules[0]["conditions"], "path-pattern /a*, http-request-method GET");
    assert_eq!(rules[1]["target_group"], "second");
    let output = Command::new(binary()).args(["check", "-c"]).arg(balancer.config_path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("path-pattern /a*, http-request-method GET"), "{text}");
}

#[test]
fn requests_are_counted_by_rule_and_go_on_over_a_reload() {
    let (default, ruled) = (Target::plain(), Target::plain());
    let groups = || Config::with(Group::new("default", &[&default])).group(Group::new("ruled", &[&ruled]));
    let path = |path: &str| format!("path_pattern {{\nvalues = [\"{path}\"]\n}}");
    let balancer = Balancer::start(&groups().rule(7, &[&path("/api/*")], "ruled"));
    let get = |path: &str, count: usize| {
        let mut connection = balancer.connect();
        (0..count).for_each(|_| assert_eq!(connection.get(path, "").status, 200));
    };
    let counted = || {
        let status = balancer.status();
        let listener = &status.0["listeners"][0];
        let rules = listener["rules"].as_array().unwrap().iter();
        let mut counts: Vec<u64> = rules.map(|rule| rule["requests"].as_u64().unwrap()).collect();
        counts.push(listener["default_action_requests"].as_u64().unwrap());
        counts
    };
    get("/api/a", 3);
    get("/", 2);
    assert_eq!(counted(), [3, 2]);
    // The rule that comes is tried first; the one that was there goes on.
    balancer.reload(&groups().rule(5, &[&path("/api/new")], "default").rule(7, &[&path("/api/*")], "ruled"));
    get("/api/new", 4);
    get("/api/a", 1);
    assert_eq!(counted(), [4, 4, 2]);
    assert_eq!(balancer.metric("balancer_rule_requests_total"), 8.0);
}

#[test]
fn a_reload_changes_the_rules_of_connections_that_are_open() {
    let (default, ruled) = (Target::plain(), Target::plain());
    let groups = || Config::with(Group::new("default", &[&default])).group(Group::new("ruled", &[&ruled]));
    let balancer = Balancer::start(&groups());
    let mut connection = balancer.connect();
    connection.get("/", "");
    assert_eq!((default.count(), ruled.count()), (1, 0));
    balancer.reload(&groups().rule(1, &["path_pattern {\nvalues = [\"*\"]\n}"], "ruled"));
    balancer.wait_until_settled();
    connection.get("/", "");
    assert_eq!((default.count(), ruled.count()), (1, 1));
}

#[test]
fn rules_hold_for_http2_too() {
    let (default, ruled) = (Target::plain(), Target::plain());
    let config = Config::with(Group::new("default", &[&default]))
        .group(Group::new("ruled", &[&ruled]))
        .rule(
            1,
            &["host_header {\nvalues = [\"*.example.com\"]\n}", "path_pattern {\nvalues = [\"/api/*\"]\n}"],
            "ruled",
        )
        .http2();
    let balancer = Balancer::start(&config);
    let served_by = |host: &str, path: &str| {
        let url = format!("http://{}{path}", balancer.address);
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            "-H",
            &format!("Host: {host}"),
            &url,
        ]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(served_by("www.example.com", "/api/x"), ruled.address);
    assert_eq!(served_by("WWW.example.com:8080", "/api/x"), ruled.address);
    assert_eq!(served_by("example.com", "/api/x"), default.address);
    assert_eq!(served_by("www.example.com", "/other"), default.address);
}

#[test]
fn every_kind_of_condition_holds_for_http2() {
    let (default, ruled) = (Target::plain(), Target::plain());
    let mut config = Config::with(Group::new("default", &[&default])).group(Group::new("ruled", &[&ruled]));
    for (priority, conditions) in [
        "host_header {\nregex_values = [\"^shop[0-9][.]net$\"]\n}",
        "path_pattern {\nregex_values = [\"^/v[0-9]$\"]\n}",
        "http_request_method {\nvalues = [\"PURGE\"]\n}",
        "http_header {\nhttp_header_name = \"X-Client\"\nvalues = [\"*mobile*\"]\n}",
        "http_header {\nhttp_header_name = \"X-Client\"\nregex_values = [\"^tv$\"]\n}",
        "query_string {\nkey = \"version\"\nvalue = \"v?\"\n}",
        "path_pattern {\nvalues = [\"/local\"]\n} & source_ip {\nvalues = [\"127.0.0.0/8\"]\n}",
        "path_pattern {\nvalues = [\"/far\"]\n} & source_ip {\nvalues = [\"192.0.2.0/24\"]\n}",
    ]
    .into_iter()
    .enumerate()
    {
        let conditions: Vec<_> = conditions.split(" & ").collect();
        config = config.rule(u16::try_from(priority).unwrap() + 1, &conditions, "ruled");
    }
    let balancer = Balancer::start(&config.http2());
    let mut connection = Connection::open(balancer.address);
    for (method, authority, path, more, is_taken) in [
        ("GET", "a.test", "/", &[][..], false),
        ("GET", "SHOP1.net:80", "/", &[], true),
        ("GET", "shop10.net", "/", &[], false),
        ("GET", "shop1.net.", "/", &[], true),
        ("GET", "SHOP1.net.:80", "/", &[], true),
        ("GET", "a.test", "/v1", &[], true),
        ("GET", "a.test", "/V1", &[], false),
        ("PURGE", "a.test", "/", &[], true),
        ("GET", "a.test", "/", &[("x-client", "a Mobile one")], true),
        ("GET", "a.test", "/", &[("x-client", "desk"), ("x-client", "TV")], true),
        ("GET", "a.test", "/", &[("x-client", "desk")], false),
        ("GET", "a.test", "/?a=b&VERSION=V1", &[], true),
        ("GET", "a.test", "/?version=v10", &[], false),
        ("GET", "a.test", "/local", &[], true),
        ("GET", "a.test", "/far", &[("x-forwarded-for", "192.0.2.1")], false),
    ] {
        let before = ruled.count();
        let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority)];
        let stream = connection.begin(&[&fields[..], more].concat(), true);
        assert!(matches!(connection.outcome(stream), Outcome::Answer(200, _)));
        assert_eq!(ruled.count() - before, usize::from(is_taken), "{method} {authority}{path} {more:?}");
    }
    assert_eq!(default.count(), 6);
}
