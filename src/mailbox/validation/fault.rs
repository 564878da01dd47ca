//! What can be wrong with a transaction, in the words clients know.

/// One thing wrong with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No priority, or an empty one.
    #[error("undefined priority")]
    UndefinedPriority,
    /// Neither `H` nor `L`.
    #[error("invalid priority")]
    InvalidPriority,
    /// Neither queues nor groups.
    #[error("undefined queue")]
    UndefinedQueue,
    /// The queues are not a list.
    #[error("invalid queue type")]
    InvalidQueueType,
    /// A queue without an id that can name one.
    #[error("invalid queue element")]
    InvalidQueueElement,
    /// The groups are not a list.
    #[error("invalid groups type")]
    InvalidGroupsType,
    /// A group whose name can name none.
    #[error("invalid groups element")]
    InvalidGroupsElement,
    /// More queues, or groups, than one transaction may have.
    #[error("too many queues: maximum {0}")]
    TooManyQueues(usize),
    /// No payload, or an empty one.
    #[error("undefined payload")]
    UndefinedPayload,
    /// A payload longer than so many UTF-16 units.
    #[error("payload greater than {0}")]
    PayloadTooLong(usize),
    /// An end of life that is no number.
    #[error("expirationDate is not a number")]
    ExpirationDateNotANumber,
    /// An end of life before 1970 or after 2038.
    #[error("expirationDate out of range")]
    ExpirationDateOutOfRange,
    /// A length of life that is no number.
    #[error("expirationDelay is not a number")]
    ExpirationDelayNotANumber,
    /// A length of life below zero or past all dates.
    #[error("expirationDelay out of range")]
    ExpirationDelayOutOfRange,
    /// A delay that is no number, below zero or longer than allowed.
    #[error("invalid delay")]
    InvalidDelay,
}
