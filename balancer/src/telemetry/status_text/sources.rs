//! The source of a group's targets, for people.

use std::fmt::{self, Formatter};

use super::words::{Plain, Span};
use crate::telemetry::status::SourceStatus;

pub(super) fn write(source: &SourceStatus, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "  targets from {}: {}", Plain(&source.source), source.figures.targets)?;
    match source.figures.age_seconds {
        Some(age) => writeln!(f, ", read {} ago", Span(age))?,
        None => writeln!(f, ", not read yet")?,
    }
    if let Some(error) = &source.error {
        let (words, age) = (Plain(&error.error), Span(error.age_seconds));
        writeln!(f, "  SOURCE FAILS for {age}, the last targets stay: {words}")?;
    }
    if let Some(left_out) = &source.left_out {
        writeln!(f, "  left out of what it lists: {}", Plain(left_out))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::status::{ErrorStatus, SourceFigures};

    struct Shown(SourceStatus);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            write(&self.0, f)
        }
    }

    #[test]
    fn what_a_source_is_and_what_is_wrong_with_it() {
        let mut source = SourceStatus { source: "file:/x.json".into(), ..SourceStatus::default() };
        assert_eq!(Shown(source.clone()).to_string(), "  targets from file:/x.json: 0, not read yet\n");
        source.figures = SourceFigures { targets: 3, age_seconds: Some(7), ..SourceFigures::default() };
        source.error =
            Some(ErrorStatus { error: "no\u{1b}[31m".into(), age_seconds: 5, ..ErrorStatus::default() });
        source.left_out = Some("x".into());
        let text = Shown(source).to_string();
        assert!(
            text.contains(": 3, read 7 s ago\n  SOURCE FAILS for 5 s, the last targets stay: no"),
            "{text}"
        );
        assert!(text.ends_with("left out of what it lists: x\n") && !text.contains('\u{1b}'), "{text}");
    }
}
