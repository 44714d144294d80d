//! A chart of bars as SVG: a bar is a median, a whisker the least and the greatest. Must not know: what was measured.

use std::fmt::Write;

/// A bar and what is written at it.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Drawn in the colour of what the chart is about.
    pub(crate) ours: bool,
}

const WIDTH: f64 = 760.0;
const LABELS: f64 = 250.0;
const VALUES: f64 = 70.0;
const HEAD: f64 = 34.0;
const STEP: f64 = 24.0;
const THICK: f64 = 15.0;

/// Draws the bars one below the other, as long as their values.
pub(crate) fn bars(title: &str, bars: &[Bar], digits: usize) -> String {
    let height = HEAD + STEP * bars.len() as f64 + 8.0;
    let longest =
        bars.iter().map(|bar| bar.most.max(bar.value)).filter(|most| most.is_finite()).fold(0.0, f64::max);
    let scale = |value: f64| {
        if longest > 0.0 && value.is_finite() {
            value.max(0.0) / longest * (WIDTH - LABELS - VALUES)
        } else {
            0.0
        }
    };
    let mut svg = String::new();
    // Writing to a String cannot fail.
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"14\" font-weight=\"bold\" fill=\"#1b1f24\">{}</text>",
        escaped(title)
    )
    .unwrap_or_default();
    for (number, bar) in bars.iter().enumerate() {
        let top = HEAD + STEP * number as f64;
        let (text, middle) = (top + THICK - 3.0, top + THICK / 2.0);
        let colour = if bar.ours { "#1f6feb" } else { "#9aa4b2" };
        let (left, right) = (LABELS + scale(bar.least), LABELS + scale(bar.most));
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\" fill=\"#1b1f24\">{}</text>\n\
             <rect x=\"{LABELS:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{THICK:.1}\" fill=\"{colour}\"/>\n\
             <line x1=\"{left:.1}\" y1=\"{middle:.1}\" x2=\"{right:.1}\" y2=\"{middle:.1}\" stroke=\"#1b1f24\"/>\n\
             <text x=\"{:.1}\" y=\"{text:.1}\" fill=\"#1b1f24\">{:.digits$}</text>",
            LABELS - 8.0,
            escaped(&bar.label),
            scale(bar.value),
            right.max(LABELS + scale(bar.value)) + 6.0,
            bar.value,
        )
        .unwrap_or_default();
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar { label: label.to_owned(), value, least: value * 0.9, most: value * 1.1, ours: label == "a" }
    }

    /// The widths of the bars in pixels.
    fn widths(svg: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect x="));
        bars.filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok()).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let svg = bars("t", &[bar("a", 10.0), bar("b", 20.0)], 1);
        let widths = widths(&svg);
        assert_eq!(widths.len(), 2);
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{svg}");
        assert!(widths[1] * 1.1 <= WIDTH - LABELS - VALUES + 0.1, "whiskers stay inside: {svg}");
        assert_eq!(svg.matches("#1f6feb").count(), 1, "one of them is ours");
        assert!(svg.contains(">10.0<") && svg.contains(">20.0<"), "{svg}");
    }

    #[test]
    fn names_cannot_break_the_markup() {
        let svg = bars("a < b & \"c\"", &[bar("<script>", 1.0)], 0);
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("<script>"), "{svg}");
    }

    #[test]
    fn no_figure_is_no_bar() {
        let svg = bars("t", &[bar("a", f64::NAN), bar("b", 0.0)], 1);
        assert_eq!(widths(&svg), [0.0, 0.0], "{svg}");
        assert!(bars("t", &[], 1).ends_with("</svg>\n"));
    }
}
