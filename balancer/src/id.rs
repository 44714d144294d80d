//! Newtypes for the identifiers that cross rooms. Knows nothing of how they are made or stored.

use std::fmt;

/// What a stickiness value names a target by: a keyed hash of group, address and port (design of the
/// cookie value: it reveals nothing and means nothing in another group).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u64);

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetId({:016x})", self.0)
    }
}

/// The row of a target's endpoint in the shared tables (counters, requests in flight).
/// Two groups that name the same address and port share one slot: it is one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// The slot as an array index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which secret of the key file made a value: one byte, derived from the secret itself, so that it does
/// not depend on the secret's place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub u8);
