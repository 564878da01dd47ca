//! The events of the spool, as callbacks.

use std::sync::Arc;

use super::callback::Callback;
use super::failure::Failure;
use super::target::Target;
use crate::mailbox::{QueueName, State, TransactionId, UnixMillis};
use crate::offload::Event;

/// What an event has to be told of.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// When it happened.
    pub(super) at: UnixMillis,
    pub(super) callbacks: Vec<Callback>,
    /// What cannot be told.
    pub(super) lost: Vec<(TransactionId, QueueName, Failure)>,
}

/// Decodes an entry of the spool. Most have nothing to tell.
pub(super) fn read(entry: &[u8]) -> Result<Told, postcard::Error> {
    let mut told = Told::default();
    let Event::States(new) = postcard::from_bytes(entry)? else {
        return Ok(told);
    };
    told.at = new.at;
    if new.state != State::Delivered {
        return Ok(told);
    }
    let mut last: Option<Arc<Target>> = None;
    for (transaction, queue, text) in new.messages.each() {
        // An update may have emptied it.
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            continue;
        };
        let target = match &last {
            Some(same) if same.text() == text => Ok(Arc::clone(same)),
            _ => Target::read(text).map(Arc::new),
        };
        match target {
            Ok(target) => {
                last = Some(Arc::clone(&target));
                told.callbacks.push(Callback {
                    transaction,
                    queue: queue.clone(),
                    at: new.at,
                    target,
                });
            }
            Err(failure) => told.lost.push((transaction, queue.clone(), failure)),
        }
    }
    Ok(told)
}
