//! What a start takes, `check` takes, and what it refuses, `check` refuses in the same words: files and folders as they can
//! be found on a host, laid out for real. `check` changes nothing on it.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use support::{Balancer, Config, Group, balancer::binary, kernel, ports};

const NOBODY: u32 = 65534;
const STRANGER: u32 = 4321;
const USER: &str = "user = \"nobody\"";

/// What is set, what is laid out for it in a folder of root's, and what of it is refused.
struct Case {
    /// Lines of the `balancer` block; `FOLDER` is that folder.
    process: &'static [&'static str],
    /// The access log, in the folder; empty: none.
    log: &'static str,
    /// Blocks beside them; `PORT` in them is a free one.
    more: &'static str,
    lay: fn(&Path),
    /// Words of the refusal; empty: it is taken.
    refused: &'static str,
}

const PLAIN: Case = Case { process: &[], log: "", more: "", lay: |_| {}, refused: "" };

fn folder(path: &Path, owner: u32, mode: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

fn link(to: impl AsRef<Path>, at: &Path, owner: u32) {
    symlink(to, at).unwrap();
    lchown(at, Some(owner), Some(owner)).unwrap();
}

fn file(path: &Path, owner: u32) {
    // Would do as a key.
    let bytes: Vec<u8> = (0..32_u8).map(|at| at.wrapping_mul(at).wrapping_mul(37) ^ 91).collect();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

fn node(path: &Path, kind: FileType, major: u32, minor: u32) {
    mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, makedev(major, minor)).unwrap();
}

/// All that is under a folder, with what can be seen of it, but for what a balancer that runs says at any time.
fn seen(folder: &Path) -> BTreeMap<PathBuf, (u64, u32, u32, u64, u64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name() != "log") {
        let found = entry.path().symlink_metadata().unwrap();
        if found.is_dir() {
            all.extend(seen(&entry.path()));
        }
        all.insert(entry.path(), (found.ino(), found.uid(), found.mode(), found.nlink(), found.len()));
    }
    all
}

/// The faults that `check` tells.
fn check(balancer: &Balancer) -> Vec<String> {
    let before = seen(balancer.folder());
    let output = Command::new(binary()).arg("check").arg("-c").arg(balancer.config_path()).output().unwrap();
    assert_eq!(seen(balancer.folder()), before, "check changes nothing");
    let said = String::from_utf8(output.stderr).unwrap();
    let faults = said.lines().filter(|line| !line.starts_with("warning: ")).map(str::to_owned);
    let faults: Vec<String> = faults.collect();
    assert_eq!(output.status.code(), Some(if faults.is_empty() { 0 } else { 2 }), "{said}");
    faults
}

fn agree(cases: &[Case]) {
    if !kernel::is_root() {
        return;
    }
    for case in cases {
        let mut config =
            Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()]).lb_cookie()).kernel_assist("off");
        for line in case.process {
            config = config.process(line);
        }
        if !case.log.is_empty() {
            config =
                config.attribute(&format!("access_logs {{\nenabled = true\npath = \"{}\"\n}}", case.log));
        }
        let port = ports::free();
        config = config.more(&case.more.replace("PORT", &port.to_string()));
        let mut balancer = Balancer::prepare(&config);
        let text = balancer.text(&config).replace("FOLDER", &balancer.folder().display().to_string());
        balancer.write_text(&text);
        (case.lay)(balancer.folder());
        let what = format!("{:?} {:?} {:?}", case.process, case.log, case.refused);
        let faults = check(&balancer);
        let ended = balancer.run_or_end();
        if case.refused.is_empty() {
            assert_eq!((faults.as_slice(), ended.map(|ended| ended.log)), (&[][..], None), "{what}");
            continue;
        }
        let ended = ended.unwrap_or_else(|| panic!("{what}: it runs"));
        assert_eq!(ended.code, Some(1), "{what}: {}", ended.log);
        let last = ended.log.lines().last().unwrap();
        assert!(faults.len() == 1 && last.ends_with(&faults[0]), "{what}:\n{faults:?}\n{last}");
        assert!(last.contains(case.refused), "{what}: {last}");
        // What is not made is not said to be.
        let is_made = !case.log.is_empty() || !case.more.is_empty();
        assert_eq!(ended.log.contains("made anew"), is_made, "{what}: {}", ended.log);
    }
}

#[test]
fn on_logs() {
    let log = |log, lay: fn(&Path), refused| Case { log, lay, refused, ..PLAIN };
    agree(&[
        log("FOLDER/access.log", |_| {}, ""),
        log("FOLDER/access.log", |at| file(&at.join("access.log"), STRANGER), ""),
        log("/dev/null", |_| {}, ""),
        log("FOLDER/none/access.log", |_| {}, "there is no folder "),
        log("FOLDER/file/access.log", |at| file(&at.join("file"), 0), "file is no folder"),
        log("FOLDER/logs", |at| folder(&at.join("logs"), 0, 0o755), "logs is a folder"),
        log("FOLDER/link", |at| link("access.log", &at.join("link"), 0), ""),
        log("FOLDER/link", |at| link("none/access.log", &at.join("link"), 0), "there is no folder "),
        log("FOLDER/link", |at| link("link", &at.join("link"), 0), "link: Too many levels"),
        log(
            "FOLDER/shared/hard.log",
            |at| {
                folder(&at.join("shared"), 0, 0o777);
                file(&at.join("one.log"), 0);
                fs::hard_link(at.join("one.log"), at.join("shared/hard.log")).unwrap();
            },
            "hard.log has a second name",
        ),
        log(
            "FOLDER/sticky/their.log",
            |at| {
                folder(&at.join("sticky"), 0, 0o1777);
                file(&at.join("sticky/their.log"), STRANGER);
            },
            "their.log belongs to user id 4321",
        ),
        log(
            "FOLDER/sticky/link",
            |at| {
                folder(&at.join("sticky"), 0, 0o1777);
                link(at.join("access.log"), &at.join("sticky/link"), 0);
            },
            "",
        ),
        log("FOLDER/socket", |at| drop(UnixListener::bind(at.join("socket")).unwrap()), "socket is a socket"),
        log("FOLDER/block", |at| node(&at.join("block"), FileType::BlockDevice, 4095, 7), "a block device"),
        log(
            "FOLDER/shared/device",
            |at| {
                folder(&at.join("shared"), 0, 0o777);
                node(&at.join("shared/device"), FileType::CharacterDevice, 1, 3);
            },
            "device is a device",
        ),
        log("FOLDER/device", |at| node(&at.join("device"), FileType::CharacterDevice, 1, 3), ""),
        // What a start makes before it opens logs is there by then.
        log("FOLDER/run/access.log", |_| {}, ""),
        log("FOLDER/state/access.log", |_| {}, ""),
        Case { process: &[USER], log: "FOLDER/state/access.log", ..PLAIN },
    ]);
}

#[test]
fn on_logs_in_folders_of_the_user() {
    let log = |log, lay: fn(&Path), refused| Case { process: &[USER], log, lay, refused, ..PLAIN };
    agree(&[
        log("FOLDER/logs/access.log", |at| folder(&at.join("logs"), NOBODY, 0o755), ""),
        log(
            "FOLDER/logs/access.log",
            |at| {
                folder(&at.join("logs"), NOBODY, 0o755);
                file(&at.join("logs/access.log"), 0);
            },
            "",
        ),
        log(
            "FOLDER/logs/link",
            |at| {
                folder(&at.join("logs"), NOBODY, 0o755);
                link(at.join("access.log"), &at.join("logs/link"), NOBODY);
            },
            "link is a symbolic link",
        ),
        log(
            "FOLDER/logs/in/access.log",
            |at| {
                folder(&at.join("logs"), NOBODY, 0o755);
                folder(&at.join("other"), 0, 0o755);
                link(at.join("other"), &at.join("logs/in"), NOBODY);
            },
            "in is a symbolic link",
        ),
    ]);
}

#[test]
fn on_key_files() {
    let state = |lay: fn(&Path), refused| Case { lay, refused, ..PLAIN };
    let given = |lay: fn(&Path), refused| Case { process: &[USER], lay, refused, ..PLAIN };
    const ELSEWHERE: &[&str] = &[USER, "key_file = \"FOLDER/keys/key\""];
    let elsewhere = |lay: fn(&Path), refused| Case { process: ELSEWHERE, lay, refused, ..PLAIN };
    agree(&[
        state(|_| {}, ""),
        given(|_| {}, ""),
        state(
            |at| {
                folder(&at.join("state"), 0, 0o755);
                link("nowhere", &at.join("state/stickiness.key"), 0);
            },
            "stickiness.key: it is a symbolic link that leads nowhere",
        ),
        given(
            |at| {
                folder(&at.join("state"), 0, 0o755);
                link("none/key", &at.join("state/stickiness.key"), 0);
            },
            "stickiness.key: it is a symbolic link that leads nowhere",
        ),
        state(|at| folder(&at.join("state"), 0, 0o777), "state can be changed by others"),
        given(|at| folder(&at.join("state"), 0, 0o1777), "state belongs to the whole system"),
        given(|at| folder(&at.join("state"), STRANGER, 0o755), "state can be changed by user id 4321"),
        given(|at| folder(&at.join("state"), NOBODY, 0o755), ""),
        state(|at| link("/dev/null", &at.join("state"), 0), "null is no folder"),
        given(|at| file(&at.join("state"), 0), "state is no folder"),
        elsewhere(|_| {}, ""),
        elsewhere(
            |at| {
                folder(&at.join("keys"), 0, 0o755);
                file(&at.join("keys/key"), 0);
            },
            "",
        ),
        elsewhere(
            |at| {
                folder(&at.join("keys"), 0, 0o755);
                file(&at.join("keys/key"), 0);
                fs::hard_link(at.join("keys/key"), at.join("keys/second")).unwrap();
            },
            "keys/key has a second name",
        ),
        Case {
            process: &["key_file = \"FOLDER/keys/key\""],
            lay: |at| {
                folder(&at.join("keys"), 0, 0o755);
                file(&at.join("keys/key"), 0);
                fs::hard_link(at.join("keys/key"), at.join("keys/second")).unwrap();
            },
            ..PLAIN
        },
        elsewhere(
            |at| {
                folder(&at.join("keys"), 0, 0o777);
                file(&at.join("keys/key"), 0);
            },
            "it is not given to the balancer's user",
        ),
        elsewhere(
            |at| {
                folder(&at.join("keys"), 0, 0o777);
                file(&at.join("keys/key"), STRANGER);
            },
            "keys/key belongs to user id 4321",
        ),
        elsewhere(
            |at| {
                folder(&at.join("keys"), NOBODY, 0o755);
                link(at.join("balancer.hcl"), &at.join("keys/key"), NOBODY);
            },
            "keys/key is a symbolic link",
        ),
        elsewhere(
            |at| {
                folder(&at.join("keys"), 0, 0o755);
                drop(UnixListener::bind(at.join("keys/key")).unwrap());
            },
            "keys/key is a socket",
        ),
    ]);
}

#[test]
fn on_databases_of_the_api() {
    const API: &str = "control_api {\naddress = \"127.0.0.1:PORT\"\naccess_keys_file = \"FOLDER/access\"\n\
                       state_file = \"FOLDER/api/made.redb\"\n}\n";
    fn api(at: &Path) -> PathBuf {
        fs::write(at.join("access"), "KEY 0123456789abcdef\n").unwrap();
        fs::set_permissions(at.join("access"), Permissions::from_mode(0o600)).unwrap();
        folder(&at.join("api"), 0, 0o755);
        at.join("api/made.redb")
    }
    let made = |lay: fn(&Path), refused| Case { more: API, lay, refused, ..PLAIN };
    agree(&[
        made(|at| drop(api(at)), ""),
        made(|at| fs::write(api(at), "").unwrap(), ""),
        made(|at| file(&api(at), 0), "made.redb: the database is damaged"),
        made(|at| folder(&api(at), 0, 0o755), "made.redb is a folder"),
        made(|at| drop(UnixListener::bind(api(at)).unwrap()), "made.redb is a socket"),
        made(
            |at| fs::write(api(at).with_extension("redb.json"), "{}").unwrap(),
            "there is no database, and there was one",
        ),
        made(|at| fs::remove_dir(api(at).parent().unwrap()).unwrap(), "there is no folder"),
        Case {
            more: API,
            process: &[USER],
            lay: |at| {
                let path = api(at);
                link(at.join("balancer.hcl"), &path, NOBODY);
                chown(path.parent().unwrap(), Some(NOBODY), Some(NOBODY)).unwrap();
            },
            refused: "made.redb is a symbolic link",
            ..PLAIN
        },
    ]);
}

#[test]
fn on_runtime_folders() {
    let run = |lay: fn(&Path), refused| Case { process: &[USER], lay, refused, ..PLAIN };
    fn instance(at: &Path) -> PathBuf {
        let text = fs::read_to_string(at.join("balancer.hcl")).unwrap();
        let line = text.lines().find(|line| line.trim().starts_with("instance")).unwrap();
        at.join("run").join(line.split('"').nth(1).unwrap())
    }
    agree(&[
        run(|at| folder(&at.join("run"), 0, 0o1777), ""),
        run(|at| file(&at.join("run"), 0), "run is no folder"),
        run(|at| link("none", &at.join("run"), 0), ""),
        run(
            |at| {
                folder(&at.join("home"), NOBODY, 0o755);
                folder(&at.join("private"), 0, 0o755);
                link(at.join("private"), &at.join("home/link"), NOBODY);
                link(at.join("home/link/in"), &at.join("run"), 0);
            },
            "home/link is a symbolic link",
        ),
        run(
            |at| {
                folder(&at.join("run"), 0, 0o755);
                folder(&instance(at), NOBODY, 0o700);
                link("/", &instance(at).join("lock"), NOBODY);
            },
            "",
        ),
        run(
            |at| {
                folder(&at.join("run"), 0, 0o755);
                folder(&instance(at), 0, 0o755);
                file(&instance(at).join("server.pem"), 0);
            },
            "it holds server.pem, which is not of an instance",
        ),
        run(
            |at| {
                folder(&at.join("run"), 0, 0o755);
                file(&instance(at), 0);
            },
            "is no folder",
        ),
    ]);
}

#[test]
fn on_addresses() {
    // For documentation (RFC 5737): no host has it.
    for (from, what) in
        [("  address = \"127.0.0.1\"", "listener"), ("admin_address = \"127.0.0.1:", "admin_address")]
    {
        let config = Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()])).kernel_assist("off");
        let mut balancer = Balancer::prepare(&config);
        let text = balancer.text(&config);
        assert_eq!(text.matches(from).count(), 1, "{text}");
        balancer.write_text(&text.replace(from, &from.replace("127.0.0.1", "192.0.2.7")));
        let faults = check(&balancer);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let wrong = "192.0.2.7 is no address of this host";
        assert!(
            faults[0].starts_with("cannot listen on 192.0.2.7:") && faults[0].contains(what),
            "{faults:?}"
        );
        let ended = balancer.run_to_end();
        assert!(faults[0].ends_with(wrong) && ended.log.trim_end().ends_with(&faults[0]), "{}", ended.log);
    }
}

#[test]
fn on_low_ports_without_the_right_to_them() {
    if !kernel::is_root() {
        return;
    }
    let config = Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()])).kernel_assist("off");
    let balancer = Balancer::prepare(&config);
    let text = balancer.text(&config).replace(&format!("port = {}\n", balancer.address.port()), "port = 7\n");
    balancer.write_text(&text);
    let said = |command: &str, more: &[&str]| {
        let mut with = Command::new("setpriv");
        with.args(["--bounding-set", "-net_bind_service"]).args(more).arg(binary()).arg(command);
        let output = with.arg("-c").arg(balancer.config_path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, fault) = said("check", &[]);
    assert_eq!(code, Some(2), "{fault}");
    assert!(
        fault.starts_with("cannot listen on 127.0.0.1:7 (listener \"web\"): permission denied"),
        "{fault}"
    );
    let (code, ended) = said("run", &[]);
    assert!(code == Some(1) && ended.ends_with(&fault), "{ended}");
    // Another user may check what root starts.
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let (code, warnings) = said("check", &nobody);
    let warning = format!("warning: {} (as the user that checks)\n", fault.trim_end());
    assert!(code == Some(0) && warnings.contains(&warning), "{warnings}");
    assert!(check(&balancer).is_empty(), "root may");
    // And who starts one without a folder to start in is told what would do.
    let (code, denied) = said("run", &nobody);
    assert!(code == Some(1) && denied.contains("a `runtime_dir` that this user can write to"), "{denied}");
}

/// Ports that other programs have: refused, whether the instance runs or not; its own are no matter.
#[test]
fn on_ports_in_use() {
    let config = Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()])).kernel_assist("off");
    for is_admin in [false, true] {
        let mut balancer = Balancer::prepare(&config);
        let (address, what) =
            if is_admin { (balancer.admin, "admin_address") } else { (balancer.address, "listener \"web\"") };
        let other = TcpListener::bind(address).unwrap();
        let faults = check(&balancer);
        let wanted = format!("cannot listen on {address} ({what}): Address already in use (os error 98)");
        assert_eq!(faults, [wanted]);
        let ended = balancer.run_to_end();
        assert!(ended.log.trim_end().ends_with(&faults[0]), "{}", ended.log);
        ports::stop(&other);
        assert_eq!(check(&balancer), [""; 0]);
    }
    let mut balancer = Balancer::prepare(&config);
    balancer.run();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let more = format!(
        "listener \"more\" {{\n  port = {port}\n  address = \"127.0.0.1\"\n  default_action {{\n    type = \"forward\"\n    \
         target_group_arn = target_group.app.arn\n  }}\n}}\n"
    );
    balancer.write(&config.clone().more(&more));
    let faults = check(&balancer);
    assert!(faults.len() == 1 && faults[0].contains("listener \"more\""), "{faults:?}");
    ports::stop(&other);
    assert_eq!(check(&balancer), [""; 0], "what it has itself is no matter");
}

/// What is required and not there; what is made to find out is gone.
#[test]
fn on_the_kernel_side() {
    if !kernel::available() {
        return;
    }
    let config = Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()])).kernel_assist("required");
    let mut balancer = Balancer::prepare(&config);
    let said = |words: &[&str], command: &str| {
        let mut with = Command::new("setpriv");
        let output =
            with.args(words).arg(binary()).arg(command).arg("-c").arg(balancer.config_path()).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let without = ["--bounding-set", "-bpf,-perfmon,-net_admin,-sys_admin"];
    const REFUSED: &str = "the kernel side is required and cannot be used: ";
    let (code, fault) = said(&without, "check");
    assert!(code == Some(2) && fault.starts_with(REFUSED) && fault.contains("it takes root"), "{fault}");
    let (code, ended) = said(&without, "run");
    assert!(code == Some(1) && ended.contains(REFUSED), "{ended}");
    let other = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let (code, warnings) = said(&other, "check");
    assert!(code == Some(0) && warnings.contains(&format!("warning: {REFUSED}")), "{warnings}");
    let pins = Path::new("/sys/fs/bpf/balancer").join(balancer.instance());
    // The run that was refused may have made it.
    let _ = fs::remove_dir_all(&pins);
    assert_eq!(check(&balancer), [""; 0]);
    assert!(!pins.exists(), "check makes nothing");
    balancer.run();
    assert!(balancer.status().kernel_assist());
    assert_eq!(check(&balancer), [""; 0], "of a balancer that runs");
}

#[test]
fn on_a_balancer_that_runs() {
    let config =
        Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()]).lb_cookie()).kernel_assist("off");
    let mut balancer = Balancer::prepare(&config);
    balancer.run();
    assert_eq!(check(&balancer), [""; 0], "its ports, lock and key are its own");
    balancer.connect().get("/", "");
}
