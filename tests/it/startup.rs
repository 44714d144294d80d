//! Starts that cannot be: one line that names it, the right exit code, nothing half-started.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, balancer::Ended, until};

/// Starts it after `spoil` had its way; it must end by itself with this code and say all of `words`.
fn ends(code: i32, words: &[&str], spoil: impl FnOnce(&Balancer)) -> Ended {
    let target = Target::plain();
    let mut balancer =
        Balancer::prepare(&Config::with(Group::new("app", &[&target]).lb_cookie()).kernel_assist("off"));
    spoil(&balancer);
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(code), "{}", ended.log);
    for word in words {
        assert!(ended.log.contains(word), "{word:?} is not in:\n{}", ended.log);
    }
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
    ended
}

#[test]
fn a_port_that_is_taken_is_exit_1() {
    let mut taken = None;
    ends(1, &["in use"], |balancer| taken = Some(TcpListener::bind(balancer.address).unwrap()));
}

#[test]
fn a_low_port_without_the_right_to_it_is_exit_1_and_says_which_right() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::with(Group::new("app", &[&target]).lb_cookie()).kernel_assist("off");
    let balancer = Balancer::prepare(&config);
    let text = balancer.text(&config).replace(&format!("port = {}\n", balancer.address.port()), "port = 7\n");
    balancer.write_text(&text);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set", "-net_bind_service"]).arg(support::balancer::binary());
    let output = command.arg("run").arg("-c").arg(balancer.config_path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on 127.0.0.1:7") && said.contains("CAP_NET_BIND_SERVICE"), "{said}");
}

#[test]
fn an_admin_port_that_is_taken_is_exit_1() {
    let mut taken = None;
    ends(1, &["in use"], |balancer| taken = Some(TcpListener::bind(balancer.admin).unwrap()));
}

#[test]
fn a_second_balancer_of_the_instance_is_exit_1() {
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let first = Balancer::start(&config);
    let mut second = Balancer::prepare(&config);
    let text = second.text(&config);
    let text = text.replace(second.instance(), first.instance());
    let text = text.replace(
        &second.folder().join("run").display().to_string(),
        &first.folder().join("run").display().to_string(),
    );
    second.write_text(&text);
    let ended = second.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert_eq!(first.connect().get("/", "").status, 200);
}

fn key_file(balancer: &Balancer, length: usize, mode: u32) {
    let folder = balancer.folder().join("state");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("stickiness.key");
    fs::write(&path, vec![7; length]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_file_of_a_wrong_size_is_exit_1() {
    for length in [0, 31, 33] {
        ends(1, &["stickiness.key"], |balancer| key_file(balancer, length, 0o600));
    }
}

#[test]
fn a_key_file_that_others_can_read_is_exit_1() {
    for mode in [0o644, 0o660] {
        ends(1, &["stickiness.key"], |balancer| key_file(balancer, 32, mode));
    }
}

#[test]
fn a_state_dir_that_cannot_be_made_is_exit_1() {
    // A file where the folder should be stops root as well.
    ends(1, &["state"], |balancer| fs::write(balancer.folder().join("state"), "").unwrap());
}

#[test]
fn the_key_file_is_made_for_its_owner_alone() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let key = fs::metadata(balancer.folder().join("state/stickiness.key")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

#[test]
fn required_kernel_assist_without_rights_is_exit_1() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]).kernel_assist("required"));
    balancer.without_capabilities = true;
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
}

#[test]
fn auto_kernel_assist_without_rights_warns_once_and_goes_on() {
    if !support::kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::new(&[&target]).kernel_assist("auto"));
    balancer.without_capabilities = true;
    balancer.run();
    balancer.wait_until_settled();
    assert!(!balancer.status().kernel_assist());
    assert_eq!(balancer.metric("balancer_kernel_assist"), 0.0);
    assert_eq!(balancer.connect().get("/", "").status, 200);
    balancer.wait_log("serving");
    assert_eq!(balancer.wait_log_lines(&["WARN", "kernel"], 1).len(), 1, "{}", balancer.log());
}

#[test]
fn root_is_given_up_and_reload_still_works() {
    if !support::kernel::is_root() {
        return;
    }
    let targets = [Target::plain(), Target::plain()];
    let config = |targets: &[&Target]| {
        Config::with(Group::new("app", targets).lb_cookie()).process("user = \"nobody\"")
    };
    let balancer = Balancer::start(&config(&[&targets[0]]));
    let status = fs::read_to_string(format!("/proc/{}/status", balancer.pid())).unwrap();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(uids.split_whitespace().all(|uid| uid != "0"), "still root: {uids}");
    balancer.reload(&config(&[&targets[0], &targets[1]]));
    balancer.wait_status("the new target is healthy", 20.0, |status| {
        status.state(&targets[1].address) == "healthy"
    });
    for _ in 0..4 {
        assert_eq!(balancer.connect().get("/", "").status, 200);
    }
    assert!(targets[1].count() > 0);
}

#[test]
fn what_is_asked_of_a_process_that_starts_waits_until_it_serves() {
    let target = Target::plain();
    let config = Config::with(Group::new("app", &[&target]).lb_cookie());
    let mut balancer = Balancer::prepare(&config);
    balancer.begin();
    // The first that is told of a start.
    balancer.wait_log("a key file was made anew");
    balancer.signal(Signal::USR1);
    balancer.signal(Signal::HUP);
    until("it serves", 20.0, || std::net::TcpStream::connect(balancer.admin).ok());
    balancer.wait_status("the reload", 20.0, |status| status.0["reloads"] == 1);
    assert_eq!(balancer.connect().get("/", "").status, 200);
}
