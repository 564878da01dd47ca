//! What a call of a function tells beside its answers: what became of messages that no request names.

use bytes::Bytes;
use tracing::warn;

use super::{
    keys,
    reader::{Reader, expand_counts},
};
use crate::{
    mailbox::{QueueName, TransactionId, engine::Transition},
    store::Transitions,
};

/// Tells of news: of each queue `<tag> <what> <number of ids> <ids>`, with `<deliveries>` in front of the ids of those
/// that died.
pub(super) fn tell(news: &Bytes, transitions: &Transitions) {
    let mut reader = Reader::new(news);
    while !reader.is_empty() {
        let Some(read) = read(&mut reader) else {
            warn!("news that make no sense");
            return;
        };
        transitions.tell(read);
    }
}

fn read(
    reader: &mut Reader<'_>,
) -> Option<impl Iterator<Item = (QueueName, TransactionId, Transition)> + use<>> {
    let queue = keys::queue_of_tag(reader.word()?)?;
    let what = reader.word()?;
    let count = usize::try_from(reader.number()?).ok()?;
    let transitions = match what {
        "X" => expand_counts(reader.word()?, count)?
            .into_iter()
            .map(|deliveries| Transition::Died { deliveries })
            .collect(),
        "P" => vec![Transition::Returned; count],
        "E" => vec![Transition::Expired; count],
        _ => return None,
    };
    let ids = reader.ids(count)?;
    let told = ids.into_iter().zip(transitions);
    Some(told.map(move |(id, transition)| (queue.clone(), id, transition)))
}
