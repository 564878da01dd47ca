//! The history with a real spool before it and a real server behind it.

mod drafts;
mod indexes;
mod looking;
mod stage;
mod trouble;
mod writing;
