//! Names of the queues that are used.

use std::{fmt, str::FromStr};

/// What the names of all queues of a run begin with: letters, digits, `-`, `_`, `.` and `:`, so that a name can
/// stand in a path, in JSON and in a command of any protocol as it is.
#[derive(Clone, Debug)]
pub(crate) struct Prefix(String);

/// A prefix of more bytes is refused.
const PREFIX_BYTES_MAX: usize = 200;

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if text.len() <= PREFIX_BYTES_MAX && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "at most {PREFIX_BYTES_MAX} letters, digits, '-', '_', '.' and ':'"
            ))
        }
    }
}

impl Prefix {
    /// One that is known to be plain.
    pub(crate) fn constant(text: &str) -> Self {
        debug_assert!(text.parse::<Self>().is_ok(), "{text}");
        Self(text.to_owned())
    }

    /// So many queues from this one on, of a ring of so many.
    pub(crate) fn queues(&self, first: u32, count: u32, ring: u32) -> Queues<'_> {
        Queues {
            prefix: self,
            first,
            count,
            ring,
        }
    }

    /// The queue with this number alone.
    pub(crate) fn only(&self, number: u32) -> Queues<'_> {
        self.queues(number, 1, u32::MAX)
    }

    /// The queue with this number.
    pub(crate) fn queue(&self, number: u32) -> Queue<'_> {
        Queue {
            prefix: &self.0,
            number,
        }
    }
}

/// Neighbouring queues in a ring of them: after the last comes the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queues<'a> {
    prefix: &'a Prefix,
    first: u32,
    count: u32,
    ring: u32,
}

impl<'a> Queues<'a> {
    /// The first of them, for servers that know no more.
    pub(crate) fn first(self) -> Option<Queue<'a>> {
        self.iter().next()
    }

    /// Each of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = Queue<'a>> {
        let ring = u64::from(self.ring.max(1));
        (0..self.count).map(move |step| {
            let number = (u64::from(self.first) + u64::from(step)) % ring;
            // It is below the ring, which is a u32.
            self.prefix
                .queue(u32::try_from(number).unwrap_or(self.first))
        })
    }
}

/// A queue; displayed as its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'a> {
    prefix: &'a str,
    number: u32,
}

impl fmt::Display for Queue<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.prefix, self.number)
    }
}

impl Queue<'_> {
    /// Its number among those with the same prefix.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The bytes of its name.
    pub(crate) fn name_bytes(&self) -> usize {
        self.prefix.len()
            + self
                .number
                .checked_ilog10()
                .map_or(1, |log| log as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_name() {
        let prefix: Prefix = "load-".parse().unwrap();
        for number in [0, 1, 9, 10, 99, 100, 4_294_967_295] {
            let queue = prefix.queue(number);
            assert_eq!(queue.name_bytes(), queue.to_string().len());
        }
    }

    #[test]
    fn after_the_last_queue_comes_the_first() {
        let prefix: Prefix = "q".parse().unwrap();
        let names = |first, count, ring| -> Vec<String> {
            let queues = prefix.queues(first, count, ring);
            queues.iter().map(|queue| queue.to_string()).collect()
        };
        assert_eq!(names(2, 3, 4), ["q2", "q3", "q0"]);
        assert_eq!(names(0, 2, 2), ["q0", "q1"]);
        assert_eq!(prefix.only(7).iter().count(), 1);
    }

    #[test]
    fn what_would_need_encoding_is_refused() {
        for text in ["a/b", "a b", "\"", "ä", &"x".repeat(201)] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
    }
}
