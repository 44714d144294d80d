//! Each proxy's files and command line for one measurement, and how it is told to read its configuration anew.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Front, RULES, Setting, Shape, kind, rules};
use crate::bench::{
    peers::{self, Program},
    process::{self, Process, pinned},
    template::Filling,
};

/// What has been started.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) version: String,
    /// The name of its stickiness cookie, where it has one.
    pub(super) cookie: Option<&'static str>,
    pub(super) reload: Reload,
}

/// How a proxy reads its configuration anew: two texts in turns, of which one has a target less.
#[derive(Default)]
pub(crate) struct Reload {
    file: PathBuf,
    texts: Vec<String>,
    /// What starts another process that takes the place of the one before; the others are told by SIGHUP.
    successor: Option<(Program, usize)>,
    count: usize,
}

impl Reload {
    /// Tells the proxy that runs as `process`.
    ///
    /// # Errors
    /// Where it cannot be told.
    pub(crate) fn once(&mut self, process: &mut Process) -> Result<()> {
        self.count += 1;
        let text = self.texts.get(self.count % self.texts.len().max(1)).context("it cannot be reloaded")?;
        fs::write(&self.file, text)?;
        let Some((program, core)) = &self.successor else { return process.tell(libc::SIGHUP) };
        let mut command = program.pinned(*core);
        let socket = self.file.with_file_name("stats");
        command.arg("-db").arg("-f").arg(&self.file).arg("-x").arg(socket);
        command.arg("-sf").arg(process.id().to_string());
        process.succeed(command)
    }
}

/// The stickiness cookie of each.
fn cookie(name: &str, shape: &Shape, version: &str) -> Option<&'static str> {
    let cookie = match kind(name) {
        "balancer" | "baseline" | "balancer-rules" => "AWSALB",
        "haproxy" => "SRV",
        "nginx" if peers::is_at_least(version, [1, 29, 6]) => "srv_id",
        "envoy" | "traefik" => "sticky",
        "caddy" => "lb",
        "sozu" => "SOZUBALANCEID",
        "hyper" => crate::hyper_proxy::COOKIE,
        _ => return None,
    };
    (shape.sticky && shape.sessions == 0).then_some(cookie)
}

/// Starts one at `address`.
pub(super) fn start(name: &str, setting: &Setting<'_>, address: SocketAddr) -> Result<Started> {
    let folder = setting.folder.join(name);
    fs::create_dir_all(&folder)?;
    let ours = match name {
        "balancer" | "balancer-rules" => Some(setting.balancer.clone()),
        "baseline" => Some(setting.baseline.context("say which with --baseline")?.to_owned()),
        _ => None,
    };
    let program = match (&ours, name) {
        (Some(_), _) => None,
        (None, "hyper" | "relay" | "relay-uring") => None,
        (None, name) => Some(peers::find(kind(name)).context("is not here")?),
    };
    let version = match (&program, name) {
        (Some(program), _) => program.version.clone(),
        (None, "hyper") => crate::hyper_proxy::VERSION.to_owned(),
        (None, "balancer-rules") => format!("({RULES} rules)"),
        (None, "relay") => "over epoll".to_owned(),
        (None, "relay-uring") => "over io_uring".to_owned(),
        _ => String::new(),
    };
    let cookie = cookie(name, &setting.shape, &version);
    let is_new_nginx = name == "nginx" && peers::is_at_least(&version, [1, 25, 1]);
    let written = Written { name, setting, address, folder: &folder, sticky: cookie.is_some(), is_new_nginx };
    let (command, reload) = match (ours, program) {
        (Some(path), _) => written.balancer(&path)?,
        (None, Some(program)) => written.peer(&program)?,
        (None, None) => (written.own()?, Reload::default()),
    };
    let process = Process::start(name, setting.folder, command, address)?;
    Ok(Started { process, version, cookie, reload })
}

/// A proxy whose configuration is being written.
struct Written<'a> {
    name: &'a str,
    setting: &'a Setting<'a>,
    address: SocketAddr,
    folder: &'a Path,
    sticky: bool,
    is_new_nginx: bool,
}

impl Written<'_> {
    fn filling(&self, targets: &[SocketAddr]) -> Filling {
        let shape = &self.setting.shape;
        let mut filling = Filling::new(targets);
        for (flag, holds) in [
            ("sticky", self.sticky || (shape.sticky && shape.sessions > 0)),
            ("tls", shape.front.is_tls()),
            ("tls12", shape.front == Front::Tls12),
            ("h2c", shape.front == Front::H2c),
            ("http2_on", self.is_new_nginx && shape.front != Front::Plain),
            ("h2", shape.h2_targets),
            ("grpc", shape.grpc),
            ("log", shape.log),
            ("websocket", shape.websocket),
            ("checks", shape.checks),
            ("reload", shape.reload),
            ("splice", self.name.ends_with("-splice")),
            ("sessions", shape.sessions > 0),
        ] {
            filling.flag(flag, holds);
        }
        filling.set("address", &self.address);
        filling.set("host", &self.address.ip());
        filling.set("port", &self.address.port());
        filling.set("folder", &self.folder.display());
        filling.set("sessions", &shape.sessions);
        filling.set("zone_mib", &(shape.sessions.div_ceil(1 << 13) + 8));
        filling.set("kernel_assist", &self.setting.kernel_assist);
        filling.set("instance", &instance(self.name));
        filling.set("core_mask", &format!("{:b}", 1_u64 << self.setting.core));
        if let Some(made) = self.setting.certificate {
            filling.set("certificate", &made.certificate.display());
            filling.set("key", &made.key.display());
            filling.set("both", &made.both.display());
        }
        filling
    }

    /// Writes the file of this name; all that it can be told anew, too.
    fn write(&self, file: &str, template: &str, more: &[(&'static str, String)]) -> Result<Reload> {
        let targets = self.setting.targets.as_slice();
        let fewer = targets.get(..targets.len().saturating_sub(1)).unwrap_or_default();
        let file = self.folder.join(file);
        let fill = |targets: &[SocketAddr]| {
            let mut filling = self.filling(targets);
            more.iter().for_each(|(name, value)| filling.set(name, value));
            filling.fill(template)
        };
        let mut texts = vec![fill(targets)?];
        if self.setting.shape.reload {
            texts.push(fill(fewer)?);
        }
        fs::write(&file, texts.first().context("a text")?)?;
        Ok(Reload { file, texts, successor: None, count: 0 })
    }

    fn balancer(&self, program: &Path) -> Result<(Command, Reload)> {
        let count = if self.name == "balancer-rules" { RULES } else { self.setting.shape.rules };
        let more = [("admin", process::free_address()?.to_string()), ("rules", rules::balancer(count))];
        let reload = self.write("balancer.hcl", include_str!("../../../peers/balancer.hcl"), &more)?;
        let mut command = pinned(self.setting.core, program);
        command.arg("run").arg("-c").arg(&reload.file);
        Ok((command, reload))
    }

    fn peer(&self, program: &Program) -> Result<(Command, Reload)> {
        let mut command = program.pinned(self.setting.core);
        let rules = self.setting.shape.rules;
        let mut reload;
        match kind(self.name) {
            "nginx" => {
                let more = [("listen", self.listen().to_owned()), ("rules", rules::nginx(rules))];
                reload = self.write("nginx.conf", include_str!("../../../peers/nginx.conf"), &more)?;
                command.args(["-e", "stderr", "-p"]).arg(self.folder).arg("-c").arg(&reload.file);
            }
            "haproxy" => {
                let more = [("rules", rules::haproxy(rules))];
                reload = self.write("haproxy.cfg", include_str!("../../../peers/haproxy.cfg"), &more)?;
                reload.successor = Some((program.clone(), self.setting.core));
                command.arg("-db").arg("-f").arg(&reload.file);
            }
            "envoy" => {
                reload = self.write("envoy.yaml", include_str!("../../../peers/envoy.yaml"), &[])?;
                command.args(["--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]);
                command.arg("--config-path").arg(&reload.file);
            }
            "traefik" => {
                self.write("services.yaml", include_str!("../../../peers/traefik-services.yaml"), &[])?;
                reload = self.write("traefik.yaml", include_str!("../../../peers/traefik.yaml"), &[])?;
                command.env("GOMAXPROCS", "1").arg(format!("--configFile={}", reload.file.display()));
            }
            "caddy" => {
                reload = self.write("Caddyfile", include_str!("../../../peers/Caddyfile"), &[])?;
                command
                    .env("GOMAXPROCS", "1")
                    .env("HOME", self.folder)
                    .arg("run")
                    .arg("--config")
                    .arg(&reload.file);
            }
            "sozu" => {
                reload = self.write("sozu.toml", include_str!("../../../peers/sozu.toml"), &[])?;
                command.arg("start").arg("--config").arg(&reload.file);
            }
            "pingora" => {
                reload = Reload::default();
                command.arg(self.address.to_string());
                command.args(self.setting.targets.iter().map(ToString::to_string));
                if let Some(made) = self.setting.certificate {
                    command.arg(&made.certificate).arg(&made.key);
                }
            }
            other => bail!("no proxy is called {other:?}"),
        }
        Ok((command, reload))
    }

    /// What nginx's `listen` has beside the address. A new one has a directive for HTTP/2 instead.
    fn listen(&self) -> &'static str {
        match (self.setting.shape.front, self.is_new_nginx) {
            (Front::Plain, _) | (Front::H2c, true) => "",
            (Front::H2c, false) => " http2",
            (Front::Tls13 | Front::Tls12, true) => " ssl",
            (Front::Tls13 | Front::Tls12, false) => " ssl http2",
        }
    }

    /// One of those that this program is itself.
    fn own(&self) -> Result<Command> {
        let mut command = pinned(self.setting.core, &std::env::current_exe()?);
        let (word, more): (_, &[&str]) = match self.name {
            "hyper" => ("hyper-proxy", &[]),
            "relay" => ("relay", &[]),
            "relay-uring" => ("relay", &["--uring"]),
            other => bail!("no proxy is called {other:?}"),
        };
        command.args([word, "--listen", &self.address.to_string()]).args(more);
        let targets = if word == "relay" { 1 } else { 2 };
        for target in self.setting.targets.iter().take(targets) {
            command.args(["--to", &target.to_string()]);
        }
        Ok(command)
    }
}

pub(super) fn instance(name: &str) -> String {
    format!("bench-{}-{name}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str, template: &str, shape: Shape) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let certificate = super::super::Certificate {
            certificate: "/c.pem".into(),
            key: "/k.pem".into(),
            both: "/b.pem".into(),
        };
        let setting = Setting {
            folder: folder.path(),
            core: 1,
            targets: vec!["127.0.0.1:81".parse().unwrap(), "127.0.0.2:82".parse().unwrap()],
            balancer: PathBuf::new(),
            baseline: None,
            kernel_assist: "off",
            certificate: Some(&certificate),
            shape,
        };
        let address = "127.0.0.1:80".parse().unwrap();
        let written = Written {
            name,
            setting: &setting,
            address,
            folder: folder.path(),
            sticky: shape.sticky,
            is_new_nginx: true,
        };
        let more = [
            ("listen", " ssl".to_owned()),
            ("rules", rules::balancer(shape.rules)),
            ("admin", "127.0.0.1:9".to_owned()),
        ];
        written.write("file", template, &more).unwrap().texts
    }

    const TEMPLATES: [(&str, &str); 8] = [
        ("balancer", include_str!("../../../peers/balancer.hcl")),
        ("nginx", include_str!("../../../peers/nginx.conf")),
        ("haproxy", include_str!("../../../peers/haproxy.cfg")),
        ("envoy", include_str!("../../../peers/envoy.yaml")),
        ("traefik", include_str!("../../../peers/traefik.yaml")),
        ("traefik", include_str!("../../../peers/traefik-services.yaml")),
        ("caddy", include_str!("../../../peers/Caddyfile")),
        ("sozu", include_str!("../../../peers/sozu.toml")),
    ];

    #[test]
    fn every_configuration_can_be_filled_for_every_work() {
        for front in [Front::Plain, Front::H2c, Front::Tls13, Front::Tls12] {
            for on in [false, true] {
                let shape = Shape {
                    front,
                    h2_targets: on,
                    grpc: on,
                    sticky: !on,
                    log: on,
                    websocket: on,
                    checks: on,
                    rules: usize::from(on) * 3,
                    ..Shape::STICKY
                };
                for (name, template) in TEMPLATES {
                    let texts = texts(name, template, shape);
                    assert!(texts.len() == 1 && !texts[0].contains("{{"), "{name}: {}", texts[0]);
                }
            }
        }
    }

    #[test]
    fn stickiness_is_asked_for_where_it_is_measured() {
        let words = [
            "lb_cookie",
            "sticky cookie",
            "cookie SRV",
            "stateful_session",
            "",
            "sticky",
            "lb_policy cookie",
            "sticky_session",
        ];
        for ((name, template), word) in TEMPLATES.into_iter().zip(words) {
            let plain = Shape { sticky: false, ..Shape::STICKY };
            assert!(texts(name, template, Shape::STICKY)[0].contains(word), "{name}");
            let without = &texts(name, template, plain)[0];
            let is_there = without.lines().any(|line| !line.starts_with('#') && line.contains(word));
            assert!(word.is_empty() || name == "balancer" || !is_there, "{name}: {without}");
        }
    }

    #[test]
    fn a_reload_has_a_target_less() {
        let shape = Shape { reload: true, ..Shape::STICKY };
        for (name, template) in TEMPLATES.into_iter().take(3) {
            let texts = texts(name, template, shape);
            assert!(texts[0].contains("127.0.0.2:82") && !texts[1].contains("127.0.0.2:82"), "{name}");
            assert!(texts.iter().all(|text| text.contains("127.0.0.1:81")), "{name}");
        }
    }
}
