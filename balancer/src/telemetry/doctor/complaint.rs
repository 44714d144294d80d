//! What is complained of, and how figures are told. Must not know: what is wrong.

use serde::Serialize;

/// As many would have been seen if it went on: then none of it means that it is over.
const EXPECTED: f64 = 5.0;

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
    /// Of how many more targets of its group the same is to be said.
    pub more: u64,
    /// How many requests or sessions it is about, to tell which of like ones is the worse.
    #[serde(skip)]
    pub harm: u64,
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
        Self { severity, code, about: about.into(), seen, advice: advice.to_owned(), more: 0, harm: 0 }
    }

    /// The same, about so many requests or sessions.
    #[must_use]
    pub(super) fn about_so_many(self, harm: u64) -> Self {
        Self { harm, ..self }
    }
}

/// Something that is counted since the start: how often it was, and how often while it was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// Since the start.
    pub(super) all: u64,
    /// While it was looked at.
    pub(super) meanwhile: u64,
}

impl Count {
    /// Whether there were at least `few` of it, and this part of a whole, meanwhile or since the start. What came in the end alone
    /// is seen beside a long time without it, and what is rare is seen over a long time; where there is enough to tell that
    /// it is over, it is.
    pub(super) fn is_many(self, whole: Self, few: u64, least_percent: f64) -> bool {
        let (now, ever) = (percent(self.meanwhile, whole.meanwhile), percent(self.all, whole.all));
        let is_now = self.meanwhile >= few && now >= least_percent;
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let is_over = whole.meanwhile as f64 * least_percent / 100.0 >= EXPECTED && now < least_percent;
        is_now || (self.all >= few && ever >= least_percent && !is_over)
    }

    /// No more than this.
    pub(super) fn at_most(self, most: Self) -> Self {
        Self { all: self.all.min(most.all), meanwhile: self.meanwhile.min(most.meanwhile) }
    }

    /// What goes on hurts; what is over is worth a word.
    pub(super) const fn severity(self) -> Severity {
        if self.meanwhile > 0 { Severity::Warning } else { Severity::Notice }
    }

    /// When it was, for the end of a sentence.
    pub(super) fn when(self) -> String {
        match self.meanwhile {
            0 => "; none of it while it was looked at".to_owned(),
            meanwhile if meanwhile == self.all => "; all of it while it was looked at".to_owned(),
            meanwhile => format!("; {meanwhile} of it while it was looked at"),
        }
    }
}

impl std::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { all: self.all + other.all, meanwhile: self.meanwhile + other.meanwhile }
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
