//! Desync mitigation: how requests are classified, and what is done about it.

/// `desync_mitigation_mode`: what is done with requests that are not compliant with RFC 7230 (ALB: desync mitigation
/// mode). What cannot be framed is refused in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesyncMode {
    /// They are counted.
    Monitor,
    /// And severe ones are refused, connections of ambiguous ones closed after them.
    Defensive,
    /// All are refused.
    Strictest,
}

/// How much a departure matters. Requests without one are compliant (RFC 7230).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Classification {
    /// Not compliant, without known danger.
    Acceptable,
    /// Who is next may find the end of the request, or the next one's beginning, elsewhere.
    Ambiguous,
    /// Malformed, or made to be understood in two ways.
    Severe,
}

impl Classification {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 3] = [Self::Acceptable, Self::Ambiguous, Self::Severe];

    /// The name in access logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }

    /// Index in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
