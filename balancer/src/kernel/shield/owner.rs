//! Who else has a program on an interface, asked of the kernel by rtnetlink(7). Must not know: why it is asked.

use std::{
    fmt, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use aya::programs::loaded_programs;

/// Of linux/if_link.h.
const IFLA_XDP: u16 = 43;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
/// Kinds of attributes without the flags of linux/netlink.h.
const KIND: u16 = 0x3fff;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
const INTERFACE: usize = 16;
const REQUEST: usize = HEADER + INTERFACE;

/// A program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttachedProgram {
    id: u32,
    /// As far as this process may see it: its name, and the user id that loaded it.
    name: Option<(String, Option<u32>)>,
}

impl fmt::Display for AttachedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", self.id)?;
        if let Some((name, user)) = &self.name {
            write!(f, " ({name:?}")?;
            if let Some(user) = user {
                write!(f, ", loaded by user id {user}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// The program that the interface of this index has.
pub(super) fn of_interface(index: u32) -> io::Result<Option<AttachedProgram>> {
    let Some(id) = program_of(&ask(index)?) else { return Ok(None) };
    let found = loaded_programs().map_while(Result::ok).find(|program| program.id() == id);
    let name =
        found.map(|program| (program.name_as_str().unwrap_or_default().to_owned(), program.created_by_uid()));
    Ok(Some(AttachedProgram { id, name }))
}

/// The kernel's answer to what it knows of an interface (RTM_GETLINK).
fn ask(index: u32) -> io::Result<Vec<u8>> {
    // SAFETY: no pointers.
    let socket =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call gave us this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut request = Vec::with_capacity(REQUEST);
    request.extend(u32::try_from(REQUEST).map_err(io::Error::other)?.to_ne_bytes());
    request.extend(libc::RTM_GETLINK.to_ne_bytes());
    request.extend(u16::try_from(libc::NLM_F_REQUEST).map_err(io::Error::other)?.to_ne_bytes());
    request.extend([0; 8]);
    // Any family, any kind of device, this index; no flags.
    request.extend([0; 4]);
    request.extend(index.to_ne_bytes());
    request.extend([0; 8]);
    // SAFETY: the bytes outlive the call.
    let sent = unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut answer = vec![0; 32 * 1024];
    // SAFETY: the kernel writes at most as many bytes as there are.
    let received = unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
    answer.truncate(usize::try_from(received).map_err(|_| io::Error::last_os_error())?);
    Ok(answer)
}

/// The id of the program in an answer.
fn program_of(answer: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != libc::RTM_NEWLINK {
        return None;
    }
    let xdp = attributes(answer.get(REQUEST..)?).find(|(kind, _)| *kind == IFLA_XDP)?.1;
    let wanted = [IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID];
    let id = |(kind, value): (u16, &[u8])| {
        let id = u32::from_ne_bytes(value.get(..4)?.try_into().ok()?);
        (wanted.contains(&kind) && id != 0).then_some(id)
    };
    attributes(xdp).find_map(id)
}

/// Kind and value of each attribute; what is cut off is left out.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & KIND;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_program_is_found_among_other_attributes_and_nothing_in_what_is_cut_off() {
        let mut answer = vec![0; REQUEST];
        answer[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        answer.extend(attribute(3, b"eth0\0"));
        let none = answer.clone();
        let nested = [attribute(2, &[4]), attribute(IFLA_XDP_SKB_PROG_ID, &77_u32.to_ne_bytes())].concat();
        answer.extend(attribute(IFLA_XDP | 0x8000, &nested));
        assert_eq!(program_of(&answer), Some(77));
        assert_eq!(program_of(&none), None);
        for length in 0..answer.len() {
            assert_eq!(program_of(&answer[..length]), None, "{length}");
        }
        answer[4] = 2;
        assert_eq!(program_of(&answer), None, "an error is no answer");
    }

    #[test]
    fn the_loopback_has_none() {
        assert_eq!(of_interface(1).unwrap(), None);
    }
}
