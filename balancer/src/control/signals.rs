//! Signals of the process as a stream of requests to the control side.
//!
//! SIGHUP reloads. SIGTERM and SIGINT drain, the second of them ends at once. SIGUSR1 has log files opened
//! anew, SIGUSR2 has the program started anew in the place of this process; SIGPIPE is ignored by the runtime of the language.
//! Must not know: how any of it is done.

use std::io;

use rustix::process::{Pid, Signal as Number, kill_process};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again.
    Reload,
    /// Open log files anew.
    Reopen,
    /// Have a new process take over.
    Upgrade,
    /// Accept nothing new, finish what is in flight, end.
    Drain,
    /// End now.
    Now,
}

/// Those of the signals that ask for something which can wait until the process serves, and would end it where nobody
/// has taken them over: taken over before anything else is done.
#[derive(Debug)]
pub struct EarlySignals {
    hangup: Stream,
    user: Stream,
    second_user: Stream,
}

impl EarlySignals {
    /// Takes them over. Must be called within a runtime.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            second_user: signal(SignalKind::user_defined2())?,
        })
    }
}

/// Has these other processes open their log files anew.
pub fn reopen_logs_of(processes: Vec<u32>) {
    for number in processes {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        if let Err(error) = kill_process(pid, Number::USR1) {
            tracing::warn!(pid = number, %error, "a process of the instance goes on writing to log files that were moved");
        }
    }
}

/// The signals of this process. While a value lives and after it, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    early: EarlySignals,
    terminate: Stream,
    interrupt: Stream,
    draining: bool,
    /// Whether the process before was asked to end, which is meant for this one.
    is_told: bool,
}

impl Signals {
    /// Takes the others over, too. Must be called within a runtime.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn new(early: EarlySignals) -> io::Result<Self> {
        Ok(Self {
            early,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            draining: false,
            is_told: false,
        })
    }

    /// The process before was asked to end: so is this one, unless a signal has asked it to, too. A signal that comes to it
    /// later is its first: one that was sent to all processes has come to both.
    pub fn told_to_end(&mut self) {
        self.is_told = true;
    }

    /// Waits for the next request. Dropping the future loses no signal. Signals that come before they are
    /// waited for are kept, several of one kind as one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            // The end before anything else.
            biased;
            _ = self.terminate.recv() => self.end(),
            _ = self.interrupt.recv() => self.end(),
            () = std::future::ready(()), if std::mem::take(&mut self.is_told) && !self.draining => Signal::Drain,
            _ = self.early.hangup.recv() => Signal::Reload,
            _ = self.early.user.recv() => Signal::Reopen,
            _ = self.early.second_user.recv() => Signal::Upgrade,
        }
    }

    /// Waits until the process is asked to end, and leaves all else for later. Dropping the future loses no signal.
    pub async fn asked_to_end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    fn end(&mut self) -> Signal {
        if std::mem::replace(&mut self.draining, true) { Signal::Now } else { Signal::Drain }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::getpid;

    use super::*;

    async fn next(signals: &mut Signals) -> Signal {
        tokio::time::timeout(Duration::from_secs(20), signals.next()).await.unwrap()
    }

    /// One test, since signals go to the process and all tests share it.
    #[tokio::test(flavor = "current_thread")]
    async fn signals_become_requests_and_the_second_end_is_now() {
        let early = EarlySignals::new().unwrap();
        let send = |number| kill_process(getpid(), number).unwrap();
        send(Number::HUP);
        let mut signals = Signals::new(early).unwrap();
        let signals = &mut signals;
        assert_eq!(next(signals).await, Signal::Reload, "from before");
        send(Number::USR1);
        send(Number::PIPE);
        assert_eq!(next(signals).await, Signal::Reopen);
        send(Number::USR2);
        assert_eq!(next(signals).await, Signal::Upgrade);
        send(Number::HUP);
        assert_eq!(next(signals).await, Signal::Reload);
        signals.told_to_end();
        assert_eq!(next(signals).await, Signal::Drain, "the process before was asked to");
        send(Number::TERM);
        assert_eq!(next(signals).await, Signal::Drain, "it may have been sent to both");
        signals.told_to_end();
        send(Number::HUP);
        assert_eq!(next(signals).await, Signal::Reload);
        send(Number::INT);
        assert_eq!(next(signals).await, Signal::Now);
        send(Number::TERM);
        assert_eq!(next(signals).await, Signal::Now);
    }
}
