//! popbox: an inbox server.
//!
//! Read the rooms in this order; each one uses only those below it:
//!
//! - [`cli`]: the command line: serve, migrate, check the configuration, hash a password.
//! - [`migrate`]: brings what an old server holds into the store.
//! - [`worker`]: one thread per core: listeners, connections, timers, waiting pops.
//! - [`api`]: a file per resource: requests become operations, replies become responses.
//! - [`web`]: the pages a person looks at.
//! - [`auth`]: who somebody is: logins, and the checking of them.
//! - [`offload`]: a pool of its own for what may take long: history and callbacks.
//! - [`store`]: takes operations, gives replies; one keeps everything in files, the other in Redis servers.
//! - [`mailbox`]: the domain, pure: queues, leases, waiters, expiry.
//! - [`http`]: bytes to requests and responses to bytes; knows none of the others.
//! - [`runtime`]: what the tasks of a thread wait on: sockets, deadlines, each other.
//! - [`memory`]: accounts of memory, with a limit each.
//! - [`vital`]: what becomes of the process when a thread panics.
//! - [`config`]: what an operator may set, with defaults and allowed values.

pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
pub mod mailbox;
pub mod memory;
pub mod migrate;
pub mod offload;
pub mod runtime;
pub mod store;
pub mod vital;
pub mod web;
pub mod worker;
