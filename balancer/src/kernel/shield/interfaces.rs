//! The interfaces that the shield is on. It is held there by a link of this process and of nobody else: without a balancer there is
//! nothing to protect, and whoever has its ports next is not to be cut off by it.
//! Must not know: what the program does.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::io::Errno;

use super::owner;
use crate::{kernel::sys, model::ShieldMode};

/// A link on its way to a process that succeeds this one.
#[derive(Debug)]
pub struct ShieldLink {
    /// The interface's index.
    pub index: u32,
    /// Whether it is in the driver.
    pub native: bool,
    /// The link.
    pub link: OwnedFd,
}

/// An interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    link: Option<ShieldLink>,
    /// Why there is no link, or why it is not native.
    detail: String,
}

impl Interface {
    pub(super) fn new(name: String) -> Self {
        Self { name, link: None, detail: "not yet".to_owned() }
    }

    /// `native` or `generic`; nothing where the shield is not.
    pub(super) fn mode(&self) -> Option<&'static str> {
        self.link.as_ref().map(|link| if link.native { "native" } else { "generic" })
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether a packet that came in at the interface of this index came in here.
    pub(super) fn has_index(&self, index: u32) -> bool {
        self.link.as_ref().is_some_and(|link| link.index == index)
    }

    /// A copy of the link.
    pub(super) fn lend(&self) -> io::Result<Option<ShieldLink>> {
        let copy = |link: &ShieldLink| {
            Ok(ShieldLink { index: link.index, native: link.native, link: link.link.try_clone()? })
        };
        self.link.as_ref().map(copy).transpose()
    }

    /// Has `program` run here from now on, where it can be, in the place of the one that an inherited link runs. Whether
    /// anything is other than before.
    pub(super) fn tend(
        &mut self,
        program: BorrowedFd<'_>,
        mode: ShieldMode,
        inherited: &mut Vec<ShieldLink>,
    ) -> bool {
        let before = (self.mode(), self.detail.clone());
        let Ok(index) = index_of(&self.name) else {
            self.link = None;
            "there is no such interface".clone_into(&mut self.detail);
            return (self.mode(), &self.detail) != (before.0, &before.1);
        };
        let is_wanted = |link: &ShieldLink| {
            let fits = match mode {
                ShieldMode::Auto => true,
                ShieldMode::Native => link.native,
                ShieldMode::Generic => !link.native,
            };
            // One of an interface that has gone, or that somebody took off, is attached to nothing.
            let is_there =
                || matches!(sys::link_interface(link.link.as_fd()), Ok(Some(found)) if found == index);
            fits && link.index == index && is_there()
        };
        self.link.take_if(|link| !is_wanted(link));
        if self.link.is_none() {
            let own = inherited.iter().position(&is_wanted).map(|place| inherited.swap_remove(place));
            self.link = own.filter(|link| sys::replace_program(link.link.as_fd(), program).is_ok());
            if self.link.is_some() {
                self.detail = String::new();
            }
        }
        if self.link.is_none() {
            // Any other that is there is in the way.
            inherited.retain(|link| link.index != index);
            self.attach(program, index, mode);
        }
        (self.mode(), &self.detail) != (before.0, &before.1)
    }

    fn attach(&mut self, program: BorrowedFd<'_>, index: u32, mode: ShieldMode) {
        let ways: &[bool] = match mode {
            ShieldMode::Auto => &[true, false],
            ShieldMode::Native => &[true],
            ShieldMode::Generic => &[false],
        };
        let mut detail = String::new();
        for native in ways.iter().copied() {
            match sys::link_to_interface(program, index, native) {
                Ok(link) => {
                    self.link = Some(ShieldLink { index, native, link });
                    break;
                }
                Err(error) if is_taken(&error) => {
                    detail = taken(index, &error);
                    break;
                }
                Err(error) if native => detail = format!("its driver cannot: {error}"),
                Err(error) => detail = error.to_string(),
            }
        }
        self.detail = detail;
    }
}

/// The index of the interface of this name, which may be another one's second name.
pub(super) fn index_of(name: &str) -> rustix::io::Result<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None)?;
    rustix::net::netdevice::name_to_index(socket, name)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BUSY | Errno::EXIST))
}

fn taken(index: u32, error: &io::Error) -> String {
    match owner::of_interface(index) {
        Ok(Some(owner)) => format!("another one is there: {owner}"),
        _ => format!("another program is there: {error}"),
    }
}
