//! What can go wrong with the shared tables.

use std::{io, path::PathBuf};

use crate::model::Endpoint;

impl KernelError {
    /// Whether it is the rights of this process that are wrong, and another user could do without it.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::RuntimeDir { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Why the tables could not be opened, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The name cannot be part of a path.
    #[error("instance name {0:?} is not 1 to 32 lower-case letters, digits and hyphens")]
    InstanceName(String),
    /// The folder for locks and tables cannot be used.
    #[error("runtime folder {}: {source}{}", path.display(), way_out(source))]
    RuntimeDir {
        /// What was touched.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process runs this instance.
    #[error("instance {instance:?} is already running{}", pid.map(|pid| format!(" as process {pid}")).unwrap_or_default())]
    Running {
        /// Its name.
        instance: String,
        /// The process, when it has said who it is.
        pid: Option<u32>,
    },
    /// A process of another user runs this instance, or has its name.
    #[error("instance {instance:?} is already running{}, which is user id {user}'s: one instance has one owner, so that one of the two needs another name (`instance`)", pid.map(|pid| format!(" as process {pid}")).unwrap_or_default())]
    RunningOfAnother {
        /// Its name.
        instance: String,
        /// The process, where it can be seen from here.
        pid: Option<u32>,
        /// The user that it was started by.
        user: u32,
    },
    /// As many processes as there are rows count requests in flight already.
    #[error("every row for requests in flight is taken by a running process")]
    NoGeneration,
    /// What was handed over does not fit what the configuration asks for.
    #[error(
        "{setting} is another one than that of the running process: this takes effect at a restart alone"
    )]
    Changed {
        /// The setting.
        setting: &'static str,
    },
    /// A table cannot be stored or mapped.
    #[error("table {name}: {source}")]
    Table {
        /// Which.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel side is required and cannot be had.
    #[error("the kernel side is required and cannot be used: {reason}")]
    Required {
        /// Why not.
        reason: String,
    },
    /// Every slot belongs to an endpoint.
    #[error("no slot is left for {endpoint}: there can be {max} endpoints, those with open connections included", max = balancer_common::MAX_SLOTS)]
    NoFreeSlot {
        /// Who wanted one.
        endpoint: Endpoint,
    },
    /// The kernel did not take the endpoint's address.
    #[error("telling the kernel of {endpoint}: {source}")]
    Target {
        /// Which.
        endpoint: Endpoint,
        /// Why not.
        source: aya::maps::MapError,
    },
    /// What is pinned cannot be read.
    #[error("reading the pinned tables: {reason}")]
    Pinned {
        /// Why not.
        reason: String,
    },
    /// What a balancer left behind cannot be removed.
    #[error("removing {}: {source}", path.display())]
    Remove {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What to do where the rights of who starts a balancer are wrong.
fn way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; allowed: to run as root, or a `runtime_dir` that this user can write to"
        }
        _ => "",
    }
}
