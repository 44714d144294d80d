//! Takes away the system calls that a running balancer never makes and an intruder would: starting programs, looking into
//! other processes, changing users, mounts, namespaces and the kernel itself.
//!
//! What is denied is listed, not what is allowed: libraries come to use other calls with every version of theirs, and a
//! call that is missed here costs nothing, while one that is missing there costs requests. A denied call fails with EPERM
//! and the process goes on. Must not know: what calls are made for.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

/// The filter cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(String);

/// Denied whatever is served.
const DENIED: &[libc::c_long] = &[
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Users and rights.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    // Mounts, roots and namespaces.
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The kernel and the machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // What is often broken and never needed.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// What only this machine has. Its second set of numbers for the same calls (x32) is denied as well.
#[cfg(target_arch = "x86_64")]
const OF_THE_MACHINE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_uselib,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    // execve, ptrace, kexec_load, process_vm_readv, process_vm_writev and execveat of x32 (arch/x86/entry/syscalls).
    X32 | 520,
    X32 | 521,
    X32 | 528,
    X32 | 539,
    X32 | 540,
    X32 | 545,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_THE_MACHINE: &[libc::c_long] = &[];

/// `__X32_SYSCALL_BIT` of asm/unistd.h.
#[cfg(target_arch = "x86_64")]
const X32: libc::c_long = 0x4000_0000;
/// No second set.
#[cfg(not(target_arch = "x86_64"))]
const X32: libc::c_long = 0;

/// Takes the calls away from all threads, for good. bpf(2) goes as well without `kernel_side`.
///
/// # Errors
/// The kernel or the machine knows no such filter.
pub fn restrict(kernel_side: bool) -> Result<(), FilterError> {
    apply_filter_all_threads(&program(kernel_side)?).map_err(|error| FilterError(error.to_string()))
}

fn program(kernel_side: bool) -> Result<BpfProgram, FilterError> {
    let bpf = (!kernel_side).then_some(libc::SYS_bpf);
    let calls = DENIED.iter().chain(OF_THE_MACHINE).copied().chain(bpf);
    let denied: BTreeMap<i64, _> =
        calls.flat_map(|call| [call, call | X32]).map(|call| (call, Vec::new())).collect();
    let error = |error: BackendError| FilterError(error.to_string());
    let machine = ARCH.try_into().map_err(error)?;
    let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(denied, SeccompAction::Allow, deny, machine).map_err(error)?;
    filter.try_into().map_err(error)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use seccompiler::apply_filter;

    use super::*;

    #[test]
    fn no_program_is_started_and_everything_else_goes_on() {
        // In a thread of its own, which it ends with.
        std::thread::spawn(|| {
            assert!(Command::new("true").status().unwrap().success());
            apply_filter(&program(false).unwrap()).unwrap();
            let refused = Command::new("true").status().unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
            let inherited = std::thread::spawn(|| Command::new("true").status().is_err());
            assert!(inherited.join().unwrap(), "threads of this one are held to it, too");
            std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std::fs::read("/proc/self/status").unwrap();
        })
        .join()
        .unwrap();
    }
}
