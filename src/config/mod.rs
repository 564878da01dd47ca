//! What an operator may set, with defaults and allowed values.
