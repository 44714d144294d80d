//! That a client's connection is there, as its worker counts it. Must not know: what becomes of it.

use std::rc::Rc;

use super::context::Context;

/// A connection among those that its worker has, from when it is accepted.
#[derive(Debug)]
pub struct Present {
    context: Rc<Context>,
    /// Whether it goes on being counted without this.
    is_parked: bool,
}

impl Present {
    /// One that has just been accepted.
    #[must_use]
    pub fn new(context: &Rc<Context>) -> Self {
        context.load.came();
        context.connections.set(context.connections.get() + 1);
        Self { context: Rc::clone(context), is_parked: false }
    }

    /// One that was [parked](Self::park).
    pub(super) fn again(context: &Rc<Context>) -> Self {
        Self { context: Rc::clone(context), is_parked: false }
    }

    /// It is counted until it is there [again](Self::again), or is said to be gone.
    pub(super) fn park(mut self) {
        self.is_parked = true;
    }

    /// Its worker.
    #[must_use]
    pub fn context(&self) -> &Rc<Context> {
        &self.context
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        if !self.is_parked {
            self.context.is_gone();
        }
    }
}
