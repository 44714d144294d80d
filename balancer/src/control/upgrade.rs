//! How one process of an instance takes the place of another, so that nobody notices: `balancer upgrade` and SIGUSR2.
//!
//! The process that runs has the program started anew (`starter`), as it was started itself. The new one speaks to it over
//! the socket of the instance (`door`), takes over copies of everything that must not be opened twice — the listening sockets
//! with those that wait at them, locks, the socket itself — and gets ready to serve without accepting anybody. Until then
//! the old one serves on, and whatever becomes of the new one changes nothing. Then:
//!
//! ```text
//! new: Ready    everything is there but the word
//! old: Go       and goes on accepting
//! new: Taken    and accepts; the locks are its
//! old: Released it does not accept any more, and its hands are off the kernel's programs
//! ```
//!
//! What waits at a listening socket waits at both copies of it, so no moment of this loses anybody. From `Taken` on the old
//! one finishes what it has ([`crate::listener`]). Where it is asked to end meanwhile, that is meant for the instance: before `Go`
//! the new one is ended, too, and after that it is told with `Released`. Must not know: workers, what is configured.

mod channel;
mod conversation;
mod denials;
mod door;
mod predecessor;
mod starter;
mod successor;

use std::{fmt, io, net::SocketAddr, os::fd::OwnedFd, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::{
    denials::{Denial, DenyAnswer, DenyRequest},
    door::{Door, UpgradeReply, ask, ask_to_deny, ask_what_runs},
    predecessor::{Handover, StartAgain, Upgrades},
    starter::{Invocation, STARTER, Starter, serve as serve_as_starter},
    successor::{Inheritance, InheritanceError, Inherited, Meanwhile},
};

/// How long the new process may take until it speaks.
const FIRST_WORD: Duration = Duration::from_secs(20);
/// How long it may take until it is ready.
const READINESS: Duration = Duration::from_secs(60);
/// How long the word may take to come back.
const WORD: Duration = Duration::from_secs(10);

/// Tells the new process the folder of the instance that it is to take over.
const VARIABLE: &str = "BALANCER_SUCCEEDS";

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// The lock of the instance's folder.
    FolderLock,
    /// Its lock on the host.
    HostLock,
    /// Its name on the host.
    HostName,
    /// The lock of the kernel's tables.
    TablesLock,
    /// The instance's own socket.
    Door,
    /// Where the admin endpoint listens, by its configured address.
    Admin(SocketAddr),
    /// Where the ELBv2 API is served, by its configured address.
    ControlApi(SocketAddr),
    /// One of the sockets of the listener that is configured with this address.
    Listener(SocketAddr),
    /// The shield's link to an interface.
    Shield {
        /// The interface's index.
        index: u32,
        /// Whether it is in the driver.
        native: bool,
    },
}

/// What is handed over beside descriptors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HandoverFacts {
    /// Name of the instance.
    pub instance: String,
    /// Its runtime folder's parent.
    pub runtime_dir: PathBuf,
    /// Why there is no kernel side; nothing where there is one.
    pub without_kernel_side: Option<String>,
    /// What the process knows by now.
    #[serde(default)]
    pub memory: Memory,
}

/// What a process knows that the next one need not learn anew. Each part says its version, and what another version says, or
/// does not say, is done without.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// States of targets; see [`crate::target_group::TargetMemory`].
    pub targets: serde_json::Value,
    /// Keys of TLS tickets; see [`crate::tls::Servers::remember`].
    pub tickets: serde_json::Value,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There are secrets in it.
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Everything that is handed over.
#[derive(Debug, Default)]
pub struct Estate {
    /// Descriptors.
    pub held: Vec<(Label, OwnedFd)>,
    /// The rest.
    pub facts: HandoverFacts,
}

/// Why there was no upgrade. The process that ran runs on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The process that runs was asked to end.
    #[error("the running process was asked to end")]
    Ending,
    /// It is not tried.
    #[error("{0}")]
    Refused(String),
    /// The new process has said why it cannot start.
    #[error("the new process cannot start: {text}")]
    Failed {
        /// Whether its configuration is wrong.
        configuration: bool,
        /// What it said.
        text: String,
    },
    /// It is gone.
    #[error("the new process ended at once ({0}): see the log")]
    Ended(String),
    /// It takes too long.
    #[error("the new process was not {step} within {} s, and was ended", limit.as_secs())]
    TooSlow {
        /// What it should have been.
        step: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// It said something else than it should.
    #[error("the new process speaks another language: {0}")]
    Garbled(io::Error),
}

/// The first word of who connects to the instance's socket.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    /// An operator wants an upgrade.
    Upgrade,
    /// A new process wants what there is.
    Succeed { abi: u32 },
    /// An operator wants sources denied.
    Deny(DenyRequest),
    /// Somebody who looks at a configuration wants to know what a reload of it goes on with.
    StartedWith,
}

/// What a process goes on with until it ends, whatever configurations come after the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedWith {
    /// Where its key file is, unless the configuration names one.
    pub state_dir: PathBuf,
    /// The user that it has become; nothing: it is the one that it was started as.
    pub user: Option<String>,
}

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// You get nothing.
    Refused(String),
    /// The descriptors that come along are these.
    Held(Vec<Label>),
    /// That was all.
    All(HandoverFacts),
    /// Take it.
    Go,
    /// It is yours alone. `reload`: the configuration may have been changed since you read it. `end`: you are to end, as this
    /// process was asked to.
    Released {
        reload: bool,
        #[serde(default)]
        end: bool,
    },
}

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    /// It goes on with the listeners of these addresses.
    Ready { listeners: Vec<SocketAddr> },
    /// It does not.
    Failed { configuration: bool, text: String },
    /// It has taken over.
    Taken { version: String },
}
