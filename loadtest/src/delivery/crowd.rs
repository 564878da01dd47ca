//! Who is who among the connections.

/// How many connections do what. Consumers come first, each with the queue of its number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crowd {
    /// They pop.
    pub(crate) waiters: u32,
    /// They borrow and ack.
    pub(crate) borrowers: u32,
    /// They subscribe.
    pub(crate) streams: u32,
    /// They push.
    pub(crate) pushers: u32,
    /// They look at queues.
    pub(crate) inspectors: u32,
}

/// What a connection does; a consumer, at which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Waiter(u32),
    Borrower(u32),
    Stream(u32),
    Pusher,
    Inspector,
}

impl Crowd {
    /// How many have a queue.
    pub(crate) fn consumers(&self) -> u32 {
        self.waiters
            .saturating_add(self.borrowers)
            .saturating_add(self.streams)
    }

    /// Whether any server can serve them, not a popbox only.
    pub(crate) fn is_plain(&self) -> bool {
        self.borrowers == 0 && self.streams == 0 && self.inspectors == 0
    }

    /// What the connection with this number does.
    pub(crate) fn role(&self, number: usize) -> Role {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let borrowers_from = self.waiters;
        let streams_from = borrowers_from.saturating_add(self.borrowers);
        let others_from = self.consumers();
        if number < borrowers_from {
            Role::Waiter(number)
        } else if number < streams_from {
            Role::Borrower(number)
        } else if number < others_from {
            Role::Stream(number)
        } else if number < others_from.saturating_add(self.pushers) {
            Role::Pusher
        } else {
            Role::Inspector
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_a_role_and_every_consumer_a_queue() {
        let crowd = Crowd {
            waiters: 2,
            borrowers: 1,
            streams: 1,
            pushers: 1,
            inspectors: 1,
        };
        let roles: Vec<Role> = (0..6).map(|number| crowd.role(number)).collect();
        let expected = [
            Role::Waiter(0),
            Role::Waiter(1),
            Role::Borrower(2),
            Role::Stream(3),
            Role::Pusher,
            Role::Inspector,
        ];
        assert_eq!(roles, expected);
        assert_eq!(crowd.consumers(), 4);
    }
}
