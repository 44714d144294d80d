//! What is counted: a balancer under callgrind with one worker, two targets in this process, and one client.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    clients::{self, BODY, Client, Http2Client},
    tally::{self, Tally},
};
use crate::bench::{
    process::{self, Process},
    proxies::Certificate,
};

/// How long a balancer may take until it accepts connections: callgrind makes it some fifty times slower.
const START: Duration = Duration::from_secs(120);

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Http1,
    Http1Tls,
    Http2,
    Http2Tls,
    Http2Targets,
    LogAlb,
    LogJson,
    NewConnection,
    OneRule,
    HundredRules,
    HundredMixedRules,
    HundredTargets,
}

impl Case {
    pub(crate) const ALL: [Self; 12] = [
        Self::Http1,
        Self::Http1Tls,
        Self::Http2,
        Self::Http2Tls,
        Self::Http2Targets,
        Self::LogAlb,
        Self::LogJson,
        Self::NewConnection,
        Self::OneRule,
        Self::HundredRules,
        Self::HundredMixedRules,
        Self::HundredTargets,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http1Tls => "http1-tls13",
            Self::Http2 => "http2",
            Self::Http2Tls => "http2-tls13",
            Self::Http2Targets => "http2-to-http2",
            Self::LogAlb => "http1-log-alb",
            Self::LogJson => "http1-log-json",
            Self::NewConnection => "new-connection",
            Self::OneRule => "http1-1-rule",
            Self::HundredRules => "http1-100-rules",
            Self::HundredMixedRules => "http1-100-mixed-rules",
            Self::HundredTargets => "http1-100-targets",
        }
    }
}

/// The files and targets of one case.
pub(crate) struct Bed {
    case: Case,
    folder: PathBuf,
    targets: Vec<SocketAddr>,
    certificate: Option<Certificate>,
}

impl Bed {
    pub(crate) fn new(case: Case, folder: &Path) -> Result<Self> {
        let count = if case == Case::HundredTargets { 100 } else { 2 };
        let targets = (0..count).map(|_| target(case)).collect::<Result<_>>()?;
        let is_secure = matches!(case, Case::Http1Tls | Case::Http2Tls);
        let certificate = is_secure.then(|| Certificate::make(folder)).transpose()?;
        Ok(Self { case, folder: folder.to_owned(), targets, certificate })
    }

    /// Starts a balancer, sends it so many requests that belong to a session, and ends it.
    pub(crate) fn run(&self, valgrind: &Path, balancer: &Path, requests: u64) -> Result<Tally> {
        let (address, admin) = (process::free_address()?, process::free_address()?);
        let file = self.folder.join("balancer.hcl");
        fs::write(&file, self.configuration(address, admin)?)?;
        let counts = self.folder.join(format!("counts.{requests}"));
        let mut command = Command::new(valgrind);
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(balancer).args(["run", "--config"]).arg(&file);
        let mut process = Process::start_within("balancer", &self.folder, command, address, START)?;
        let asked = self.ask(address, requests).with_context(|| process.said());
        process.end();
        asked?;
        let text = fs::read_to_string(&counts).with_context(|| counts.display().to_string())?;
        let tally = tally::read(&text);
        if tally.values().sum::<u64>() == 0 {
            bail!("callgrind has counted nothing: {}", process.said());
        }
        Ok(tally)
    }

    fn ask(&self, address: SocketAddr, requests: u64) -> Result<()> {
        let secure = self.certificate.is_some();
        let connect = || Client::connect(address, secure);
        if matches!(self.case, Case::Http2 | Case::Http2Tls | Case::Http2Targets) {
            let mut client = Http2Client::connect(address, secure)?;
            let cookie = client.session()?;
            return (0..requests).try_for_each(|_| client.ask(&cookie).map(drop));
        }
        let cookie = clients::session(connect)?;
        match self.case {
            Case::NewConnection => (0..requests).try_for_each(|_| connect()?.ask(&cookie, true)),
            _ => {
                let mut client = connect()?;
                (0..requests).try_for_each(|_| client.ask(&cookie, false))
            }
        }
    }

    fn configuration(&self, address: SocketAddr, admin: SocketAddr) -> Result<String> {
        let folder = self.folder.display();
        let log = match self.case {
            Case::LogAlb => Some("alb"),
            Case::LogJson => Some("json"),
            _ => None,
        };
        let mut text = format!(
            "balancer {{\n  instance = \"count-{}\"\n  state_dir = \"{folder}/state\"\n  runtime_dir = \"{folder}/run\"\n  \
             admin_address = \"{admin}\"\n  kernel_assist = \"off\"\n  workers = 1\n}}\n",
            address.port()
        );
        let mut listener = String::new();
        if let Some(form) = log {
            writeln!(
                text,
                "load_balancer \"main\" {{\n  access_logs {{\n    enabled = true\n    path = \"{folder}/access.log\"\n    \
                 format = \"{form}\"\n  }}\n}}"
            )?;
            listener.push_str("  load_balancer_arn = load_balancer.main.arn\n");
        }
        if let Some(made) = &self.certificate {
            text.push_str(&made.block("main"));
            listener.push_str("  protocol = \"HTTPS\"\n  certificate_arn = certificate.main.arn\n");
        } else {
            listener.push_str("  http2_prior_knowledge = true\n");
        }
        let version = if self.case == Case::Http2Targets { "  protocol_version = \"HTTP2\"\n" } else { "" };
        let targets: Vec<_> = self.targets.iter().map(|target| format!("\"{target}\"")).collect();
        write!(
            text,
            "listener \"web\" {{\n{listener}  address = \"{}\"\n  port = {}\n  default_action {{\n    type = \"forward\"\n    \
             target_group_arn = target_group.app.arn\n  }}\n}}\ntarget_group \"app\" {{\n  port = 80\n{version}  stickiness {{\n    \
             type = \"lb_cookie\"\n  }}\n  health_check {{\n    enabled = false\n  }}\n  targets = [{}]\n}}\n",
            address.ip(),
            address.port(),
            targets.join(", ")
        )?;
        match self.case {
            Case::OneRule => rules(1, false, &mut text)?,
            Case::HundredRules => rules(100, false, &mut text)?,
            Case::HundredMixedRules => rules(100, true, &mut text)?,
            _ => {}
        }
        Ok(text)
    }
}

/// Rules of which none takes the requests: on paths, or on one or two things of all that there are.
fn rules(count: usize, mixed: bool, text: &mut String) -> Result<()> {
    for number in 0..count {
        let kinds = [
            format!("path_pattern {{\n      values = [\"/service-{number}/*\"]\n    }}"),
            format!("host_header {{\n      values = [\"service-{number}.example.com\"]\n    }}"),
            format!(
                "http_header {{\n      http_header_name = \"X-Service\"\n      values = [\"{number}\"]\n    }}"
            ),
            format!("query_string {{\n      key = \"service\"\n      value = \"{number}\"\n    }}"),
            format!("source_ip {{\n      values = [\"10.{number}.0.0/16\"]\n    }}"),
            format!("http_request_method {{\n      values = [\"{}\"]\n    }}", method(number)),
        ];
        let some = if mixed { number..=number + number % 2 } else { 0..=0 };
        writeln!(
            text,
            "listener_rule \"r{number}\" {{\n  listener_arn = listener.web.arn\n  priority = {}",
            number + 1
        )?;
        for kind in some.filter_map(|kind| kinds.get(kind % kinds.len())) {
            writeln!(text, "  condition {{\n    {kind}\n  }}")?;
        }
        writeln!(
            text,
            "  action {{\n    type = \"forward\"\n    target_group_arn = target_group.app.arn\n  }}\n}}"
        )?;
    }
    Ok(())
}

/// A method of its own for each number.
fn method(number: usize) -> String {
    format!("{number:08b}").replace('0', "A").replace('1', "B")
}

/// A target that answers each request with [`BODY`] bytes.
fn target(case: Case) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: target\r\nContent-Length: {BODY}\r\n\r\n"
    );
    let answer: Arc<[u8]> = format!("{head}{}", "x".repeat(BODY)).into_bytes().into();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || match case {
                // It ends with its connection.
                Case::Http2Targets => drop(clients::serve_http2(stream)),
                _ => serve(stream, &answer),
            });
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}
