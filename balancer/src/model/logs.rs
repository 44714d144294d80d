//! Where logs of requests go, and in which form.

use std::{fmt, path::PathBuf};

/// One log of a load balancer (`access_logs`, `health_check_logs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOutput {
    /// `path`; default standard output.
    pub destination: LogDestination,
    /// `format`; default ALB's.
    pub format: LineFormat,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogDestination {
    /// `"stdout"`.
    Stdout,
    /// An absolute path: a file that is appended to, a named pipe or a device.
    File(PathBuf),
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// ALB's fields, separated by spaces.
    Alb,
    /// One JSON object a line, with ALB's names of the fields.
    Json,
}
