//! The ELBv2 API, as clients of AWS speak it: each of them against a running balancer with live targets.

mod ansible;
mod aws_cli;
mod programs;
mod rust_sdk;
mod secured;
mod state;
mod taken_back;
mod terraform;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::{Balancer, Config, Target, apps, ports, skip, tls::Certificate};

/// The secret of both keys.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The ARN of a certificate that is configured.
const CERTIFICATE: &str =
    "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012";

/// A balancer that nothing is configured of but the API, two targets, and a port for a listener.
struct Api {
    balancer: Balancer,
    targets: [Target; 2],
    port: u16,
    /// Of a certificate.
    _folder: Option<tempfile::TempDir>,
}

/// What is configured besides.
#[derive(Clone, Copy, Default)]
struct Besides<'a> {
    /// A line of the `balancer` block.
    process: &'a str,
    /// Lines of the `control_api` block.
    api: &'a str,
    /// Other blocks.
    blocks: &'a str,
}

impl Api {
    /// Starts it; nothing where the clients are not installed.
    fn start() -> Option<Self> {
        if !apps::elbv2().join("made-from").is_file() {
            skip(&"the clients of the ELBv2 API are not installed, `cargo xtask test` does that");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::make(folder.path(), "site", &["site.test"]);
        let block = certificate.block("site").replacen('{', &format!("{{\n  arn = \"{CERTIFICATE}\""), 1);
        Some(Self {
            _folder: Some(folder),
            ..Self::with(Besides { blocks: &block, ..Besides::default() }, |_| {})
        })
    }

    /// Starts it with this besides, after `prepare` was done to its folder.
    fn with(besides: Besides<'_>, prepare: impl FnOnce(&Path)) -> Self {
        let config = Config::new(&[]).process(besides.process);
        let mut balancer = Balancer::prepare(&config);
        let text = balancer.text(&config);
        let own = &text[..text.find("load_balancer").unwrap()];
        let address = format!("127.0.0.1:{}", ports::free());
        let keys = balancer.folder().join("keys");
        write_keys(&keys, &format!("# of tests\nWRITER {SECRET}\nREADER {SECRET} read-only\n"));
        let lines = format!("address = \"{address}\"\n  access_keys_file = \"{}\"", keys.display());
        balancer.write_text(&format!(
            "{own}control_api {{\n  {lines}\n  {}\n}}\n{}",
            besides.api, besides.blocks
        ));
        balancer.address = address.parse().unwrap();
        prepare(balancer.folder());
        balancer.run();
        Self { balancer, targets: [Target::plain(), Target::plain()], port: ports::free(), _folder: None }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.balancer.address)
    }

    /// A program of the clients' environment, with nothing of this host's and the keys that may change everything.
    fn program(&self, name: &str) -> Command {
        let bin = apps::elbv2().join("bin");
        let mut command = Command::new(bin.join(name));
        command.env_clear().env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("HOME", self.balancer.folder()).env("LC_ALL", "C.UTF-8");
        command.env("AWS_ACCESS_KEY_ID", "WRITER").env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_MAX_ATTEMPTS", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command.current_dir(self.balancer.folder()).stdin(Stdio::null());
        command
    }

    /// What a script of `tests/apps/elbv2` prints.
    fn script(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = self.program("python");
        command.arg(scripts().join(name)).arg(self.endpoint()).args(arguments);
        self.says(&mut command)
    }

    /// What a program prints that has to succeed.
    fn says(&self, command: &mut Command) -> String {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{command:?}: {}\n{told}\n{complaint}\n{}",
            output.status,
            self.balancer.log()
        );
        told
    }

    /// That nothing happened that cannot be.
    fn assert_sound(&self) {
        let log = self.balancer.log();
        assert!(!log.contains("internal error") && !log.contains(SECRET), "{log}");
        let text = self.balancer.status().0.to_string();
        assert!(text.contains("\"internal_errors\":0"), "{text}");
    }
}

/// A file of access keys, for its owner alone. It keeps its owner where it is there.
fn write_keys(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/elbv2")
}
