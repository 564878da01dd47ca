//! The store with real servers. They need `redis-server`.

mod bench;
mod bulk;
mod callbacks;
mod crowd;
mod dead;
mod histories;
mod lost;
mod names;
mod once;
mod order;
mod refusals;
mod server;
