//! Actions other than forwarding to one group: redirects, fixed responses, and what rules rewrite.

use std::process::Command;

use support::{Balancer, Config, Group, Response, Target, balancer::binary, http2};

fn answered(balancer: &Balancer, head: &str) -> Response {
    let mut connection = balancer.connect();
    connection.send(format!("{head}\r\n\r\n"));
    connection.response_to(head.split(' ').next().unwrap())
}

/// A rule that redirects what is below `path`, by these lines of its `redirect` block.
fn redirect(lines: &str) -> String {
    format!("action {{\ntype = \"redirect\"\nredirect {{\nstatus_code = \"HTTP_302\"\n{lines}\n}}\n}}")
}

fn fixed(lines: &str) -> String {
    format!("action {{\ntype = \"fixed-response\"\nfixed_response {{\n{lines}\n}}\n}}")
}

/// Status, headers and body of a request over HTTP/2.
fn over_http2(balancer: &Balancer, arguments: &[&str], path: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--max-time", "20", "--http2-prior-knowledge"]).args(arguments);
    let output = command.arg(format!("http://{}{path}", balancer.address)).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_listener_sends_its_clients_to_https() {
    let target = Target::plain();
    let action = "type = \"redirect\"\nredirect {\nprotocol = \"HTTPS\"\nport = \"443\"\nstatus_code = \"HTTP_301\"\n}";
    let balancer = Balancer::start(&Config::new(&[&target]).default_action(action).http2());
    let mut connection = balancer.connect();
    let first = connection.get("/a/b?c=d&e=%20", "");
    assert_eq!((first.status, first.header("location")), (301, "https://example.test:443/a/b?c=d&e=%20"));
    assert_eq!(first.header("server"), "balancer");
    assert!(first.set_cookie("AWSALB").is_none());
    assert_eq!(
        connection.get("/", "").header("location"),
        "https://example.test:443/",
        "the connection stays"
    );
    let head = answered(&balancer, "HEAD / HTTP/1.1\r\nHost: h");
    assert_eq!((head.status, head.body.len()), (301, 0));
    let port = answered(&balancer, "GET / HTTP/1.1\r\nHost: H.example:8080");
    assert_eq!(port.header("location"), "https://H.example:443/", "the port of Host is left out");
    let absolute = answered(&balancer, "GET http://other.example/x?y HTTP/1.1\r\nHost: h");
    assert_eq!(absolute.header("location"), "https://other.example:443/x?y");
    let old = answered(&balancer, "GET / HTTP/1.0");
    assert_eq!(old.header("location"), "https://127.0.0.1:443/");
    let h2 = over_http2(&balancer, &["-d", "body", "-H", "Host: two.example"], "/p?q");
    assert!(h2.starts_with("HTTP/2 301") && h2.contains("location: https://two.example:443/p?q"), "{h2}");
    assert_eq!(target.count(), 0);
    assert_eq!(balancer.metric("balancer_redirects_total"), 7.0);
    assert_eq!(
        balancer.status().0["listeners"][0]["action"],
        "redirect 301 https://#{host}:443/#{path}?#{query}"
    );
}

#[test]
fn placeholders_stand_for_parts_of_the_request() {
    let target = Target::plain();
    let everything = "host = \"new.#{host}\"\nport = \"#{port}\"\npath = \"/#{host}/#{port}/#{path}\"\n\
                      query = \"#{query}&p=#{protocol}&h=#{host}&o=#{port}&a=#{path}\"";
    let config = Config::new(&[&target])
        .path_rule(1, "/all/*", &redirect(everything))
        .path_rule(2, "/bare/*", &redirect("path = \"/new place\"\nquery = \"\""))
        .path_rule(3, "/long/*", &redirect("path = \"/x/#{path}\""));
    let balancer = Balancer::start(&config);
    let port = balancer.address.port();
    let all = answered(&balancer, "GET /all/x?q=1 HTTP/1.1\r\nHost: a.example");
    assert_eq!(
        (all.status, all.header("location").to_owned()),
        (
            302,
            format!(
                "http://new.a.example:{port}/a.example/{port}/all/x?q=1&p=http&h=a.example&o={port}&a=all/x"
            )
        )
    );
    let bare = answered(&balancer, "GET /bare/x?q=1 HTTP/1.1\r\nHost: a.example");
    assert_eq!(bare.header("location"), format!("http://a.example:{port}/new%20place"));
    let long = answered(&balancer, &format!("GET /long/{} HTTP/1.1\r\nHost: a.example", "p".repeat(9000)));
    assert_eq!((long.status, long.header("location")), (507, ""));
    assert_eq!(balancer.status().own(507), 1);
    assert_eq!(balancer.metric("balancer_redirects_total"), 2.0);
    assert_eq!(target.count(), 0);
}

#[test]
fn a_fixed_response_comes_from_the_balancer() {
    let target = Target::plain();
    let json = "content_type = \"application/json\"\nmessage_body = \"{\\\"down\\\": \\\"für kurze Zeit\\\"}\"\n\
                status_code = \"503\"";
    let config = Config::with(Group::new("app", &[&target]).lb_cookie())
        .path_rule(1, "/down/*", &fixed(json))
        .path_rule(
            2,
            "/empty/*",
            &fixed("content_type = \"text/plain\"\nstatus_code = 204\nmessage_body = \"x\""),
        )
        .path_rule(
            4,
            "/reset",
            &fixed("content_type = \"text/plain\"\nstatus_code = 205\nmessage_body = \"x\""),
        )
        .path_rule(3, "/teapot", &fixed("content_type = \"text/html\"\nstatus_code = \"418\""))
        .http2();
    let balancer = Balancer::start(&config);
    let mut connection = balancer.connect();
    let down = connection.get("/down/x", "");
    assert_eq!((down.status, down.text().as_str()), (503, "{\"down\": \"für kurze Zeit\"}"));
    assert_eq!(down.header("content-type"), "application/json; charset=utf-8");
    assert!(down.set_cookie("AWSALB").is_none(), "no target, no cookie");
    let empty = connection.get("/empty/", "");
    assert_eq!((empty.status, empty.headers.get("content-length")), (204, None));
    let reset = connection.get("/reset", "");
    let length = reset.headers.get("content-length");
    assert_eq!((reset.status, length, reset.body.len()), (205, Some("0"), 0), "its end is told");
    let teapot = connection.get("/teapot", "");
    assert_eq!((teapot.status, teapot.body.len()), (418, 0));
    assert_eq!(connection.get("/", "").status, 200, "the connection stays");
    let head = answered(&balancer, "HEAD /down/ HTTP/1.1\r\nHost: h");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (503, 0, "27"));
    let mut posting = balancer.connect();
    assert_eq!(posting.post("/down/", &[b'x'; 100_000]).status, 503);
    let upload = balancer.folder().join("upload");
    std::fs::write(&upload, [b'x'; 500_000]).unwrap();
    let data = format!("@{}", upload.display());
    let h2 = over_http2(&balancer, &["--data-binary", &data], "/down/x");
    assert!(h2.starts_with("HTTP/2 503") && h2.ends_with("{\"down\": \"für kurze Zeit\"}"), "{h2}");
    let mut session = http2::Connection::open(balancer.address);
    let stream = session.get("/empty/", &[]);
    assert_eq!(session.outcome(stream), http2::Outcome::Answer(204, Vec::new()));
    assert_eq!(target.count(), 1);
    assert_eq!(balancer.metric("balancer_fixed_responses_total{class=\"5xx\"}"), 4.0);
    assert_eq!(balancer.metric("balancer_fixed_responses_total{class=\"4xx\"}"), 1.0);
    assert_eq!(balancer.metric("balancer_fixed_responses_total{class=\"2xx\"}"), 3.0);
}

/// A rule that forwards to `app` and rewrites.
fn rewriting(transforms: &[(&str, &str, &str)]) -> String {
    let mut lines = "action {\ntype = \"forward\"\ntarget_group_arn = \"app\"\n}\n".to_owned();
    for (kind, regex, replace) in transforms {
        let block = kind.replace('-', "_");
        lines.push_str(&format!(
            "transform {{\ntype = \"{kind}\"\n{block}_config {{\nrewrite {{\nregex = \"{regex}\"\nreplace = \"{replace}\"\n}}\n}}\n}}\n"
        ));
    }
    lines
}

#[test]
fn a_rule_rewrites_path_query_and_host() {
    let target = Target::plain();
    let config = Config::new(&[&target])
        .path_rule(1, "/api/*", &rewriting(&[("url-rewrite", "^/api/", "/")]))
        .path_rule(2, "/dp/*", &rewriting(&[("url-rewrite", "^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1")]))
        .path_rule(
            3,
            "/host/*",
            &rewriting(&[
                ("host-header-rewrite", "^mywebsite-(.+).com$", "internal.dev.$1.myweb.com"),
                ("url-rewrite", "x=(.)&y=(.)", "y=$2&x=$1"),
            ]),
        )
        .path_rule(4, "/port/*", &rewriting(&[("host-header-rewrite", ".*", "a.internal:81")]))
        .http2();
    let balancer = Balancer::start(&config);
    let port = balancer.address.port();
    let sent = |target_line: &str, host: &str| {
        let response = answered(&balancer, &format!("GET {target_line} HTTP/1.1\r\nHost: {host}"));
        assert_eq!(response.status, 200, "{target_line}");
        let last = target.last();
        (last.target.clone(), last.headers.get("host").unwrap().to_owned())
    };
    assert_eq!(sent("/api/v1/x?q=/api/", "h"), ("/v1/x?q=/api/".into(), format!("h:{port}")));
    assert_eq!(sent("http://h.example/api/v1", "h").0, "/v1");
    assert_eq!(sent("/dp/B00/", "h").0, "/product.php?id=B00");
    assert_eq!(sent("/dp/a/b", "h").0, "/dp/a/b", "no match, no change");
    assert_eq!(
        sent("/host/?x=1&y=2", "MyWebsite-Shop.com"),
        ("/host/?y=2&x=1".into(), format!("internal.dev.shop.myweb.com:{port}"))
    );
    assert_eq!(sent("/host/", "mywebsite-a.com:9000").1, "internal.dev.a.myweb.com:9000");
    assert_eq!(sent("/host/", "mywebsite-a.com.:9000").1, "internal.dev.a.myweb.com:9000");
    assert_eq!(sent("/host/", "other.com.:9000").1, "other.com.:9000");
    assert_eq!(sent("/host/", "other.com:9000").1, "other.com:9000");
    assert_eq!(sent("/port/", "h").1, "a.internal:81");
    assert_eq!(sent("/other/api/", "h").0, "/other/api/", "the default action rewrites nothing");
    let mut session = http2::Connection::open(balancer.address);
    assert_eq!(session.status_of("/api/two", &[]), 200);
    assert_eq!(target.last().target, "/two");
}

#[test]
fn a_rewrite_that_makes_no_request_is_answered_500() {
    let target = Target::plain();
    let config = Config::new(&[&target])
        .path_rule(1, "/slash/*", &rewriting(&[("url-rewrite", "^/slash/", "")]))
        .path_rule(2, "/host/*", &rewriting(&[("host-header-rewrite", "(.*)", "<$1>")]))
        .path_rule(3, "/big/*", &rewriting(&[("url-rewrite", "^/(.*)$", "/$1$1$1$1$1$1$1$1$1$1")]))
        .http2();
    let balancer = Balancer::start(&config);
    let mut connection = balancer.connect();
    assert_eq!(connection.get("/slash/x", "").status, 500);
    assert_eq!(connection.get("/host/x", "").status, 500);
    assert_eq!(connection.get(&format!("/big/{}", "x".repeat(4000)), "").status, 500);
    assert_eq!(connection.get("/", "").status, 200, "the connection stays");
    let mut session = http2::Connection::open(balancer.address);
    assert_eq!(session.status_of("/slash/x", &[]), 500);
    assert_eq!(balancer.status().own(500), 4);
    assert_eq!(target.count(), 1);
}

#[test]
fn no_redirect_leads_out_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = support::tls::Certificate::make(folder.path(), "a", &["a.example"]);
    let path = folder.path().join("balancer.hcl");
    let check = |lines: &str| {
        let text = format!(
            "certificate \"c\" {{\ncertificate_file = \"{}\"\nprivate_key_file = \"{}\"\n}}\nlistener \"web\" {{\nport = 443\n\
             protocol = \"HTTPS\"\ncertificate_arn = \"c\"\ndefault_action {{\ntype = \"redirect\"\nredirect {{\n\
             {lines}\nstatus_code = \"HTTP_301\"\n}}\n}}\n}}\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        std::fs::write(&path, text).unwrap();
        let output = Command::new(binary()).args(["check", "-c"]).arg(&path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check("protocol = \"HTTP\"");
    assert_eq!(code, Some(2));
    assert!(said.contains(":12:12: a redirect from HTTPS to HTTP is not supported"), "{said}");
    assert_eq!(check("port = 8443"), (Some(0), String::new()));
    let (code, said) = check("protocol = \"HTTPS\"\nport = 443");
    assert!(code == Some(2) && said.contains("it creates a loop"), "{said}");
}
