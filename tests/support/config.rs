//! Configurations as text, made from the few things that tests vary.

use std::{fmt::Write, path::Path};

use crate::{Target, tls::Certificate};

/// A whole configuration with one listener, which forwards to the first group.
#[derive(Clone, Debug)]
pub struct Config {
    /// Worker threads.
    pub workers: usize,
    /// `kernel_assist`; [`Config::new`] sets what the run was asked for.
    pub kernel_assist: String,
    /// More lines of the `balancer` block.
    pub balancer_lines: String,
    /// Lines of a `load_balancer` block.
    pub load_balancer_lines: String,
    /// More lines of the `listener` block.
    pub listener_lines: String,
    /// Address that the listener accepts at.
    pub address: String,
    /// `protocol` of the listener.
    pub protocol: String,
    /// Lines of the listener's default action; it forwards to the first group when empty.
    pub default_action: String,
    /// More blocks.
    pub more: String,
    /// The groups.
    pub groups: Vec<Group>,
    /// More blocks, as they stand.
    pub blocks: String,
}

/// A target group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its targets, as written.
    pub targets: Vec<String>,
    /// Lines of its `stickiness` block; none when empty.
    pub stickiness: String,
    /// `deregistration_delay`, seconds.
    pub deregistration_delay: u32,
    /// Lines of its `health_check` block.
    pub health_check: String,
    /// `load_balancing_algorithm_type`.
    pub algorithm: String,
    /// `protocol`.
    pub protocol: String,
    /// More lines of its block.
    pub lines: String,
}

impl Config {
    /// One group without stickiness, one worker.
    #[must_use]
    pub fn new(targets: &[&Target]) -> Self {
        Self::with(Group::new("app", targets))
    }

    /// This group, one worker.
    #[must_use]
    pub fn with(group: Group) -> Self {
        Self {
            workers: 1,
            kernel_assist: std::env::var("BALANCER_TEST_KERNEL_ASSIST").unwrap_or_else(|_| "auto".to_owned()),
            balancer_lines: String::new(),
            load_balancer_lines: String::new(),
            listener_lines: String::new(),
            default_action: String::new(),
            address: "127.0.0.1".to_owned(),
            protocol: "HTTP".to_owned(),
            more: String::new(),
            groups: vec![group],
            blocks: String::new(),
        }
    }

    /// With this many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With `kernel_assist` of this value.
    #[must_use]
    pub fn kernel_assist(mut self, value: &str) -> Self {
        value.clone_into(&mut self.kernel_assist);
        self
    }

    /// With one more line in the `balancer` block.
    #[must_use]
    pub fn process(mut self, line: &str) -> Self {
        writeln!(self.balancer_lines, "  {line}").unwrap();
        self
    }

    /// With one more line in the `load_balancer` block.
    #[must_use]
    pub fn attribute(mut self, line: &str) -> Self {
        writeln!(self.load_balancer_lines, "  {line}").unwrap();
        self
    }

    /// With one more line in the `listener` block.
    #[must_use]
    pub fn listener(mut self, line: &str) -> Self {
        writeln!(self.listener_lines, "  {line}").unwrap();
        self
    }

    /// With this default action of the listener: what stands between its braces.
    #[must_use]
    pub fn default_action(mut self, action: &str) -> Self {
        action.clone_into(&mut self.default_action);
        self
    }

    /// With a rule of the listener whose paths are like this: what else stands between its braces.
    #[must_use]
    pub fn path_rule(mut self, priority: u16, path: &str, lines: &str) -> Self {
        write!(
            self.blocks,
            "listener_rule \"r{priority}\" {{\n  listener_arn = listener.web.arn\n  priority = {priority}\n{lines}\n  \
             condition {{\n    path_pattern {{\n      values = [\"{path}\"]\n    }}\n  }}\n}}\n"
        )
        .unwrap();
        self
    }

    /// With HTTP/2 for clients that begin with it.
    #[must_use]
    pub fn http2(self) -> Self {
        self.listener("http2_prior_knowledge = true")
    }

    /// With HTTPS, showing this certificate.
    #[must_use]
    pub fn https(mut self, certificate: &Certificate) -> Self {
        "HTTPS".clone_into(&mut self.protocol);
        self.listener("certificate_arn = certificate.main.arn").more(&certificate.block("main"))
    }

    /// With these blocks, too.
    #[must_use]
    pub fn more(mut self, blocks: &str) -> Self {
        self.more.push_str(blocks);
        self
    }

    /// With one more group.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// With a rule of the listener that forwards to a group: lines of its `condition` blocks, one each.
    #[must_use]
    pub fn rule(mut self, priority: u16, conditions: &[&str], group: &str) -> Self {
        let conditions: String =
            conditions.iter().map(|condition| format!("  condition {{\n{condition}\n  }}\n")).collect();
        write!(
            self.blocks,
            "listener_rule \"r{priority}\" {{\n  listener_arn = listener.web.arn\n  priority = {priority}\n  action {{\n    \
             type = \"forward\"\n    target_group_arn = target_group.{group}.arn\n  }}\n{conditions}}}\n"
        )
        .unwrap();
        self
    }

    /// The text, for these places.
    #[must_use]
    pub fn text(&self, instance: &str, folder: &Path, port: u16, admin_port: u16) -> String {
        let folder = folder.display();
        let mut text = format!(
            "balancer {{\n  instance      = \"{instance}\"\n  workers       = {}\n  state_dir     = \"{folder}/state\"\n  \
             runtime_dir   = \"{folder}/run\"\n  kernel_assist = \"{}\"\n  admin_address = \"127.0.0.1:{admin_port}\"\n{}}}\n",
            self.workers, self.kernel_assist, self.balancer_lines
        );
        write!(text, "load_balancer \"main\" {{\n{}}}\n", self.load_balancer_lines).unwrap();
        let action = if self.default_action.is_empty() {
            format!("    type = \"forward\"\n    target_group_arn = target_group.{}.arn", self.groups[0].name)
        } else {
            self.default_action.clone()
        };
        write!(
            text,
            "listener \"web\" {{\n  address = \"{}\"\n  port = {port}\n  protocol = \"{}\"\n{}  default_action {{\n\
             {action}\n  }}\n}}\n",
            self.address, self.protocol, self.listener_lines
        )
        .unwrap();
        text.push_str(&self.more);
        for group in &self.groups {
            text.push_str(&group.text());
        }
        text.push_str(&self.blocks);
        text
    }
}

impl Group {
    /// Targets checked every 5 s, without stickiness.
    #[must_use]
    pub fn new(name: &str, targets: &[&Target]) -> Self {
        let targets: Vec<_> = targets.iter().map(|target| target.address.clone()).collect();
        Self::of(name, &targets)
    }

    /// Targets as written.
    #[must_use]
    pub fn of(name: &str, targets: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            targets: targets.to_vec(),
            stickiness: String::new(),
            deregistration_delay: 300,
            health_check: "path = \"/healthz\"\ninterval = 5\ntimeout = 2\nunhealthy_threshold = 2\nhealthy_threshold = 2"
                .to_owned(),
            algorithm: "least_outstanding_requests".to_owned(),
            protocol: "HTTP".to_owned(),
            lines: String::new(),
        }
    }

    /// With stickiness by the balancer's cookie.
    #[must_use]
    pub fn lb_cookie(self) -> Self {
        self.stickiness("type = \"lb_cookie\"")
    }

    /// With stickiness by the application's cookie.
    #[must_use]
    pub fn app_cookie(self, name: &str) -> Self {
        self.stickiness(&format!("type = \"app_cookie\"\ncookie_name = \"{name}\""))
    }

    /// With stickiness by a header field that the application gives out.
    #[must_use]
    pub fn app_header(self, name: &str) -> Self {
        self.stickiness(&format!("type = \"app_header\"\nheader_name = \"{name}\""))
    }

    /// With one more line in the `stickiness` block.
    #[must_use]
    pub fn stickiness(mut self, line: &str) -> Self {
        self.stickiness.push_str(line);
        self.stickiness.push('\n');
        self
    }

    /// Without health checks.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        "enabled = false".clone_into(&mut self.health_check);
        self
    }

    /// With this algorithm.
    #[must_use]
    pub fn algorithm(mut self, algorithm: &str) -> Self {
        algorithm.clone_into(&mut self.algorithm);
        self
    }

    /// With targets that speak HTTPS, requests and checks alike.
    #[must_use]
    pub fn https(mut self) -> Self {
        "HTTPS".clone_into(&mut self.protocol);
        self.health_check.push_str("\nprotocol = \"HTTPS\"");
        self
    }

    /// With one more line, or block, in its block.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        writeln!(self.lines, "  {line}").unwrap();
        self
    }

    /// With this `deregistration_delay`.
    #[must_use]
    pub fn deregistration_delay(mut self, seconds: u32) -> Self {
        self.deregistration_delay = seconds;
        self
    }

    fn text(&self) -> String {
        let targets: Vec<String> = self.targets.iter().map(|target| format!("\"{target}\"")).collect();
        let stickiness = if self.stickiness.is_empty() {
            String::new()
        } else {
            format!("  stickiness {{\n{}  }}\n", self.stickiness)
        };
        format!(
            "target_group \"{}\" {{\n  port = 80\n  protocol = \"{}\"\n  load_balancing_algorithm_type = \"{}\"\n  \
             deregistration_delay = {}\n{}{stickiness}  health_check {{\n{}\n  }}\n  targets = [{}]\n}}\n",
            self.name,
            self.protocol,
            self.algorithm,
            self.deregistration_delay,
            self.lines,
            self.health_check,
            targets.join(", ")
        )
    }
}
