//! What the demo is made of, in words: its configuration and the screen of text. Pure text; knows no sockets.

use std::{net::SocketAddr, path::Path};

/// Names and addresses that configuration and text are made of.
#[derive(Debug)]
pub(super) struct DemoPlan<'a> {
    /// Name of the instance.
    pub(super) instance: &'a str,
    /// Folder for everything that the demo writes.
    pub(super) folder: &'a Path,
    /// Where the balancer listens.
    pub(super) listener: SocketAddr,
    /// Its admin endpoint.
    pub(super) admin: SocketAddr,
    /// Names and addresses of the targets.
    pub(super) targets: &'a [(&'static str, SocketAddr)],
    /// How a shell calls this program.
    pub(super) program: &'a str,
}

impl DemoPlan<'_> {
    /// The runtime folder, as the configuration names it.
    pub(super) fn runtime_dir(&self) -> std::path::PathBuf {
        self.folder.join("run")
    }

    /// The configuration of the balancer.
    pub(super) fn configuration(&self) -> String {
        let targets: Vec<String> =
            self.targets.iter().map(|(_, address)| format!("{:?}", address.to_string())).collect();
        let path = |path: &Path| quoted(&path.to_string_lossy());
        format!(
            r#"balancer {{
  instance           = "{instance}"
  state_dir          = {state_dir}
  runtime_dir        = {runtime_dir}
  admin_address      = "{admin}"
  kernel_assist      = "auto"
  session_table_size = 1024
  log_level          = "error"
}}

listener "web" {{
  address  = "{address}"
  port     = {port}
  protocol = "HTTP"
  default_action {{
    type             = "forward"
    target_group_arn = target_group.demo.arn
  }}
}}

target_group "demo" {{
  port                          = 80
  protocol                      = "HTTP"
  load_balancing_algorithm_type = "least_outstanding_requests"
  deregistration_delay          = 0
  stickiness {{
    type            = "lb_cookie"
    cookie_duration = 86400
  }}
  health_check {{
    path                = "/healthz"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }}
  targets = [{targets}]
}}
"#,
            instance = self.instance,
            state_dir = path(&self.folder.join("state")),
            runtime_dir = path(&self.runtime_dir()),
            admin = self.admin,
            address = self.listener.ip(),
            port = self.listener.port(),
            targets = targets.join(", "),
        )
    }

    /// The screen of text. `kernel` says whether the kernel side is in use, or why not.
    pub(super) fn screen(&self, kernel: &str) -> String {
        let targets: Vec<String> =
            self.targets.iter().map(|(name, address)| format!("{name} http://{address}/")).collect();
        let victim =
            self.targets.first().map(|(name, address)| (*name, address.to_string())).unwrap_or_default();
        format!(
            "\
Three targets that keep their sessions in memory, and a balancer before them that sends every
client back to its own:

  balancer     http://{listener}/
  status       {program} status --admin {admin}
  metrics      http://{admin}/metrics
  targets      {targets}
  kernel side  {kernel}

Try in another terminal:

1. Stickiness. A client that returns its cookies stays on its target, visit after visit:
   for i in 1 2 3 4; do curl -s -b demo.jar -c demo.jar http://{listener}/; done

2. Forging. A stickiness cookie that the balancer did not make counts as none: any target may
   answer, and a good cookie is set (the status counts it among the decisions):
   curl -s -i -b 'AWSALB={forged}' http://{listener}/

3. Killing. End a target (here {victim}; take the one that answered 1.), then do 1. again: no error,
   its clients lose the session once, move, and stay where they are then:
   curl -s -X POST http://{victim_address}/kill

Ctrl-C ends the demo and removes what it made.
",
            listener = self.listener,
            admin = self.admin,
            program = self.program,
            targets = targets.join("\n               "),
            forged = "A".repeat(FORGED),
            victim = victim.0,
            victim_address = victim.1,
        )
    }
}

/// Characters of a stickiness value: as long as a good one, so that it is refused for its tag and not its form.
const FORGED: usize = 40;

/// `text` as a string of the configuration language.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{config, model::StickinessKind};

    fn plan<'a>(folder: &'a Path, targets: &'a [(&'static str, SocketAddr)]) -> DemoPlan<'a> {
        DemoPlan {
            instance: "demo-1",
            folder,
            listener: "127.0.0.1:8080".parse().unwrap(),
            admin: "127.0.0.1:9900".parse().unwrap(),
            targets,
            program: "balancer",
        }
    }

    #[test]
    fn the_configuration_is_one_the_balancer_takes() {
        let targets =
            [("alpha", "127.0.0.1:9001".parse().unwrap()), ("bravo", "127.0.0.1:9002".parse().unwrap())];
        let folder = Path::new("/tmp/a \"quoted\" ${folder} %{x} $1");
        let plan = plan(folder, &targets);
        let configuration = config::parse(&[(PathBuf::from("demo.hcl"), plan.configuration())]).unwrap();
        assert_eq!(configuration.balancer.instance, "demo-1");
        assert_eq!(configuration.balancer.runtime_dir, plan.runtime_dir());
        assert_eq!(configuration.balancer.state_dir, folder.join("state"));
        assert_eq!(configuration.balancer.admin_address, Some(plan.admin));
        assert_eq!(configuration.listeners[0].address, plan.listener);
        let group = &configuration.target_groups[0];
        assert_eq!(group.stickiness.as_ref().unwrap().kind, StickinessKind::LoadBalancerCookie);
        assert_eq!(group.targets.iter().map(|target| target.port).collect::<Vec<_>>(), [9001, 9002]);
        assert!(config::warnings(&configuration).is_empty());
    }

    #[test]
    fn the_text_fits_a_screen_and_names_everything() {
        let targets = ["alpha", "bravo", "charlie"].map(|name| (name, "127.0.0.1:54321".parse().unwrap()));
        let screen = plan(Path::new("/tmp/x"), &targets).screen("off: not root");
        assert!(screen.lines().count() <= 35, "{}", screen.lines().count());
        assert!(screen.lines().all(|line| line.chars().count() <= 100));
        for part in [
            "http://127.0.0.1:8080/",
            "--admin 127.0.0.1:9900",
            "charlie http://127.0.0.1:54321/",
            "off: not root",
        ] {
            assert!(screen.contains(part), "{part}");
        }
        assert_eq!(screen.matches("   curl ").count() + screen.matches("do curl ").count(), 3);
    }
}
