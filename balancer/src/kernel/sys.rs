//! The few system calls that neither aya nor rustix makes. Must not know: what they are made for.

mod files;
mod runtime;

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

pub(super) use self::files::{read_no_files, with_text};
pub use self::runtime::{Timer, readable};

/// Commands of bpf(2), from linux/bpf.h.
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
/// A program of an interface, from linux/bpf.h.
const BPF_XDP: u32 = 37;
/// Type of a link to a cgroup, from linux/bpf.h.
const BPF_LINK_TYPE_CGROUP: u32 = 3;
const BPF_LINK_TYPE_XDP: u32 = 6;
/// Behind the driver, and in it, from linux/if_link.h.
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// The object pinned at `path`.
pub(super) fn pinned_object(path: &Path) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Arguments {
        pathname: u64,
        fd: u32,
        flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut arguments = Arguments { pathname: address(path.as_ptr()), fd: 0, flags: 0 };
    // SAFETY: the arguments are those of the command; the path outlives the call.
    let fd = unsafe { bpf(BPF_OBJ_GET, &mut arguments) }?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Arguments of the commands on one entry of a table.
#[repr(C)]
struct OneEntry {
    map: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Sets an entry of the array of sockets `map`, whose values are words, to the socket of this descriptor.
pub(super) fn set_socket(map: BorrowedFd<'_>, index: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    let value = u64::from(socket.as_raw_fd().cast_unsigned());
    let (key, value) = (address(&raw const index), address(&raw const value));
    let mut arguments = OneEntry { map: map.as_raw_fd().cast_unsigned(), key, value, flags: 0 };
    // SAFETY: the arguments are those of the command; key and value are as long as those of the map, and outlive the call.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut arguments) }.map(drop)
}

/// Empties an entry of such an array.
pub(super) fn clear_socket(map: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let key = address(&raw const index);
    let mut arguments = OneEntry { map: map.as_raw_fd().cast_unsigned(), key, value: 0, flags: 0 };
    // SAFETY: the arguments are those of the command; the key is as long as those of the map, and outlives the call.
    unsafe { bpf(BPF_MAP_DELETE_ELEM, &mut arguments) }.map(drop)
}

/// Which process listens at the other end of a connected Unix socket (unix(7), SO_PEERCRED), and its user; no process where it
/// cannot be seen from here. Rustix has no room for that: its process ids are never 0.
pub(super) fn peer(socket: BorrowedFd<'_>) -> io::Result<(Option<u32>, u32)> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    // SAFETY: the place for the answer is as long as is said, and outlives the call.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((u32::try_from(found.pid).ok().filter(|pid| *pid != 0), found.uid))
}

/// The id of the cgroup that a link is attached to; 0 when it is attached to nothing any more, none when it is
/// not a link to a cgroup.
pub(super) fn link_cgroup(link: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let info = link_info(link)?;
    Ok((info.kind == BPF_LINK_TYPE_CGROUP).then_some(info.attached_to))
}

/// The index of the interface that a link is attached to; 0 when it is attached to nothing any more, none when it is not a link
/// to an interface.
pub(super) fn link_interface(link: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let info = link_info(link)?;
    // One word, in the first half of the place.
    let bytes = info.attached_to.to_ne_bytes();
    let index = bytes.first_chunk().map_or(0, |first| u32::from_ne_bytes(*first));
    Ok((info.kind == BPF_LINK_TYPE_XDP).then_some(index))
}

#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    attached_to: u64,
    attach_type: u32,
    rest: [u32; 3],
}

fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    #[repr(C)]
    struct Arguments {
        fd: u32,
        len: u32,
        info: u64,
    }
    let mut info = LinkInfo::default();
    let mut arguments = Arguments {
        fd: link.as_raw_fd().cast_unsigned(),
        len: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
        info: address(&raw mut info),
    };
    // SAFETY: the arguments are those of the command; the kernel writes at most `len` bytes to `info`.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut arguments) }?;
    Ok(info)
}

/// Puts `program` on the interface of this index, for as long as the link is held: in its driver, or behind it.
pub(super) fn link_to_interface(program: BorrowedFd<'_>, index: u32, native: bool) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Arguments {
        program: u32,
        index: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut arguments = Arguments {
        program: program.as_raw_fd().cast_unsigned(),
        index,
        attach_type: BPF_XDP,
        flags: if native { XDP_FLAGS_DRV_MODE } else { XDP_FLAGS_SKB_MODE },
    };
    // SAFETY: the arguments are those of the command.
    let link = unsafe { bpf(BPF_LINK_CREATE, &mut arguments) }?;
    let link = RawFd::try_from(link).map_err(io::Error::other)?;
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}

/// Puts `program` in the place of the one that `link` runs, in one step.
pub(super) fn replace_program(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Arguments {
        link: u32,
        program: u32,
        flags: u32,
        old_program: u32,
    }
    let mut arguments = Arguments {
        link: link.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        flags: 0,
        old_program: 0,
    };
    // SAFETY: the arguments are those of the command.
    unsafe { bpf(BPF_LINK_UPDATE, &mut arguments) }.map(drop)
}

/// What the kernel knows of a TCP connection: `struct tcp_info` of linux/tcp.h, as far as it is read here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TcpInfo {
    pub(super) state: u8,
    congestion: u8,
    /// Retransmission timeouts since something was acknowledged.
    pub(super) timeouts: u8,
    flags: [u8; 5],
    timing: [u32; 4],
    /// Segments that are not acknowledged.
    pub(super) unacknowledged: u32,
    /// Those of them that are acknowledged out of their order.
    pub(super) selectively: u32,
    lost: u32,
    /// Those of them that are on their way for another time.
    pub(super) again: u32,
    rest: [u32; 7],
    /// Smoothed round-trip time in microseconds.
    pub(super) srtt_us: u32,
    windows: [u32; 7],
    /// Segments that were sent again so far.
    pub(super) retransmits: u32,
    pacing: [u64; 2],
    /// Bytes that are acknowledged, with the SYN among them.
    pub(super) acknowledged: u64,
    /// Bytes that were received.
    pub(super) received: u64,
}

const _: () = {
    assert!(size_of::<TcpInfo>() == 136);
    assert!(core::mem::offset_of!(TcpInfo, unacknowledged) == 24);
    assert!(core::mem::offset_of!(TcpInfo, srtt_us) == 68);
    assert!(core::mem::offset_of!(TcpInfo, retransmits) == 100);
};

/// [`TcpInfo::state`]: it is established.
pub(super) const ESTABLISHED: u8 = 1;
/// [`TcpInfo::state`]: a SYN is sent.
pub(super) const SYN_SENT: u8 = 2;

/// What the kernel knows of a TCP connection; none of what is no TCP socket.
pub(super) fn tcp_info(socket: RawFd) -> Option<TcpInfo> {
    let mut info = TcpInfo::default();
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    let whole = length;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which are numbers, whatever the descriptor is.
    let result = unsafe {
        libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut length)
    };
    (result == 0 && length >= whole).then_some(info)
}

/// Bytes that were written to a TCP socket and that its peer has not acknowledged; none when it is no such socket.
#[must_use]
pub fn unacknowledged(socket: RawFd) -> Option<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: this request writes one int (tcp(7), SIOCOUTQ), whatever the descriptor is.
    let result = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u32::try_from(bytes).ok() } else { None }
}

/// Mounts a file system without source or options on `target`.
pub(super) fn mount(kind: &CStr, target: &Path) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: all strings outlive the call; these flags take no data.
    let result = unsafe {
        libc::mount(
            kind.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            std::ptr::null(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs a program of interfaces over a packet so many times: what it says at last, and how many nanoseconds a run took.
#[cfg(test)]
pub(super) fn test_run(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> io::Result<(u32, u32)> {
    const BPF_PROG_TEST_RUN: libc::c_long = 10;
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        program: u32,
        result: u32,
        bytes_in: u32,
        bytes_out: u32,
        packet_in: u64,
        packet_out: u64,
        repeat: u32,
        nanos: u32,
        rest: [u64; 4],
    }
    let mut arguments = Arguments {
        program: program.as_raw_fd().cast_unsigned(),
        bytes_in: u32::try_from(packet.len()).map_err(io::Error::other)?,
        packet_in: address(packet.as_ptr()),
        repeat,
        ..Arguments::default()
    };
    // SAFETY: the arguments are those of the command; the kernel reads as many bytes as are said, and writes none.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut arguments) }?;
    Ok((arguments.result, arguments.nanos))
}

fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// # Safety
/// `arguments` must be those of `command`, and everything they point to must be valid.
unsafe fn bpf<T>(command: libc::c_long, arguments: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the caller's; the kernel takes a size smaller than its own structure as zeros behind it.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(arguments), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
