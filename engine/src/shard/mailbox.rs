//! A bounded queue into an executor, from threads that are not its own, and the bell that wakes it.

use crossbeam::queue::ArrayQueue;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::task::{Context, Poll};

struct Shared<T> {
    queue: ArrayQueue<T>,
    bell: AtomicWaker,
}

/// The receiving end: one executor holds it.
pub(crate) struct Mailbox<T>(Arc<Shared<T>>);

/// A sending end.
pub(crate) struct Post<T>(Arc<Shared<T>>);

impl<T> Clone for Post<T> {
    fn clone(&self) -> Post<T> {
        Post(self.0.clone())
    }
}

/// A queue of at most `capacity` messages.
pub(crate) fn mailbox<T>(capacity: usize) -> (Post<T>, Mailbox<T>) {
    let shared = Arc::new(Shared { queue: ArrayQueue::new(capacity), bell: AtomicWaker::new() });
    (Post(shared.clone()), Mailbox(shared))
}

impl<T> Post<T> {
    /// Sends, or gives the message back when the queue is full. Rings on every message: [`AtomicWaker`] makes a bell nobody
    /// waits for cost two atomic operations, and glommio writes its eventfd only when the executor sleeps.
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        self.0.queue.push(message)?;
        self.0.bell.wake();
        Ok(())
    }
}

impl<T> Mailbox<T> {
    /// The next message that is there.
    pub(crate) fn pop(&self) -> Option<T> {
        self.0.queue.pop()
    }

    /// Ready when a message is there.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.bell.register(context.waker());
        match self.0.queue.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}
