//! Secured queues: what is kept of their users.

use super::{Change, Engine, EngineReply, Output, QueueName, Refusal, Reply};

impl Engine {
    /// Makes a secured queue, unless there is one.
    pub(super) fn secure(
        &mut self,
        queue: QueueName,
        credentials: Box<str>,
        output: &mut Output,
    ) -> EngineReply {
        if self.secured.contains_key(&queue) {
            return Reply::Secured(false);
        }
        if self.secured.len() >= self.limits.secured_queues_max {
            return Reply::Refused(Refusal::Full("limits.max_secured_queues is reached"));
        }
        self.keep_credentials(queue, credentials, output);
        Reply::Secured(true)
    }

    /// Keeps something else of the user of a secured queue; whether what was kept is what was thought.
    pub(super) fn renew(
        &mut self,
        queue: QueueName,
        before: &str,
        after: Box<str>,
        output: &mut Output,
    ) -> bool {
        let is_known = self.secured.get(&queue).is_some_and(|it| **it == *before);
        if is_known {
            self.keep_credentials(queue, after, output);
        }
        is_known
    }

    fn keep_credentials(&mut self, queue: QueueName, credentials: Box<str>, output: &mut Output) {
        output.changes.push(Change::QueueSecured {
            queue: queue.clone(),
            credentials: credentials.clone(),
        });
        output.promised = true;
        self.secured.insert(queue, credentials);
    }
}
