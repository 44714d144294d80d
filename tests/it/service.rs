//! The unit of `dist/`, run as systemd would run it: its own commands with its capabilities, as far as that can be had
//! without systemd; and the sample configuration, as it stands but for the places and ports of the test.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Client, Target, balancer::binary, kernel, ports, until};

fn dist(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("dist").join(file)).unwrap()
}

/// What the unit says, every value of a name.
fn unit() -> HashMap<String, Vec<String>> {
    let mut settings: HashMap<String, Vec<String>> = HashMap::new();
    for line in dist("balancer.service").lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            settings.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    settings
}

/// A command of the unit with its capabilities; `-c` stands for /etc/balancer.
fn as_unit(command: &str, config: &Path) -> Command {
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("balancer"), "{command}");
    let capabilities =
        unit()["CapabilityBoundingSet"][0].to_lowercase().replace("cap_", "+").replace(' ', ",");
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--no-new-privs", "--bounding-set", &format!("-all,{capabilities}")]).arg(binary());
    wrapped.args(words).arg("-c").arg(config).stdin(Stdio::null());
    wrapped
}

#[test]
fn the_unit_starts_reloads_and_stops_with_the_sample() {
    if !kernel::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    for name in ["etc", "log"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let targets = [Target::plain(), Target::plain()];
    let (port, admin) = (ports::free(), ports::free());
    let instance = format!("unit-{}", std::process::id());
    let sample = dist("balancer.hcl")
        .replace("/var/log/balancer", &place("log"))
        .replace("8080", &port.to_string())
        .replace("127.0.0.1:9001", &targets[0].address)
        .replace("127.0.0.1:9002", &targets[1].address)
        .replace(
            "  user = \"balancer\"\n",
            &format!(
                "  user = \"nobody\"\n  instance = \"{instance}\"\n  state_dir = \"{}\"\n  runtime_dir = \"{}\"\n  \
                 admin_address = \"127.0.0.1:{admin}\"\n",
                place("state"),
                place("run")
            ),
        );
    let config: PathBuf = folder.path().join("etc");
    fs::write(config.join("balancer.hcl"), &sample).unwrap();

    let settings = unit();
    // It would find the ports taken by the sockets that systemd keeps over a restart, and the service would not start again.
    assert!(!settings.contains_key("ExecStartPre"));
    let log = fs::File::create(folder.path().join("journal")).unwrap();
    let mut child = as_unit(&settings["ExecStart"][0], &config)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let journal = || fs::read_to_string(folder.path().join("journal")).unwrap();
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], admin));
    until("it answers", 20.0, || {
        assert!(child.try_wait().unwrap().is_none(), "{}", journal());
        Client::asking("localhost", admin).try_get("/healthz").ok().filter(|response| response.status == 200)
    });
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(uids.split_whitespace().all(|uid| uid == "65534"), "{uids}");

    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = Client::new(address);
    let home = client.get("/").text();
    assert!((0..4).all(|_| client.get("/").text() == home), "sessions stick");
    until("the request is logged", 20.0, || {
        fs::read_to_string(folder.path().join("log/access.log")).ok().filter(|log| log.contains("GET http"))
    });

    // `systemctl reload`: what comes first keeps what comes next from a bad file.
    let [check, signal] = &settings["ExecReload"][..] else { panic!("{:?}", settings["ExecReload"]) };
    // With all of root's rights: the process is another user's by then.
    assert_eq!(signal, "+sh -c \"kill -HUP $MAINPID\"");
    fs::write(config.join("more.hcl"), "listener \"web\" {\n").unwrap();
    assert_eq!(as_unit(check, &config).output().unwrap().status.code(), Some(2));
    fs::remove_file(config.join("more.hcl")).unwrap();
    let checked = as_unit(check, &config).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    until("the reload", 20.0, || journal().contains("configuration reloaded").then_some(()));
    assert_eq!(client.get("/").text(), home);

    assert_eq!(settings["KillSignal"], ["SIGTERM"]);
    kill_process(pid, Signal::TERM).unwrap();
    let ended = until("it ends", 20.0, || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0), "{}", journal());
    let mut cleanup = Command::new(binary());
    cleanup.args(["cleanup", "--instance", &instance, "--runtime-dir", &place("run")]);
    assert!(cleanup.output().unwrap().status.success());
}

/// What a container or a minimal system lacks keeps the unit from no start, and systemd takes nothing back from the user
/// that root was given up for: it would, with every command, where the user owns a folder of the unit's own.
#[test]
fn folders_of_the_unit_stay_whose_they_are() {
    let settings = unit();
    assert!(settings["ReadWritePaths"][0].split(' ').all(|path| path.starts_with('-')), "{settings:?}");
    assert!(!settings.contains_key("StateDirectory"));
    assert!(settings["ReadWritePaths"][0].contains("/var/lib/balancer"));
    assert!(dist("balancer.tmpfiles").contains("d /var/lib/balancer 0700 balancer balancer"));
    assert_eq!(settings["Group"], ["balancer"]);
    assert!(dist("balancer.sysusers").contains("u balancer "));
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let known =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !known("systemd-analyze") {
        support::skip(&"no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("balancer.service");
    // It has to find the program, which is not installed here.
    let unit = dist("balancer.service").replace("=balancer ", &format!("={} ", binary().display()));
    fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("balancer.service:"), "{said}");
}
