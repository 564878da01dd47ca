//! popbox: an inbox server.
//!
//! Read the rooms in this order; each one uses only those below it:
//!
//! - [`config`]: what an operator may set, with defaults and allowed values.

pub mod config;
