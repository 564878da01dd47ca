//! The contract (docs/protocol.md), tested from outside: the binary is started, and spoken to over sockets.
//!
//! A module is a resource or a circumstance. Most tests share one server and keep apart by queue names of their own;
//! those that restart it, kill it or need other limits start their own. `POPBOX_TEST_LAYOUT` says over which store
//! (`tests/support`), `POPBOX_TEST_SEED` repeats a run of the tests that roll dice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use popbox_test_support as support;

mod abuse;
mod ack;
mod answer_memory;
mod bad_input;
mod callback_trouble;
mod callbacks;
mod command_line;
mod concurrency;
mod cross_site;
mod dead_letters;
mod delays;
mod drain;
mod epoll;
mod expiry;
mod full_disk;
mod groups;
mod history;
mod history_actions;
mod history_readers;
mod history_trouble;
mod hostile_names;
mod http_rules;
mod idempotency;
mod killed_under_load;
mod lifecycle;
mod limits;
mod odd_json;
mod open_files;
mod pages;
mod peek;
mod pop;
mod queue_info;
mod redis_agents;
mod redis_cleanup;
mod redis_connections;
mod redis_outage;
mod redis_refusals;
mod redis_sizes;
mod redis_trouble;
mod reliable_pop;
mod restart;
mod roles;
mod secured_queues;
mod slow_clients;
mod smuggling;
mod subscribe;
mod tenants;
mod tls;
mod tls_certificates;
mod tls_handshakes;
mod transaction_states;
mod transactions;
mod waiting;
