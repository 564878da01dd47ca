//! popbox: an inbox server.
//!
//! Read the rooms in this order; each one uses only those below it:
//!
