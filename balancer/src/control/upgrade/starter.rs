//! Starts the program anew: a small process of its own, started with the rights that the balancer itself was started with,
//! which does nothing else. The balancer may have become another user, and may have given up starting programs altogether
//! (`seccomp`); what it starts has to be able to do what a start does. It can ask for one thing: the same program with the
//! same arguments. Must not know: what the new process does.

use std::{
    env,
    ffi::OsString,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    runtime::Handle,
};

use super::VARIABLE;
use crate::control::signals::EarlySignals;

/// How often it is looked whether the new process is there still.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked whether the starter is gone that is about to go.
const MOST_LOOKS: u32 = 500;
/// The word that a program is told by to be one.
pub const STARTER: &str = "starter";
/// Its own program, also when another one is in its place.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// How the process was started: the program's path, and its arguments.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Invocation {
    /// How this process was started.
    ///
    /// # Errors
    /// The program cannot be found.
    pub fn own() -> io::Result<Self> {
        let mut words = env::args_os();
        let name = words.next().unwrap_or_default();
        Ok(Self { program: program(Path::new(&name))?, arguments: words.collect() })
    }
}

/// The path by which the program was named, which may be a link that leads elsewhere by the next time; its own path where the
/// name leads to another file already.
fn program(name: &Path) -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let is_own = |path: &Path| path.canonicalize().is_ok_and(|found| found == own);
    let named = if name.components().count() > 1 {
        std::path::absolute(name).ok()
    } else {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_own(path))
    };
    Ok(named.filter(|path| is_own(path)).unwrap_or(own))
}

/// The process, seen from the balancer.
#[derive(Debug)]
pub struct Starter {
    stream: UnixStream,
    child: Child,
}

impl Starter {
    /// Starts it. `folder`: that of the instance.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(invocation: &Invocation, folder: &Path) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(OWN_PROGRAM);
        command.arg0("balancer-starter").arg(STARTER).arg(folder).arg(&invocation.program);
        command.args(&invocation.arguments).env_remove(VARIABLE);
        // It ends when this end is closed, which is when this process ends.
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        ours.set_nonblocking(true)?;
        Ok(Self { stream: ours, child })
    }

    /// For the runtime.
    pub(super) fn register(self) -> io::Result<RunningStarter> {
        let (reader, writer) = tokio::net::UnixStream::from_std(self.stream)?.into_split();
        Ok(RunningStarter { lines: BufReader::new(reader).lines(), writer, child: Some(self.child) })
    }
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The new process is there.
    Started(u32),
    /// It is gone.
    Ended(String),
    /// It cannot be started.
    Failed(String),
}

/// The process, to be spoken to.
#[derive(Debug)]
pub(super) struct RunningStarter {
    lines: Lines<BufReader<tokio::net::unix::OwnedReadHalf>>,
    writer: tokio::net::unix::OwnedWriteHalf,
    /// Until it has ended, and that was taken note of.
    child: Option<Child>,
}

/// It has nothing to do any more when nobody is there for it, and ends. This process may go on for long, to finish what it has.
impl Drop for RunningStarter {
    fn drop(&mut self) {
        let (Some(mut child), Ok(runtime)) = (self.child.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            // How it ends is nothing that anybody asks for now.
            while end_of(&mut child).await.is_none() {}
        });
    }
}

/// Waits a while for it to have ended; how it did, so that nothing is left of it.
async fn end_of(child: &mut Child) -> Option<String> {
    for _ in 0..MOST_LOOKS {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.to_string()),
            Ok(None) => tokio::time::sleep(LOOK).await,
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

impl RunningStarter {
    async fn tell(&mut self, word: &[u8; 1]) -> io::Result<()> {
        self.writer.write_all(word).await
    }

    /// Has the program started.
    pub(super) async fn start(&mut self) -> io::Result<()> {
        self.tell(b"s").await
    }

    /// Has the new process killed, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if self.tell(b"k").await.is_ok() {
            while let Ok(Said::Started(_)) = self.hear().await {}
        }
    }

    /// The new process is on its own, and this one ends.
    pub(super) async fn leave(&mut self) {
        let _ = self.tell(b"l").await;
    }

    /// Waits until it is gone, while it has nothing to do. What it says of what it had to do before is passed over.
    pub(super) async fn gone(&mut self) -> String {
        while let Ok(Some(_)) = self.lines.next_line().await {}
        self.reap().await
    }

    /// Takes note of its end, so that nothing is left of it. How it ended, as far as that is known within a while.
    pub(super) async fn reap(&mut self) -> String {
        let Some(child) = &mut self.child else { return "it has ended before".to_owned() };
        match end_of(child).await {
            Some(how) => {
                self.child = None;
                how
            }
            None => "it does not end".to_owned(),
        }
    }

    /// Waits for what it says next. Dropping the future loses nothing.
    pub(super) async fn hear(&mut self) -> io::Result<Said> {
        let line = self.lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(match line.split_once(' ') {
            Some(("started", pid)) => Said::Started(pid.parse().map_err(io::Error::other)?),
            Some(("ended", how)) => Said::Ended(how.to_owned()),
            _ => Said::Failed(line),
        })
    }
}

/// Is that process: does what comes in on standard input until nobody is there any more. `words`: the folder of the instance,
/// the program, its arguments.
///
/// # Errors
/// There are no such words, or the system's.
pub fn serve(words: &[OsString]) -> io::Result<()> {
    let [folder, program, arguments @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    // Signals that ask a balancer for something, sent to all processes of that name, are not for this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _signals = {
        let _inside = runtime.enter();
        EarlySignals::new()?
    };
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(false)?;
    let mut child = None;
    let served = obey(&mut stream, program, (folder, arguments), &mut child);
    // What has not taken over by now would be in the way of the next start, however the balancer has gone.
    if let Some(child) = child {
        end(child)?;
    }
    match served {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            Ok(())
        }
        served => served,
    }
}

/// Until nobody is there any more, or the new process is on its own.
fn obey(
    stream: &mut UnixStream,
    program: &OsString,
    (folder, arguments): (&OsString, &[OsString]),
    child: &mut Option<Child>,
) -> io::Result<()> {
    loop {
        if let Some(running) = child
            && let Some(status) = running.try_wait()?
        {
            *child = None;
            writeln!(stream, "ended {status}")?;
        }
        stream.set_read_timeout(child.is_some().then_some(LOOK))?;
        let mut word = [0];
        match stream.read(&mut word) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                continue;
            }
            Err(error) => return Err(error),
        }
        match (word, &mut *child) {
            ([b's'], None) => {
                let mut command = Command::new(program);
                command.args(arguments).env(VARIABLE, folder).stdin(Stdio::null());
                match command.spawn() {
                    Ok(started) => {
                        let number = started.id();
                        *child = Some(started);
                        writeln!(stream, "started {number}")?;
                    }
                    Err(error) => {
                        let program = Path::new(program).display();
                        writeln!(stream, "{program} cannot be started: {error}")?;
                    }
                }
            }
            ([b'k'], Some(running)) => {
                if let Err(error) = running.kill() {
                    writeln!(stream, "the new process cannot be ended: {error}")?;
                }
            }
            ([b'k'], None) => writeln!(stream, "ended before")?,
            // The new process has a starter of its own.
            ([b'l'], child) => {
                *child = None;
                return Ok(());
            }
            _ => {}
        }
    }
}

fn end(mut child: Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_the_name_it_was_given_or_by_itself() {
        let own = env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert_eq!(program(&link).unwrap(), link, "where it leads may change");
        assert_eq!(program(Path::new("/bin/sh")).unwrap(), own);
        assert_eq!(program(Path::new("no-such-program")).unwrap(), own);
    }
}
