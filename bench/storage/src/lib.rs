//! The storage pattern of a message queue, spoken to two embedded stores.
//!
//! Three tables: `transactions` (message headers), `payloads` and `deliveries`.
//! One writer thread makes each batch of operations one atomic commit.

use std::error::Error;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use fjall::{
    Database as FjallDatabase, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
};
use redb::backends::FileBackend;
use redb::{ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

/// The error of everything here.
pub type BoxError = Box<dyn Error + Send + Sync>;
/// The result of everything here.
pub type Result<T> = std::result::Result<T, BoxError>;

/// Bytes of a message header.
pub const HEADER_BYTES: usize = 80;
/// Where all data goes: a folder of the system's temporary one.
pub fn root() -> std::path::PathBuf {
    std::env::temp_dir().join("popbox-storage-bench")
}

/// One operation of a batch, on the message with this sequence number.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Write the header and the payload.
    Push(u64),
    /// Write the delivery mark.
    Settle(u64),
    /// Delete header, payload and delivery mark.
    Expire(u64),
}

/// How far a commit goes before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Synced to the disk: survives a power cut.
    Sync,
    /// Handed to the kernel: survives the death of the process.
    Buffer,
}

/// What a full scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Message headers.
    pub headers: u64,
    /// Delivery marks.
    pub deliveries: u64,
    /// The highest sequence number.
    pub last: Option<u64>,
}

/// A store under test.
pub trait Store {
    /// Makes the batch one atomic commit.
    fn commit(&self, ops: &[Op], level: Level) -> Result<()>;
    /// Syncs everything committed so far to the disk.
    fn sync(&self) -> Result<()>;
    /// Reads every header and delivery mark.
    fn scan(&self) -> Result<Scan>;
    /// Reads one payload, if it is there.
    fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>>;
    /// Moves what is only in the journal to the tables, where there is such a thing.
    fn flush(&self) -> Result<()> {
        Ok(())
    }
    /// Gives back what space it can, if there is an explicit way.
    fn compact(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The stores by name, in the order of the reports.
pub const NAMES: [&str; 7] = [
    "file",
    "fjall",
    "fjall-kv",
    "redb",
    "redb-lazy",
    "redb-none",
    "redb-log",
];

/// Opens (or creates) the store `name` in the folder `dir`.
///
/// # Errors
/// Whatever the store says.
pub fn open(name: &str, dir: &Path) -> Result<Box<dyn Store>> {
    std::fs::create_dir_all(dir)?;
    Ok(match name {
        "file" => Box::new(FileStore::open(dir)?),
        "fjall" => Box::new(FjallStore::open(dir, false)?),
        "fjall-kv" => Box::new(FjallStore::open(dir, true)?),
        "redb" => Box::new(RedbStore::open(dir, RedbMode::Sync)?),
        "redb-lazy" => Box::new(RedbStore::open(dir, RedbMode::Lazy)?),
        "redb-log" => Box::new(RedbLogStore::open(dir)?),
        "redb-none" => Box::new(RedbStore::open(dir, RedbMode::None)?),
        _ => return Err(format!("no store named {name}").into()),
    })
}

/// Fills `out` with bytes that do not compress, the same for the same `seq`.
pub fn fill(seq: u64, out: &mut [u8]) {
    let mut state = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for chunk in out.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

/// Checks every payload below `count`: how many are right, missing and wrong.
///
/// # Errors
/// Whatever the store says of the first payload it cannot read.
pub fn verify(store: &dyn Store, count: u64) -> Result<(u64, u64, u64)> {
    let (mut right, mut missing, mut wrong) = (0, 0, 0);
    let mut value = vec![0; HEADER_BYTES + payload_bytes()];
    for seq in 0..count {
        fill(seq, &mut value);
        match store.payload(seq)? {
            Some(found) if found == value[HEADER_BYTES..] => right += 1,
            Some(_) => wrong += 1,
            None => missing += 1,
        }
    }
    Ok((right, missing, wrong))
}

fn delivery_key(seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Bytes of a message payload: 1 KiB unless the environment says otherwise.
fn payload_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| (env_u64("PAYLOAD_KIB", 1) << 10) as usize)
}

fn env_u64(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

// ---------------------------------------------------------------- plain file

/// The yardstick: the batch's bytes appended to a file. It reads nothing back.
struct FileStore {
    file: Mutex<File>,
}

impl FileStore {
    fn open(dir: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(dir.join("log"))?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }
}

/// A batch as one record: length, checksum, then tag, sequence number and value of each.
fn encode(ops: &[Op]) -> Vec<u8> {
    let size = HEADER_BYTES + payload_bytes();
    let mut bytes = vec![0; 12];
    for op in ops {
        let (tag, seq) = match *op {
            Op::Push(seq) => (0, seq),
            Op::Settle(seq) => (1, seq),
            Op::Expire(seq) => (2, seq),
        };
        bytes.push(tag);
        bytes.extend_from_slice(&seq.to_be_bytes());
        if tag == 0 {
            let start = bytes.len();
            bytes.resize(start + size, 0);
            fill(seq, &mut bytes[start..]);
        }
    }
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[12..]);
    let len = (bytes.len() - 12) as u32;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes[4..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The records of a log up to the first that is not whole.
fn decode(mut log: &[u8]) -> Vec<Vec<Op>> {
    let size = HEADER_BYTES + payload_bytes();
    let mut batches = Vec::new();
    while let Some((head, rest)) = log.split_first_chunk::<12>() {
        let len = head[..4].iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let sum = head[4..].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let Some((mut record, rest)) = rest.split_at_checked(len) else {
            break;
        };
        if len == 0 || xxhash_rust::xxh3::xxh3_64(record) != sum {
            break;
        }
        let mut ops = Vec::new();
        while let Some((op, rest)) = record.split_first_chunk::<9>() {
            let seq = op[1..].iter().fold(0, |n, b| n << 8 | u64::from(*b));
            ops.push([Op::Push(seq), Op::Settle(seq), Op::Expire(seq)][usize::from(op[0]) % 3]);
            record = if op[0] == 0 { &rest[size..] } else { rest };
        }
        batches.push(ops);
        log = rest;
    }
    batches
}

impl Store for FileStore {
    fn commit(&self, ops: &[Op], level: Level) -> Result<()> {
        let bytes = encode(ops);
        let mut file = self.file.lock().map_err(|e| e.to_string())?;
        file.write_all(&bytes)?;
        if level == Level::Sync {
            file.sync_data()?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.file.lock().map_err(|e| e.to_string())?.sync_data()?)
    }

    fn scan(&self) -> Result<Scan> {
        Err("the plain file is write-only".into())
    }

    fn payload(&self, _seq: u64) -> Result<Option<Vec<u8>>> {
        Err("the plain file is write-only".into())
    }
}

// --------------------------------------------------------------------- fjall

/// fjall: a journal, memtables and an LSM tree a keyspace.
pub struct FjallStore {
    db: FjallDatabase,
    transactions: Keyspace,
    payloads: Keyspace,
    deliveries: Keyspace,
}

impl FjallStore {
    /// Opens the store; with `separate`, payloads go to blob files.
    ///
    /// # Errors
    /// Whatever fjall says.
    pub fn open(dir: &Path, separate: bool) -> Result<Self> {
        let db = FjallDatabase::builder(dir)
            .cache_size(env_u64("CACHE_MIB", 64) << 20)
            .worker_threads(env_u64("WORKERS", 2) as usize)
            .max_journaling_size(env_u64("JOURNALS_MIB", 512) << 20)
            .open()?;
        let small = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(env_u64("MEMTABLE_MIB", 16) << 20)
                .expect_point_read_hits(true)
        };
        Ok(Self {
            transactions: db.keyspace("transactions", small)?,
            payloads: db.keyspace("payloads", || {
                small()
                    .max_memtable_size(env_u64("PAYLOAD_MEMTABLE_MIB", 64) << 20)
                    .with_kv_separation(separate.then(KvSeparationOptions::default))
            })?,
            deliveries: db.keyspace("deliveries", small)?,
            db,
        })
    }
}

impl Store for FjallStore {
    fn commit(&self, ops: &[Op], level: Level) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(match level {
            Level::Sync => PersistMode::SyncData,
            Level::Buffer => PersistMode::Buffer,
        }));
        let mut value = vec![0; HEADER_BYTES + payload_bytes()];
        for op in ops {
            match *op {
                Op::Push(seq) => {
                    fill(seq, &mut value);
                    let key = seq.to_be_bytes();
                    batch.insert(&self.transactions, key, &value[..HEADER_BYTES]);
                    batch.insert(&self.payloads, key, &value[HEADER_BYTES..]);
                }
                Op::Settle(seq) => batch.insert(&self.deliveries, delivery_key(seq), [1]),
                Op::Expire(seq) => {
                    let key = seq.to_be_bytes();
                    batch.remove(&self.transactions, key);
                    batch.remove(&self.payloads, key);
                    batch.remove(&self.deliveries, delivery_key(seq));
                }
            }
        }
        Ok(batch.commit()?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    fn scan(&self) -> Result<Scan> {
        let mut scan = Scan {
            headers: 0,
            deliveries: 0,
            last: None,
        };
        for entry in self.transactions.iter() {
            let (key, _) = entry.into_inner()?;
            scan.headers += 1;
            scan.last = Some(u64::from_be_bytes(key[..8].try_into()?));
        }
        for entry in self.deliveries.iter() {
            entry.into_inner()?;
            scan.deliveries += 1;
        }
        Ok(scan)
    }

    fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>> {
        let value = self.payloads.get(seq.to_be_bytes())?;
        Ok(value.map(|v| v.to_vec()))
    }

    fn flush(&self) -> Result<()> {
        self.transactions.rotate_memtable_and_wait()?;
        self.payloads.rotate_memtable_and_wait()?;
        Ok(self.deliveries.rotate_memtable_and_wait()?)
    }

    fn compact(&mut self) -> Result<()> {
        self.transactions.major_compact()?;
        self.payloads.major_compact()?;
        Ok(self.deliveries.major_compact()?)
    }
}

// ---------------------------------------------------------------------- redb

const TRANSACTIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("transactions");
const PAYLOADS: TableDefinition<u64, &[u8]> = TableDefinition::new("payloads");
const DELIVERIES: TableDefinition<(u64, u32), u8> = TableDefinition::new("deliveries");

/// What a commit at [`Level::Buffer`] means to redb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedbMode {
    /// Synced all the same: there is nothing less that survives a kill.
    Sync,
    /// Immediate, on a backend that leaves the sync to [`Store::sync`]. It survives a kill;
    /// after a power cut the file may be beyond repair.
    Lazy,
    /// `Durability::None`: kept in memory until [`Store::sync`]; does not survive a kill.
    None,
}

/// A file backend whose sync can be put off.
#[derive(Clone, Debug)]
struct LazyBackend(Arc<FileBackend>);

impl StorageBackend for LazyBackend {
    fn len(&self) -> std::result::Result<u64, std::io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::result::Result<(), std::io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::result::Result<(), std::io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::result::Result<(), std::io::Error> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::result::Result<(), std::io::Error> {
        self.0.write(offset, data)
    }
    fn close(&self) -> std::result::Result<(), std::io::Error> {
        self.0.close()
    }
    fn try_lock_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> std::result::Result<bool, redb::BackendError> {
        self.0.try_lock_range(start, end)
    }
    fn unlock_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> std::result::Result<(), redb::BackendError> {
        self.0.unlock_range(start, end)
    }
}

/// redb: one copy-on-write B-tree file.
pub struct RedbStore {
    db: redb::Database,
    mode: RedbMode,
    lazy: Option<LazyBackend>,
}

impl RedbStore {
    /// Opens the store.
    ///
    /// # Errors
    /// Whatever redb says.
    pub fn open(dir: &Path, mode: RedbMode) -> Result<Self> {
        let path = dir.join("popbox.redb");
        let mut builder = redb::Database::builder();
        builder.set_check_integrity_on_open(env_u64("CHECK", 0) == 1);
        builder.set_cache_size((env_u64("CACHE_MIB", 64) << 20) as usize);
        let mut lazy = None;
        let db = if mode == RedbMode::Lazy {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let backend = LazyBackend(Arc::new(FileBackend::new(file)?));
            lazy = Some(backend.clone());
            builder.create_with_backend(backend)?
        } else {
            builder.create(path)?
        };
        let txn = db.begin_write()?;
        txn.open_table(TRANSACTIONS)?;
        txn.open_table(PAYLOADS)?;
        txn.open_table(DELIVERIES)?;
        txn.commit()?;
        Ok(Self { db, mode, lazy })
    }
}

impl Store for RedbStore {
    fn commit(&self, ops: &[Op], level: Level) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        if self.mode == RedbMode::None && level == Level::Buffer {
            txn.set_durability(redb::Durability::None)?;
        }
        txn.set_quick_repair(env_u64("QUICK_REPAIR", 0) == 1);
        {
            let mut transactions = txn.open_table(TRANSACTIONS)?;
            let mut payloads = txn.open_table(PAYLOADS)?;
            let mut deliveries = txn.open_table(DELIVERIES)?;
            let mut value = vec![0; HEADER_BYTES + payload_bytes()];
            for op in ops {
                match *op {
                    Op::Push(seq) => {
                        fill(seq, &mut value);
                        transactions.insert(seq, &value[..HEADER_BYTES])?;
                        payloads.insert(seq, &value[HEADER_BYTES..])?;
                    }
                    Op::Settle(seq) => {
                        deliveries.insert((seq, 0), 1)?;
                    }
                    Op::Expire(seq) => {
                        transactions.remove(seq)?;
                        payloads.remove(seq)?;
                        deliveries.remove((seq, 0))?;
                    }
                }
            }
        }
        Ok(txn.commit()?)
    }

    fn sync(&self) -> Result<()> {
        match (&self.lazy, self.mode) {
            (Some(backend), _) => backend.0.sync_data()?,
            (None, RedbMode::None) => self.db.begin_write()?.commit()?,
            (None, _) => {}
        }
        Ok(())
    }

    fn scan(&self) -> Result<Scan> {
        let mut scan = Scan {
            headers: 0,
            deliveries: 0,
            last: None,
        };
        let txn = self.db.begin_read()?;
        for entry in txn.open_table(TRANSACTIONS)?.iter()? {
            scan.headers += 1;
            scan.last = Some(entry?.0.value());
        }
        for entry in txn.open_table(DELIVERIES)?.iter()? {
            entry?;
            scan.deliveries += 1;
        }
        Ok(scan)
    }

    fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>> {
        let txn = self.db.begin_read()?;
        let value = txn.open_table(PAYLOADS)?.get(seq)?;
        Ok(value.map(|v| v.value().to_vec()))
    }

    fn compact(&mut self) -> Result<()> {
        while self.db.compact()? {}
        Ok(())
    }
}

/// redb with a log of our own before it: each batch goes to the log, and to redb in memory
/// only; [`Store::sync`] makes redb durable and empties the log. It survives a kill, and a
/// power cut costs what was not synced and no more. Opening replays the log.
/// (A real one must number its batches, and keep the number in redb, so that a log whose
/// truncation a power cut undid is not replayed over newer state.)
struct RedbLogStore {
    redb: RedbStore,
    log: Mutex<File>,
}

impl RedbLogStore {
    fn open(dir: &Path) -> Result<Self> {
        let redb = RedbStore::open(dir, RedbMode::None)?;
        let path = dir.join("log");
        for batch in decode(&std::fs::read(&path).unwrap_or_default()) {
            redb.commit(&batch, Level::Buffer)?;
        }
        let log = OpenOptions::new().append(true).create(true).open(path)?;
        let store = Self {
            redb,
            log: Mutex::new(log),
        };
        store.sync()?;
        Ok(store)
    }
}

impl Store for RedbLogStore {
    fn commit(&self, ops: &[Op], level: Level) -> Result<()> {
        let mut log = self.log.lock().map_err(|e| e.to_string())?;
        log.write_all(&encode(ops))?;
        if level == Level::Sync {
            log.sync_data()?;
        }
        self.redb.commit(ops, Level::Buffer)?;
        if log.metadata()?.len() > 16 << 20 {
            self.redb.sync()?;
            log.set_len(0)?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.redb.sync()?;
        Ok(self.log.lock().map_err(|e| e.to_string())?.set_len(0)?)
    }

    fn scan(&self) -> Result<Scan> {
        self.redb.scan()
    }

    fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>> {
        self.redb.payload(seq)
    }
}

// --------------------------------------------------------------- measurement

/// Every file below `dir`, in order of path.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes really taken on the disk (blocks, not lengths: files may have holes).
///
/// # Errors
/// If a folder cannot be read. A file that vanishes meanwhile counts nothing.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let sizes = files(dir)?.into_iter().filter_map(|f| f.metadata().ok());
    Ok(sizes.map(|m| m.blocks() * 512).sum())
}

/// Asks the kernel to forget the cached pages of the store, for colder reads.
///
/// # Errors
/// If a file cannot be read or synced.
pub fn drop_page_cache(dir: &Path) -> Result<()> {
    for path in files(dir)? {
        let file = File::open(path)?;
        file.sync_data()?;
        // SAFETY: the descriptor is open for the whole call.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
    Ok(())
}

/// What the process has cost so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory now, KiB (file-backed pages included).
    pub rss_kib: u64,
    /// Threads now.
    pub threads: u64,
    /// Processor time so far, seconds.
    pub cpu: f64,
    /// Bytes sent to the disk so far.
    pub written: u64,
}

/// Reads [`Usage`] from `/proc`.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn usage() -> Result<Usage> {
    let field = |text: &str, name: &str| -> u64 {
        text.lines()
            .find_map(|l| l.strip_prefix(name))
            .and_then(|l| l.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    // SAFETY: rusage is plain data, and the call fills it.
    let ru = unsafe {
        let mut ru: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut ru);
        ru
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok(Usage {
        rss_kib: field(&status, "VmRSS:"),
        threads: field(&status, "Threads:"),
        cpu: seconds(ru.ru_utime) + seconds(ru.ru_stime),
        written: field(&io, "write_bytes:"),
    })
}
