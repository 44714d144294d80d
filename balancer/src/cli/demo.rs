//! `balancer demo`: three applications that keep sessions, a balancer before them, and what to try.
//!
//! Everything is in this process and in one temporary folder, on the loopback interface, and gone when it
//! ends. The balancer is the real one, started from a configuration as `balancer run` would.

use std::{
    convert::Infallible,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::Context;

use super::{
    endpoint,
    told::{CommandFailure, print},
};
use crate::{kernel, telemetry::status::Status};

mod plan;
mod target;

use self::{plan::DemoPlan, target::DemoTarget};

/// Ports that people expect, used when they are free.
const USUAL_PORTS: (u16, u16) = (8080, 9900);
/// Names of the targets.
const NAMES: [&str; 3] = ["alpha", "bravo", "charlie"];
/// How often the balancer is asked whether it is there.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "As root the kernel side is used; without, the demo says what is missing and goes on."
)]
pub(super) struct DemoArguments {
    /// Show the configuration that the balancer is started with, too
    #[arg(long)]
    print_config: bool,
    /// Port of the balancer [default: 8080, or any when that is taken]
    #[arg(long, value_name = "PORT", value_parser = port)]
    port: Option<u16>,
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "allowed: a port from 0 (any that is free) to 65535".to_owned())
}

/// Runs until a signal ends it. `balance` runs a balancer from the configuration file it is given, in this
/// thread, until a signal ends it.
pub(super) fn run(
    arguments: &DemoArguments,
    balance: impl FnOnce(&Path) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    run_as(&format!("demo-{}", std::process::id()), arguments, balance)
}

/// The same, as this instance.
fn run_as(
    instance: &str,
    arguments: &DemoArguments,
    balance: impl FnOnce(&Path) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let folder = DemoFolder::new().context("cannot make a temporary folder")?;
    let targets = NAMES
        .into_iter()
        .map(DemoTarget::start)
        .collect::<Result<Vec<_>, _>>()
        .context("cannot start the targets")?;
    let addresses: Vec<_> = targets.iter().map(|target| (target.name, target.address)).collect();
    let (listener, admin) = choose_addresses(arguments.port)?;
    let program = program();
    let plan =
        DemoPlan { instance, folder: &folder.0, listener, admin, targets: &addresses, program: &program };

    let configuration = plan.configuration();
    let file = folder.0.join("demo.hcl");
    fs::write(&file, &configuration).with_context(|| format!("cannot write {}", file.display()))?;
    if arguments.print_config {
        print(&format!("{configuration}\n"))?;
    }

    let ran = thread::scope(|scope| {
        let (ended, wait) = mpsc::channel();
        let plan = &plan;
        scope.spawn(move || announce(plan, &wait));
        let ran = balance(&file);
        drop(ended);
        ran
    });
    drop(targets);
    let cleaned = kernel::cleanup(instance, &plan.runtime_dir());
    ran?;
    cleaned.context("cannot remove what the balancer left behind")?;
    fs::remove_dir_all(&folder.0).context("cannot remove the temporary folder")?;
    Ok(())
}

/// A folder of the user's own that goes with this.
struct DemoFolder(PathBuf);

impl DemoFolder {
    fn new() -> io::Result<Self> {
        let mut bytes = [0; 8];
        crate::random::fill(&mut bytes)?;
        let path = std::env::temp_dir().join(format!("balancer-demo-{:016x}", u64::from_ne_bytes(bytes)));
        // What is there already, whatever it is, is not taken.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // It is gone already where all went well.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a shell calls this program: by its name where that finds it, else by its path.
fn program() -> String {
    const NAME: &str = "balancer";
    let Ok(own) = std::env::current_exe() else { return NAME.to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(NAME)).find(|file| file.is_file());
    if found.and_then(|found| found.canonicalize().ok()) == own.canonicalize().ok() {
        return NAME.to_owned();
    }
    quoted_for_shell(&own.to_string_lossy())
}

/// One word of a shell's, whatever is in it.
fn quoted_for_shell(word: &str) -> String {
    let is_plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '-' | '_' | '+');
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Prints the screen of text once the balancer answers; nothing when it ends before that.
fn announce(plan: &DemoPlan<'_>, ended: &Receiver<Infallible>) {
    let admin = plan.admin.to_string();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK_AGAIN) {
        if let Ok((_, status)) = endpoint::ask(&admin) {
            // Nobody may be reading; the balancer runs all the same.
            let _ = print(&plan.screen(&kernel_side(&status)));
            return;
        }
    }
}

fn kernel_side(status: &Status) -> String {
    let detail = &status.kernel_assist_detail;
    if status.kernel_assist {
        format!("on: {detail}")
    } else {
        format!("off, everything works without: {detail}")
    }
}

/// Addresses of the balancer and of its admin endpoint: the usual ports where they are free.
fn choose_addresses(port: Option<u16>) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    // Held until both are chosen, so that they differ.
    let listener = match port {
        Some(port) => bind(port).with_context(|| format!("port {port} cannot be used"))?,
        None => bind_usual(USUAL_PORTS.0)?,
    };
    let admin = bind_usual(USUAL_PORTS.1)?;
    Ok((listener.local_addr()?, admin.local_addr()?))
}

fn bind_usual(port: u16) -> anyhow::Result<TcpListener> {
    bind(port).or_else(|_| bind(0)).context("no port is free on 127.0.0.1")
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, path::PathBuf, sync::Arc};

    use super::*;
    use crate::{
        clock::test_support::{eventually, until_refused},
        config,
        control::admin::{Admin, Inspect},
    };

    struct Figures;

    /// Names are the host's: one that another test cleans up at the same time is refused.
    fn instance(test: &str) -> String {
        format!("unit-demo-{test}-{}", std::process::id())
    }

    impl Inspect for Figures {
        fn status(&self) -> Status {
            Status::default()
        }
        fn serving(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted_for_shell("/opt/a-b_c.d/balancer"), "/opt/a-b_c.d/balancer");
        assert_eq!(quoted_for_shell("/it's here/$x"), "'/it'\\''s here/$x'");
    }

    #[test]
    fn ports_that_are_taken_are_evaded_and_those_asked_for_are_named() {
        let taken = bind(0).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(bind_usual(port).unwrap().local_addr().unwrap().port(), port);
        let error = format!("{:#}", choose_addresses(Some(port)).unwrap_err());
        assert!(error.contains(&format!("port {port} cannot be used")), "{error}");
        let (listener, admin) = choose_addresses(None).unwrap();
        assert!(listener != admin && listener.ip().is_loopback() && admin.ip().is_loopback());
    }

    #[test]
    fn what_the_demo_made_is_gone_when_it_ends() {
        let seen = RefCell::new(None);
        let arguments = DemoArguments { print_config: false, port: None };
        run_as(&instance("gone"), &arguments, |file| {
            let configuration = config::load(file).unwrap();
            let targets: Vec<_> =
                configuration.target_groups[0].targets.iter().map(|target| target.port).collect();
            for port in &targets {
                std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).unwrap();
            }
            // An admin endpoint that answers, so that the text is printed.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // Where the demo has just looked whether the port is free.
                let address = configuration.balancer.admin_address.unwrap();
                let admin = eventually(|| Admin::bind(address, &[]));
                let asked = tokio::task::spawn_blocking({
                    let address = admin.address().unwrap().to_string();
                    move || endpoint::ask(&address).unwrap()
                });
                tokio::select! {
                    _ = admin.serve(Arc::new(Figures)) => unreachable!(),
                    asked = asked => assert_eq!(asked.unwrap().1, Status::default()),
                }
            });
            *seen.borrow_mut() = Some((file.to_path_buf(), targets));
            Ok(())
        })
        .unwrap();
        let (file, targets): (PathBuf, Vec<u16>) = seen.into_inner().unwrap();
        assert!(!file.parent().unwrap().exists());
        for port in targets {
            until_refused((Ipv4Addr::LOCALHOST, port).into());
        }
    }

    #[test]
    fn a_balancer_that_cannot_start_ends_the_demo_with_its_reason() {
        let arguments = DemoArguments { print_config: false, port: None };
        let failure = run_as(&instance("bad"), &arguments, |_| {
            Err(CommandFailure::CannotStart(anyhow::anyhow!("no memory")))
        })
        .unwrap_err();
        assert!(matches!(failure, CommandFailure::CannotStart(error) if error.to_string() == "no memory"));
    }
}
