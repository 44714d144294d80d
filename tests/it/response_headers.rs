//! Fields that a listener puts into responses, over HTTP/1.1 and HTTP/2.

use std::process::Command;

use support::{Balancer, Config, Target};

const FIELDS: [(&str, &str, &str); 10] = [
    (
        "strict_transport_security",
        "strict-transport-security",
        "max-age=31536000; includeSubDomains; preload",
    ),
    ("access_control_allow_origin", "access-control-allow-origin", "https://example.test"),
    ("access_control_allow_methods", "access-control-allow-methods", "GET, TRACE"),
    ("access_control_allow_headers", "access-control-allow-headers", "X-One, X-Two"),
    ("access_control_allow_credentials", "access-control-allow-credentials", "true"),
    ("access_control_expose_headers", "access-control-expose-headers", "*"),
    ("access_control_max_age", "access-control-max-age", "86400"),
    ("content_security_policy", "content-security-policy", "default-src 'self'; img-src *"),
    ("x_content_type_options", "x-content-type-options", "nosniff"),
    ("x_frame_options", "x-frame-options", "SAMEORIGIN"),
];

/// The field lines of a response, names in lower case: what curl sees of a request of this method.
fn seen(balancer: &Balancer, http2: bool, method: &str) -> (u16, Vec<(String, String)>) {
    let version = if http2 { "--http2-prior-knowledge" } else { "--http1.1" };
    let url = format!("http://{}/", balancer.address);
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-i", version, "-X", method]).arg(url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let fields = head.lines().skip(1).map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    });
    (status, fields.collect())
}

fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn they_stand_in_every_response_in_the_place_of_what_the_target_says() {
    let target = Target::start(|exchange| {
        exchange.ok("Server: app\r\nX-Frame-Options: DENY\r\nx-frame-options: DENY\r\nX-Mine: 1\r\n", "")
    });
    let mut config = Config::new(&[&target]).http2();
    for (attribute, _, value) in FIELDS {
        config = config.listener(&format!("routing_http_response_{attribute}_header_value = \"{value}\""));
    }
    let balancer = Balancer::start(&config);
    for http2 in [false, true] {
        // TRACE is answered by the balancer itself.
        for (method, status, server) in [("GET", 200, "app"), ("TRACE", 405, "balancer")] {
            let (found, fields) = seen(&balancer, http2, method);
            assert_eq!((found, values(&fields, "server")), (status, vec![server]));
            for (_, name, value) in FIELDS {
                assert_eq!(values(&fields, name), [value], "{name} of {method}, HTTP/2: {http2}");
            }
        }
        assert_eq!(values(&seen(&balancer, http2, "GET").1, "x-mine"), ["1"]);
    }
    // A request that is no request is answered by the same listener.
    let malformed = balancer.connect().send("hello\r\n\r\n").response();
    assert_eq!((malformed.status, malformed.header("x-frame-options")), (400, "SAMEORIGIN"));
}

#[test]
fn without_them_responses_are_as_they_were() {
    let target = Target::start(|exchange| exchange.ok("X-Frame-Options: DENY\r\n", ""));
    let attribute = "routing_http_response_x_frame_options_header_value";
    let config = Config::new(&[&target]).http2();
    let balancer = Balancer::start(&config.clone().listener(&format!("{attribute} = \"\"")));
    for http2 in [false, true] {
        let (_, fields) = seen(&balancer, http2, "GET");
        assert_eq!((values(&fields, "x-frame-options"), values(&fields, "server")), (vec!["DENY"], vec![]));
        let (_, fields) = seen(&balancer, http2, "TRACE");
        assert_eq!(
            (values(&fields, "x-frame-options"), values(&fields, "server")),
            (vec![], vec!["balancer"])
        );
    }
    // A connection that is open gets those of the configuration that its request is decided by.
    let mut connection = balancer.connect();
    assert_eq!(connection.get("/", "").header("x-frame-options"), "DENY");
    balancer.reload(&config.listener(&format!("{attribute} = \"SAMEORIGIN\"")));
    assert_eq!(connection.get("/", "").header("x-frame-options"), "SAMEORIGIN");
}

#[test]
fn the_balancer_need_not_name_itself() {
    let target = Target::start(|exchange| exchange.ok("Server: app\r\n", ""));
    let config = Config::new(&[&target]).http2().listener("routing_http_response_server_enabled = false");
    let balancer = Balancer::start(&config);
    for http2 in [false, true] {
        assert_eq!(values(&seen(&balancer, http2, "TRACE").1, "server"), Vec::<&str>::new());
        assert_eq!(
            values(&seen(&balancer, http2, "GET").1, "server"),
            ["app"],
            "a target's own is passed on"
        );
    }
}
