//! Tasks of requests, in memory that others were in before: what a request needs while it is under way is large. Must not
//! know: what requests do.

use std::{
    any::Any,
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use tokio::task::spawn_local;

/// Most memory of requests that a worker keeps.
const MOST_SPARE: usize = 64;

/// Memory of requests that are over.
#[derive(Debug, Default)]
pub(super) struct TaskStore(RefCell<Vec<Box<dyn Any>>>);

/// A request's state, in one piece of memory; nothing once it is over.
struct RequestMemory<F>(Pin<Box<Option<F>>>);

/// A request under way.
struct Task<F: 'static> {
    memory: Option<Box<RequestMemory<F>>>,
    store: Rc<TaskStore>,
}

impl TaskStore {
    /// Lets go of spare memory.
    pub(super) fn shrink(&self) {
        self.0.take();
    }

    /// Has `request` be carried out.
    pub(super) fn spawn<F: Future<Output = ()> + 'static>(self: &Rc<Self>, request: F) {
        let spare = self.0.borrow_mut().pop().and_then(|spare| spare.downcast::<RequestMemory<F>>().ok());
        let memory = match spare {
            Some(mut memory) => {
                memory.0.set(Some(request));
                memory
            }
            None => Box::new(RequestMemory(Box::pin(Some(request)))),
        };
        // In memory of its own: a task moves its future several times.
        spawn_local(Task { memory: Some(memory), store: Rc::clone(self) });
    }
}

impl<F: Future<Output = ()> + 'static> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(request) = self.memory.as_mut().and_then(|memory| memory.0.as_mut().as_pin_mut()) {
            ready!(request.poll(cx));
        }
        if let Some(mut memory) = self.memory.take() {
            memory.0.set(None);
            let mut spare = self.store.0.borrow_mut();
            if spare.len() < MOST_SPARE {
                spare.push(memory);
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, yield_now};

    use super::*;

    /// A request that tells where its state is.
    async fn request(seen: Rc<RefCell<Vec<usize>>>) {
        let state = [1_u8; 100];
        yield_now().await;
        seen.borrow_mut().push(state.as_ptr().addr());
    }

    #[tokio::test]
    async fn what_is_over_leaves_its_memory_to_others() {
        let (store, seen) = (Rc::new(TaskStore::default()), Rc::new(RefCell::new(Vec::new())));
        let local = LocalSet::new();
        for _ in 0..3 {
            local.run_until(async { store.spawn(request(Rc::clone(&seen))) }).await;
            local
                .run_until(async {
                    while Rc::strong_count(&store) > 1 {
                        yield_now().await
                    }
                })
                .await;
        }
        let seen = seen.borrow();
        assert!(seen.len() == 3 && seen[0] == seen[1] && seen[1] == seen[2], "{seen:x?}");
        assert_eq!(store.0.borrow().len(), 1);
        store.shrink();
        assert_eq!(store.0.borrow().capacity(), 0);
    }
}
