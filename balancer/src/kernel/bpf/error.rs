//! Why the kernel side cannot be had, with what would help. Must not know: how it is loaded.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use super::super::{KernelError, cgroup::CgroupError};

/// Why the kernel side cannot be had.
#[derive(Debug, thiserror::Error)]
pub(in crate::kernel) enum BpfError {
    #[error("{}", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("loading the kernel programs")]
    Load(#[from] EbpfError),
    #[error("program {name}")]
    Program { name: &'static str, source: ProgramError },
    #[error("table {name}")]
    Map { name: &'static str, source: MapError },
    #[error("mapping table {name}")]
    Mapping { name: &'static str, source: io::Error },
    #[error("the object holds no {name}")]
    Missing { name: &'static str },
    #[error("sockets of a listener")]
    Sockets { source: io::Error },
    #[error("cgroup")]
    Cgroup(#[from] CgroupError),
    #[error("link to the cgroup: {0}")]
    Link(String),
    /// A table is to be of another size than the one that another process counts in.
    #[error("{name}")]
    OtherSize { name: &'static str },
    /// Another process of the instance counts in the pinned tables.
    #[error("in use")]
    Running { pid: Option<u32> },
}

impl BpfError {
    /// As what keeps a cleanup from removing what is pinned at `path`.
    pub(in crate::kernel) fn of_removal(self, instance: &str, path: &Path) -> KernelError {
        match self {
            Self::Running { pid } => KernelError::Running { instance: instance.to_owned(), pid },
            Self::Path { source, .. } => KernelError::Remove { path: path.to_owned(), source },
            other => KernelError::Remove { path: path.to_owned(), source: io::Error::other(other.reason()) },
        }
    }

    /// The whole story in one line, with what would help.
    pub(in crate::kernel) fn reason(&self) -> String {
        let mut reason = self.to_string();
        let mut denied = false;
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !reason.ends_with(&text) {
                reason = format!("{reason}: {text}");
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                denied |= matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
            }
            cause = error.source();
        }
        if denied {
            reason.push_str(" (it takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)");
        }
        reason
    }
}
