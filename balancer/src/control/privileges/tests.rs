//! What root is needed for happens in a child process: there is no way back.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::Command,
};

use super::*;

/// Says to this test binary that it is the child, and where its files are.
const CHILD: &str = "BALANCER_PRIVILEGES_CHILD";
/// Exists on every Linux system with these ids.
const NOBODY: (&str, u32) = ("nobody", 65534);

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Runs the test of this name again, in a process of its own.
fn in_child(test: &str, folder: &Path) -> Option<()> {
    if env::var_os(CHILD).is_some() {
        return None;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("control::privileges::tests::{test}"), "--nocapture"])
        .env(CHILD, folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    Some(())
}

fn thread_status() -> BTreeMap<String, String> {
    fs::read_to_string("/proc/thread-self/status")
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn capability_mask(kernel_side: bool) -> String {
    // CAP_NET_BIND_SERVICE 10, CAP_NET_ADMIN 12, CAP_BPF 39 (linux/capability.h).
    let bits: &[u32] = if kernel_side { &[10, 12, 39] } else { &[10] };
    format!("{:016x}", bits.iter().fold(0_u64, |mask, bit| mask | 1 << bit))
}

#[test]
fn root_is_given_up_for_good_and_only_what_running_needs_is_kept() {
    if !is_root() && env::var_os(CHILD).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if in_child("root_is_given_up_for_good_and_only_what_running_needs_is_kept", folder.path()).is_some() {
        return;
    }
    let (name, id) = NOBODY;
    let account = Account::find(name).unwrap();
    account.become_it(Belongings::default(), true).unwrap();
    let ids = format!("{id} {id} {id} {id}");
    for kernel_side in [true, false] {
        // The second time the process is that user already, and lets go of more.
        account.become_it(Belongings::default(), kernel_side).unwrap();
        let status = thread_status();
        assert_eq!((status["Uid"].as_str(), status["Gid"].as_str()), (ids.as_str(), ids.as_str()));
        assert_eq!(status["Groups"], id.to_string());
        assert_eq!(status["CapPrm"], capability_mask(kernel_side));
        assert_eq!(status["CapEff"], capability_mask(kernel_side));
        assert_eq!(status["CapInh"], "0".repeat(16));
        assert_eq!(status["CapAmb"], status["CapInh"]);
        assert_eq!(status["NoNewPrivs"], "1");
    }
    // A thread started now has no more; a low port can be bound by it, a file of root's not be read.
    std::thread::spawn(|| {
        assert_eq!(thread_status()["CapEff"], capability_mask(false));
        assert!(fs::read("/etc/shadow").is_err());
        let refused = (1..1024).find_map(|port| match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
            other => Some(other.is_err()),
        });
        assert_eq!(refused, Some(false));
    })
    .join()
    .unwrap();
    let root = Account::find("root").unwrap();
    assert!(matches!(
        root.become_it(Belongings::default(), false),
        Err(PrivilegeError::NotPermitted { step: "set groups", .. })
    ));
}

#[test]
fn belongings_change_hands_and_nothing_else_does() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (state, outside) = (root.path().join("state"), root.path().join("outside"));
    fs::create_dir_all(state.join("sub")).unwrap();
    for path in [state.join("key"), state.join("sub/deep"), outside.clone(), root.path().join("two")] {
        fs::write(path, "x").unwrap();
    }
    symlink(&outside, state.join("link")).unwrap();
    fs::hard_link(root.path().join("two"), state.join("second-name")).unwrap();
    let key = root.path().join("elsewhere.key");
    fs::write(&key, "x").unwrap();
    let missing = root.path().join("missing");
    let link_to_state = root.path().join("state-link");
    symlink(&state, &link_to_state).unwrap();

    let belongings = Belongings { folders: &[&link_to_state, &missing], files: &[&key, &missing] };
    hand_over::give(belongings, Uid::from_raw(NOBODY.1), Gid::from_raw(NOBODY.1)).unwrap();
    let owner = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    let (theirs, ours) = ((NOBODY.1, NOBODY.1), (0, 0));
    for path in [&state, &state.join("key"), &key] {
        assert_eq!(owner(path), theirs, "{}", path.display());
    }
    for path in [
        &outside,
        &state.join("link"),
        &state.join("second-name"),
        &state.join("sub"),
        &state.join("sub/deep"),
    ] {
        assert_eq!(owner(path), ours, "{}", path.display());
    }
    assert_eq!(owner(&link_to_state), ours);
}

#[test]
fn folders_of_the_whole_system_are_not_given_away() {
    let temporary = tempfile::tempdir().unwrap();
    let sticky = temporary.path().join("sticky");
    fs::create_dir(&sticky).unwrap();
    fs::set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
    let first = temporary.path().join("first");
    fs::create_dir(&first).unwrap();
    let before = fs::metadata(&first).unwrap().uid();
    for shared in [Path::new("/etc"), Path::new("/usr/../etc/"), Path::new("/var/lib"), &sticky] {
        let belongings = Belongings { folders: &[&first, shared], files: &[] };
        let error =
            hand_over::give(belongings, Uid::from_raw(NOBODY.1), Gid::from_raw(NOBODY.1)).unwrap_err();
        assert!(matches!(error, PrivilegeError::SharedFolder { .. }), "{error}");
        assert!(error.to_string().contains(&shared.display().to_string()), "{error}");
    }
    assert_eq!(fs::metadata(&first).unwrap().uid(), before, "nothing is given when one folder may not be");
}

#[test]
fn unknown_users_are_named() {
    for name in ["no-such-user-here", "", "a\0b", "../root"] {
        let error = Account::find(name).unwrap_err();
        assert!(matches!(error, PrivilegeError::UnknownUser { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}
