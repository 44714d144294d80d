//! The clients that people use, over TLS, before real servers: curl, h2load, nghttp, httpx, Node's HTTP/2 module, undici, Go's and
//! Java's own, Chromium and Firefox.

use std::{
    fs,
    process::{Command, Stdio},
};

use support::{
    Balancer, Config, Group,
    apps::{App, Running, chromium, client, has, has_java},
    nginx::Nginx,
    tls::{Certificate, curl},
};
use tempfile::TempDir;

/// A balancer with HTTPS and what stands behind it.
struct Site<T> {
    folder: TempDir,
    certificate: Certificate,
    balancer: Balancer,
    targets: Vec<T>,
}

impl<T> Site<T> {
    fn new(targets: Vec<T>, address: impl Fn(&T) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::make(folder.path(), "main", &["localhost", "127.0.0.1"]);
        let addresses: Vec<String> = targets.iter().map(address).collect();
        let group = Group::of("app", &addresses).algorithm("round_robin").lb_cookie().unchecked();
        let balancer = Balancer::start(&Config::with(group).https(&certificate));
        Self { folder, certificate, balancer, targets }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.balancer.address)
    }
}

/// Two processes of nginx with a small file and a large one, the same in both.
fn of_files() -> Site<Nginx> {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let page = "<html><head><link rel=\"stylesheet\" href=\"/small\"></head><img src=\"/large\"></html>";
    let targets = [(); 2].map(|()| Nginx::start("location = /page { default_type text/html; }"));
    for nginx in &targets {
        nginx.file("small", b"small and whole\n");
        nginx.file("large", &large);
        nginx.file("page", page.as_bytes());
    }
    Site::new(targets.into(), |nginx: &Nginx| nginx.address.clone())
}

/// Three processes of an application with visitors' state in memory.
fn of_pages() -> Option<Site<Running>> {
    let targets = vec![App::Page.start_if_installed()?, App::Page.start(), App::Page.start()];
    Some(Site::new(targets, |running: &Running| running.address.clone()))
}

impl Site<Running> {
    /// How many requests each target has had, in order of number.
    fn requests(&self) -> Vec<u64> {
        let status = self.balancer.status();
        let requests = |target: &Running| status.target(&target.address)["requests"].as_u64().unwrap();
        let mut requests: Vec<u64> = self.targets.iter().map(requests).collect();
        requests.sort_unstable();
        requests
    }
}

fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{complaint}");
    text + &complaint
}

#[test]
fn curl_downloads_many_files_at_once() {
    let site = of_files();
    for version in ["1.1", "2"] {
        let out = site.folder.path().join(version);
        fs::create_dir(&out).unwrap();
        let pattern = out.join("file#1").display().to_string();
        let option = if version == "2" { "--http2" } else { "--http1.1" };
        let arguments = [
            option,
            "--parallel",
            "--parallel-max",
            "10",
            "--output",
            &pattern,
            "--write-out",
            "%{http_version} ",
        ];
        let said =
            curl(site.balancer.address, "localhost", &site.certificate, "/large?[1-30]", &arguments).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), format!("{version} ").repeat(30));
        let first = fs::read(out.join("file1")).unwrap();
        assert_eq!(first.len(), 3_000_000);
        assert!((2..=30).all(|n| fs::read(out.join(format!("file{n}"))).unwrap() == first));
    }
}

#[test]
fn h2load_fails_no_request() {
    let site = of_files();
    for (shape, protocol) in [(&["-c", "10", "-m", "100"][..], "h2"), (&["-c", "50", "--h1"], "http/1.1")] {
        let mut command = Command::new("h2load");
        command.args(["-n", "5000"]).args(shape).arg(site.url("/small"));
        let text = said(&mut command);
        assert!(text.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
        assert!(text.contains("status codes: 5000 2xx"), "{text}");
        assert!(text.contains(&format!("Application protocol: {protocol}")), "{text}");
    }
    let status = site.balancer.status();
    assert_eq!(status.total("http2_floods"), 0);
    for nginx in &site.targets {
        let requests = status.target(&nginx.address)["requests"].as_u64().unwrap();
        assert_eq!(requests, 5000, "half of all");
    }
}

#[test]
fn nghttp_fetches_a_page_and_what_it_names() {
    let site = of_files();
    let mut command = Command::new("nghttp");
    let text = said(command.args(["-ans", "--no-verify-peer"]).arg(site.url("/page")));
    for path in ["/page", "/small", "/large"] {
        let is_of_path = |line: &&str| line.ends_with(&format!(" {path}"));
        let line = text.lines().find(is_of_path).unwrap_or_else(|| panic!("no {path} in {text}"));
        assert!(line.contains(" 200 "), "{text}");
    }
    let body = site.folder.path().join("body");
    fs::write(&body, vec![b'x'; 200_000]).unwrap();
    let mut command = Command::new("nghttp");
    let text = said(command.args(["-v", "-n"]).arg("-d").arg(&body).arg(site.url("/small")));
    assert!(text.contains(":status: 405"), "nginx takes no POST for a file, body or not: {text}");
}

#[test]
fn httpx_keeps_its_session_over_http2() {
    let Some(site) = of_pages() else { return };
    let certificate = site.certificate.certificate.to_str().unwrap();
    let said = client("httpx_client.py", &[&site.url(""), certificate]);
    assert_eq!(said.trim(), "{'HTTP/2': 110} 1");
    assert_eq!(site.requests(), [0, 0, 111]);
}

#[test]
fn node_keeps_its_session_over_http2() {
    let Some(site) = of_pages() else { return };
    let certificate = site.certificate.certificate.to_str().unwrap();
    let said = client("http2.js", &[&site.url(""), certificate]);
    assert_eq!(said.trim(), "h2 110 1");
    assert_eq!(site.requests(), [0, 0, 110]);
}

#[test]
fn undici_keeps_its_session_over_http2() {
    let Some(site) = of_pages() else { return };
    let certificate = site.certificate.certificate.to_str().unwrap();
    assert_eq!(client("undici.js", &[&site.url(""), certificate]).trim(), "110 1");
    assert_eq!(site.requests(), [0, 0, 110]);
    assert_eq!(site.balancer.status().total("http2_streams_opened"), 110);
}

#[test]
fn gos_client_keeps_its_session_over_http2() {
    if !has("/usr/bin/go") {
        return;
    }
    let Some(site) = of_pages() else { return };
    let certificate = site.certificate.certificate.to_str().unwrap();
    assert_eq!(client("http2.go", &[&site.url(""), certificate]).trim(), "HTTP/2.0 110 1");
    assert_eq!(site.requests(), [0, 0, 110]);
}

#[test]
fn javas_client_keeps_its_session_over_http2() {
    if !has_java() {
        return;
    }
    let Some(site) = of_pages() else { return };
    let certificate = site.certificate.certificate.to_str().unwrap();
    assert_eq!(client("Http2.java", &[&site.url(""), certificate]).trim(), "HTTP_2 110 1");
    assert_eq!(site.requests(), [0, 0, 110]);
}

#[test]
fn firefox_stays_with_one_target_for_a_page_and_all_that_it_loads() {
    if !has("/usr/bin/firefox-esr") {
        return;
    }
    let Some(site) = of_pages() else { return };
    let profile = site.folder.path().join("profile");
    let said = client("firefox.py", &[&site.url("/"), profile.to_str().unwrap()]);
    let (servers, rest) = said.trim().split_once("; ").unwrap_or_else(|| panic!("{said}"));
    assert!(servers.starts_with("servers ") && !servers.contains(','), "one server: {said}");
    assert_eq!(rest, "protocols h2; socket answer to question; echoed 300000; scripts 6");
    assert_eq!(site.requests()[..2], [0, 0]);
    assert!(site.requests()[2] >= 30, "{:?}", site.requests());
}

#[test]
fn a_browser_stays_with_one_target_for_a_page_and_all_that_it_loads() {
    let (Some(mut command), Some(site)) = (chromium(), of_pages()) else { return };
    command.args(["--ignore-certificate-errors", "--timeout=60000"]);
    command.arg(format!("--user-data-dir={}", site.folder.path().join("profile").display()));
    let text = said(command.arg("--dump-dom").arg(site.url("/")));
    let results = text.split_once("<p id=\"results\">").and_then(|(_, rest)| rest.split_once("</p>"));
    let (results, _) = results.unwrap_or_else(|| panic!("no page: {text}"));
    let (servers, rest) = results.split_once("; ").unwrap_or_else(|| panic!("{results}"));
    assert!(servers.starts_with("servers ") && !servers.contains(','), "one server: {results}");
    assert_eq!(rest, "protocols h2; socket answer to question; echoed 300000; scripts 6");
    // The page, 18 assets, what holds the page, 8 texts, the upload and the WebSocket, which is one of HTTP/2, too.
    assert_eq!(site.requests()[..2], [0, 0]);
    assert!(site.requests()[2] >= 30, "{:?}", site.requests());
    let status = site.balancer.status();
    assert_eq!(status.total("tunnels_opened"), 1);
    assert_eq!(status.total("http2_streams_opened"), site.requests()[2], "all of them over HTTP/2");
}
