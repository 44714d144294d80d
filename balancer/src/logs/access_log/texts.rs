//! What lines say in the words of others: as it came, one text behind the other, so that one look at all of it says that nothing
//! has to be escaped. Must not know: what is a line.

use super::escape::are_plain;
use crate::internal_errors::Part as _;

/// A text of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordText {
    /// `METHOD protocol://host:port/uri HTTP/version`.
    Request,
    /// User-Agent.
    UserAgent,
    /// The target that it was sent to last.
    Target,
    /// The value of X-Amzn-Trace-Id as the target gets it.
    TraceId,
    /// Where it was redirected to.
    RedirectUrl,
    /// The host that it was rewritten to.
    TransformedHost,
    /// The path and query that it was rewritten to.
    TransformedUri,
}

const TEXTS: usize = 7;

/// Where the next byte comes. Heads are far shorter than what this can say.
#[inline]
fn place(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The texts of one request; empty ones until somebody sets them.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each begins and ends.
    places: [(u32, u32); TEXTS],
}

impl Texts {
    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places = Default::default();
    }

    /// Sets a text to what `write` appends.
    #[inline]
    pub(super) fn set(&mut self, text: RecordText, write: impl FnOnce(&mut Vec<u8>)) {
        let start = place(&self.bytes);
        write(&mut self.bytes);
        let end = place(&self.bytes);
        if let Some(place) = self.places.get_mut(text as usize) {
            *place = (start, end);
        }
    }

    /// A text; empty: there is none.
    #[inline]
    pub(super) fn get(&self, text: RecordText) -> &[u8] {
        let (start, end) = self.places.get(text as usize).copied().unwrap_or_default();
        self.bytes.part(start as usize..end as usize)
    }

    /// Whether none of them has anything to be escaped.
    pub(super) fn are_plain(&self) -> bool {
        are_plain(&self.bytes)
    }
}
