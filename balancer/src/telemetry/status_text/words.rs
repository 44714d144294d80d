//! How texts, spans and shares are written for people.

use std::fmt::{self, Display, Formatter};

/// Text from elsewhere without what would move a terminal's cursor.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let clean: String =
            self.0.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        f.pad(&clean)
    }
}

/// A span in its two largest units.
pub(crate) struct Span(pub(crate) u64);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
        let mut rest = self.0;
        let mut told = 0;
        for (seconds, unit) in units {
            let count = rest / seconds;
            rest %= seconds;
            if count > 0 && told < 2 {
                write!(f, "{}{count} {unit}", if told > 0 { " " } else { "" })?;
                told += 1;
            } else if told > 0 {
                break;
            }
        }
        if told == 0 { write!(f, "0 s") } else { Ok(()) }
    }
}

/// A part of a whole in percent, with one decimal; never rounded up to 100 % or down to 0 %.
pub(super) struct Share(pub(super) u64, pub(super) u64);

impl Display for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (part, whole) = (u128::from(self.0), u128::from(self.1.max(1)));
        let thousandths = part * 1000 / whole;
        if thousandths == 0 && part > 0 {
            return write!(f, "under 0.1 %");
        }
        write!(f, "{}.{} %", thousandths / 10, thousandths % 10)
    }
}
