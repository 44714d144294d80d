//! The cgroup whose connections the kernel counts: the process's own when it has one to itself, as under a service
//! manager, else a child of its current one, which it then moves to. Nothing else is ever moved.
//! Must not know: what is attached to it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::safe_file::Folder;

/// From linux/magic.h.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// A cgroup (version 2) that this process is in.
#[derive(Debug)]
pub(super) struct Cgroup {
    /// Its folder, open.
    pub(super) folder: File,
    /// Its id, as links to it show it.
    pub(super) id: u64,
    /// Its folder's path, if it was made here or by an earlier process of the instance.
    pub(super) made: Option<PathBuf>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum CgroupError {
    #[error("no cgroup version 2 is mounted that holds this process")]
    NotMounted,
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    |source| CgroupError::Io { path, source }
}

/// The name of the cgroup that is made for an instance.
fn name(instance: &str) -> String {
    format!("balancer-{instance}")
}

/// Finds or makes the cgroup for the instance, with this process in it. `linked`: the one of the process before.
pub(super) fn enter(instance: &str, linked: Option<u64>) -> Result<Cgroup, CgroupError> {
    let current = current()?;
    let name = name(instance);
    if let Some(linked) = linked
        && fs::metadata(&current).is_ok_and(|found| found.ino() == linked)
    {
        let made = current.file_name().is_some_and(|last| last == name.as_str());
        return open(&current, made);
    }
    if current.file_name().is_some_and(|last| last == name.as_str()) {
        return open(&current, true);
    }
    if is_ours(&current)? {
        return open(&current, false);
    }
    let child = current.join(name);
    match fs::create_dir(&child) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(&child)(error)),
        _ => {}
    }
    let procs = child.join("cgroup.procs");
    fs::write(&procs, std::process::id().to_string()).map_err(at(&procs))?;
    open(&child, true)
}

/// Looks whether [`enter`] would find or could make the cgroup. Makes nothing.
pub(super) fn look(instance: &str) -> Result<(), CgroupError> {
    let current = current()?;
    let name = name(instance);
    if current.file_name().is_some_and(|last| last == name.as_str()) || is_ours(&current)? {
        return Ok(());
    }
    let child = current.join(name);
    let written = if child.exists() { child.join("cgroup.procs") } else { current };
    access(&written, Access::WRITE_OK).map_err(|error| at(&written)(error.into()))
}

/// Moves this process back to where it came from, if it is in the cgroup that was made for the instance.
pub(super) fn leave(instance: &str) -> Result<(), CgroupError> {
    let current = current()?;
    match current.parent() {
        Some(parent) if current.file_name().is_some_and(|last| last == name(instance).as_str()) => {
            let procs = parent.join("cgroup.procs");
            fs::write(&procs, std::process::id().to_string()).map_err(at(&procs))
        }
        _ => Ok(()),
    }
}

/// Removes a cgroup that was made for the instance, which nobody is in any more. Nothing else is removed, whatever
/// `path` names.
pub(super) fn remove(instance: &str, path: &Path) -> io::Result<()> {
    let folder = Folder::open(path)?;
    let named = folder.path().file_name().is_some_and(|last| last == name(instance).as_str());
    if !named || rustix::fs::fstatfs(folder.as_fd())?.f_type != CGROUP2_MAGIC {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup of the instance"));
    }
    folder.remove_itself()
}

/// Where the cgroup of the instance would be if this process had made it.
pub(super) fn expected(instance: &str) -> Option<PathBuf> {
    current().ok().map(|current| current.join(name(instance)))
}

fn open(path: &Path, made: bool) -> Result<Cgroup, CgroupError> {
    let folder = File::open(path).map_err(at(path))?;
    // The id of a cgroup is the number of its folder's inode.
    let id = folder.metadata().map_err(at(path))?.ino();
    Ok(Cgroup { folder, id, made: made.then(|| path.to_owned()) })
}

/// Whether nobody else is, or is to be, in the cgroup: it was delegated to this service, or it holds only us and what we
/// started.
fn is_ours(path: &Path) -> Result<bool, CgroupError> {
    // The root has no such file.
    if !path.join("cgroup.events").exists() {
        return Ok(false);
    }
    let delegated = ["trusted.delegate", "user.delegate"].iter().any(|attribute| {
        let mut value = [0; 8];
        rustix::fs::getxattr(path, *attribute, &mut value).is_ok_and(|len| value.get(..len) == Some(b"1"))
    });
    if delegated {
        return Ok(true);
    }
    let procs = path.join("cgroup.procs");
    let members = fs::read_to_string(&procs).map_err(at(&procs))?;
    let us = std::process::id().to_string();
    Ok(members.lines().all(|member| member == us || parent_of(member).as_deref() == Some(&us)))
}

/// The parent of a process: the second field behind its name, which may hold anything (proc_pid_stat(5)).
fn parent_of(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1).map(str::to_owned)
}

/// The folder of the cgroup that this process is in.
fn current() -> Result<PathBuf, CgroupError> {
    let read = |path: &str| fs::read_to_string(path).map_err(at(Path::new(path)));
    locate(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?).ok_or(CgroupError::NotMounted)
}

/// `memberships` is proc/self/cgroup, `mounts` is proc/self/mountinfo (cgroups(7), proc_pid_mountinfo(5)).
fn locate(memberships: &str, mounts: &str) -> Option<PathBuf> {
    let path = Path::new(memberships.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        if file_system.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        Some(Path::new(mount_point).join(path.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                          42 30 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_cgroup_is_found_on_hybrid_and_unified_hosts_and_in_containers() {
        let at = |memberships, mounts| locate(memberships, mounts).map(|path| path.display().to_string());
        let hybrid = "4:memory:/other\n0::/system.slice/balancer.service\n";
        assert_eq!(
            at(hybrid, HYBRID).as_deref(),
            Some("/sys/fs/cgroup/unified/system.slice/balancer.service")
        );
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(at("0::/\n", unified).as_deref(), Some("/sys/fs/cgroup/"));
        let bound = "30 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(at("0::/docker/1/a\n", bound).as_deref(), Some("/sys/fs/cgroup/a"));
        assert_eq!(at("0::/elsewhere\n", bound), None);
        assert_eq!(at("4:memory:/other\n", HYBRID), None);
        assert_eq!(at("0::/\n", "31 30 0:27 / /sys rw - sysfs sysfs rw\n"), None);
    }
}
