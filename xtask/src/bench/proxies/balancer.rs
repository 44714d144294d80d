//! balancer as one of the proxies.

use std::{fmt::Write, fs, net::SocketAddr, path::Path, process::Command};

use anyhow::Result;

use super::Setting;
use crate::{
    bench::process::{self, Process, pinned},
    shell,
};

/// Starts `program` as the proxy of this name, with this many listener rules beside the default action.
pub(super) fn start(
    program: &Path,
    name: &str,
    setting: &Setting<'_>,
    address: SocketAddr,
    rules: usize,
) -> Result<Process> {
    let folder = setting.folder.join(name);
    fs::create_dir_all(&folder)?;
    let config = folder.join("balancer.hcl");
    fs::write(&config, text(setting, &instance(name), &folder, address, rules)?)?;
    let mut command = pinned(setting.core, program);
    command.arg("run").arg("-c").arg(&config);
    Process::start(name, setting.folder, command, address)
}

/// Removes what the balancers under measurement left in the kernel.
pub(crate) fn clean_up(balancer: &Path) {
    for name in super::NAMES {
        shell::succeeds(Command::new(balancer).args(["cleanup", "--instance", &instance(name)]));
    }
}

fn instance(name: &str) -> String {
    format!("bench-{}-{name}", std::process::id())
}

fn text(
    setting: &Setting<'_>,
    instance: &str,
    folder: &Path,
    address: SocketAddr,
    count: usize,
) -> Result<String> {
    let admin = process::free_address()?;
    let [one, two] = setting.backends;
    let (protocol, certificate, tls) = match setting.certificate {
        None => ("HTTP", "", String::new()),
        Some(made) => ("HTTPS", "certificate_arn = certificate.bench.arn", made.block("bench")),
    };
    Ok(format!(
        r#"balancer {{
  instance      = "{instance}"
  workers       = 1
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  kernel_assist = "{kernel_assist}"
  admin_address = "{admin}"
}}
listener "bench" {{
  address  = "{ip}"
  port     = {port}
  protocol = "{protocol}"
  {certificate}
  default_action {{
    type             = "forward"
    target_group_arn = target_group.bench.arn
  }}
}}
{tls}target_group "bench" {{
  port                          = {backend}
  protocol                      = "HTTP"
  load_balancing_algorithm_type = "least_outstanding_requests"
  stickiness {{
    type = "lb_cookie"
  }}
  health_check {{
    enabled = false
  }}
  targets = ["{one}", "{two}"]
}}
{rules}"#,
        folder = folder.display(),
        kernel_assist = setting.kernel_assist,
        ip = address.ip(),
        port = address.port(),
        backend = one.port(),
        rules = rules(count),
    ))
}

/// Rules with hosts and paths, wildcards among them, of which only the last takes the requests of the load: each
/// request is held against all of them.
fn rules(count: usize) -> String {
    let mut text = String::new();
    for number in 1..=count {
        let path = if number == count { "/" } else { &format!("/app{number}/*\", \"/*/app{number}/?") };
        let mut conditions = condition("path_pattern", path);
        if number < count {
            let hosts = format!("app{number}.example.com\", \"*.app{number}.example.org");
            conditions.push_str(&condition("host_header", &hosts));
        }
        // Writing to a String cannot fail.
        write!(
            text,
            r#"listener_rule "rule{number}" {{
  listener_arn = listener.bench.arn
  priority     = {number}
  action {{
    type             = "forward"
    target_group_arn = target_group.bench.arn
  }}
{conditions}}}
"#
        )
        .unwrap_or_default();
    }
    text
}

fn condition(kind: &str, values: &str) -> String {
    format!("  condition {{\n    {kind} {{\n      values = [\"{values}\"]\n    }}\n  }}\n")
}
