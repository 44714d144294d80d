//! What root is needed for happens in a child process: there is no way back.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use support::kernel::is_root;

use super::*;

/// Says to this test binary that it is the child, and where its files are.
const CHILD: &str = "BALANCER_PRIVILEGES_CHILD";
/// Exists on every Linux system with these ids.
const NOBODY: (&str, u32) = ("nobody", 65534);

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
    if env::var_os(CHILD).is_none() && !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if in_child("root_is_given_up_for_good_and_only_what_running_needs_is_kept", folder.path()).is_some() {
        return;
    }
    let (name, id) = NOBODY;
    let account = Account::find(name).unwrap();
    account.become_it(true).unwrap();
    let ids = format!("{id} {id} {id} {id}");
    for kernel_side in [true, false] {
        // The second time the process is that user already, and lets go of more.
        account.become_it(kernel_side).unwrap();
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
    assert!(matches!(root.become_it(false), Err(PrivilegeError::NotPermitted { step: "set groups", .. })));
}

#[test]
fn a_folder_of_the_balancers_own_changes_hands_and_nothing_in_it_does() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state");
    fs::create_dir_all(state.join("sub")).unwrap();
    fs::write(state.join("file"), "x").unwrap();
    let link_to_state = root.path().join("state-link");
    symlink(&state, &link_to_state).unwrap();
    let owner = Owner { uid: NOBODY.1, gid: NOBODY.1 };
    let belonging = Belonging::find(&link_to_state, owner).unwrap().expect("root's link is followed");
    belonging.give(owner).unwrap();
    let owner_of = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!(owner_of(&state), (NOBODY.1, NOBODY.1));
    for path in [&state.join("file"), &state.join("sub"), &link_to_state] {
        assert_eq!(owner_of(path), (0, 0), "{}", path.display());
    }
    assert!(Belonging::find(&root.path().join("missing"), owner).unwrap().is_none());
    // A link of the user's own leads nowhere.
    symlink("/etc", state.join("link")).unwrap();
    let error = Belonging::find(&state.join("link"), owner).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn folders_of_the_whole_system_or_of_others_are_not_given_away() {
    if !is_root() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let owner = Owner { uid: NOBODY.1, gid: NOBODY.1 };
    let folder = |name: &str, mode: u32| {
        let path = temporary.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let sticky = folder("sticky", 0o1777);
    for shared in [Path::new("/etc"), Path::new("/usr/../etc/"), Path::new("/var/lib"), &sticky] {
        let error = Belonging::find(shared, owner).unwrap_err();
        assert!(matches!(error, PrivilegeError::SharedFolder { .. }), "{error}");
        assert!(error.to_string().contains(&shared.display().to_string()), "{error}");
    }
    let (open, theirs) = (folder("open", 0o775), folder("theirs", 0o755));
    std::os::unix::fs::chown(&theirs, Some(1234), None).unwrap();
    for (path, why) in [(open, "chmod go-w"), (theirs, "user id 1234")] {
        let error = Belonging::find(&path, owner).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn unknown_users_are_named() {
    for name in ["no-such-user-here", "", "a\0b", "../root"] {
        let error = Account::find(name).unwrap_err();
        assert!(matches!(error, PrivilegeError::UnknownUser { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}
