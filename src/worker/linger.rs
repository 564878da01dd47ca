//! Letting a client that is being refused finish, so that it gets to read why.

use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};

use super::{Worker, transport::Transport};
use crate::runtime::{Alarm, Bell, is_temporary};

/// How long a client that is being refused may go on sending before its connection is reset. Without that, the reset
/// would overtake the answer that tells it why.
const LINGER: Duration = Duration::from_secs(3);

/// Takes what a client sends, and throws it away, until it closes or has had its time.
pub(super) async fn linger(
    transport: &Transport,
    worker: &Worker,
    alarm: &mut Alarm,
    bell: &Rc<Bell>,
) {
    transport.finish_writing();
    let deadline = worker.timers.now().plus(LINGER);
    let mut readable = pin!(transport.readable());
    while worker.timers.now() < deadline && !worker.draining.get() {
        worker.timers.ring_by(alarm, deadline, bell);
        let is_readable = poll_fn(|context| {
            if bell.poll_rung(context).is_ready() {
                return Poll::Ready(false);
            }
            if transport.has_unread() {
                return Poll::Ready(true);
            }
            readable.as_mut().poll(context).map(|_| true)
        })
        .await;
        worker.timers.note_ring(alarm);
        if is_readable {
            readable.set(transport.readable());
            let mut buffer = worker.read_buffer.borrow_mut();
            match transport.receive(&mut buffer) {
                Ok(0) => return,
                Err(error) if !is_temporary(&error) => return,
                _ => {}
            }
        }
    }
}
