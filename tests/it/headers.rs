//! Header fields: what is taken out, what is added, what stays.

use support::{Answer, Balancer, Config, Group, Request, Target, http2};

/// What the target gets of a request with these field lines.
fn forwarded(config: impl FnOnce(Config) -> Config, fields: &str) -> Request {
    let target = Target::plain();
    let balancer = Balancer::start(&config(Config::new(&[&target])));
    assert_eq!(balancer.connect().get("/a?b=c%20d", fields).status, 200);
    target.last()
}

#[test]
fn hop_by_hop_fields_go_no_further() {
    let request = forwarded(
        |config| config,
        "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         TE: gzip\r\nX-Kept: yes\r\n",
    );
    for name in ["x-private", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(request.headers.get(name), None, "{name}");
    }
    assert_eq!(request.headers.get("x-kept"), Some("yes"));
    assert_eq!(request.target, "/a?b=c%20d");
    assert_eq!(request.version, "HTTP/1.1");
}

#[test]
fn a_connection_field_cannot_take_out_what_the_balancer_adds() {
    let request =
        forwarded(|config| config, "Connection: close, X-Forwarded-For, Host, Cookie\r\nCookie: a=b\r\n");
    assert_eq!(request.headers.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.headers.all("host").count(), 1);
}

#[test]
fn hop_by_hop_fields_of_responses_stay_behind() {
    let target = Target::start(|exchange| {
        exchange.send(
            "HTTP/1.1 200 OK\r\nServer: the-target/1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
             Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
        );
        Answer::KeepAlive
    });
    let balancer = Balancer::start(&Config::new(&[&target]));
    let response = balancer.connect().get("/", "");
    assert_eq!((response.headers.get("x-hop"), response.headers.get("keep-alive")), (None, None));
    assert_eq!(response.header("server"), "the-target/1");
    assert_eq!(response.headers.get("via"), None);
    assert_eq!(response.headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn forwarded_fields_tell_the_client() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    balancer.connect().get("/", "");
    let request = target.last();
    assert_eq!(request.headers.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.headers.get("x-forwarded-proto"), Some("http"));
    assert_eq!(request.headers.get("x-forwarded-port"), Some(balancer.address.port().to_string().as_str()));
    balancer
        .connect()
        .get("/", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n");
    let request = target.last();
    let all: Vec<_> = request.headers.all("x-forwarded-for").collect();
    assert_eq!(all.join(", "), "192.0.2.1, 127.0.0.1");
    assert_eq!(request.headers.all("x-forwarded-proto").collect::<Vec<_>>(), ["http"]);
    assert_eq!(request.headers.all("x-forwarded-port").count(), 1);
}

#[test]
fn x_forwarded_for_can_be_preserved_or_removed() {
    let given = "X-Forwarded-For: 192.0.2.1\r\n";
    let preserve = |config: Config| config.attribute("xff_header_processing_mode = \"preserve\"");
    assert_eq!(forwarded(preserve, given).headers.get("x-forwarded-for"), Some("192.0.2.1"));
    assert_eq!(forwarded(preserve, "").headers.get("x-forwarded-for"), None);
    let remove = |config: Config| config.attribute("xff_header_processing_mode = \"remove\"");
    assert_eq!(forwarded(remove, given).headers.get("x-forwarded-for"), None);
}

#[test]
fn fields_with_invalid_names_are_dropped_or_counted() {
    let odd = [("x_underscore", "1"), ("x.dot", "2"), ("x-plain-9", "3"), ("x~tilde", "4")];
    let lines: String = odd.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    for (drop, kept) in
        [(false, &["x_underscore", "x.dot", "x-plain-9", "x~tilde"][..]), (true, &["x-plain-9"])]
    {
        let target = Target::plain();
        let config = Config::new(&[&target]).http2();
        let balancer = Balancer::start(&config.attribute(&format!("drop_invalid_header_fields = {drop}")));
        let names = || {
            let fields = target.last().headers.0;
            fields.into_iter().map(|(name, _)| name).filter(|name| odd.iter().any(|(odd, _)| name == odd))
        };
        assert_eq!(balancer.connect().get("/", &lines).status, 200);
        assert_eq!(names().collect::<Vec<_>>(), kept, "HTTP/1.1");
        assert_eq!(http2::Connection::open(balancer.address).status_of("/", &odd), 200);
        assert_eq!(names().collect::<Vec<_>>(), kept, "HTTP/2");
        assert_eq!(balancer.connect().get("/", "X-Plain: 1\r\n").status, 200);
        let count = |what| balancer.metric(&format!("balancer_{what}_invalid_header_requests_total"));
        let expected = if drop { (2.0, 0.0) } else { (0.0, 2.0) };
        assert_eq!((count("dropped"), count("forwarded")), expected);
    }
}

#[test]
fn what_is_dropped_is_not_there_for_rules_either() {
    let (target, other) = (Target::plain(), Target::plain());
    let config = Config::new(&[&target]).group(Group::new("other", &[&other])).rule(
        1,
        &["http_header {\nhttp_header_name = \"x_group\"\nvalues = [\"other\"]\n}"],
        "other",
    );
    let balancer = Balancer::start(&config);
    assert_eq!(balancer.connect().get("/", "x_group: other\r\n").header("x-target"), other.address);
    balancer.reload(&config.attribute("drop_invalid_header_fields = true"));
    assert_eq!(balancer.connect().get("/", "x_group: other\r\n").header("x-target"), target.address);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "an id is compared with the time that it tells")]
fn requests_can_be_traced() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).http2());
    let (mut first, mut second) = (balancer.connect(), http2::Connection::open(balancer.address));
    let mut seen = std::collections::HashSet::new();
    let mut check = |front: &str, before: &str, after: &str| {
        let all: Vec<String> = target.last().headers.all("x-amzn-trace-id").map(str::to_owned).collect();
        let id = all[0].strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let id = id.unwrap_or_else(|| panic!("{front}: {all:?} is not {before}…{after}"));
        let parts: Vec<_> = id.split('-').collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        let is_hex = parts.iter().all(|part| u128::from_str_radix(part, 16).is_ok());
        assert!(lengths == [1, 8, 24] && is_hex && all.len() == 1, "{front}: {all:?}");
        assert!(seen.insert(id.to_owned()), "{front}: {id} came twice");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(u64::from_str_radix(parts[1], 16).unwrap()) < 60, "{front}: {id}");
    };
    let long = "x".repeat(7 * 1024);
    for (given, more, before, after) in [
        ("", "", "Root=", ""),
        ("Root=1-2-3;CalledFrom=app", "", "Self=", ";Root=1-2-3;CalledFrom=app"),
        ("Self=1-4-5;Root=1-2-3", "", "Self=", ";Root=1-2-3"),
        ("CalledFrom=app", "", "Root=", ";CalledFrom=app"),
        ("Root=1-2-3;CalledFrom=app", &long, "Root=", ""),
    ] {
        let mut lines = format!("X-More: {more}\r\n");
        let mut fields = vec![("x-more", more)];
        if !given.is_empty() {
            lines.push_str(&format!("X-Amzn-Trace-Id: {given}\r\n"));
            fields.push(("x-amzn-trace-id", given));
        }
        let response = first.get("/", &lines);
        assert_eq!((response.status, response.headers.get("x-amzn-trace-id")), (200, None));
        check("HTTP/1.1", before, after);
        assert_eq!(second.status_of("/", &fields), 200);
        check("HTTP/2", before, after);
    }
    let head = String::from_utf8(target.last().head).unwrap();
    assert!(head.contains("\r\nX-Amzn-Trace-Id: "), "{head}");
}

#[test]
fn more_than_30_addresses_get_463() {
    for mode in ["append", "preserve", "remove"] {
        let target = Target::plain();
        let config = Config::new(&[&target]).http2();
        let balancer =
            Balancer::start(&config.attribute(&format!("xff_header_processing_mode = \"{mode}\"")));
        let addresses = |count| vec!["192.0.2.1"; count].join(", ");
        let mut connection = balancer.connect();
        let lines = format!("X-Forwarded-For: {}\r\nX-Forwarded-For: 192.0.2.2\r\n", addresses(30));
        assert_eq!(connection.get("/", &lines).status, 463, "{mode}");
        assert_eq!(target.count(), 0);
        // Nothing is wrong with the connection.
        assert_eq!(connection.get("/", &format!("X-Forwarded-For: {}\r\n", addresses(30))).status, 200);

        let mut connection = http2::Connection::open(balancer.address);
        assert_eq!(connection.status_of("/", &[("x-forwarded-for", &addresses(31))]), 463, "{mode}");
        assert_eq!(connection.status_of("/", &[("x-forwarded-for", &addresses(30))]), 200, "{mode}");
        assert_eq!((balancer.status().own(463), target.count()), (2, 2));
    }
}

#[test]
fn the_clients_port_can_be_told() {
    let request = forwarded(|config| config.attribute("enable_xff_client_port = true"), "");
    let value = request.headers.get("x-forwarded-for").unwrap();
    assert!(value.strip_prefix("127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok()), "{value}");
}

#[test]
fn the_host_is_made_to_fit_unless_preserved() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: Example.TEST\r\n\r\n").response();
    assert_eq!(
        target.last().headers.get("host"),
        Some(format!("example.test:{}", balancer.address.port()).as_str())
    );

    let balancer = Balancer::start(&Config::new(&[&target]).attribute("preserve_host_header = true"));
    let mut connection = balancer.connect();
    connection.send("GET / HTTP/1.1\r\nHost: Example.TEST\r\n\r\n").response();
    assert_eq!(target.last().headers.get("host"), Some("Example.TEST"));
    connection.send("GET / HTTP/1.1\r\nHost: Example.TEST:99\r\n\r\n").response();
    assert_eq!(target.last().headers.get("host"), Some("Example.TEST:99"));
    connection.send("GET / HTTP/1.1\r\nHost:\r\n\r\n").response();
    assert_eq!(target.last().headers.get("host"), Some(""));
    let two = connection.send("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").response();
    assert_eq!(two.status, 400);
}

#[test]
fn odd_but_lawful_fields_pass_unchanged() {
    let request = forwarded(
        |config| config,
        "x-UPPER-lower: a  b\r\nX-Empty:\r\nX-Latin: caf\u{e9}\r\nX-Twice: 1\r\nX-Twice: 2\r\n",
    );
    assert_eq!(request.headers.get("x-upper-lower"), Some("a  b"));
    assert_eq!(request.headers.get("x-empty"), Some(""));
    assert_eq!(request.headers.get("x-latin"), Some("caf\u{e9}"));
    assert_eq!(request.headers.all("x-twice").collect::<Vec<_>>(), ["1", "2"]);
    assert!(request.head.windows(13).any(|name| name == b"x-UPPER-lower"), "the sender's case is kept");
}
