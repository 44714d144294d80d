//! Figures, their medians and ratios, and tables of them. Must not know: what was measured.

use std::fmt::Write;

/// A figure that a measurement has: the first one is what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// Digits behind the point.
    pub(crate) digits: usize,
}

/// What one proxy showed in one round: a figure a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample(pub(crate) Vec<f64>);

impl Sample {
    pub(crate) fn at(&self, column: usize) -> f64 {
        self.0.get(column).copied().unwrap_or(f64::NAN)
    }
}

/// A proxy and its samples, one a round.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// What it does not do of the work that the others do.
    pub(crate) mark: Option<&'static str>,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    pub(crate) fn median(&self, column: usize) -> f64 {
        median(self.samples.iter().map(|sample| sample.at(column)).collect())
    }

    /// The least and the greatest of the main figure.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let figures = || self.samples.iter().map(|sample| sample.at(0));
        (figures().fold(f64::INFINITY, f64::min), figures().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Its name, and what there is to say of it.
    pub(crate) fn title(&self) -> String {
        let mark = self.mark.map(|mark| format!("({mark})")).unwrap_or_default();
        let words = [self.name, &self.version, &mark];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len().is_multiple_of(2) {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

/// The value that so many of a thousand are not above, of values in order.
pub(crate) fn permille(sorted: &[f64], permille: usize) -> f64 {
    let place = (sorted.len() * permille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The median over the rounds of how the main figure of `row` compares with that of `base` in the same round.
pub(crate) fn ratio(row: &Row, base: &Row) -> f64 {
    median(row.samples.iter().zip(&base.samples).map(|(a, b)| a.at(0) / b.at(0)).collect())
}

/// Renders the table: medians, the spread of the main figure, and its ratios to those named in `bases`.
pub(crate) fn render(columns: &[Column], rows: &[Row], bases: &[&str], markdown: bool) -> String {
    let bases: Vec<&Row> =
        bases.iter().filter_map(|name| rows.iter().find(|row| row.name == *name)).collect();
    let mut header = vec!["one worker".to_owned()];
    for (number, column) in columns.iter().enumerate() {
        header.push(column.head.to_owned());
        if number == 0 {
            header.push("[min-max]".to_owned());
        }
    }
    header.extend(bases.iter().map(|base| format!(": {}", base.name)));
    let mut lines = vec![header];
    for row in rows {
        let mut line = vec![row.title()];
        for (number, column) in columns.iter().enumerate() {
            let digits = column.digits;
            line.push(format!("{:.digits$}", row.median(number)));
            if number == 0 {
                let (least, most) = row.spread();
                line.push(format!("[{least:.digits$}-{most:.digits$}]"));
            }
        }
        line.extend(bases.iter().map(|base| format!("{:.2}", ratio(row, base))));
        lines.push(line);
    }
    layout(&lines, markdown)
}

/// What the work of `one` costs more than that of `base`, in words; nothing where one of them was not measured.
pub(crate) fn difference(rows: &[Row], one: &str, base: &str) -> Option<String> {
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let (one, base) = (find(one)?, find(base)?);
    let more = median(one.samples.iter().zip(&base.samples).map(|(a, b)| a.at(0) - b.at(0)).collect());
    Some(format!(
        "{} cost {more:+.2} µs/request more than {} (median of the differences, round by round)",
        one.name, base.name
    ))
}

/// Lines of cells under the first one, the header.
pub(crate) fn layout(lines: &[Vec<String>], markdown: bool) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        // Writing to a String cannot fail.
        if markdown {
            writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
            if number == 0 {
                let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
                writeln!(text, "|{rule}|").unwrap_or_default();
            }
        } else {
            writeln!(text, "{}", cells.join("  ").trim_end()).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] =
        [Column { head: "CPU µs", digits: 1 }, Column { head: "requests/s", digits: 0 }];

    fn row(name: &'static str, cpu: &[f64]) -> Row {
        let samples = cpu.iter().map(|&cpu| Sample(vec![cpu, 1000.0])).collect();
        Row { name, version: String::new(), mark: None, samples }
    }

    #[test]
    fn ratios_compare_rounds_not_medians() {
        // Round by round always half, though the machine was slow in the second round.
        let (ours, theirs) = (row("balancer", &[8.0, 40.0, 9.0]), row("haproxy", &[16.0, 80.0, 18.0]));
        assert!((ratio(&ours, &theirs) - 0.5).abs() < 1e-9);
        let text = render(&COLUMNS, &[ours, theirs], &["haproxy", "nginx"], true);
        assert!(text.contains(": haproxy") && !text.contains(": nginx"), "{text}");
        let line = text.lines().nth(2).unwrap();
        assert!(
            line.contains("| 9.0 ") && line.contains("| [8.0-40.0] ") && line.contains("| 0.50"),
            "{text}"
        );
    }

    #[test]
    fn differences_compare_rounds_not_medians() {
        let rows = [row("balancer", &[8.0, 40.0, 9.0]), row("rules", &[8.4, 40.4, 9.4])];
        let line = difference(&rows, "rules", "balancer").unwrap();
        assert!(line.contains("+0.40 µs/request"), "{line}");
        assert!(difference(&rows, "rules", "nginx").is_none());
    }

    #[test]
    fn medians_of_even_counts_lie_between() {
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_thousandth_of_a_thousand_is_one() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!([500, 990, 999, 1000].map(|part| permille(&values, part)), [500.0, 990.0, 999.0, 999.0]);
        assert!(permille(&[], 500).is_nan());
    }

    #[test]
    fn rows_say_what_they_leave_out() {
        let mut row = row("nginx", &[1.0]);
        row.version = "1.22.1".to_owned();
        row.mark = Some("no stickiness");
        assert_eq!(row.title(), "nginx 1.22.1 (no stickiness)");
    }
}
