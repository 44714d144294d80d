//! The table of figures and ratios.

use std::fmt::Write;

/// What one proxy used and gave in one round.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Sample {
    /// Processor time per request, microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// A proxy and its samples, one a round.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure).collect())
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

/// The median over the rounds of how `row` compares with `base` in the same round.
fn ratio(row: &Row, base: &Row) -> f64 {
    median(row.samples.iter().zip(&base.samples).map(|(a, b)| a.cpu_us() / b.cpu_us()).collect())
}

/// Renders the table: medians, the spread of the main figure, and ratios of processor time to the peers named in `bases`.
pub(crate) fn render(rows: &[Row], bases: &[&str], markdown: bool) -> String {
    let bases: Vec<&Row> =
        bases.iter().filter_map(|name| rows.iter().find(|row| row.name == *name)).collect();
    let mut header: Vec<String> =
        ["proxy, one worker", "CPU µs/request", "[min-max]", "user", "system", "requests/s"]
            .iter()
            .chain(&["p50 ms", "p99 ms"])
            .map(ToString::to_string)
            .collect();
    header.extend(bases.iter().map(|base| format!("CPU : {}", base.name)));
    let mut lines = vec![header];
    for row in rows {
        let cpu = || row.samples.iter().map(Sample::cpu_us);
        let mut line = vec![
            if row.version.is_empty() {
                row.name.to_owned()
            } else {
                format!("{} {}", row.name, row.version)
            },
            format!("{:.1}", row.median(Sample::cpu_us)),
            format!("[{:.1}-{:.1}]", cpu().fold(f64::INFINITY, f64::min), cpu().fold(0.0, f64::max)),
            format!("{:.1}", row.median(|sample| sample.user_us)),
            format!("{:.1}", row.median(|sample| sample.system_us)),
            format!("{:.0}", row.median(|sample| sample.per_second)),
            format!("{:.2}", row.median(|sample| sample.p50_ms)),
            format!("{:.2}", row.median(|sample| sample.p99_ms)),
        ];
        line.extend(bases.iter().map(|base| format!("{:.2}", ratio(row, base))));
        lines.push(line);
    }
    layout(&lines, markdown)
}

/// What the work of `one` costs more than that of `base`, in words; nothing where one of them was not measured.
pub(crate) fn difference(rows: &[Row], one: &str, base: &str) -> Option<String> {
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let (one, base) = (find(one)?, find(base)?);
    let more = |figure: fn(&Sample) -> f64| {
        median(one.samples.iter().zip(&base.samples).map(|(a, b)| figure(a) - figure(b)).collect())
    };
    Some(format!(
        "{} {} cost {:+.2} µs/request, of it user {:+.2} µs (medians of the differences, round by round)",
        one.name,
        one.version,
        more(Sample::cpu_us),
        more(|sample| sample.user_us)
    ))
}

fn layout(lines: &[Vec<String>], markdown: bool) -> String {
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
                writeln!(
                    text,
                    "|{}|",
                    widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|")
                )
                .unwrap_or_default();
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

    fn row(name: &'static str, cpu: &[f64]) -> Row {
        let sample = |&cpu_us| Sample {
            user_us: cpu_us / 4.0,
            system_us: cpu_us * 0.75,
            per_second: 1.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
        };
        Row { name, version: String::new(), samples: cpu.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_compare_rounds_not_medians() {
        // Round by round always half, though the machine was slow in the second round.
        let (ours, theirs) = (row("balancer", &[8.0, 40.0, 9.0]), row("haproxy", &[16.0, 80.0, 18.0]));
        assert!((ratio(&ours, &theirs) - 0.5).abs() < 1e-9);
        let text = render(&[ours, theirs], &["haproxy", "nginx"], true);
        assert!(text.contains("CPU : haproxy") && !text.contains("CPU : nginx"), "{text}");
        assert!(
            text.lines().nth(2).is_some_and(|line| line.contains("| 9.0 ") && line.contains("| 0.50")),
            "{text}"
        );
    }

    #[test]
    fn differences_compare_rounds_not_medians() {
        let (ours, plain) = (row("rules", &[8.4, 40.4, 9.4]), row("balancer", &[8.0, 40.0, 9.0]));
        let rows = [plain, ours];
        let line = difference(&rows, "rules", "balancer").unwrap();
        assert!(line.contains("+0.40 µs/request, of it user +0.10 µs"), "{line}");
        assert!(difference(&rows, "rules", "nginx").is_none());
    }

    #[test]
    fn medians_of_even_counts_lie_between() {
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
