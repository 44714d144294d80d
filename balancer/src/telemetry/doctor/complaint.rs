//! What is complained of, and how figures are told. Must not know: what is wrong.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Clients are refused, or will be unless somebody does something now.
    Critical,
    /// Clients lose something, or some of them do.
    Warning,
    /// Nobody loses anything yet.
    Notice,
}

impl Severity {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// How bad it is.
    pub severity: Severity,
    /// A word that stays the same over versions, for scripts.
    pub code: &'static str,
    /// What it is about: a group, a target, a listener, the balancer.
    pub about: String,
    /// What was seen, with the figure.
    pub seen: String,
    /// What to do.
    pub advice: String,
}

impl Complaint {
    /// One of these.
    pub(super) fn new(
        severity: Severity,
        code: &'static str,
        about: impl Into<String>,
        seen: String,
        advice: &str,
    ) -> Self {
        Self { severity, code, about: about.into(), seen, advice: advice.to_owned() }
    }
}

/// A part of a whole in percent; of nothing it is 0.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A percentage as people write it: without a fraction from 10 on.
pub(super) fn told(percent: f64) -> String {
    if percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}
