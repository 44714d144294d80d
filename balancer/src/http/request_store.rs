//! Requests under way, in memory that others were in before: what a request needs while it is under way is large. Must not
//! know: what requests do.

use std::{
    any::Any,
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll},
};

/// Most memory of requests that a worker keeps.
const MOST_SPARE: usize = 64;

/// Memory of requests that are over.
#[derive(Debug, Default)]
pub(super) struct RequestStore(RefCell<Vec<Box<dyn Any>>>);

/// A request's state, in one piece of memory; nothing once it is over.
struct RequestMemory<F>(Pin<Box<Option<F>>>);

/// A request under way.
pub(super) struct StoredRequest<F: 'static> {
    memory: Option<Box<RequestMemory<F>>>,
    store: Rc<RequestStore>,
}

impl RequestStore {
    /// Lets go of spare memory.
    pub(super) fn shrink(&self) {
        self.0.take();
    }

    /// Begins a request by `begin`, and keeps it while it is under way.
    pub(super) fn begin<F: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        begin: impl FnOnce() -> F,
    ) -> StoredRequest<F> {
        let spare = self.0.borrow_mut().pop().and_then(|spare| spare.downcast::<RequestMemory<F>>().ok());
        let mut memory = spare.unwrap_or_else(|| Box::new(RequestMemory(Box::pin(None))));
        // What it begins with is written where it stays, and the room for all that comes is not copied: there is nothing in it that
        // might have to be dropped in between.
        memory.0.set(None);
        memory.0.set(Some(begin()));
        StoredRequest { memory: Some(memory), store: Rc::clone(self) }
    }
}

impl<F: Future<Output = ()> + 'static> StoredRequest<F> {
    /// Carries on with it. Ready when it is over.
    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        match self.memory.as_mut().and_then(|memory| memory.0.as_mut().as_pin_mut()) {
            Some(request) => request.poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<F: 'static> Drop for StoredRequest<F> {
    fn drop(&mut self) {
        let Some(mut memory) = self.memory.take() else { return };
        memory.0.set(None);
        let mut spare = self.store.0.borrow_mut();
        if spare.len() < MOST_SPARE {
            spare.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that tells where its state is, when it is looked at again.
    async fn request(seen: Rc<RefCell<Vec<usize>>>) {
        let state = [1_u8; 100];
        tokio::task::yield_now().await;
        seen.borrow_mut().push(state.as_ptr().addr());
    }

    #[tokio::test]
    async fn what_is_over_leaves_its_memory_to_others() {
        let (store, seen) = (Rc::new(RequestStore::default()), Rc::new(RefCell::new(Vec::new())));
        for _ in 0..3 {
            let mut stored = store.begin(|| request(Rc::clone(&seen)));
            std::future::poll_fn(|cx| stored.poll(cx)).await;
        }
        let seen = seen.borrow();
        assert!(seen.len() == 3 && seen[0] == seen[1] && seen[1] == seen[2], "{seen:x?}");
        assert_eq!(store.0.borrow().len(), 1);
        store.shrink();
        assert_eq!(store.0.borrow().capacity(), 0);
    }
}
