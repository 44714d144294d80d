//! An instance belongs to one process, wherever its folders are: a second balancer of it, and a cleanup of what runs,
//! touch nothing and say who has it. Who is gone holds nobody up.

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::chown,
            net::{SocketAddr, UnixListener, UnixStream},
            process::CommandExt as _,
        },
    },
    path::Path,
    process::{Command, Output},
};

use support::{Balancer, Config, Group, Target, balancer::binary};

const NOBODY: u32 = 65534;

fn cleanup(instance: &str, runtime_dir: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(["cleanup", "--instance", instance, "--runtime-dir"]).arg(runtime_dir);
    command.output().unwrap()
}

fn names_owner(output: &Output, pid: u32) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("process {pid}")), "{told}");
}

/// The configuration of a balancer of `first`'s instance that shares nothing else with it.
fn second_of(first: &Balancer, config: &Config) -> Balancer {
    let second = Balancer::prepare(config);
    second.write_text(&second.text(config).replace(second.instance(), first.instance()));
    second
}

#[test]
fn a_second_balancer_and_a_cleanup_with_other_folders_touch_nothing() {
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let config = Config::with(Group::new("app", &[&target]).lb_cookie()).kernel_assist(assist);
        let first = Balancer::start(&config);
        let mut second = second_of(&first, &config);
        let ended = second.run_to_end();
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        assert!(ended.log.contains(&format!("process {}", first.pid())), "{}", ended.log);
        for made in ["run", "state"] {
            assert!(!second.folder().join(made).exists(), "{made} was made");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        names_owner(&cleanup(first.instance(), elsewhere.path()), first.pid());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        names_owner(&cleanup(first.instance(), &first.folder().join("run")), first.pid());
        // What it counts goes on being counted.
        assert_eq!(first.connect().get("/", "").status, 200);
        let counted = first.status();
        assert!(counted.targets().iter().any(|target| target["connections"]["opened"].as_u64() > Some(0)));
    }
}

#[test]
fn who_was_killed_holds_nobody_up() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let mut first = Balancer::start(&config);
    let mut second = second_of(&first, &config);
    first.kill();
    second.run();
    assert_eq!(second.connect().get("/", "").status, 200);
    second.kill();
    let done = cleanup(first.instance(), &second.folder().join("run"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn one_in_a_network_namespace_of_its_own_is_seen() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let first = Balancer::start(&config);
    let second = second_of(&first, &config);
    // It cannot reach the target there, and is not to come that far.
    let ended = Command::new("timeout")
        .args(["20", "unshare", "--net", "--"])
        .arg(binary())
        .args(["run", "-c"])
        .arg(second.config_path())
        .output()
        .unwrap();
    names_owner(&ended, first.pid());
}

/// Starts a balancer, in time to be ended, as this user; one that is refused is over by then.
fn run_as(user: u32, program: &Path, balancer: &Balancer) -> Command {
    chown(balancer.folder(), Some(user), Some(user)).unwrap();
    let mut command = Command::new("timeout");
    command.arg("20").arg(program).args(["run", "-c"]).arg(balancer.config_path()).uid(user).gid(user);
    command
}

/// Each has his own folders, and his own place for a lock.
#[test]
fn two_users_have_one_instance_between_them() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    for (owner, stranger) in [(0, NOBODY), (NOBODY, 0), (NOBODY, 4321)] {
        let first = Balancer::prepare(&config);
        let second = second_of(&first, &config);
        let program = first.program_for_all();
        chown(first.folder(), Some(owner), Some(owner)).unwrap();
        let mut command = Command::new(&program);
        command.args(["run", "-c"]).arg(first.config_path()).uid(owner).gid(owner);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        support::until("it serves", 20.0, || std::net::TcpStream::connect(first.address).ok());
        let refused = run_as(stranger, &program, &second).output().unwrap();
        names_owner(&refused, child.id());
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(&format!("user id {owner}'s")), "{told}");
        for made in ["run", "state"] {
            assert!(!second.folder().join(made).exists(), "{made} was made");
        }
        let mut command = Command::new(&program);
        command.args(["cleanup", "--instance", first.instance(), "--runtime-dir"]).arg(second.folder());
        names_owner(&command.uid(stranger).gid(stranger).output().unwrap(), child.id());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Any user may take a name that is free. Who has it is told, and when he is gone, or has another, the instance runs.
#[test]
fn who_has_only_taken_the_name_is_told() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]));
    let name = format!("balancer/{}", balancer.instance());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let squatter = UnixListener::bind_addr(&address).unwrap();
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains(&format!("process {}", std::process::id())), "{}", ended.log);
    assert!(!balancer.folder().join("run").exists());
    drop(squatter);
    // A program that another test starts at this moment has all descriptors for as long as it takes to become that program.
    support::until("nobody has the name", 30.0, || UnixStream::connect_addr(&address).is_err().then_some(()));
    balancer.run();
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn without_root_there_is_one_owner_as_well() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let first = Balancer::prepare(&config);
    let second = second_of(&first, &config);
    let program = first.program_for_all();
    let run = |balancer: &Balancer| {
        chown(balancer.folder(), Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new(&program);
        command.args(["run", "-c"]).arg(balancer.config_path()).uid(NOBODY).gid(NOBODY);
        command
    };
    let mut child = run(&first).stderr(std::process::Stdio::null()).spawn().unwrap();
    support::until("it serves", 20.0, || std::net::TcpStream::connect(first.address).ok());
    names_owner(&run_as(NOBODY, &program, &second).output().unwrap(), child.id());
    assert!(!second.folder().join("run").exists());
    let elsewhere = first.folder().join("elsewhere");
    let mut command = Command::new(&program);
    command.args(["cleanup", "--instance", first.instance(), "--runtime-dir"]).arg(&elsewhere);
    names_owner(&command.uid(NOBODY).gid(NOBODY).output().unwrap(), child.id());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_name_that_no_instance_has_is_a_wrong_argument() {
    for name in ["A B", "../default", ""] {
        let output = cleanup(name, Path::new("/run/balancer"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("is not 1 to 32 lower-case letters") && said.lines().count() == 1, "{said}");
    }
}
