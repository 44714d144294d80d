//! What the service user puts in the way of a process that starts as root: links to a file of root's in every place
//! that the process touches. The file stays as it is; the process says what is wrong, or makes its own file anew.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use support::{Balancer, Config, Group, Target, balancer::binary, until};

const NOBODY: u32 = 65534;

/// As long as a key file, so that it would do as one.
const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuv";

/// A file that only root may change, and that has to stay as it is.
struct Victim(PathBuf);

impl Victim {
    fn new(folder: &Path) -> Self {
        let path = folder.join("victim");
        fs::write(&path, CONTENT).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }

    fn assert_untouched(&self, place: &str) {
        let found = fs::metadata(&self.0).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(fs::read(&self.0).unwrap(), CONTENT, "{place}: content");
        assert_eq!((found.uid(), found.gid()), (0, 0), "{place}: owner");
        assert_eq!(found.mode() & 0o7777, 0o600, "{place}: mode");
    }

    /// Puts a link to it at `place`, as the service user would.
    fn plant(&self, place: &Path, hard: bool) {
        if fs::symlink_metadata(place).is_ok_and(|found| found.is_dir()) {
            fs::remove_dir_all(place).unwrap();
        }
        let _ = fs::remove_file(place);
        if hard {
            // Where the system lets users do that (fs.protected_hardlinks = 0).
            fs::hard_link(&self.0, place).unwrap();
        } else {
            symlink(&self.0, place).unwrap();
            lchown(place, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn give_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            give_all(&entry.path());
        }
        lchown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// A balancer that becomes another user and logs into a folder of that user's; it has not run yet.
fn prepare(process: &str) -> (Balancer, Victim, Target) {
    let target = Target::plain();
    let group = Group::new("app", &[&target]).lb_cookie();
    let config = Config::with(group).kernel_assist("off").process(process);
    let balancer = Balancer::prepare(&config);
    let logs = balancer.folder().join("logs");
    fs::create_dir(&logs).unwrap();
    chown(&logs, Some(NOBODY), Some(NOBODY)).unwrap();
    balancer.write(&logging(&config, &logs));
    let victim = Victim::new(balancer.folder());
    (balancer, victim, target)
}

fn logging(config: &Config, logs: &Path) -> Config {
    let block = |name: &str, file: &str| {
        format!("  {name} {{\n    enabled = true\n    path = \"{}\"\n  }}", logs.join(file).display())
    };
    config
        .clone()
        .attribute(&block("access_logs", "access.log"))
        .attribute(&block("health_check_logs", "checks.log"))
}

/// All that the process opens in folders that can be, or once were, the service user's.
fn places(balancer: &Balancer) -> Vec<PathBuf> {
    let run = balancer.folder().join("run").join(balancer.instance());
    let tables = fs::read_dir(&run).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    let mut places = vec![
        balancer.folder().join("state/stickiness.key"),
        balancer.folder().join("logs/access.log"),
        balancer.folder().join("logs/checks.log"),
        run.join("cgroup"),
        tables.clone(),
    ];
    for folder in [&run, &tables] {
        let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        places.extend(files.filter(|path| path.is_file()));
    }
    assert!(places.len() >= 12, "{places:?}");
    places
}

#[test]
fn a_start_touches_nothing_through_links_of_the_service_user() {
    if !support::kernel::is_root() {
        return;
    }
    let (mut balancer, victim, _target) = prepare("user = \"nobody\"");
    balancer.run();
    balancer.kill();
    for place in places(&balancer) {
        for hard in [false, true] {
            // As a version before left it: all of it the service user's.
            for folder in ["state", "run", "logs"] {
                give_all(&balancer.folder().join(folder));
            }
            let name = format!("{} ({})", place.display(), if hard { "hard link" } else { "link" });
            if hard && place.extension().is_none() && place.ends_with("v1") {
                continue;
            }
            victim.plant(&place, hard);
            match balancer.run_or_end() {
                // It made a file of its own.
                None => {
                    balancer.connect().get("/", "");
                    balancer.signal(Signal::USR1);
                    balancer.signal(Signal::TERM);
                    balancer.wait_exit(10.0);
                }
                Some(ended) => {
                    assert_eq!(ended.code, Some(1), "{name}: {}", ended.log);
                    let last = ended.log.lines().last().unwrap();
                    assert!(last.contains(&place.display().to_string()), "{name}: {last}");
                    assert!(last.contains("link"), "{name}: {last}");
                }
            }
            victim.assert_untouched(&name);
            let _ = fs::remove_file(&place);
        }
    }
    // What is left does no harm, and it starts again.
    balancer.run();
    assert_eq!(balancer.connect().get("/", "").status, 200);
}

#[test]
fn a_state_folder_and_a_log_folder_that_are_links_of_the_service_user_are_refused() {
    if !support::kernel::is_root() {
        return;
    }
    let (mut balancer, _victim, _target) = prepare("user = \"nobody\"");
    let home = balancer.folder().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let private = balancer.folder().join("private");
    fs::create_dir(&private).unwrap();
    symlink(&private, home.join("link")).unwrap();
    lchown(home.join("link"), Some(NOBODY), Some(NOBODY)).unwrap();
    let before = fs::read_to_string(balancer.config_path()).unwrap();
    for part in ["state", "run", "logs"] {
        let folder = balancer.folder().join(part);
        let text = before.replace(&folder.display().to_string(), &home.join("link/in").display().to_string());
        assert_ne!(text, before);
        balancer.write_text(&text);
        let ended = balancer.run_or_end().expect("it ends");
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        let last = ended.log.lines().last().unwrap();
        assert!(last.contains(&home.join("link").display().to_string()), "{last}");
        assert_eq!(fs::read_dir(&private).unwrap().count(), 0, "nothing is made behind the link");
        assert_eq!(fs::metadata(&private).unwrap().uid(), 0);
    }
}

#[test]
fn links_of_root_in_folders_of_root_lead_to_logs_as_ever() {
    if !support::kernel::is_root() {
        return;
    }
    let (mut balancer, _victim, _target) = prepare("user = \"nobody\"");
    let logs = balancer.folder().join("logs");
    let link = balancer.folder().join("var-log");
    symlink(&logs, &link).unwrap();
    let text = fs::read_to_string(balancer.config_path()).unwrap();
    balancer.write_text(&text.replace(&logs.display().to_string(), &link.display().to_string()));
    balancer.run();
    balancer.connect().get("/", "");
    assert_eq!(support::access_log::wait_for(&logs.join("access.log"), 1).len(), 1);
    assert_eq!(fs::metadata(logs.join("access.log")).unwrap().uid(), NOBODY);
}

#[test]
fn a_rotation_and_a_reload_of_root_follow_no_links_of_others() {
    if !support::kernel::is_root() {
        return;
    }
    // It stays root, and its logs are in a folder of somebody else's.
    let (mut balancer, victim, _target) = prepare("log_level = \"info\"");
    balancer.run();
    let logs = balancer.folder().join("logs");
    for (turn, hard) in [false, true].into_iter().enumerate() {
        balancer.connect().get("/before", "");
        let old = logs.join(format!("old.{turn}"));
        let path = logs.join("access.log");
        fs::rename(&path, &old).unwrap();
        victim.plant(&path, hard);
        balancer.signal(Signal::USR1);
        until("the rotation is refused", 10.0, || {
            (balancer.log().matches("cannot be opened anew").count() == turn + 1).then_some(())
        });
        balancer.connect().get("/after", "");
        // The file of before stays in use.
        until("the line is in the file of before", 10.0, || {
            let text = fs::read_to_string(&old).unwrap();
            (text.matches("/after").count() == turn + 1).then_some(())
        });
        victim.assert_untouched("rotation");
        fs::remove_file(&path).unwrap();
        fs::rename(&old, &path).unwrap();
        balancer.signal(Signal::USR1);
        until("the file is back in use", 10.0, || {
            let log = balancer.log();
            let taken = |line: &&str| line.contains("log file opened anew") && line.contains("access.log");
            (log.lines().filter(taken).count() == turn + 1).then_some(())
        });
        victim.plant(&logs.join("new.log"), hard);
        let text = fs::read_to_string(balancer.config_path()).unwrap();
        balancer.write_text(&text.replace("checks.log", "new.log"));
        balancer.signal(Signal::HUP);
        until("the reload is refused", 10.0, || {
            (balancer.status().0["reload_failures"] == turn + 1).then_some(())
        });
        balancer.write_text(&text);
        victim.assert_untouched("reload");
        fs::remove_file(logs.join("new.log")).unwrap();
    }
    balancer.wait_log("new.log");
}

#[test]
fn a_cleanup_removes_nothing_that_the_service_user_points_it_to() {
    if !support::kernel::is_root() {
        return;
    }
    let (mut balancer, victim, _target) = prepare("user = \"nobody\"");
    balancer.run();
    balancer.kill();
    let run = balancer.folder().join("run").join(balancer.instance());
    give_all(&run);
    let (empty, full) = (balancer.folder().join("empty"), balancer.folder().join("full"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "x").unwrap();
    fs::write(run.join("cgroup"), empty.display().to_string()).unwrap();
    for name in ["lock", "generation-0", "more"] {
        victim.plant(&run.join(name), false);
    }
    symlink(&full, run.join("folder")).unwrap();
    let done = Command::new(binary())
        .args(["cleanup", "--instance", balancer.instance(), "--runtime-dir"])
        .arg(balancer.folder().join("run"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(!run.exists());
    assert!(empty.exists() && full.join("file").exists());
    victim.assert_untouched("cleanup");
}

#[test]
fn a_key_is_not_made_where_others_could_put_theirs() {
    if !support::kernel::is_root() {
        return;
    }
    for (user, owner, mode, why) in [
        ("user = \"nobody\"", 0, 0o777, "chmod go-w"),
        ("user = \"nobody\"", 0, 0o1777, "state"),
        ("user = \"nobody\"", 4321, 0o700, "4321"),
        ("log_level = \"info\"", 4321, 0o700, "4321"),
        ("log_level = \"info\"", 0, 0o775, "chmod go-w"),
    ] {
        let (mut balancer, ..) = prepare(user);
        let state = balancer.folder().join("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
        chown(&state, Some(owner), None).unwrap();
        let ended = balancer.run_or_end().expect("it ends");
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        let last = ended.log.lines().last().unwrap();
        assert!(last.contains(&state.display().to_string()) && last.contains(why), "{last}");
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "no key is made");
        assert_eq!(fs::metadata(&state).unwrap().uid(), owner);
    }
}
