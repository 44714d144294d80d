//! What another user can put in the way is put there by root, in that user's name.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::PathBuf,
};

use super::*;

/// Neither root nor the service user.
const STRANGER: u32 = 4321;
const SERVICE: u32 = 65534;
const OWNER: Option<Owner> = Some(Owner { uid: SERVICE, gid: SERVICE });

/// Some folders under one of root's, with a file of root's to protect; gone at the end.
struct Ground {
    root: tempfile::TempDir,
}

impl Ground {
    /// None where this is not root.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            support::skip(&"not root");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(root.path().join("victim"), "secret").unwrap();
        fs::set_permissions(root.path().join("victim"), Permissions::from_mode(0o604)).unwrap();
        Some(Self { root })
    }

    fn folder(&self, name: &str, uid: u32, mode: u32) -> PathBuf {
        let path = self.root.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(uid), Some(uid)).unwrap();
        path
    }

    fn victim(&self) -> PathBuf {
        self.root.path().join("victim")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let found = fs::metadata(self.victim()).unwrap();
        assert_eq!(fs::read(self.victim()).unwrap(), b"secret", "the victim is untouched");
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o604), "the victim is untouched");
    }
}

fn link(target: &Path, at: &Path, uid: u32) {
    symlink(target, at).unwrap();
    lchown(at, Some(uid), Some(uid)).unwrap();
}

/// As [`super::append`], which has to do what was foreseen by looking.
fn append(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<File> {
    let foreseen = could_append(path, owner).map_err(|error| error.to_string());
    let result = super::append(path, mode, owner);
    // Whether somebody reads a pipe shows when it is opened.
    if !(result.is_err() && foreseen == Ok(Sight::Pipe)) {
        let found = result.as_ref().map(drop).map_err(ToString::to_string);
        assert_eq!(foreseen.map(drop), found, "{}", path.display());
    }
    result
}

fn told(result: io::Result<impl Sized>) -> String {
    result.err().expect("refused").to_string()
}

fn owner_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

#[test]
fn links_in_folders_of_others_are_not_followed_wherever_they_are() {
    let Some(ground) = Ground::new() else { return };
    for (name, uid, mode) in [
        ("service", SERVICE, 0o755),
        ("stranger", STRANGER, 0o700),
        ("group", 0, 0o775),
        ("sticky", 0, 0o1777),
    ] {
        let folder = ground.folder(name, uid, mode);
        let by = if uid == 0 { SERVICE } else { uid };
        link(&ground.victim(), &folder.join("log"), by);
        link(ground.root.path(), &folder.join("up"), by);
        link(Path::new("../victim"), &folder.join("relative"), by);
        for path in ["log", "up/victim", "relative", "up/new"].map(|path| folder.join(path)) {
            for result in [append(&path, 0o640, OWNER), read(&path, OWNER).map(Option::unwrap)] {
                let told = told(result);
                assert!(told.contains("symbolic link") && told.contains(name), "{told}");
            }
        }
        // Nor is one in a folder of root's in there.
        let inner = folder.join("inner");
        fs::create_dir(&inner).unwrap();
        if mode & 0o1000 == 0 {
            symlink(ground.victim(), inner.join("log")).unwrap();
            assert!(told(append(&inner.join("log"), 0o640, OWNER)).contains("symbolic link"));
        }
    }
}

#[test]
fn links_of_root_in_folders_of_root_lead_on() {
    let Some(ground) = Ground::new() else { return };
    let data = ground.folder("data", SERVICE, 0o755);
    symlink(&data, ground.root.path().join("logs")).unwrap();
    symlink("logs/../data", ground.root.path().join("again")).unwrap();
    for path in ["logs/a", "again/b", "data/../data/c"] {
        let mut file = append(&ground.root.path().join(path), 0o640, OWNER)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        file.write_all(b"x").unwrap();
    }
    for name in ["a", "b", "c"] {
        let found = fs::metadata(data.join(name)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777, found.len()), (SERVICE, 0o640, 1));
    }
    // In a folder like /tmp, a link of root's leads on as well.
    let sticky = ground.folder("sticky", 0, 0o1777);
    link(&data.join("a"), &sticky.join("log"), 0);
    append(&sticky.join("log"), 0o640, OWNER).unwrap();
}

#[test]
fn hard_links_files_of_strangers_and_other_kinds_are_refused_in_folders_of_others() {
    let Some(ground) = Ground::new() else { return };
    let folder = ground.folder("service", SERVICE, 0o755);
    fs::hard_link(ground.victim(), folder.join("hard")).unwrap();
    assert!(told(append(&folder.join("hard"), 0o640, OWNER)).contains("hard link"));
    assert!(told(read(&folder.join("hard"), OWNER)).contains("hard link"));
    fs::write(folder.join("theirs"), "x").unwrap();
    chown(folder.join("theirs"), Some(STRANGER), None).unwrap();
    assert!(told(append(&folder.join("theirs"), 0o640, OWNER)).contains("user id 4321"));
    assert!(told(read(&folder.join("theirs"), OWNER)).contains("user id 4321"));
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("null"), FileType::CharacterDevice, Mode::RWXU, null)
        .unwrap();
    assert!(told(append(&folder.join("null"), 0o640, OWNER)).contains("a device"));
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    // Nobody reads it, and nobody waits for that.
    assert!(append(&folder.join("pipe"), 0o640, OWNER).is_err());
    assert!(told(read(&folder.join("pipe"), OWNER)).contains("a named pipe"));
    assert!(told(read(&folder, OWNER)).contains("a folder"));
}

#[test]
fn a_file_that_was_there_is_given_away_only_where_nobody_else_could_have_put_it() {
    let Some(ground) = Ground::new() else { return };
    let (ours, service) = (ground.folder("ours", 0, 0o755), ground.folder("service", SERVICE, 0o755));
    for folder in [&ours, &service] {
        fs::write(folder.join("log"), "x").unwrap();
        append(&folder.join("log"), 0o640, OWNER).unwrap();
        let file = read(&folder.join("log"), OWNER).unwrap().unwrap();
        assert_eq!(give(&folder.join("log"), &file, OWNER.unwrap()).is_ok(), folder == &ours);
    }
    assert_eq!((owner_of(&ours.join("log")), owner_of(&service.join("log"))), (SERVICE, 0));
    fs::hard_link(ground.victim(), ours.join("second")).unwrap();
    append(&ours.join("second"), 0o640, OWNER).unwrap();
    fs::remove_file(ours.join("second")).unwrap();
}

#[test]
fn what_stands_in_for_standard_output_can_be_written_to() {
    // As `/dev/stdout` leads there, over links of root's that no path can name.
    let (mut reader, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    append(Path::new(&path), 0o640, None).unwrap().write_all(b"line").unwrap();
    drop(writer);
    let mut found = String::new();
    reader.read_to_string(&mut found).unwrap();
    assert_eq!(found, "line");
    append(Path::new("/dev/null"), 0o640, OWNER).unwrap().write_all(b"x").unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn private_files_take_the_place_of_what_was_planted() {
    let Some(ground) = Ground::new() else { return };
    let path = ground.folder("run", SERVICE, 0o755);
    link(&ground.victim(), &path.join("link"), SERVICE);
    fs::hard_link(ground.victim(), path.join("hard")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(path.join("kept"), "kept").unwrap();
    chown(path.join("kept"), Some(SERVICE), None).unwrap();
    let mut folder = Folder::open(&path).unwrap();
    for name in ["link", "hard"] {
        assert!(folder.private_file(name).is_err(), "nothing gives way while others can write there");
    }
    folder.take().unwrap();
    assert_eq!((owner_of(&path), fs::metadata(&path).unwrap().mode() & 0o7777), (0, 0o700));
    for name in ["link", "hard", "pipe", "kept", "new"] {
        folder.private_file(name).unwrap().write_all(b"mine").unwrap();
        let found = fs::symlink_metadata(path.join(name)).unwrap();
        assert!(found.is_file() && found.nlink() == 1, "{name}");
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o600), "{name}");
        assert_eq!(fs::read(path.join(name)).unwrap(), b"mine", "{name}");
    }
}

#[test]
fn clearing_a_folder_follows_no_link() {
    let Some(ground) = Ground::new() else { return };
    let path = ground.folder("run", SERVICE, 0o700);
    fs::create_dir_all(path.join("v1/deep")).unwrap();
    link(ground.root.path(), &path.join("v1/link"), SERVICE);
    link(&ground.victim(), &path.join("victim"), SERVICE);
    let folder = Folder::open(&path).unwrap();
    folder.clear(None).unwrap();
    assert_eq!(folder.names().unwrap().len(), 0);
    folder.remove_itself().unwrap();
    assert!(!path.exists());
}

#[test]
fn folders_are_private_to_the_owner_or_they_are_not() {
    let Some(ground) = Ground::new() else { return };
    let private = |path: &Path, owner| Folder::open(path).unwrap().demand_private(owner);
    let service = ground.folder("service", SERVICE, 0o755);
    fs::create_dir(service.join("inner")).unwrap();
    for path in [&service, &service.join("inner")] {
        private(path, OWNER).unwrap();
        assert!(told(private(path, None)).contains("user id 65534"));
    }
    for (name, uid, mode) in
        [("open", 0, 0o757), ("group", SERVICE, 0o775), ("sticky", 0, 0o1777), ("them", STRANGER, 0o700)]
    {
        let path = ground.folder(name, uid, mode);
        assert!(private(&path, OWNER).is_err(), "{name}");
        fs::create_dir(path.join("inner")).unwrap();
        // In a folder like /tmp, what is root's stays where it is.
        assert_eq!(private(&path.join("inner"), OWNER).is_ok(), name == "sticky");
    }
    let outlook = Outlook::of(&service.join("a/b")).unwrap();
    assert!(outlook.found().is_none() && outlook.path().ends_with("service/a/b"));
    outlook.demand_private(OWNER).unwrap();
    assert!(told(outlook.demand_private(None)).contains("service/a/b can be changed by user id 65534"));
    let (made, new) = Folder::make(&service.join("a/b"), 0o700).unwrap();
    assert!(new && made.path().ends_with("service/a/b"));
    let modes = ["a", "a/b"].map(|name| fs::metadata(service.join(name)).unwrap().mode() & 0o7777);
    assert_eq!(modes, [0o755, 0o700]);
}

#[test]
fn what_is_missing_or_no_folder_is_named() {
    let Some(ground) = Ground::new() else { return };
    let path = ground.folder("ours", 0, 0o755);
    fs::write(path.join("file"), "x").unwrap();
    link(Path::new("none/log"), &path.join("link"), 0);
    link(Path::new("loop"), &path.join("loop"), 0);
    for (name, wrong) in [
        ("none/log", "there is no folder "),
        ("link", "there is no folder "),
        ("file/log", "file is no folder"),
        ("loop", "loop: Too many levels"),
        ("", "ours is a folder, not a regular file"),
    ] {
        let error = told(append(&path.join(name), 0o640, OWNER));
        assert!(error.contains(wrong) && error.contains("/ours"), "{name}: {error}");
        // Looking at folders ends where making them would.
        let foreseen = Outlook::of(&path.join(name)).map(drop).map_err(|error| error.to_string());
        if foreseen.is_err() {
            let made = Folder::make(&path.join(name), 0o700).map(drop).map_err(|error| error.to_string());
            assert_eq!(foreseen, made, "{name}");
        }
    }
    // A link to what is not there, in a folder that is, is made there.
    link(Path::new("new.log"), &path.join("new"), 0);
    append(&path.join("new"), 0o640, OWNER).unwrap();
    assert_eq!(owner_of(&path.join("new.log")), SERVICE);
}

#[test]
fn a_socket_and_a_block_device_are_not_opened_to_find_out_what_they_are() {
    let Some(ground) = Ground::new() else { return };
    let path = ground.folder("ours", 0, 0o755);
    let _listener = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    assert!(told(append(&path.join("socket"), 0o640, OWNER)).contains("socket is a socket, not a regular"));
    // Of a driver that there is none of: opened, it would be "No such device or address".
    let none = rustix::fs::makedev(4095, 7);
    rustix::fs::mknodat(rustix::fs::CWD, path.join("block"), FileType::BlockDevice, Mode::RWXU, none)
        .unwrap();
    assert!(told(append(&path.join("block"), 0o640, OWNER)).contains("block is a block device, not a"));
}

#[test]
fn what_has_a_second_name_is_not_given_away_and_that_is_said() {
    let Some(ground) = Ground::new() else { return };
    let (ours, open) = (ground.folder("ours", 0, 0o755), ground.folder("open", 0, 0o777));
    fs::write(ours.join("key"), "x").unwrap();
    fs::hard_link(ours.join("key"), ours.join("second")).unwrap();
    fs::write(open.join("key"), "x").unwrap();
    for (path, why) in
        [(ours.join("key"), "has a second name"), (open.join("key"), "in a folder that others can write to")]
    {
        let file = read(&path, OWNER).unwrap().unwrap();
        let looked = told(could_give(&path, &file, OWNER.unwrap()));
        assert_eq!(looked, told(give(&path, &file, OWNER.unwrap())));
        assert!(looked.contains(why), "{looked}");
        assert_eq!(owner_of(&path), 0);
    }
    fs::remove_file(ours.join("second")).unwrap();
    let file = read(&ours.join("key"), OWNER).unwrap().unwrap();
    assert!(could_give(&ours.join("key"), &file, OWNER.unwrap()).unwrap());
    assert_eq!(owner_of(&ours.join("key")), 0, "looking gives nothing away");
}
