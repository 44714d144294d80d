//! The balancer that they ask, with a shield or without. Must not know: clients, floods.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    host::{Host, NEAR},
    packets::{MANY, source},
    program,
};
use crate::{
    bench::process::{Process, free_address},
    lab::{
        application::{Application, CHECK},
        bed::Bed,
    },
    shell,
};

/// What is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shield {
    None,
    /// One new connection of a source in a second, five at once.
    Limit,
    /// A list of prefixes, the flood's among them.
    Deny,
}

/// One that runs.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// Ended when dropped.
    process: Option<Process>,
    cleanup: Command,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // First of all it is ended.
        drop(self.process.take());
        shell::succeeds(&mut self.cleanup);
    }
}

impl Proxy {
    pub(super) fn start(bed: &Bed, host: &Host, shield: Shield, prefixes: u32) -> Result<Self> {
        let folder = bed.folder("balancer")?;
        let application = Application::start("app")?;
        let port = free_address()?.port();
        let address = SocketAddr::new(Ipv4Addr::from(NEAR).into(), port);
        let config = folder.join("config.hcl");
        let instance = format!("lab-{}-flood", std::process::id());
        let list = folder.join("denied");
        let block = match shield {
            Shield::None => String::new(),
            Shield::Limit => "  new_connections_per_second = 1\n  burst = 5\n".to_owned(),
            Shield::Deny => {
                fs::write(&list, denied(prefixes))?;
                format!("  deny_file = \"{}\"\n", list.display())
            }
        };
        let block = if block.is_empty() {
            block
        } else {
            format!("shield {{\n  interfaces = [\"{}\"]\n  mode = \"native\"\n{block}}}\n", host.interface())
        };
        fs::write(
            &config,
            text(&folder.display().to_string(), &instance, address, application.address, &block)?,
        )?;
        let mut command = Command::new(&bed.balancer);
        command.arg("run").arg("-c").arg(&config).env("NO_COLOR", "1");
        let process = Process::start("balancer", &folder, command, address)?;
        let mut cleanup = Command::new(&bed.balancer);
        cleanup.args(["cleanup", "--instance", &instance, "--runtime-dir"]).arg(folder.join("run"));
        let proxy = Self { address, process: Some(process), cleanup };
        if shield != Shield::None {
            proxy.await_shield(host)?;
        }
        Ok(proxy)
    }

    fn await_shield(&self, host: &Host) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while program::id(host.interface())?.is_none() {
            if Instant::now() > deadline {
                bail!(
                    "the shield does not come on; balancer said:\n{}",
                    self.process.as_ref().map(Process::said).unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Prefixes, those of the flood among them, and others spread over all addresses.
fn denied(prefixes: u32) -> String {
    let mut text = String::new();
    let flood = (0..MANY.min(prefixes)).map(source);
    // An odd step goes through all of them; those of the host and of loopback are left out.
    let others = (1..).map(|number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes());
    let others = others.filter(|[first, ..]| ![127, 198].contains(first));
    for address in flood.chain(others).take(usize::try_from(prefixes).unwrap_or(usize::MAX)) {
        // Writing into a text does not fail.
        writeln!(text, "{}", Ipv4Addr::from(address)).unwrap_or_default();
    }
    text
}

fn text(
    folder: &str,
    instance: &str,
    address: SocketAddr,
    target: SocketAddr,
    shield: &str,
) -> Result<String> {
    let admin = free_address()?;
    let (ip, port) = (address.ip(), address.port());
    Ok(format!(
        r#"balancer {{
  instance      = "{instance}"
  workers       = 1
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  kernel_assist = "required"
  admin_address = "{admin}"
}}
{shield}listener "lab" {{
  address  = "{ip}"
  port     = {port}
  protocol = "HTTP"
  default_action {{
    type             = "forward"
    target_group_arn = target_group.lab.arn
  }}
}}
target_group "lab" {{
  targets = ["{target}"]
  health_check {{
    path = "{CHECK}"
  }}
}}
"#
    ))
}
