//! Waiting for an answer.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::Fault;

/// An answer to come. Dropped, it is of no interest any more; the request is on its way all the same.
pub(in crate::store::redis) struct Answer<T>(Rc<RefCell<State<T>>>);

/// Where to put it; dropped without that, the answer is [`Fault::Nonsense`].
pub(in crate::store::redis) struct Question<T>(Rc<RefCell<State<T>>>);

struct State<T> {
    result: Option<Result<T, Fault>>,
    waker: Option<Waker>,
}

/// A question and its answer.
pub(in crate::store::redis) fn question<T>() -> (Question<T>, Answer<T>) {
    let state = Rc::new(RefCell::new(State {
        result: None,
        waker: None,
    }));
    (Question(Rc::clone(&state)), Answer(state))
}

impl<T> Question<T> {
    /// Wakes who waits for the answer.
    pub(in crate::store::redis) fn answer(self, result: Result<T, Fault>) {
        self.settle(result);
    }

    fn settle(&self, result: Result<T, Fault>) {
        let mut state = self.0.borrow_mut();
        if state.result.is_none() {
            state.result = Some(result);
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        // One that was answered, and whose answer has been taken, has nobody left who would wait.
        if Rc::strong_count(&self.0) > 1 {
            self.settle(Err(Fault::Nonsense));
        }
    }
}

impl<T> Answer<T> {
    /// An answer that is there already.
    pub(in crate::store::redis) fn ready(result: Result<T, Fault>) -> Self {
        Self(Rc::new(RefCell::new(State {
            result: Some(result),
            waker: None,
        })))
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.borrow_mut();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
