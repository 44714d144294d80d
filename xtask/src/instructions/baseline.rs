//! The figures that are committed. Must not know: how things are counted.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// How much more something may take before it is held to be worse, in hundredths: counts of the same program differ by less.
const TOLERANCE: u64 = 2;

/// What differs more from one count to the next, since how often the balancer wakes up depends on what has come when it does.
const UNSTEADY: (&str, u64) = ("new-connection", 5);

fn tolerance(name: &str) -> u64 {
    if name == UNSTEADY.0 { UNSTEADY.1 } else { TOLERANCE }
}

/// Instructions by what takes them.
pub(crate) struct Baseline(BTreeMap<String, u64>);

/// What a count is, compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// There is nothing to compare it with.
    New,
    /// Hundredths of a percent more or less.
    Alike(i64),
    /// The same.
    Worse(i64),
    /// The same. It ought to be committed.
    Better(i64),
}

impl Verdict {
    pub(crate) fn is_worse(self) -> bool {
        matches!(self, Self::New | Self::Worse(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (more, said) = match self {
            Self::New => return f.write_str("not committed yet"),
            Self::Alike(more) => (more, ""),
            Self::Worse(more) => (more, "  WORSE"),
            Self::Better(more) => (more, "  better: to be committed (--accept)"),
        };
        write!(f, "{:+.2} %{said}", *more as f64 / 100.0)
    }
}

fn path() -> PathBuf {
    shell::workspace_root().join("xtask/instructions.txt")
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is not as it is written.
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let line = |line: &str| {
            let (name, count) = line.split_once(' ').context("a line is a name and a count")?;
            Ok((name.to_owned(), count.trim().parse().with_context(|| line.to_owned())?))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Ok(Self(lines.map(line).collect::<Result<_>>()?))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&self) -> Result<()> {
        fs::write(path(), self.text()).with_context(|| path().display().to_string())
    }

    fn text(&self) -> String {
        let lines = self.0.iter().map(|(name, count)| format!("{name:<22} {count:>7}\n"));
        format!(
            "# Instructions of user time a request, counted by `cargo xtask instructions` and written by its `--accept`.\n{}",
            lines.collect::<String>()
        )
    }

    pub(crate) fn verdict(&self, name: &str, count: u64) -> Verdict {
        let Some(before) = self.0.get(name) else { return Verdict::New };
        let more = (count.cast_signed() - before.cast_signed()) * 10_000 / before.cast_signed().max(1);
        match more {
            more if count * 100 > before * (100 + tolerance(name)) => Verdict::Worse(more),
            more if count * 100 < before * (100 - tolerance(name)) => Verdict::Better(more),
            more => Verdict::Alike(more),
        }
    }

    pub(crate) fn set(&mut self, name: &str, count: u64) {
        self.0.insert(name.to_owned(), count);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

    use super::*;

    #[test]
    fn more_than_two_percent_is_worse_and_what_nobody_knows_is_as_well() {
        let baseline = Baseline::parse("# of\n\na 10000\nb   7\n").unwrap();
        for (count, verdict, is_worse) in [
            (10_000, Verdict::Alike(0), false),
            (10_200, Verdict::Alike(200), false),
            (10_201, Verdict::Worse(201), true),
            (9_800, Verdict::Alike(-200), false),
            (9_700, Verdict::Better(-300), false),
        ] {
            assert_eq!(baseline.verdict("a", count), verdict);
            assert_eq!(verdict.is_worse(), is_worse);
        }
        assert!(baseline.verdict("c", 1).is_worse());
        let unsteady = Baseline::parse("new-connection 10000\n").unwrap();
        assert!(!unsteady.verdict("new-connection", 10_500).is_worse());
        assert!(unsteady.verdict("new-connection", 10_501).is_worse());
        assert!(Baseline::parse("a\n").is_err() && Baseline::parse("a b\n").is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut baseline = Baseline::parse("a 1\n").unwrap();
        baseline.set("c", 3);
        baseline.set("a", 2);
        let again = Baseline::parse(&baseline.text()).unwrap();
        assert_eq!(again.0, baseline.0);
        assert_eq!(again.verdict("a", 2), Verdict::Alike(0));
    }
}
