//! Brings what an old server (`PopBox` on Node.js) holds in Redis into the configured store.
//!
//! The old servers are only read. A transaction goes with its own id, so what is in the store already is passed over,
//! and a migration can be repeated: after a fault, or to fetch what has come since.
//!
//! 1. A `survey` looks at every key and notes who waits where (`inventory`), by name; contents stay where they are.
//! 2. `states` tell which messages were out with a consumer. They are waiting again, in front of their queue.
//! 3. `order` merges all old lines into one order of transactions that agrees with each of them.
//! 4. The `users` of secured queues are moved first: a queue whose messages are there and whose user is not would be
//!    that of whoever makes it.
//! 5. A `transfer` moves the transactions in their order, reading contents a batch at a time, and then come the groups.
//!
//! That a message was delivered is left behind: to say so here would take a push and an ack, and between the two a
//! consumer could get the message a second time.
//!
//! The old server's keys, where `<queue>` is `[<org>:]UNSEC:<id>`, or `SEC:` for TLS:
//!
//! | key | type | |
//! |---|---|---|
//! | `PB:Q\|H:<queue>`, `PB:Q\|L:<queue>` | list | `PB:T\|<uuid>` of each transaction, the next to be popped first |
//! | `PB:Q\|<queue>:userInfo` | hash | the last pop |
//! | `PB:T\|<uuid>:meta` | hash | payload, priority, expirationDate, callback, others |
//! | `PB:T\|<uuid>:state` | hash | `<queue>`, or its id alone, to `Pending`, `Blocked` or `Delivered` |
//! | `[<org>:]SEC:<id>` | string | `base64(sha1(base64("<user>:<password>")))`, on the server of the queue |
//! | any other | set | a group's queues |

mod groups;
mod inventory;
mod key;
mod name;
mod order;
mod progress;
mod record;
mod report;
mod server;
mod servers;
mod states;
mod survey;
mod target;
mod transfer;
mod users;
mod writer;

pub use progress::Progress;
pub use report::{Left, Report};
pub use server::ServerError;
pub use target::{OpenError, Silent};
pub use writer::Stopped;

use inventory::Inventory;
use servers::Servers;
use survey::{Survey, Unread};
use target::Target;
use transfer::Transfer;
use writer::Writer;

use crate::config::{Config, RedisAddress};

/// Why not everything that can be moved was moved.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An old server cannot be read.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store has stopped taking things.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Moves what the old servers at these addresses hold; it does not matter which of them is for what. The report counts
/// what was done, also when it ends with a failure.
pub fn migrate(
    config: &Config,
    addresses: &[RedisAddress],
    report: &mut Report,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let mut servers = Servers::connect(addresses.iter())?;
    let target = Target::open(config)?;
    let mut writer = Writer::new(target);
    let moved = move_all(config, &mut servers, &mut writer, report, progress);
    writer.into_target().close();
    moved
}

fn move_all(
    config: &Config,
    servers: &mut Servers,
    writer: &mut Writer<Target>,
    report: &mut Report,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let limits = &config.limits;
    let id_max = limits.max_id.bytes();
    let mut inventory = Inventory::default();
    let survey = Survey::new(servers, &mut inventory, report, progress, id_max);
    let Unread { groups, users } = survey.take()?;
    states::read(servers, &mut inventory, report, progress, id_max)?;
    users::transfer(&users, servers, &mut inventory, writer, report)?;
    let waiting = inventory.waiting(report);
    let transfer = Transfer {
        servers,
        inventory: &inventory,
        waiting: &waiting,
        writer,
        limits,
        report,
        progress,
    };
    transfer.run()?;
    groups::transfer(&groups, servers, writer, limits, report)
}
