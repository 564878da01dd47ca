//! What becomes of messages without a request that names them.

use super::{Engine, Output, QueueIndex, State, TransactionId};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It was delivered too often without an ack, and is a dead letter.
    Died {
        /// How often it was delivered.
        deliveries: u32,
    },
    /// It was out with a reliable pop, or was a dead letter, and is in its line again.
    Returned,
    /// It was open when its transaction's life ended, or was given up when it was dead.
    Expired,
}

impl Transition {
    /// The state that clients see from then on.
    pub fn state(self) -> State {
        match self {
            Self::Died { .. } => State::Dead,
            Self::Returned => State::Pending,
            Self::Expired => State::Expired,
        }
    }
}

/// Which transitions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Deaths alone: of the others there are many.
    Deaths,
    /// All of them.
    All,
}

/// Why a transaction is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its life is over.
    Life,
    /// Somebody wants it to be gone.
    Deletion,
}

impl Engine {
    /// Tells what became of a message, if that is asked for.
    pub(super) fn tell(
        &self,
        queue: QueueIndex,
        id: TransactionId,
        transition: Transition,
        output: &mut Output,
    ) {
        if self.told == Told::All || matches!(transition, Transition::Died { .. }) {
            let name = self.queues.name(queue).clone();
            output.transitions.push((name, id, transition));
        }
    }
}
