//! What the stores do when things go wrong. Linux; the full-disk part needs root. See README.md.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use popbox_bench_storage::{Level, Op, Result, Store, files, open, root, verify};

/// Messages in a template store, and messages a batch.
const COUNT: u64 = 2000;
const BATCH: u64 = 10;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let all = |part: fn(&str) -> Result<()>| ["fjall", "redb"].into_iter().try_for_each(part);
    match args[..] {
        [] => {
            for part in [
                second_opener,
                kills,
                power_cuts,
                torn_tail,
                flips,
                deletions,
                full_disk,
            ] {
                all(part)?;
            }
            kills("redb-log")?;
            power_cuts("redb-lazy")?;
            power_cuts("redb-log")
        }
        ["lock"] => all(second_opener),
        ["kill"] => {
            all(kills)?;
            ["redb-log", "redb-lazy", "redb-none"]
                .into_iter()
                .try_for_each(kills)
        }
        ["power"] => {
            all(power_cuts)?;
            power_cuts("redb-lazy")?;
            power_cuts("redb-log")
        }
        ["torn"] => all(torn_tail),
        ["flip"] => all(flips),
        ["delete"] => all(deletions),
        ["full"] => all(full_disk),
        ["child-make", name, dir, end] => child_make(name, Path::new(dir), end),
        ["child-probe", name, dir] => child_probe(name, Path::new(dir)),
        ["child-commit", name, dir] => child_commit(name, Path::new(dir)),
        ["child-full", name, dir, order] => child_full(name, Path::new(dir), order),
        _ => Err("modes: lock | kill | power | torn | flip | delete | full".into()),
    }
}

fn me(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}

fn fresh(name: &str) -> Result<PathBuf> {
    let dir = root().join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| "path is not text".into())
}

fn push(store: &dyn Store, first: u64, count: u64, level: Level) -> Result<()> {
    let ops: Vec<Op> = (first..first + count)
        .flat_map(|seq| [Op::Push(seq), Op::Settle(seq)])
        .collect();
    store.commit(&ops, level)
}

fn die() {
    // SAFETY: the process ends here, which is the point.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

// ------------------------------------------------------------- the template

/// Makes a store of [`COUNT`] messages that ends `killed`, `closed` or `flushed`.
fn make(name: &str, end: &str) -> Result<PathBuf> {
    let dir = fresh(&format!("{name}-template"))?;
    me(&["child-make", name, text(&dir)?, end])?.status()?;
    Ok(dir)
}

fn child_make(name: &str, dir: &Path, end: &str) -> Result<()> {
    let store = open(name, dir)?;
    for first in (0..COUNT).step_by(BATCH as usize) {
        push(store.as_ref(), first, BATCH, Level::Buffer)?;
    }
    store.sync()?;
    match end {
        "killed" => die(),
        // More commits, not synced; what was synced is kept aside, for power_cuts.
        more if more.parse::<u64>().is_ok() => {
            copy(dir, &before(dir))?;
            for i in 0..more.parse()? {
                push(store.as_ref(), COUNT + i * 40, 40, Level::Buffer)?;
            }
            die();
        }
        "flushed" => store.flush()?,
        _ => {}
    }
    Ok(())
}

fn before(dir: &Path) -> PathBuf {
    dir.with_extension("before")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    Command::new("cp")
        .args(["-a", "--sparse=always", text(from)?, text(to)?])
        .status()?;
    Ok(())
}

/// Opens the store in a process of its own and says in one line what is there.
fn probe(name: &str, dir: &Path) -> Result<String> {
    let mut child = me(&["child-probe", name, text(dir)?])?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill()?;
            return Ok("HANGS".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    Ok(match (stdout.lines().last(), output.status.code()) {
        (Some(line), Some(0)) => line.to_string(),
        _ => {
            let lines: Vec<&str> = stderr.lines().filter(|l| !l.is_empty()).collect();
            let said = lines
                .iter()
                .take(2)
                .copied()
                .collect::<Vec<_>>()
                .join(" | ");
            format!("DIES {:?}: {said}", output.status.code())
        }
    })
}

fn child_probe(name: &str, dir: &Path) -> Result<()> {
    // Without the numbers, so that equal errors count as equal.
    let short = |e: &dyn std::fmt::Display| {
        let said = e.to_string();
        said.chars()
            .filter(|c| !c.is_ascii_digit())
            .take(150)
            .collect::<String>()
    };
    let store = match open(name, dir) {
        Ok(store) => store,
        Err(e) => {
            println!("open refuses: {}", short(&e));
            return Ok(());
        }
    };
    let mut expected = COUNT;
    let scan = match store.scan() {
        Ok(s) if s.headers != s.deliveries => {
            format!("TORN: {} headers, {} deliveries", s.headers, s.deliveries)
        }
        Ok(s) if s.headers < COUNT => format!("LOST: {} of {COUNT} headers", s.headers),
        Ok(s) => {
            expected = s.headers;
            "all headers".to_string()
        }
        Err(e) => format!("scan fails: {}", short(&e)),
    };
    let payloads = match verify(store.as_ref(), expected) {
        Ok((_, 0, 0)) => "payloads right".to_string(),
        Ok((_, missing, 0)) => format!("{missing} payloads MISSING"),
        Ok((_, _, wrong)) => format!("{wrong} payloads WRONG"),
        Err(e) => format!("payloads fail: {}", short(&e)),
    };
    let write = match push(store.as_ref(), expected, BATCH, Level::Sync) {
        Ok(()) => "commit works".to_string(),
        Err(e) => format!("commit fails: {}", short(&e)),
    };
    println!("opens; {scan}; {payloads}; {write}");
    Ok(())
}

/// Damages copies of the template one way each, and counts the outcomes.
fn tally(
    title: &str,
    name: &str,
    template: &Path,
    damages: impl Iterator<Item = impl Fn(&Path) -> Result<()>>,
) -> Result<()> {
    let work = root().join(format!("{name}-work"));
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for damage in damages {
        copy(template, &work)?;
        damage(&work)?;
        *outcomes.entry(probe(name, &work)?).or_default() += 1;
    }
    println!("{name}: {title}");
    for (outcome, times) in outcomes {
        println!("  {times:>3} x {outcome}");
    }
    Ok(())
}

// --------------------------------------------------------------- experiments

fn second_opener(name: &str) -> Result<()> {
    let dir = fresh(name)?;
    let first = open(name, &dir)?;
    let second = open(name, &dir).map(|_| ());
    println!("{name}: second handle, same process: {second:?}");
    println!(
        "{name}: second handle, other process: {}",
        probe(name, &dir)?
    );
    drop(first);
    println!("{name}: after closing the first: {}", probe(name, &dir)?);
    Ok(())
}

/// Commits small batches for ever, saying after each how far it is.
fn child_commit(name: &str, dir: &Path) -> Result<()> {
    let store = open(name, dir)?;
    let mut out = std::io::stdout();
    for first in (0..).step_by(BATCH as usize) {
        push(store.as_ref(), first, BATCH, Level::Buffer)?;
        writeln!(out, "{}", first + BATCH)?;
    }
    Ok(())
}

fn kills(name: &str) -> Result<()> {
    let (mut lost, mut torn, mut extra) = (0, 0, 0);
    const ROUNDS: u64 = 20;
    for round in 0..ROUNDS {
        let dir = fresh(name)?;
        let mut child = me(&["child-commit", name, text(&dir)?])?
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let mut acked = 0;
        let mut end = None;
        for line in BufReader::new(stdout).lines() {
            acked = line?.parse::<u64>().unwrap_or(acked);
            let end =
                end.get_or_insert_with(|| Instant::now() + Duration::from_millis(40 + 17 * round));
            if Instant::now() > *end {
                child.kill()?;
            }
        }
        child.wait()?;
        let store = open(name, &dir)?;
        let scan = store.scan()?;
        let (right, _, _) = verify(store.as_ref(), acked)?;
        lost += u64::from(scan.headers < acked || right < acked);
        torn += u64::from(scan.headers != scan.deliveries || scan.headers % BATCH != 0);
        extra += u64::from(scan.headers > acked);
    }
    println!(
        "{name}: {ROUNDS} kills amid commits: {lost} lost something, {torn} torn, {extra} with one unacknowledged batch more"
    );
    Ok(())
}

fn journals(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = files(dir)?;
    found.retain(|f| f.extension().is_some_and(|e| e == "jnl" || e == "redb"));
    Ok(found)
}

/// The length of a file without the zeros it ends in.
fn used_len(path: &Path) -> Result<u64> {
    let bytes = std::fs::read(path)?;
    let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
    Ok((bytes.len() - zeros) as u64)
}

fn main_file(dir: &Path) -> Result<(PathBuf, u64)> {
    let path = journals(dir)?.pop().ok_or("no journal")?;
    let len = used_len(&path)?;
    Ok((path, len))
}

/// A power cut before the last commits are synced: of the pages they wrote, any may be missing.
fn power_cuts(name: &str) -> Result<()> {
    const PAGE: usize = 4096;
    for commits in [1, 20] {
        if name == "redb" && commits > 1 {
            continue; // It syncs each.
        }
        let template = make(name, &commits.to_string())?;
        let old = before(&template);
        let damages = (0..40u64).map(|round| {
            let old = old.clone();
            move |dir: &Path| -> Result<()> {
                let mut random = round * 0x9E37_79B9 + 1;
                for file in files(dir)? {
                    let inner = file.strip_prefix(dir)?;
                    let mut was = std::fs::read(old.join(inner)).unwrap_or_default();
                    let mut is = std::fs::read(&file)?;
                    was.resize(is.len(), 0);
                    for (is, was) in is.chunks_mut(PAGE).zip(was.chunks(PAGE)) {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let missing = random >> if round % 2 == 0 { 63 } else { 58 } == 1;
                        if is != was && missing {
                            is.copy_from_slice(was);
                        }
                    }
                    std::fs::write(&file, is)?;
                }
                Ok(())
            }
        });
        let title = format!("power cut with {commits} commits of 40 messages not synced");
        tally(&title, name, &template, damages)?;
    }
    Ok(())
}

fn torn_tail(name: &str) -> Result<()> {
    let template = make(name, "killed")?;
    let cut = |bytes: u64| {
        move |dir: &Path| -> Result<()> {
            let (path, len) = main_file(dir)?;
            OpenOptions::new()
                .write(true)
                .open(path)?
                .set_len(len - bytes)?;
            Ok(())
        }
    };
    let zero = |bytes: u64| {
        move |dir: &Path| -> Result<()> {
            let (path, len) = main_file(dir)?;
            let file = OpenOptions::new().write(true).open(path)?;
            file.write_all_at(&vec![0; bytes as usize], len - bytes)?;
            Ok(())
        }
    };
    for bytes in [1, 8, 100, 5000] {
        tally(
            &format!("last {bytes} bytes cut"),
            name,
            &template,
            [cut(bytes)].into_iter(),
        )?;
        tally(
            &format!("last {bytes} bytes zeroed"),
            name,
            &template,
            [zero(bytes)].into_iter(),
        )?;
    }
    Ok(())
}

fn flip_at(path: &Path, at: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 0x40;
    file.write_all_at(&byte, at)?;
    Ok(())
}

fn flips(name: &str) -> Result<()> {
    const TIMES: u64 = 40;
    for end in ["killed", "closed"] {
        let template = make(name, end)?;
        let (_, len) = main_file(&template)?;
        let damages = (1..TIMES).map(|i| {
            let at = len / TIMES * i + 7 * i;
            move |dir: &Path| flip_at(&main_file(dir)?.0, at)
        });
        tally(
            &format!("one bit flipped in the journal or file, {end}"),
            name,
            &template,
            damages,
        )?;
    }
    if name != "fjall" {
        return Ok(());
    }
    // The framing of the journal, where one byte is read before any checksum is.
    let template = make(name, "killed")?;
    let bytes = std::fs::read(main_file(&template)?.0)?;
    let magic = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, w)| w.starts_with(b"FJL"));
    let middle = magic
        .map(|(at, _)| at as u64)
        .nth(100)
        .ok_or("no trailer")?;
    for (what, at) in [
        ("trailer", middle),
        ("checksum", middle - 1),
        ("start tag", middle + 4),
        ("item count", middle + 5),
        ("item tag", middle + 4 + 13),
        ("key length", middle + 4 + 13 + 11),
        ("value length", middle + 4 + 13 + 17 + 2),
    ] {
        let damage = move |dir: &Path| flip_at(&main_file(dir)?.0, at);
        tally(
            &format!("one bit flipped in a {what}"),
            name,
            &template,
            [damage].into_iter(),
        )?;
    }
    // The tables.
    let template = make(name, "flushed")?;
    let mut tables = files(&template)?;
    tables.retain(|f| f.parent().is_some_and(|p| p.ends_with("tables")));
    tables.sort_by_key(|f| f.metadata().map(|m| m.len()).unwrap_or(0));
    let table = tables.pop().ok_or("no table")?;
    let len = table.metadata()?.len();
    let inner = table.strip_prefix(&template)?.to_path_buf();
    let damages = (0..60u64).map(|i| {
        // Half of them in the last bytes, where index, filter and trailer are.
        let at = if i < 30 {
            len / 30 * i
        } else {
            len - 1 - (i - 30) * 400
        };
        let inner = inner.clone();
        move |dir: &Path| flip_at(&dir.join(&inner), at)
    });
    tally("one bit flipped in a table", name, &template, damages)
}

fn deletions(name: &str) -> Result<()> {
    for end in ["closed", "flushed"] {
        let template = make(name, end)?;
        for file in files(&template)? {
            let inner = file.strip_prefix(&template)?.to_path_buf();
            let title = format!("{end}, deleted {}", inner.display());
            let damage = |dir: &Path| Ok(std::fs::remove_file(dir.join(&inner))?);
            tally(&title, name, &template, [damage].into_iter())?;
        }
    }
    Ok(())
}

// ----------------------------------------------------------------- full disk

fn full_disk(name: &str) -> Result<()> {
    for (order, memtable) in [
        ("free-first", "64"),
        ("reopen-first", "64"),
        ("free-first", "2"),
    ] {
        println!("{name}: disk of 64 MiB fills up, {order}, memtables of {memtable} MiB:");
        let dir = fresh(name)?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs", text(&dir)?])
            .status()?;
        if !mount.success() {
            return Err("cannot mount a tmpfs".into());
        }
        let mut child = me(&["child-full", name, text(&dir)?, order])?
            .env("PAYLOAD_MEMTABLE_MIB", memtable)
            .env("MEMTABLE_MIB", "1")
            .spawn()?;
        let start = Instant::now();
        while child.try_wait()?.is_none() {
            if start.elapsed() > Duration::from_secs(30) {
                println!("  HANGS (killed after 30 s)");
                child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::fs::remove_file(dir.join("ballast"));
        let store = open(name, &dir.join("store"));
        println!("  new process, space freed: {:?}", store.map(|s| s.scan()));
        Command::new("umount").arg(&dir).status()?;
    }
    Ok(())
}

fn child_full(name: &str, dir: &Path, order: &str) -> Result<()> {
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20])?;
    let place = dir.join("store");
    let mut store = open(name, &place)?;
    let mut acked = 0;
    let say = |what: &str, result: Result<()>| match result {
        Ok(()) => println!("  {what}: works"),
        Err(e) => println!("  {what}: {e}"),
    };
    let error = loop {
        if let Err(e) = push(store.as_ref(), acked, BATCH, Level::Sync) {
            break e;
        }
        acked += BATCH;
    };
    println!("  first error after {acked} messages: {error}");
    say(
        "commit again",
        push(store.as_ref(), acked, BATCH, Level::Sync),
    );
    say("read", store.payload(0).map(|_| ()));
    let reopen = |when: &str| -> Option<Box<dyn Store>> {
        match open(name, &place) {
            Ok(store) => {
                let scan = store.scan();
                let right = verify(store.as_ref(), acked);
                println!("  reopen {when}: works; {scan:?}; acknowledged {acked}, {right:?}");
                Some(store)
            }
            Err(e) => {
                println!("  reopen {when}: {e}");
                None
            }
        }
    };
    if order == "reopen-first" {
        drop(store);
        if let Some(again) = reopen("while full") {
            let mut more = 0;
            let result = loop {
                match push(again.as_ref(), acked, BATCH, Level::Sync) {
                    Ok(()) if more < 3000 => more += 1,
                    result => break result,
                }
            };
            say(&format!("{more} commits while full, then"), result);
            std::fs::remove_file(&ballast)?;
            say(
                "commit, space freed",
                push(again.as_ref(), acked, BATCH, Level::Sync),
            );
        } else {
            std::fs::remove_file(&ballast)?;
        }
    } else {
        std::fs::remove_file(&ballast)?;
        say(
            "commit, space freed, same handle",
            push(store.as_ref(), acked, BATCH, Level::Sync),
        );
        drop(store);
    }
    let Some(last) = reopen("in process, space freed") else {
        return Ok(());
    };
    store = last;
    say("commit", push(store.as_ref(), acked, BATCH, Level::Sync));
    Ok(())
}
