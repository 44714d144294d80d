//! What strip markers of texts (`${~ … ~}`) take away. Must not know: what stands between them.

/// Which blanks of the text beside it a strip marker (`${~ … ~}`) takes away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blanks {
    /// All there are.
    All,
    /// Those in the line of the marker, with its end: a heredoc is read line by line.
    OfLine,
}

impl Blanks {
    pub(super) fn strip_end(self, text: &mut String) {
        let line = if self == Self::All { 0 } else { text.rfind('\n').map_or(0, |newline| newline + 1) };
        let kept = text.get(line..).unwrap_or_default().trim_end().len();
        text.truncate(line + kept);
    }

    pub(super) fn strip_start(self, text: &str) -> &str {
        let line =
            if self == Self::All { text.len() } else { text.find('\n').map_or(text.len(), |end| end + 1) };
        let blanks = text.get(..line).unwrap_or_default();
        text.get(line - blanks.trim_start().len()..).unwrap_or_default()
    }
}
