//! What every command shares: where a configuration is looked for, what is printed, and how a failure is told.
//! Must not know: commands.

use std::{
    fmt::Write as _,
    io::{self, Write},
    process::ExitCode,
};

use crate::kernel;

/// Where `run` and `check` look for a configuration.
pub(super) const CONFIG: &str = "/etc/balancer";

/// Why a command did not do its work.
#[derive(Debug)]
pub enum CommandFailure {
    /// Exit code 1, told in one line.
    CannotStart(anyhow::Error),
    /// Exit code 2, told as it stands: every fault of the configuration, a line each.
    BadConfiguration(String),
    /// Exit code 3, told already: `doctor` has found something that costs clients something.
    Complaints,
    /// Exit code 1, and it is told already: what was compared differs.
    Differs,
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
            Self::Complaints => ExitCode::from(3),
            Self::Differs => ExitCode::from(1),
        }
    }
}

impl From<anyhow::Error> for CommandFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::CannotStart(error)
    }
}

/// Refuses what no instance can be called.
///
/// # Errors
/// It is a wrong argument.
pub(super) fn check_instance(name: &str) -> Result<(), CommandFailure> {
    kernel::check_name(name).map_err(|error| CommandFailure::BadConfiguration(format!("balancer: {error}")))
}

/// An admin endpoint as it is given: as `check` and browsers write it, or without what they put around it.
///
/// # Errors
/// What is allowed, where it is none.
pub(super) fn admin_endpoint(text: &str) -> Result<String, String> {
    let address = text.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    let is_host = if host.contains(':') {
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| !host.is_empty())
    } else {
        !host.is_empty() && !host.contains(['/', '@', ' ', '[', ']'])
    };
    if is_host && port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Ok(address.to_owned());
    }
    Err("allowed: HOST:PORT, such as 127.0.0.1:9900 or [::1]:9900, with or without http://".to_owned())
}

/// The whole number of an option, within what it may be.
///
/// # Errors
/// What is allowed, where it is none.
pub(super) fn whole<const LEAST: u64, const MOST: u64>(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
    number.ok_or_else(|| format!("allowed: a whole number from {LEAST} to {MOST}"))
}

/// Rows in columns as wide as their widest cell, two spaces apart.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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
    fn an_admin_endpoint_is_a_host_and_a_port() {
        for (text, address) in [
            ("127.0.0.1:9900", "127.0.0.1:9900"),
            ("http://127.0.0.1:1/", "127.0.0.1:1"),
            ("localhost:65535", "localhost:65535"),
            ("[::1]:9900", "[::1]:9900"),
        ] {
            assert_eq!(admin_endpoint(text).as_deref(), Ok(address), "{text}");
        }
        for text in [
            "",
            "foo",
            "127.0.0.1",
            ":9900",
            "a:",
            "a:0",
            "a:99999",
            "::1:9900",
            "[]:1",
            "a:1/status",
            "a/b:1",
        ] {
            assert!(admin_endpoint(text).unwrap_err().contains("HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn what_no_instance_can_be_called_is_a_wrong_argument() {
        assert!(check_instance("default").is_ok());
        for name in ["Bad_Name", "", "../x"] {
            let Err(CommandFailure::BadConfiguration(text)) = check_instance(name) else { panic!("{name}") };
            assert!(text.contains("1 to 32 lower-case letters"), "{text}");
        }
    }

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
