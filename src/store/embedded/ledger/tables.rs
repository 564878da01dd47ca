//! What has been checkpointed, in redb.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableHandle,
};

use super::batch::Magic;
use super::overlay::Overlay;
use super::table::Table;

/// What the store knows about itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// In [`META`]: the number of the last batch that is in the tables.
const CHECKPOINTED: &str = "checkpointed";

/// In [`META`]: the [`Magic`] of the journal.
const MAGIC: &str = "magic";

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

/// What went wrong in `tables.redb`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another process has it open.
    #[error("another popbox uses it")]
    InUse,
    /// The disk failed, or is full.
    #[error("{0}")]
    Io(io::Error),
    /// It was closed after such a failure, and is being opened again.
    #[error("it was closed after a failure of its disk")]
    Closed,
    /// It does not hold what was written.
    #[error("{0}")]
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::DatabaseClosed => Self::Closed,
            redb::Error::PreviousIo => Self::Io(io::Error::other("its disk has failed before")),
            redb::Error::Io(error) => match error.kind() {
                // So it says "not my file" and "the file ends too early".
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::Damaged(error.to_string())
                }
                _ => Self::Io(error),
            },
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Lets redb do something. It may panic on a damaged file.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("no reason is known");
        Err(Failure::Damaged(format!("redb gave up: {reason}")))
    })
}

/// The open file.
pub(super) struct Tables {
    path: PathBuf,
    cache_bytes: usize,
    database: Database,
    checkpointed: u64,
    magic: Magic,
}

impl Tables {
    /// Makes empty tables in an empty file, and brings them to the disk.
    pub(super) fn create(path: &Path, cache_bytes: usize) -> Result<(), Failure> {
        guarded(|| {
            let database = Database::builder()
                .set_cache_size(cache_bytes)
                .create(path)?;
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                transaction.open_table(definition(table))?;
            }
            let lot = uuid::Uuid::new_v4().as_u64_pair();
            let mut meta = transaction.open_table(META)?;
            meta.insert(MAGIC, lot.0 ^ lot.1)?;
            meta.insert(CHECKPOINTED, 0)?;
            drop(meta);
            transaction.commit()?;
            Ok(database.close()?)
        })
    }

    /// Opens tables that are there; with `check` it reads all of them first.
    pub(super) fn open(path: &Path, cache_bytes: usize, check: bool) -> Result<Self, Failure> {
        guarded(|| {
            let database = Database::builder()
                .set_cache_size(cache_bytes)
                .set_check_integrity_on_open(check)
                .open(path)?;
            let meta = database.begin_read()?.open_table(META)?;
            let read = |name: &str| {
                let value = meta.get(name)?.map(|value| value.value());
                value.ok_or_else(|| Failure::Damaged(format!("there is no {name} in it")))
            };
            let tables = Self {
                checkpointed: read(CHECKPOINTED)?,
                magic: read(MAGIC)?.to_le_bytes(),
                path: path.into(),
                cache_bytes,
                database,
            };
            tables.add_missing()?;
            tables.readers()?;
            Ok(tables)
        })
    }

    /// Makes the tables that the version that made the file did not have.
    fn add_missing(&self) -> Result<(), Failure> {
        let present = self.database.begin_read()?.list_tables()?.count();
        // The one beside them is what the store knows about itself.
        if present > Table::COUNT {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        for table in Table::ALL {
            transaction.open_table(definition(table))?;
        }
        Ok(transaction.commit()?)
    }

    /// Closes the file and opens it again, which is the only way on after a failure of its disk.
    pub(super) fn reopen(self, check: bool) -> Result<Self, (Failure, Reopening)> {
        self.into_reopening().open(check)
    }

    /// Closes the file, to be opened again.
    pub(super) fn into_reopening(self) -> Reopening {
        // Closing says again what has failed, if anything.
        let _ = guarded(|| Ok(self.database.close()?));
        Reopening {
            path: self.path,
            cache_bytes: self.cache_bytes,
        }
    }

    /// The number of the last batch that was in the tables when they were opened.
    pub(super) fn checkpointed(&self) -> u64 {
        self.checkpointed
    }

    /// What the batches of the journal begin with.
    pub(super) fn magic(&self) -> Magic {
        self.magic
    }

    /// The tables as they are now. Later changes do not show, and pages that they free are not used again while
    /// there is a reader that may look at them.
    pub(super) fn readers(&self) -> Result<Readers, Failure> {
        let transaction = self.database.begin_read()?;
        let open = |table| transaction.open_table(definition(table));
        let tables: Result<Vec<_>, _> = Table::ALL.into_iter().map(open).collect();
        Ok(Readers(tables?))
    }

    /// Takes in all batches up to `through`, whose writes are in `overlay`. They are on the disk when this returns.
    pub(super) fn apply(&self, overlay: &Overlay, through: u64) -> Result<Readers, Failure> {
        guarded(|| {
            let mut transaction = self.database.begin_write()?;
            // After a crash the file can be used at once, instead of being read as a whole. It also makes the
            // commit two-phased: without, chosen contents could pass off half a commit as a whole one.
            transaction.set_quick_repair(true);
            for table in Table::ALL {
                let entries = overlay.entries(table);
                if entries.is_empty() {
                    continue;
                }
                let mut stored = transaction.open_table(definition(table))?;
                for (key, value) in entries {
                    match value {
                        Some(value) => drop(stored.insert(key.as_slice(), value.as_ref())?),
                        None => drop(stored.remove(key.as_slice())?),
                    }
                }
            }
            transaction
                .open_table(META)?
                .insert(CHECKPOINTED, through)?;
            transaction.commit()?;
            self.readers()
        })
    }

    /// Closes the file.
    pub(super) fn close(self) -> Result<(), Failure> {
        guarded(|| Ok(self.database.close()?))
    }
}

/// What it takes to open the tables again.
pub(super) struct Reopening {
    path: PathBuf,
    cache_bytes: usize,
}

impl Reopening {
    /// Tries.
    pub(super) fn open(self, check: bool) -> Result<Tables, (Failure, Self)> {
        Tables::open(&self.path, self.cache_bytes, check).map_err(|failure| (failure, self))
    }
}

/// The tables as they were at one moment; in the order of their codes.
pub(super) struct Readers(Vec<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl Readers {
    /// The value of a key.
    pub(super) fn read<T>(
        &self,
        table: Table,
        key: &[u8],
        make: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Failure> {
        guarded(|| {
            let found = self.table(table)?.get(key)?;
            Ok(found.map(|value| make(value.value())))
        })
    }

    /// All entries of a table, in the order of their keys.
    pub(super) fn entries(&self, table: Table) -> Result<Entries<'_>, Failure> {
        guarded(|| Ok(Entries(self.table(table)?.iter()?)))
    }

    fn table(&self, table: Table) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, Failure> {
        let found = self.0.get(table.index());
        debug_assert!(found.is_none_or(|found| found.name() == table.name()));
        found.ok_or(Failure::Closed)
    }
}

/// The entries of a table, one after the other.
pub(super) struct Entries<'a>(redb::Range<'a, &'static [u8], &'static [u8]>);

/// An entry as it is in a page.
pub(super) type Entry<'a> = (
    redb::AccessGuard<'a, &'static [u8]>,
    redb::AccessGuard<'a, &'static [u8]>,
);

impl<'a> Entries<'a> {
    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'a>>, Failure> {
        guarded(|| Ok(self.0.next().transpose()?))
    }
}
