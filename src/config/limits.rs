//! `[limits]`: everything that can grow, and how far.

use std::time::Duration;

use super::duration;
use super::section::Section;
use super::size::Size;

/// `[limits]`: bounds on sizes, numbers and waits, so that no client can take more than its share.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections open at once, 1 to 10 000 000; one more is refused.
    pub max_connections: usize,
    /// Connections open at once from one address (one network of IPv6), 1 to 10 000 000; one more is refused. 0 is any
    /// number.
    pub max_connections_per_address: usize,
    /// Requests that one address (one network of IPv6) may make in a second, 1 to 10 000 000; one more is refused. 0 is
    /// any number.
    pub max_requests_per_address: usize,
    /// Bytes of a request's line and headers, 1 KiB to 1 MiB.
    pub max_head: Size,
    /// Bytes of a request's body, 64 KiB to 1 GiB, and enough for an escaped payload of full size.
    pub max_body: Size,
    /// Bytes of request bodies that the whole process holds in memory, 64 KiB to 1 TiB, at least `max_body`.
    pub max_body_memory: Size,
    /// Requests of one connection under way at once, 1 to 1024.
    pub max_pipelined: usize,
    /// Bytes of a queue's, group's or tenant's name, 16 to 64 KiB.
    pub max_id: Size,
    /// UTF-16 code units of a payload, 1 to 134 217 728.
    pub max_payload: usize,
    /// Queues of one transaction, groups included, 1 to 1 000 000.
    pub max_queues: usize,
    /// Messages that one pop may ask for, 1 to 1 000 000.
    pub max_pop: usize,
    /// Messages that a pop takes when it does not say, 1 to `max_pop`.
    pub default_pop: usize,
    /// Bytes of payload in one answer, 64 KiB to 1 GiB; one message is always given.
    pub max_answer: Size,
    /// Contents of answers in memory until they are written, of the whole process, 64 KiB to 1 TiB, at least
    /// `max_answer`.
    pub max_answer_memory: Size,
    /// Transactions kept, 1 to 1 000 000 000; one more is refused.
    pub max_transactions: usize,
    /// Queues known at once, 1 to 1 000 000 000; a push to one more is refused.
    pub max_known_queues: usize,
    /// Queues known at once of one tenant, 1 to 1 000 000 000; a push to one more is refused. 0 is any number.
    /// The Redis store does not count them.
    pub max_tenant_queues: usize,
    /// Pops that wait on one queue, 1 to 100 000 000; one more is refused.
    pub max_waiters: usize,
    /// Groups kept, 1 to 100 000 000; one more is refused.
    pub max_groups: usize,
    /// Secured queues kept, 1 to 100 000 000; one more is refused.
    pub max_secured_queues: usize,
    /// Deliveries after which a message that is not acked in time becomes a dead letter, 0 to 65 535; 0 is never.
    pub max_deliveries: usize,
    /// Pushes remembered by their `Idempotency-Key`, 1 to 1 000 000 000; one more is refused.
    pub max_idempotency_keys: usize,
    /// Operations that wait for the store, 1 to 10 000 000; one more is refused.
    pub max_backlog: usize,
    /// How long a pop waits when it does not say, 1 s to `max_pop_timeout`.
    pub pop_timeout: Duration,
    /// How long a pop may ask to wait, 1 s to 24 h.
    pub max_pop_timeout: Duration,
    /// How long a reliable pop's messages wait for their ack when it does not say, 1 ms to `max_ack_timeout`.
    pub ack_timeout: Duration,
    /// How long a reliable pop may ask its messages to wait for their ack, 1 s to 30 d.
    pub max_ack_timeout: Duration,
    /// How long a transaction lives when it does not say, 1 s to 3650 d.
    pub default_expiration: Duration,
    /// How far ahead a push may be delayed, 1 s to 3650 d.
    pub max_delay: Duration,
    /// How long the writing of an answer may take before its messages go back to their queue, 100 ms to 1 h.
    pub delivery_lease: Duration,
    /// How long the last pop of an idle queue is remembered, 1 s to 3650 d.
    pub queue_retention: Duration,
    /// How long a push is remembered by its `Idempotency-Key`, 1 s to 30 d.
    pub idempotency_life: Duration,
    /// How long a client may take to send a request's head, 100 ms to 1 h.
    pub head_timeout: Duration,
    /// How long a client may take to send a request's body, 100 ms to 1 h.
    pub body_timeout: Duration,
    /// How long a connection may stay idle between requests, 100 ms to 24 h.
    pub keep_alive: Duration,
    /// How long a client may take to accept more of an answer, 100 ms to 1 h.
    pub write_timeout: Duration,
}

const DAY: Duration = Duration::from_hours(24);

/// Bytes that JSON may need for a UTF-16 code unit: `\u001f`.
const ESCAPED_UNIT: usize = 6;

/// Bytes left for what a body holds besides its payload.
const REST_OF_BODY: Size = Size::from_kibibytes(64);

impl Limits {
    /// Bytes of the smallest body that can carry a payload of full size with every character escaped.
    pub fn body_of_full_payload(&self) -> Size {
        Size::from_bytes(ESCAPED_UNIT * self.max_payload + REST_OF_BODY.bytes())
    }

    pub(super) fn read(section: &mut Section) -> Self {
        let mut limits = Self::default();
        limits.read_sizes(section);
        limits.read_numbers(section);
        limits.read_times(section);
        limits.compare(section);
        limits
    }

    fn read_sizes(&mut self, section: &mut Section) {
        self.max_head = section.size(
            "max_head",
            self.max_head,
            Size::from_kibibytes(1)..=Size::from_mebibytes(1),
        );
        self.max_body = section.size(
            "max_body",
            self.max_body,
            Size::from_kibibytes(64)..=Size::from_gibibytes(1),
        );
        self.max_body_memory = section.size(
            "max_body_memory",
            self.max_body_memory,
            Size::from_kibibytes(64)..=Size::from_gibibytes(1024),
        );
        self.max_id = section.size(
            "max_id",
            self.max_id,
            Size::from_bytes(16)..=Size::from_kibibytes(64),
        );
        self.max_answer = section.size(
            "max_answer",
            self.max_answer,
            Size::from_kibibytes(64)..=Size::from_gibibytes(1),
        );
        self.max_answer_memory = section.size(
            "max_answer_memory",
            self.max_answer_memory,
            Size::from_kibibytes(64)..=Size::from_gibibytes(1024),
        );
    }

    fn read_numbers(&mut self, section: &mut Section) {
        self.max_connections =
            section.count("max_connections", self.max_connections, 1..=10_000_000);
        self.max_connections_per_address = section.count(
            "max_connections_per_address",
            self.max_connections_per_address,
            0..=10_000_000,
        );
        self.max_requests_per_address = section.count(
            "max_requests_per_address",
            self.max_requests_per_address,
            0..=10_000_000,
        );
        self.max_pipelined = section.count("max_pipelined", self.max_pipelined, 1..=1_024);
        self.max_payload = section.count("max_payload", self.max_payload, 1..=134_217_728);
        self.max_queues = section.count("max_queues", self.max_queues, 1..=1_000_000);
        self.max_pop = section.count("max_pop", self.max_pop, 1..=1_000_000);
        self.default_pop = section.count("default_pop", self.default_pop, 1..=1_000_000);
        self.max_transactions =
            section.count("max_transactions", self.max_transactions, 1..=1_000_000_000);
        self.max_known_queues =
            section.count("max_known_queues", self.max_known_queues, 1..=1_000_000_000);
        self.max_tenant_queues = section.count(
            "max_tenant_queues",
            self.max_tenant_queues,
            0..=1_000_000_000,
        );
        self.max_waiters = section.count("max_waiters", self.max_waiters, 1..=100_000_000);
        self.max_groups = section.count("max_groups", self.max_groups, 1..=100_000_000);
        self.max_secured_queues = section.count(
            "max_secured_queues",
            self.max_secured_queues,
            1..=100_000_000,
        );
        self.max_deliveries = section.count("max_deliveries", self.max_deliveries, 0..=65_535);
        self.max_idempotency_keys = section.count(
            "max_idempotency_keys",
            self.max_idempotency_keys,
            1..=1_000_000_000,
        );
        self.max_backlog = section.count("max_backlog", self.max_backlog, 1..=10_000_000);
    }

    fn read_times(&mut self, section: &mut Section) {
        self.pop_timeout = section.duration(
            "pop_timeout",
            self.pop_timeout,
            Duration::from_secs(1)..=Duration::from_hours(24),
        );
        self.max_pop_timeout = section.duration(
            "max_pop_timeout",
            self.max_pop_timeout,
            Duration::from_secs(1)..=Duration::from_hours(24),
        );
        self.ack_timeout = section.duration(
            "ack_timeout",
            self.ack_timeout,
            Duration::from_millis(1)..=DAY * 30,
        );
        self.max_ack_timeout = section.duration(
            "max_ack_timeout",
            self.max_ack_timeout,
            Duration::from_secs(1)..=DAY * 30,
        );
        self.default_expiration = section.duration(
            "default_expiration",
            self.default_expiration,
            Duration::from_secs(1)..=DAY * 3650,
        );
        self.max_delay = section.duration(
            "max_delay",
            self.max_delay,
            Duration::from_secs(1)..=DAY * 3650,
        );
        self.delivery_lease = section.duration(
            "delivery_lease",
            self.delivery_lease,
            Duration::from_millis(100)..=Duration::from_hours(1),
        );
        self.queue_retention = section.duration(
            "queue_retention",
            self.queue_retention,
            Duration::from_secs(1)..=DAY * 3650,
        );
        self.idempotency_life = section.duration(
            "idempotency_life",
            self.idempotency_life,
            Duration::from_secs(1)..=DAY * 30,
        );
        self.head_timeout = section.duration(
            "head_timeout",
            self.head_timeout,
            Duration::from_millis(100)..=Duration::from_hours(1),
        );
        self.body_timeout = section.duration(
            "body_timeout",
            self.body_timeout,
            Duration::from_millis(100)..=Duration::from_hours(1),
        );
        self.keep_alive = section.duration(
            "keep_alive",
            self.keep_alive,
            Duration::from_millis(100)..=Duration::from_hours(24),
        );
        self.write_timeout = section.duration(
            "write_timeout",
            self.write_timeout,
            Duration::from_millis(100)..=Duration::from_hours(1),
        );
    }

    /// What two keys must be to each other.
    fn compare(&self, section: &mut Section) {
        section.compare(
            "max_body",
            self.max_body,
            "max_payload",
            self.max_body >= self.body_of_full_payload(),
            &format!(
                "at least {}, so that a payload of limits.max_payload = {} fits, escaped",
                self.body_of_full_payload(),
                self.max_payload
            ),
        );
        section.compare(
            "max_body_memory",
            self.max_body_memory,
            "max_body",
            self.max_body_memory >= self.max_body,
            &format!("at least limits.max_body = {}", self.max_body),
        );
        section.compare(
            "max_answer_memory",
            self.max_answer_memory,
            "max_answer",
            self.max_answer_memory >= self.max_answer,
            &format!("at least limits.max_answer = {}", self.max_answer),
        );
        section.compare(
            "default_pop",
            self.default_pop,
            "max_pop",
            self.default_pop <= self.max_pop,
            &format!("at most limits.max_pop = {}", self.max_pop),
        );
        let times = [
            (
                "pop_timeout",
                self.pop_timeout,
                "max_pop_timeout",
                self.max_pop_timeout,
            ),
            (
                "ack_timeout",
                self.ack_timeout,
                "max_ack_timeout",
                self.max_ack_timeout,
            ),
        ];
        for (key, value, other, limit) in times {
            let allowed = format!("at most limits.{other} = {}", duration::text(limit));
            section.compare(key, duration::text(value), other, value <= limit, &allowed);
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            max_connections_per_address: 0,
            max_requests_per_address: 0,
            max_head: Size::from_kibibytes(32),
            max_body: Size::from_mebibytes(8),
            max_body_memory: Size::from_gibibytes(1),
            max_pipelined: 32,
            max_id: Size::from_kibibytes(1),
            max_payload: 1_048_576,
            max_queues: 10_000,
            max_pop: 10_000,
            default_pop: 1_000,
            max_answer: Size::from_mebibytes(16),
            max_answer_memory: Size::from_gibibytes(1),
            max_transactions: 10_000_000,
            max_known_queues: 1_000_000,
            max_tenant_queues: 0,
            max_waiters: 100_000,
            max_groups: 100_000,
            max_secured_queues: 1_000_000,
            max_deliveries: 0,
            max_idempotency_keys: 1_000_000,
            max_backlog: 65_536,
            pop_timeout: Duration::from_secs(5),
            max_pop_timeout: Duration::from_mins(5),
            ack_timeout: Duration::from_secs(20),
            max_ack_timeout: Duration::from_hours(24),
            default_expiration: Duration::from_hours(1),
            max_delay: DAY * 30,
            delivery_lease: Duration::from_secs(10),
            queue_retention: DAY,
            idempotency_life: Duration::from_hours(1),
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_mins(1),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
        }
    }
}
