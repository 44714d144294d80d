//! Who is given OpenMetrics, and who the older text. Must not know: which metrics there are.

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
