//! The name that an instance has on its host, as an abstract socket (unix(7)): it can be had by every user and lies in no
//! folder, so that two users see one another, each with folders of his own. Who asks is told by the system which process
//! has it.
//!
//! Any user may take any name, as any port above 1023. Who does keeps the instance from starting, is named in the refusal,
//! and learns nothing: nothing is said over the socket. The name is seen within a network namespace; what shares folders
//! and not that has [`super::host_lock`]. Must not know: what an instance is.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with},
    process::{Pid, geteuid, test_kill_process},
};

use super::{KernelError, sys};

/// Who may ask while a process has the name and still be told which.
const BACKLOG: i32 = 1024;
/// How often is asked again who has it: it may be about to listen, or to be gone.
const TURNS: usize = 16;
const PAUSE: Duration = Duration::from_millis(2);
/// How often where the process that has it is gone: a second in all.
const TURNS_OF_THE_DEAD: usize = 500;

/// A name, had for as long as the value lives. A process that inherits the socket has to listen(2) once more to be named.
#[derive(Debug)]
pub(super) struct HostName {
    socket: OwnedFd,
}

/// Who has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameHolder {
    /// The process; nothing where it cannot be seen from here.
    pub(super) pid: Option<u32>,
    /// Its user, when it took the name.
    pub(super) user: Option<u32>,
}

impl NameHolder {
    /// As what keeps another process from the instance.
    pub(super) fn refuses(self, instance: &str) -> KernelError {
        let (instance, pid) = (instance.to_owned(), self.pid);
        match self.user {
            Some(user) if user != geteuid().as_raw() => KernelError::RunningOfAnother { instance, pid, user },
            _ => KernelError::Running { instance, pid },
        }
    }
}

impl HostName {
    /// Takes the name, or says who has it. A process that is gone has it no longer than its child needs to become another
    /// program, which on a busy host it is waited for.
    ///
    /// # Errors
    /// The system's, where there are no such sockets.
    pub(super) fn take(instance: &str) -> io::Result<Result<Self, NameHolder>> {
        for _ in 0..TURNS_OF_THE_DEAD {
            match Self::try_take(instance)? {
                Err(NameHolder { pid: Some(pid), .. }) if is_gone(pid) => thread::sleep(PAUSE),
                taken => return Ok(taken),
            }
        }
        Self::try_take(instance)
    }

    fn try_take(instance: &str) -> io::Result<Result<Self, NameHolder>> {
        for _ in 0..TURNS {
            let socket = unix_socket()?;
            match bind(&socket, &address(instance)?) {
                Ok(()) => {
                    listen(&socket, BACKLOG)?;
                    return Ok(Ok(Self { socket }));
                }
                Err(Errno::ADDRINUSE) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(holder) = holder(instance)? {
                return Ok(Err(holder));
            }
            thread::sleep(PAUSE);
        }
        Ok(Err(NameHolder { pid: None, user: None }))
    }

    /// The name that another process has, too.
    pub(super) fn inherit(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// What another process inherits it by.
    pub(super) fn lend(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Who asks is told this process from here on.
    pub(super) fn take_up(&self) {
        if let Err(error) = listen(&self.socket, BACKLOG) {
            tracing::debug!(%error, "who asks for the instance is told another process");
        }
    }
}

/// Who has the name; nothing: nobody, or nobody who listens.
///
/// # Errors
/// The system's, where there are no such sockets.
pub(super) fn holder(instance: &str) -> io::Result<Option<NameHolder>> {
    let socket = unix_socket()?;
    match connect(&socket, &address(instance)?) {
        Ok(()) => {
            let (pid, user) = sys::peer(socket.as_fd())?;
            Ok(Some(NameHolder { pid, user: Some(user) }))
        }
        Err(Errno::CONNREFUSED) => Ok(None),
        // As many have asked as may.
        Err(Errno::AGAIN) => Ok(Some(NameHolder { pid: None, user: None })),
        Err(error) => Err(error.into()),
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn address(instance: &str) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(format!("balancer/{instance}").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::test_support::eventually;

    /// Names are the host's: every test has its own, and none that a test of another file has.
    fn name(test: &str) -> String {
        format!("unit-host-name-{test}-{}", std::process::id())
    }

    #[test]
    fn a_name_is_had_once_and_who_has_it_is_known() {
        let name = name("name");
        assert_eq!(holder(&name).unwrap(), None);
        let held = HostName::take(&name).unwrap().unwrap();
        let us =
            NameHolder { pid: Some(std::process::id()), user: Some(rustix::process::geteuid().as_raw()) };
        assert_eq!(HostName::take(&name).unwrap().unwrap_err(), us);
        assert_eq!(holder(&name).unwrap(), Some(us));
        HostName::take(&format!("{name}-b")).unwrap().expect("another name");
        drop(held);
        // A child that another test has just forked has the socket, too, until it is another program.
        eventually(|| HostName::take(&name).unwrap());
    }

    #[test]
    fn the_name_of_a_process_that_is_gone_is_waited_for() {
        let name = name("gone");
        let socket = unix_socket().unwrap();
        bind(&socket, &address(&name).unwrap()).unwrap();
        // A child that listens and ends: the name is kept by what it has left with us. It has the socket as its standard
        // input; one that every child inherits would be kept by those of other tests as long as they run.
        let code = "open(S, '+<&=', 0) or exit 1; listen(S, 1024) or exit 2";
        let inherited = socket.try_clone().unwrap();
        let status = std::process::Command::new("perl").args(["-e", code]).stdin(inherited).status().unwrap();
        assert!(status.success());
        let gone = holder(&name).unwrap().unwrap().pid.unwrap();
        assert!(is_gone(gone) && !is_gone(std::process::id()));
        let let_go = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(socket);
        });
        HostName::take(&name).unwrap().expect("it is free soon");
        let_go.join().unwrap();
    }

    #[test]
    fn who_has_it_and_does_not_listen_has_it_all_the_same() {
        let name = name("mute");
        let mute = unix_socket().unwrap();
        bind(&mute, &address(&name).unwrap()).unwrap();
        let nobody = NameHolder { pid: None, user: None };
        assert_eq!(HostName::take(&name).unwrap().unwrap_err(), nobody);
    }

    #[test]
    fn when_too_many_have_asked_it_is_still_had() {
        let name = name("asked");
        let held = HostName::take(&name).unwrap().unwrap();
        listen(&held.socket, 0).unwrap();
        let asked: Vec<_> = (0..4).map(|_| HostName::take(&name).unwrap().unwrap_err()).collect();
        assert_eq!(asked.last(), Some(&NameHolder { pid: None, user: None }));
    }
}
