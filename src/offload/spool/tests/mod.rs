//! What a log is to hold, whatever happens to it.
