//! `balancer import`: what Terraform or AWS knows of an ALB, as a configuration on standard output.
//! Must not know what is running: it reads files and prints.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::told::{CommandFailure, print};
use crate::config::{self, ImportFrom};

/// The script that collects what AWS knows.
const HELP: &str = "\
What cannot be taken along is a comment in the configuration, with its place, and a line on standard error. Keys of
certificates stay with ACM: put files in their place. `balancer check` says what would run.

A plan:   terraform plan -out plan && terraform show -json plan > plan.json
A state:  terraform show -json > state.json
AWS:      this script collects what `--aws FOLDER` reads, with the rights to describe load balancers and instances:

  mkdir -p FOLDER && cd FOLDER
  e() { aws elbv2 \"$@\" --output json; }
  n() { echo \"$1\" | tr ':/' '__'; }
  t() { aws elbv2 \"$1\" --query \"$2\" --output text | tr '\\t' '\\n'; }
  e describe-load-balancers > load-balancers.json
  e describe-target-groups > target-groups.json
  aws ec2 describe-instances --output json > instances.json
  for b in $(t describe-load-balancers 'LoadBalancers[].LoadBalancerArn'); do
    e describe-load-balancer-attributes --load-balancer-arn $b > balancer-attributes.$(n $b).json
    e describe-listeners --load-balancer-arn $b > listeners.$(n $b).json
    aws wafv2 get-web-acl-for-resource --resource-arn $b --output json > waf.$(n $b).json
    for l in $(aws elbv2 describe-listeners --load-balancer-arn $b --query 'Listeners[].ListenerArn' --output text); do
      e describe-rules --listener-arn $l > rules.$(n $l).json
      e describe-listener-attributes --listener-arn $l > listener-attributes.$(n $l).json
      e describe-listener-certificates --listener-arn $l > certificates.$(n $l).json
    done
  done
  for g in $(t describe-target-groups 'TargetGroups[].TargetGroupArn'); do
    e describe-target-group-attributes --target-group-arn $g > group-attributes.$(n $g).json
    e describe-target-health --target-group-arn $g > targets.$(n $g).json
  done
  find . -empty -delete";

/// Arguments of `balancer import`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[group(required = true, multiple = false)]
pub(super) struct ImportArguments {
    /// A plan: the output of `terraform show -json PLAN`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// A state: the output of `terraform show -json`
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// A folder with outputs of `aws elbv2 describe-*`, as the script below collects them
    #[arg(long, value_name = "FOLDER")]
    aws: Option<PathBuf>,
}

/// Prints the configuration, and to standard error what could not be taken along.
///
/// # Errors
/// What could not be read, or is not what it is said to be.
pub(super) fn run(arguments: &ImportArguments) -> Result<(), CommandFailure> {
    let from = match (&arguments.plan, &arguments.state, &arguments.aws) {
        (Some(plan), ..) => ImportFrom::Plan(plan),
        (_, Some(state), _) => ImportFrom::State(state),
        (.., Some(folder)) => ImportFrom::Aws(folder),
        (None, None, None) => {
            let allowed = "nothing is given to import; allowed: --plan, --state or --aws";
            return Err(CommandFailure::BadConfiguration(allowed.to_owned()));
        }
    };
    let imported = config::import(from).map_err(CommandFailure::BadConfiguration)?;
    for left in &imported.left {
        // Nobody may be reading.
        let _ = writeln!(io::stderr(), "warning: not taken along: {left}");
    }
    if imported.blocks == 0 {
        let _ = writeln!(
            io::stderr(),
            "warning: there is no Application Load Balancer in it, and nothing of one"
        );
    }
    Ok(print(&imported.text)?)
}
