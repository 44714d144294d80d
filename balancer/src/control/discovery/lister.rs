//! What a source of targets is: something that tells, again and again, all the targets that there are.
//! Must not know: sources, what is done with targets.

use crate::model::FoundTarget;

/// What a source lists at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// All its targets, in any order.
    pub(super) targets: Vec<FoundTarget>,
    /// What it lists that is no target, in words, the first few of it. The rest is used all the same.
    pub(super) left_out: Vec<String>,
}

/// Why a source says nothing that can be used: a word for it, and words for people, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFault {
    pub(super) cause: &'static str,
    pub(super) why: String,
}

impl SourceFault {
    /// It could not be asked.
    pub(super) fn away(why: impl Into<String>) -> Self {
        Self { cause: "unreachable", why: why.into() }
    }

    /// It answered what cannot be used.
    pub(super) fn garbage(why: impl Into<String>) -> Self {
        Self { cause: "not_understood", why: why.into() }
    }
}

/// A source of targets, for as long as a group has it. Lives on the thread of sources, where it may wait, and must not block:
/// what can is for `spawn_blocking`. Bounds what it reads.
pub(super) trait TargetLister: Send {
    /// Waits until there is something to tell and tells it, the first time at once. After a fault it is called again after a
    /// moment that grows, [`Self::rests`] unless it has one of its own.
    fn next(&mut self) -> impl Future<Output = Result<Listing, SourceFault>> + Send;

    /// Whether whoever calls it is to wait a moment after a fault.
    fn rests(&self) -> bool {
        true
    }
}
