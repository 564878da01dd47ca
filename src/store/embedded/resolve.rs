//! Putting contents in the place of the keys that the engine answers with.

use bytes::Bytes;
use tracing::error;

use super::{
    keep::{self, Unreadable},
    ledger::{Ledger, ReadError, Table},
};
use crate::{
    mailbox::{Handout, Message, Record, Refusal, TransactionView, engine::RecordKey},
    memory::Charge,
};

/// Why a content could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the content of a transaction is missing")]
    Missing,
    #[error("too many answers are being written")]
    NoMemory,
}

impl From<ContentError> for Refusal {
    fn from(error: ContentError) -> Self {
        if let ContentError::NoMemory = error {
            return Self::Full("limits.max_answer_memory is reached");
        }
        error!(%error, "a content cannot be read");
        Self::Unavailable(error.to_string().into())
    }
}

/// Reads the contents of replies, after a batch that removed some transactions.
pub(super) struct Resolver<'state> {
    pub(super) ledger: &'state Ledger,
    pub(super) removed: &'state [RecordKey],
}

impl Resolver<'_> {
    /// Messages with their payloads, which `charge` is made to cover.
    pub(super) fn messages(
        &self,
        handout: &Handout<RecordKey>,
        charge: &mut Charge,
    ) -> Result<Handout, ContentError> {
        let mut messages = Vec::with_capacity(handout.messages.len());
        let mut bytes = 0;
        for message in &handout.messages {
            match content(self.ledger, message.payload) {
                Ok(content) => {
                    bytes += content.len();
                    if !charge.resize(bytes) {
                        return Err(ContentError::NoMemory);
                    }
                    messages.push(Message {
                        id: message.id,
                        payload: keep::decode_payload(&content)?,
                        deliveries: message.deliveries,
                    });
                }
                // Handed out, and then deleted or over within the same batch: it is nobody's any more.
                Err(ContentError::Missing) if self.removed.contains(&message.payload) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Handout {
            lease: handout.lease,
            messages,
        })
    }

    /// A transaction with its record, which `charge` is made to cover; none if it is gone by now.
    pub(super) fn view(
        &self,
        view: TransactionView<RecordKey>,
        charge: &mut Charge,
    ) -> Result<Option<TransactionView>, ContentError> {
        if self.removed.contains(&view.record) {
            return Ok(None);
        }
        let content = content(self.ledger, view.record)?;
        if !charge.resize(content.len()) {
            return Err(ContentError::NoMemory);
        }
        Ok(Some(TransactionView {
            priority: view.priority,
            expires_at: view.expires_at,
            record: keep::decode_record(&content)?,
            states: view.states,
        }))
    }

    /// The callbacks of transactions; none for those that are gone by now.
    pub(super) fn callbacks(
        &self,
        keys: Vec<Option<RecordKey>>,
    ) -> Result<Vec<Option<Box<str>>>, ReadError> {
        let callback = |key: Option<_>| key.map_or(Ok(None), |key| self.callback(key));
        keys.into_iter().map(callback).collect()
    }

    fn callback(&self, key: RecordKey) -> Result<Option<Box<str>>, ReadError> {
        let key_bytes = keep::record_key(key);
        let decoded = self
            .ledger
            .look(Table::Records, &key_bytes, keep::decode_callback)?;
        Ok(match decoded {
            Some(Ok(callback)) => callback,
            None if self.removed.contains(&key) => None,
            // It will not be there later either, and the others are not to wait for it.
            None => {
                error!("a callback cannot be read: {}", ContentError::Missing);
                None
            }
            Some(Err(error)) => {
                error!(%error, "a callback cannot be read");
                None
            }
        })
    }
}

/// The record that is kept under a key.
pub(super) fn record(ledger: &Ledger, key: RecordKey) -> Result<Record, ContentError> {
    Ok(keep::decode_record(&content(ledger, key)?)?)
}

fn content(ledger: &Ledger, key: RecordKey) -> Result<Bytes, ContentError> {
    ledger
        .get(Table::Records, &keep::record_key(key))?
        .ok_or(ContentError::Missing)
}
