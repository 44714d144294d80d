//! Terraform with the provider for AWS: what people write for ALB, applied, changed and destroyed here.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use support::{Client, Target, apps, ports, skip, skip_anywhere, until};

use super::{Api, SECRET};

/// What EC2 says of network interfaces, which the provider looks for when a load balancer is gone.
const NO_INTERFACES: &str = "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
     <requestId>1</requestId><networkInterfaceSet/></DescribeNetworkInterfacesResponse>";

/// A folder of Terraform's.
struct Terraform<'a> {
    api: &'a Api,
    folder: std::path::PathBuf,
}

impl Terraform<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command.args(words).current_dir(&self.folder).env("CHECKPOINT_DISABLE", "1");
        command.env("TF_CLI_CONFIG_FILE", self.folder.join("terraform.rc")).env("TF_IN_AUTOMATION", "1");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", &self.folder);
        command
    }

    /// What it prints, when it succeeds.
    fn says(&self, words: &[&str]) -> String {
        self.api.says(&mut self.command(words))
    }

    /// Listeners with what they do, rules with their conditions, actions and weights, groups and their targets, as
    /// `balancer check` tells them of a configuration, a row each. Neither columns nor the groups of an action have an order.
    fn tables(&self, config: &Path, port: u16) -> Vec<String> {
        let mut check = Command::new(support::balancer::binary());
        let told = self.api.says(check.arg("check").arg("-c").arg(config));
        let rows = told.replace(&format!(":{port} "), ":PORT ");
        let rows = rows.lines().take_while(|line| !line.starts_with("instance"));
        let mut rows: Vec<String> = rows
            .map(|row| {
                let mut words: Vec<&str> = row.split([' ', ',']).filter(|word| !word.is_empty()).collect();
                words.sort_unstable();
                words.join(" ")
            })
            .collect();
        rows.sort_unstable();
        for part in ["canary", ":PORT", "/shop/*", "90", "600", "*.example.com", "410", "/healthz"] {
            assert!(rows.iter().any(|row| row.contains(part)), "{part} in {told}");
        }
        rows
    }

    /// The same of what is imported of what Terraform shows by these words.
    fn taken_along(&self, from: &str, words: &[&str]) -> Vec<String> {
        let shown = self.folder.join("shown.json");
        fs::write(&shown, self.says(words)).unwrap();
        let mut import = Command::new(support::balancer::binary());
        let text = self.api.says(import.arg("import").arg(from).arg(&shown));
        fs::remove_file(&shown).unwrap();
        // Where it was applied somebody listens already, which a check would say.
        let port = ports::free();
        let text = text.replace(&format!("= {}", self.api.port), &format!("= {port}"));
        // Terraform does not look into folders.
        let config = self.folder.join("imported");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("imported.hcl"), text).unwrap();
        self.tables(&config, port)
    }

    /// The exit code of a plan, what it would do by addresses, and how it says that.
    fn plan(&self, words: &[&str]) -> (Option<i32>, Vec<(String, Value)>, String) {
        let all = [&["plan", "-no-color", "-input=false", "-detailed-exitcode", "-out=plan"], words].concat();
        let output = self.command(&all).output().unwrap();
        let code = output.status.code();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_ne!(
            code,
            Some(1),
            "{told}{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.api.balancer.log()
        );
        let shown: Value = serde_json::from_str(&self.says(&["show", "-json", "plan"])).unwrap();
        let changes = shown["resource_changes"].as_array().cloned().unwrap_or_default();
        let change = |change: &Value| {
            (change["address"].as_str().unwrap().to_owned(), change["change"]["actions"].clone())
        };
        let is_one = |(_, actions): &(String, Value)| *actions != serde_json::json!(["no-op"]);
        (code, changes.iter().map(change).filter(is_one).collect(), told)
    }
}

/// What stands in the registry's documentation of these resources, put together.
fn configuration(api: &Api, ec2: &Target) -> String {
    let endpoint = api.endpoint();
    let targets: Vec<String> = api
        .targets
        .iter()
        .map(|target| {
            let (ip, port) = target.address.rsplit_once(':').unwrap();
            format!("{{ id = \"{ip}\", port = {port} }}")
        })
        .collect();
    let (ec2, port, targets) = (&ec2.address, api.port, targets.join(", "));
    format!(
        r#"
terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "3.39.0"
    }}
  }}
}}

provider "aws" {{
  region                      = "us-east-1"
  access_key                  = "WRITER"
  secret_key                  = "{SECRET}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_get_ec2_platforms      = true
  skip_region_validation      = true
  max_retries                 = 1
  endpoints {{
    elb = "{endpoint}"
    ec2 = "http://{ec2}"
    sts = "http://{ec2}"
    iam = "http://{ec2}"
  }}
}}

variable "cookie_duration" {{
  default = 86400
}}

locals {{
  targets = [{targets}]
}}

resource "aws_lb" "web" {{
  name               = "web"
  internal           = true
  load_balancer_type = "application"
  subnets            = ["subnet-1", "subnet-2"]
  security_groups    = ["sg-1"]
  idle_timeout       = 30
  tags = {{
    team = "shop"
  }}
}}

resource "aws_lb_target_group" "main" {{
  name                 = "main"
  port                 = 80
  protocol             = "HTTP"
  vpc_id               = "vpc-1"
  target_type          = "ip"
  deregistration_delay = 5
  stickiness {{
    type            = "lb_cookie"
    cookie_duration = var.cookie_duration
    enabled         = true
  }}
  health_check {{
    path                = "/healthz"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }}
}}

resource "aws_lb_target_group" "canary" {{
  name        = "canary"
  port        = 80
  protocol    = "HTTP"
  vpc_id      = "vpc-1"
  target_type = "ip"
  health_check {{
    path     = "/healthz"
    interval = 5
    timeout  = 2
  }}
}}

resource "aws_lb_target_group_attachment" "main" {{
  count            = length(local.targets)
  target_group_arn = aws_lb_target_group.main.arn
  target_id        = local.targets[count.index].id
  port             = local.targets[count.index].port
}}

resource "aws_lb_target_group_attachment" "canary" {{
  target_group_arn = aws_lb_target_group.canary.arn
  target_id        = local.targets[0].id
  port             = local.targets[0].port
}}

resource "aws_lb_listener" "web" {{
  load_balancer_arn = aws_lb.web.arn
  port              = {port}
  protocol          = "HTTP"
  default_action {{
    type             = "forward"
    target_group_arn = aws_lb_target_group.main.arn
  }}
}}

resource "aws_lb_listener_rule" "weighted" {{
  listener_arn = aws_lb_listener.web.arn
  priority     = 10
  action {{
    type = "forward"
    forward {{
      target_group {{
        arn    = aws_lb_target_group.main.arn
        weight = 90
      }}
      target_group {{
        arn    = aws_lb_target_group.canary.arn
        weight = 10
      }}
      stickiness {{
        enabled  = true
        duration = 600
      }}
    }}
  }}
  condition {{
    path_pattern {{
      values = ["/shop/*"]
    }}
  }}
}}

resource "aws_lb_listener_rule" "gone" {{
  listener_arn = aws_lb_listener.web.arn
  priority     = 20
  action {{
    type = "fixed-response"
    fixed_response {{
      content_type = "text/plain"
      message_body = "gone"
      status_code  = "410"
    }}
  }}
  condition {{
    path_pattern {{
      values = ["/old/*"]
    }}
  }}
  condition {{
    host_header {{
      values = ["*.example.com"]
    }}
  }}
}}
"#
    )
}

/// Whether Terraform is here. It is in no package that could be fetched: where it is missing, that is told and no fault.
fn is_here() -> bool {
    let is_here = Command::new("terraform").arg("version").output().is_ok();
    if !is_here {
        skip_anywhere(&"there is no program `terraform` here, and no package that is installed has it");
    }
    is_here
}

#[test]
fn terraform_applies_changes_and_destroys() {
    if !is_here() {
        return;
    }
    let mirror = apps::elbv2().with_file_name("elbv2-provider").join("mirror");
    if !Path::new(&mirror).is_dir() {
        return skip(&"Terraform's provider for AWS is not installed, `cargo xtask test` does that");
    }
    let Some(api) = Api::start() else { return };
    let ec2 = Target::start(|exchange| exchange.ok("Content-Type: text/xml\r\n", NO_INTERFACES));
    let folder = api.balancer.folder().join("terraform");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("main.tf"), configuration(&api, &ec2)).unwrap();
    let installation =
        format!("provider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n", mirror);
    fs::write(folder.join("terraform.rc"), installation).unwrap();
    let terraform = Terraform { api: &api, folder };
    terraform.says(&["init", "-no-color", "-input=false"]);
    assert_eq!(terraform.plan(&[]).0, Some(2));
    let planned = terraform.taken_along("--plan", &["show", "-json", "plan"]);
    assert_eq!(
        planned,
        terraform.tables(&terraform.folder, api.port),
        "the folder and its plan are one model"
    );
    let applied = terraform.says(&["apply", "-no-color", "-input=false", "-auto-approve"]);
    assert!(applied.contains("Apply complete! Resources: 9 added, 0 changed, 0 destroyed."), "{applied}");
    api.balancer.wait_until_settled();
    let applied = terraform.taken_along("--state", &["show", "-json"]);
    assert_eq!(applied, planned, "the plan and the state that it has become are one model");

    let address = ([127, 0, 0, 1], api.port).into();
    let mut client = Client::new(address);
    let first = client.get("/");
    let stays = |client: &mut Client| {
        // Terraform takes longer than an idle connection is kept.
        client.disconnect();
        for _ in 0..5 {
            assert_eq!(client.get("/").header("x-target"), first.header("x-target"));
        }
    };
    stays(&mut client);
    assert_eq!(Client::asking("old.example.com", address).get("/old/page").status, 410);
    assert_eq!(Client::new(address).get("/old/page").status, 200);
    assert!(Client::new(address).get("/shop/").set_cookie("AWSALBTG").is_some());

    let (code, _, told) = terraform.plan(&[]);
    assert_eq!(code, Some(0), "what was applied is what is read back: {told}");
    let (code, changes, told) = terraform.plan(&["-var", "cookie_duration=3600"]);
    let update = ("aws_lb_target_group.main".to_owned(), serde_json::json!(["update"]));
    assert_eq!((code, changes), (Some(2), vec![update]), "{told}");
    let applied = terraform.says(&["apply", "-no-color", "-input=false", "plan"]);
    assert!(applied.contains("0 added, 1 changed, 0 destroyed"), "{applied}");
    // Who had a session has it still.
    stays(&mut client);
    assert_eq!(terraform.plan(&["-var", "cookie_duration=3600"]).0, Some(0));

    let destroyed = terraform.says(&["destroy", "-no-color", "-input=false", "-auto-approve"]);
    assert!(destroyed.contains("Destroy complete! Resources: 9 destroyed."), "{destroyed}");
    until("nobody listens", 30.0, || std::net::TcpStream::connect(address).is_err().then_some(()));
    api.assert_sound();
}
