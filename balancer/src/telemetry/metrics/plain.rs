//! The metrics as the text that Prometheus read before there was OpenMetrics (text format 0.0.4), which older scrapers
//! and `promtool check metrics` want; and who is given which. Must not know: which metrics there are.

use std::collections::HashMap;

use super::render;
use crate::telemetry::status::Status;

/// Media type of [`render_plain`]'s text.
pub const PLAIN_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `status` as metrics text of format 0.0.4.
#[must_use]
pub fn render_plain(status: Status) -> String {
    plain(&render(status))
}

/// OpenMetrics names a family, the older format its samples: a counter's with `_total`, an info's with `_info`, which is
/// a gauge there. It knows neither units nor an end.
fn plain(openmetrics: &str) -> String {
    let mut types: HashMap<&str, &str> = HashMap::new();
    for (name, kind) in openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        types.insert(name, kind);
    }
    let mut out = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let Some((what @ ("HELP" | "TYPE"), rest)) = comment.split_once(' ') else { continue };
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let (suffix, kind) = match types.get(name).copied() {
            Some("counter") => ("_total", "counter"),
            Some("info") => ("_info", "gauge"),
            // `promtool check metrics` has the suffix be that of a histogram's, except where no type is given.
            Some("gauge") if name.ends_with("_count") => ("", "untyped"),
            Some("unknown") | None => ("", "untyped"),
            Some(kind) => ("", kind),
        };
        let text = if what == "TYPE" { kind } else { text };
        out.push_str(&format!("# {what} {name}{suffix} {text}\n"));
    }
    out
}

/// Whether who accepts this (the value of Accept, RFC 9110, section 12.5.1) is to be given OpenMetrics: who names it and
/// wants it no less than plain text.
#[must_use]
pub fn wants_openmetrics(accept: &str) -> bool {
    let weight = |wanted: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                let found = parameters.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().trim_matches('"'))
            };
            let version_fits =
                parameter("version").is_none_or(|version| ["1.0.0", "0.0.1", "0.0.4"].contains(&version));
            (is_it && version_fits).then(|| parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0))
        });
        ranges.fold(0.0_f32, f32::max)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_samples_and_knows_no_info() {
        let text = "# HELP a Some.\n# TYPE a counter\na_total{b=\"c\"} 1\n# HELP d_seconds Time.\n\
                    # TYPE d_seconds gauge\n# UNIT d_seconds seconds\nd_seconds 2\n# HELP e Version.\n# TYPE e info\n\
                    e_info{v=\"1\"} 1\n# HELP f_count Hosts.\n# TYPE f_count gauge\nf_count 1\n# EOF\n";
        assert_eq!(
            plain(text),
            "# HELP a_total Some.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d_seconds Time.\n\
             # TYPE d_seconds gauge\nd_seconds 2\n# HELP e_info Version.\n# TYPE e_info gauge\ne_info{v=\"1\"} 1\n\
             # HELP f_count Hosts.\n# TYPE f_count untyped\nf_count 1\n"
        );
    }

    #[test]
    fn who_names_openmetrics_and_wants_it_no_less_gets_it() {
        for wants in [
            "application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8",
            "text/plain;q=0.5, application/openmetrics-text;q=0.5",
        ] {
            assert!(wants_openmetrics(wants), "{wants}");
        }
        for not in [
            "",
            "*/*",
            "text/plain",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "text/plain, application/openmetrics-text;q=0.9",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=9.0.0, text/plain;q=0.1",
            "application/json",
        ] {
            assert!(!wants_openmetrics(not), "{not}");
        }
    }
}
