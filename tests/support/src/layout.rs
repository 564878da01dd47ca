//! Everything a test knows about the store under the server. Another store is one more variant here.
//!
//! `POPBOX_TEST_LAYOUT` names the one that the suite runs on:
//!
//! - `embedded`, the default;
//! - `redis`: one redis-server;
//! - `redis-shards`: two for queues and another for transactions;
//! - `redis-agents`: one, and two servers on it. Pushes go to one of them and everything else to the other.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Once};

use tempfile::TempDir;

use super::{Disk, Redis, place};

/// How an acknowledged write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the disk.
    Sync,
    /// Handed to the system.
    Interval,
}

impl Durability {
    /// Those that the store has. In Redis it is the business of Redis: there, one stands for all.
    pub fn all() -> &'static [Self] {
        match Choice::of_this_run() {
            Choice::Embedded => &[Self::Sync, Self::Interval],
            Choice::Redis | Choice::RedisShards | Choice::RedisAgents => &[Self::Sync],
        }
    }
}

/// What `POPBOX_TEST_LAYOUT` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Embedded,
    Redis,
    RedisShards,
    RedisAgents,
}

impl Choice {
    fn of_this_run() -> Self {
        static CHOICE: LazyLock<Choice> = LazyLock::new(|| {
            let name = env::var("POPBOX_TEST_LAYOUT").unwrap_or_else(|_| "embedded".to_owned());
            match name.as_str() {
                "embedded" => Choice::Embedded,
                "redis" => Choice::Redis,
                "redis-shards" => Choice::RedisShards,
                "redis-agents" => Choice::RedisAgents,
                other => panic!(
                    "POPBOX_TEST_LAYOUT={other} is not known: embedded, redis, redis-shards, redis-agents"
                ),
            }
        });
        *CHOICE
    }
}

/// Where a small disk is mounted in the scratch folder of its layout.
const DISK: &str = "disk";

/// One store, which outlives the servers that are started on it.
pub struct Layout {
    kind: Kind,
    /// Whether a server started on it is two.
    has_pushing_agent: bool,
    /// What its files lie on, if that is not the disk of the target directory. Unmounted before the folder goes.
    disk: Option<Disk>,
    /// Spools that servers on it were given.
    spools: AtomicUsize,
    /// Removed with the layout; also a place for a test's own files.
    dir: TempDir,
}

enum Kind {
    Embedded,
    Redis {
        queues: Vec<Redis>,
        /// None: on the servers of the queues.
        transactions: Vec<Redis>,
    },
}

impl Layout {
    /// A new, empty store of the kind that the suite runs on.
    pub fn fresh() -> Arc<Self> {
        let choice = Choice::of_this_run();
        Arc::new(Self {
            has_pushing_agent: choice == Choice::RedisAgents,
            ..match choice {
                Choice::Embedded => Self::embedded(scratch()),
                Choice::Redis | Choice::RedisAgents => Self::redis(1, 0, &[]),
                Choice::RedisShards => Self::redis(2, 1, &[]),
            }
        })
    }

    /// A new, empty embedded store; none, and a line that says so, where the suite runs on another.
    pub fn fresh_embedded() -> Option<Arc<Self>> {
        if Choice::of_this_run() != Choice::Embedded {
            println!("skipped: this is about the embedded store");
            return None;
        }
        Some(Arc::new(Self::embedded(scratch())))
    }

    /// A new, empty embedded store on a small disk of its own; none, and a line that says so, where this process may
    /// not mount one or the suite runs on another store.
    pub fn on_small_disk(mebibytes: usize) -> Option<Arc<Self>> {
        let mut layout = Arc::into_inner(Self::fresh_embedded()?)?;
        layout.disk = Disk::mount(&layout.dir.path().join(DISK), mebibytes);
        if layout.disk.is_none() {
            println!("skipped: only root may mount a small disk to fill");
            return None;
        }
        Some(Arc::new(layout))
    }

    /// A new, empty Redis store as the suite runs on, for a test that starts its agents itself; none, and a line that
    /// says so, where there is nothing new to learn: on another store, and where it runs on two agents anyway.
    pub fn fresh_redis() -> Option<Arc<Self>> {
        match Choice::of_this_run() {
            Choice::Embedded | Choice::RedisAgents => {
                println!("skipped: this is for the layouts redis and redis-shards");
                None
            }
            Choice::Redis => Some(Arc::new(Self::redis(1, 0, &[]))),
            Choice::RedisShards => Some(Arc::new(Self::redis(2, 1, &[]))),
        }
    }

    /// The same of a single redis-server with more flags of its command line, for what does not depend on their
    /// number; none where the suite does not run on one.
    pub fn redis_with(flags: &[&str]) -> Option<Arc<Self>> {
        if Choice::of_this_run() != Choice::Redis {
            println!("skipped: this is for the layout redis");
            return None;
        }
        Some(Arc::new(Self::redis(1, 0, flags)))
    }

    fn embedded(dir: TempDir) -> Self {
        Self {
            kind: Kind::Embedded,
            has_pushing_agent: false,
            disk: None,
            spools: AtomicUsize::new(0),
            dir,
        }
    }

    fn redis(queues: usize, transactions: usize, flags: &[&str]) -> Self {
        let dir = scratch();
        let start = |count| {
            (0..count)
                .map(|_| Redis::start(dir.path(), flags))
                .collect()
        };
        Self {
            kind: Kind::Redis {
                queues: start(queues),
                transactions: start(transactions),
            },
            has_pushing_agent: false,
            disk: None,
            spools: AtomicUsize::new(0),
            dir,
        }
    }

    /// The settings that make a server use this store.
    pub fn settings(&self, durability: Durability) -> Vec<(String, String)> {
        let settings = match &self.kind {
            Kind::Embedded => vec![
                ("store.path", self.name()),
                (
                    "store.durability",
                    match durability {
                        Durability::Sync => "sync",
                        Durability::Interval => "interval",
                    }
                    .to_owned(),
                ),
            ],
            Kind::Redis {
                queues,
                transactions,
            } => {
                let urls = |servers: &[Redis]| {
                    let urls: Vec<String> = servers.iter().map(Redis::url).collect();
                    format!("{urls:?}")
                };
                vec![
                    ("store.kind", "redis".to_owned()),
                    ("redis.queues", urls(queues)),
                    ("redis.transactions", urls(transactions)),
                    // What falls due comes as promptly as tests are used to.
                    ("redis.sweep", "200ms".to_owned()),
                ]
            }
        };
        let owned = settings.into_iter();
        owned.map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// A spool that no other server has.
    pub fn fresh_spool(&self) -> String {
        let number = self.spools.fetch_add(1, Ordering::Relaxed);
        self.dir
            .path()
            .join(format!("spool-{number}"))
            .display()
            .to_string()
    }

    /// Whether a server started on it is two, one of which is for pushes.
    pub fn has_pushing_agent(&self) -> bool {
        self.has_pushing_agent
    }

    /// Its redis-servers; none for another store.
    pub fn redis_servers(&self) -> Vec<&Redis> {
        match &self.kind {
            Kind::Embedded => Vec::new(),
            Kind::Redis {
                queues,
                transactions,
            } => queues.iter().chain(transactions).collect(),
        }
    }

    /// What an error about this store has to name.
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Embedded => self.store_dir().display().to_string(),
            Kind::Redis { queues, .. } => queues[0].address(),
        }
    }

    /// A directory for files of the test itself.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Overwrites every byte of every file of the store.
    pub fn ruin(&self) {
        let files = files_under(&self.store_dir());
        assert!(
            !files.is_empty(),
            "the store has no files in {}",
            self.name()
        );
        for file in files {
            let length = fs::metadata(&file).unwrap().len();
            fs::write(&file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
        }
    }

    /// Flips one bit inside every stored copy of `text`; says how many there were.
    pub fn flip_a_bit_in(&self, text: &str) -> usize {
        let mut flipped = 0;
        for file in files_under(&self.store_dir()) {
            let mut bytes = fs::read(&file).unwrap();
            let places: Vec<usize> = memchr::memmem::find_iter(&bytes, text.as_bytes()).collect();
            for place in &places {
                bytes[place + text.len() / 2] ^= 1;
            }
            if !places.is_empty() {
                fs::write(&file, bytes).unwrap();
                flipped += places.len();
            }
        }
        flipped
    }

    /// The small disk that it lies on.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a store on a small disk")
    }

    /// Where the embedded store has its files.
    pub fn store_dir(&self) -> PathBuf {
        let folder = self.disk.as_ref().map_or(self.dir.path(), Disk::path);
        folder.join("store")
    }
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A directory below the target directory, which carries the number of this process: the shared server's one cannot be
/// removed by the process that uses it, so the next run removes what dead ones left.
pub fn scratch() -> TempDir {
    static SWEEP: Once = Once::new();
    let root = place::scratch_root();
    SWEEP.call_once(|| sweep(&root));
    tempfile::Builder::new()
        .prefix(&format!("suite-{}-", process::id()))
        .tempdir_in(&root)
        .unwrap()
}

fn sweep(root: &Path) {
    for entry in fs::read_dir(root).unwrap().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix("suite-"))
            .and_then(|name| name.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            Disk::unmount(&entry.path().join(DISK));
            // Another run may sweep at the same time: whoever is first has removed it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
