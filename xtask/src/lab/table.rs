//! What a scenario prints, and what it holds balancer to. Must not know: scenarios.

use std::fmt;

use anyhow::{Result, bail};

/// Rows of text under heads; columns as wide as they have to be.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these heads and no rows.
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            // The first column is a name; the others are figures.
            let line: Vec<String> = cells
                .map(
                    |(index, (cell, width))| {
                        if index == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    },
                )
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// What balancer is held to.
#[derive(Default)]
pub(crate) struct Marks {
    missed: Vec<String>,
}

impl Marks {
    /// Holds it to this; `what` says what is not so.
    pub(crate) fn hold(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.missed.push(what());
        }
    }

    /// # Errors
    /// It is below a mark: all of those.
    pub(crate) fn verdict(self) -> Result<()> {
        if self.missed.is_empty() {
            return Ok(());
        }
        bail!("below the mark:\n  {}", self.missed.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new(&["proxy", "failed"]);
        table.row(vec!["balancer".into(), "0".into()]);
        table.row(vec!["µ".into(), "12345678".into()]);
        let expected = "proxy       failed\nbalancer         0\nµ         12345678\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn what_is_below_the_mark_is_an_error_that_names_it() {
        let mut marks = Marks::default();
        marks.hold(true, || "nothing".into());
        marks.hold(false, || "7 requests failed".into());
        let error = marks.verdict().unwrap_err().to_string();
        assert!(error.contains("7 requests failed") && !error.contains("nothing"), "{error}");
        Marks::default().verdict().unwrap();
    }
}
