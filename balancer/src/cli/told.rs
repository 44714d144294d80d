//! What every command shares: where a configuration is looked for, what is printed, and how a failure is told.
//! Must not know: commands.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Where `run` and `check` look for a configuration.
pub(super) const CONFIG: &str = "/etc/balancer";

/// Why a command did not do its work.
#[derive(Debug)]
pub enum CommandFailure {
    /// Exit code 1, told in one line.
    CannotStart(anyhow::Error),
    /// Exit code 2, told as it stands: every fault of the configuration, a line each.
    BadConfiguration(String),
}

impl CommandFailure {
    /// Tells it on standard error, and says the exit code of the process.
    pub(super) fn tell(&self) -> ExitCode {
        let mut stderr = io::stderr().lock();
        match self {
            Self::CannotStart(error) => {
                let line = in_one_line(error);
                let _ = writeln!(stderr, "balancer: {line}");
                ExitCode::from(1)
            }
            Self::BadConfiguration(text) => {
                let _ = writeln!(stderr, "{}", text.trim_end());
                ExitCode::from(2)
            }
        }
    }
}

impl From<anyhow::Error> for CommandFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::CannotStart(error)
    }
}

/// Writes to standard output. A reader that went away (`balancer status | head`) is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// An error with what it comes from, each once: many say already what the system said.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(cause.as_str()) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open {name}: {source}")]
        struct Told {
            name: &'static str,
            source: io::Error,
        }
        let told = || Told { name: "x", source: io::Error::from_raw_os_error(2) };
        let text = "cannot open x: No such file or directory (os error 2)";
        assert_eq!(in_one_line(&told().into()), text);
        assert_eq!(in_one_line(&anyhow::Error::new(told()).context("starting")), format!("starting: {text}"));
        let untold = anyhow::Error::new(io::Error::from_raw_os_error(2)).context("cannot open x");
        assert_eq!(in_one_line(&untold), text);
    }
}
