//! One callback: who is told, and of what.

use std::sync::Arc;

use super::target::Target;
use crate::http::write_json_string;
use crate::mailbox::{QueueName, TransactionId, UnixMillis};
use crate::offload::Timestamp;

/// That a message was delivered, to be told to its producer.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    pub(super) transaction: TransactionId,
    pub(super) queue: QueueName,
    /// When it was delivered.
    pub(super) at: UnixMillis,
    pub(super) target: Arc<Target>,
}

impl Callback {
    /// The JSON that is posted.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut id = [0; 36];
        let timestamp = Timestamp(self.at).to_string();
        for (name, value) in [
            ("{\"transaction\":", self.transaction.write_to(&mut id)),
            (",\"queue\":", self.queue.id()),
            (",\"state\":", "Delivered"),
            (",\"callback\":", self.target.text()),
            (",\"timestamp\":", &timestamp),
        ] {
            body.extend_from_slice(name.as_bytes());
            write_json_string(value, &mut body);
        }
        body.push(b'}');
        body
    }
}
