//! Documents that are to take effect, and who waits for it. Must not know: how they do.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Documents;

/// What was wrong with documents, a line each.
pub type ProposalFaults = Vec<String>;

/// Documents on their way. Whoever waits for them hears nothing where others overtake them.
#[derive(Debug)]
pub struct Proposal {
    /// The documents.
    pub documents: Arc<Documents>,
    done: oneshot::Sender<Result<(), ProposalFaults>>,
}

impl Proposal {
    /// With what becomes of them.
    #[must_use]
    pub fn new(documents: Arc<Documents>) -> (Self, oneshot::Receiver<Result<(), ProposalFaults>>) {
        let (done, is_done) = oneshot::channel();
        (Self { documents, done }, is_done)
    }

    /// That is what became of them.
    pub fn tell(self, outcome: Result<(), ProposalFaults>) {
        let _ = self.done.send(outcome);
    }
}
