//! Secured queues.

use super::Model;
use crate::mailbox::{QueueName, Refusal, Reply};

impl Model {
    pub(super) fn secure(&mut self, queue: QueueName, credentials: Box<str>) -> Reply {
        if self.secured.contains_key(&queue) {
            return Reply::Secured(false);
        }
        if self.secured.len() >= self.limits.secured_queues_max {
            return Reply::Refused(Refusal::Full("the model says so"));
        }
        self.secured.insert(queue, credentials);
        Reply::Secured(true)
    }

    pub(super) fn renew(&mut self, queue: &QueueName, before: &str, after: Box<str>) -> bool {
        match self.secured.get_mut(queue) {
            Some(kept) if **kept == *before => {
                *kept = after;
                true
            }
            _ => false,
        }
    }
}
