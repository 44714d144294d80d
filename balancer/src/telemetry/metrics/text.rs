//! Families of metrics as text: OpenMetrics 1.0 and, for older scrapers and `promtool check metrics`, Prometheus' text
//! format 0.0.4. Must not know: which metrics there are.

use std::fmt::Write as _;

use crate::counters::{Family, FigureValue};

/// Media type of OpenMetrics.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Media type of format 0.0.4.
pub const PLAIN_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Units that stand in names, before `_total`.
const UNITS: [&str; 2] = ["bytes", "seconds"];

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A family has a name, a unit and a kind; samples of counters end in `_total`, those of an info in `_info`.
    OpenMetrics,
    /// Families are called as their samples are; there is neither unit nor info.
    Plain,
}

/// Labels of a sample: keys and values.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Text in the making.
pub(super) struct Text {
    out: String,
    format: Format,
}

impl Text {
    pub(super) fn new(format: Format) -> Self {
        Self { out: String::new(), format }
    }

    /// Writes families, each with a sample of every one of `items`.
    pub(super) fn families<T>(&mut self, families: &[Family<T>], items: &[(Labels<'_>, &T)]) {
        for family in families {
            let mut samples = String::new();
            for (labels, item) in items {
                (family.tell)(item, &mut |label, value| {
                    sample(&mut samples, family.name, labels.iter().copied().chain(label), value);
                });
            }
            let kind = match family.name {
                name if name.ends_with("_total") => "counter",
                _ if family.is_histogram => "histogram",
                _ => "gauge",
            };
            self.head(family.name, family.help, kind);
            self.out.push_str(&samples);
        }
    }

    /// Writes a family of labels without a value.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)]) {
        let sample_name = format!("{name}_info");
        match self.format {
            Format::OpenMetrics => self.head(name, help, "info"),
            Format::Plain => self.head(&sample_name, help, "gauge"),
        }
        sample(&mut self.out, &sample_name, labels.iter().copied(), FigureValue::Number(1));
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let family = name.strip_suffix("_total").unwrap_or(name);
        let (name, kind) = match self.format {
            Format::OpenMetrics => (family, kind),
            // `promtool check metrics` has the suffix be that of a histogram's, except where no type is given.
            Format::Plain if kind == "gauge" && name.ends_with("_count") => (name, "untyped"),
            Format::Plain => (name, kind),
        };
        line(&mut self.out, format_args!("# HELP {name} {help}"));
        line(&mut self.out, format_args!("# TYPE {name} {kind}"));
        let unit = family.rsplit_once('_').map(|(_, last)| last).filter(|last| UNITS.contains(last));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            line(&mut self.out, format_args!("# UNIT {name} {unit}"));
        }
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// Writing to a string does not fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

fn sample<'a>(
    out: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'static str, &'a str)>,
    value: FigureValue<'_>,
) {
    let mut inside = String::new();
    for (key, value) in labels {
        let comma = if inside.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(inside, "{comma}{key}=\"{value}\"");
    }
    let within = |inside: &str| if inside.is_empty() { String::new() } else { format!("{{{inside}}}") };
    let labels = within(&inside);
    match value {
        FigureValue::Number(number) => line(out, format_args!("{name}{labels} {number}")),
        FigureValue::Signed(number) => line(out, format_args!("{name}{labels} {number}")),
        FigureValue::Fraction(number) => line(out, format_args!("{name}{labels} {number:?}")),
        FigureValue::Histogram(histogram) => {
            let count: u64 = histogram.counts.iter().sum();
            line(out, format_args!("{name}_sum{labels} {:?}", histogram.sum_seconds));
            line(out, format_args!("{name}_count{labels} {count}"));
            for (bound, count) in histogram.buckets() {
                let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                let comma = if inside.is_empty() { "" } else { "," };
                let labels = within(&format!("le=\"{bound}\"{comma}{inside}"));
                line(out, format_args!("{name}_bucket{labels} {count}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(format: Format) -> String {
        let mut text = Text::new(format);
        let families = [
            Family::new("a_total", "Some.", |told: &u64, sample| {
                sample(Some(("b", "c\"\\\n")), FigureValue::Number(*told));
                sample(Some(("b", "d")), FigureValue::Signed(-1));
            }),
            Family::new("d_seconds", "Time.", |told: &u64, sample| {
                sample(None, FigureValue::Fraction(*told as f64))
            }),
            Family::new("f_count", "Hosts.", |told: &u64, sample| sample(None, FigureValue::Number(*told))),
            Family::new("g_bytes_total", "None.", |_, _| {}),
        ];
        text.info("e", "Version.", &[("v", "1")]);
        text.families(&families, &[(Labels::new(), &2)]);
        text.end()
    }

    #[test]
    fn openmetrics_names_families() {
        assert_eq!(
            told(Format::OpenMetrics),
            "# HELP e Version.\n# TYPE e info\ne_info{v=\"1\"} 1\n\
             # HELP a Some.\n# TYPE a counter\na_total{b=\"c\\\"\\\\\\n\"} 2\na_total{b=\"d\"} -1\n\
             # HELP d_seconds Time.\n# TYPE d_seconds gauge\n# UNIT d_seconds seconds\nd_seconds 2.0\n\
             # HELP f_count Hosts.\n# TYPE f_count gauge\nf_count 2\n\
             # HELP g_bytes None.\n# TYPE g_bytes counter\n# UNIT g_bytes bytes\n# EOF\n"
        );
    }

    #[test]
    fn the_older_format_names_samples_and_knows_no_info() {
        assert_eq!(
            told(Format::Plain),
            "# HELP e_info Version.\n# TYPE e_info gauge\ne_info{v=\"1\"} 1\n\
             # HELP a_total Some.\n# TYPE a_total counter\na_total{b=\"c\\\"\\\\\\n\"} 2\na_total{b=\"d\"} -1\n\
             # HELP d_seconds Time.\n# TYPE d_seconds gauge\nd_seconds 2.0\n\
             # HELP f_count Hosts.\n# TYPE f_count untyped\nf_count 2\n\
             # HELP g_bytes_total None.\n# TYPE g_bytes_total counter\n"
        );
    }
}
