//! Measures fjall and redb on the storage pattern of a message queue. See README.md.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use popbox_bench_storage::{
    Level, Op, Result, Store, disk_bytes, drop_page_cache, open, root, usage,
};

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => {
            commits(3)?;
            million(&["fjall", "fjall-kv", "redb"])?;
            steady(&["fjall", "fjall-kv", "redb", "redb-log"])?;
            idle(&["fjall", "redb"])
        }
        ["commits"] => commits(3),
        ["million"] => million(&["fjall", "fjall-kv", "redb"]),
        ["million", name] => million(&[name]),
        ["steady"] => steady(&["fjall", "fjall-kv", "redb", "redb-log"]),
        ["steady", name] => steady(&[name]),
        ["idle"] => idle(&["fjall", "redb"]),
        ["child-load", name, count] => child_load(name, count.parse()?),
        ["child-scan", name, label] => child_scan(name, label),
        ["child-steady", name] => child_steady(name),
        ["child-idle", name] => child_idle(name),
        _ => Err("modes: commits | million [STORE] | steady [STORE] | idle".into()),
    }
}

fn fresh(name: &str) -> Result<PathBuf> {
    let dir = root().join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Runs this program again, so that memory and processor time are the store's own.
fn child(args: &[&str]) -> Result<()> {
    Command::new(std::env::current_exe()?).args(args).status()?;
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ------------------------------------------------------------------- commits

struct CommitRun {
    per_second: f64,
    p50: f64,
    p99: f64,
}

/// Commits batches of `n` pushes and `n` settles for a while.
fn commit_run(store: &dyn Store, n: u64, level: Level, next: &mut u64) -> Result<CommitRun> {
    let mut times = Vec::new();
    let mut ops = Vec::new();
    let start = Instant::now();
    let mut synced = start;
    while start.elapsed() < Duration::from_millis(700) || times.len() < 20 {
        ops.clear();
        for seq in *next..*next + n {
            ops.extend([Op::Push(seq), Op::Settle(seq - 5000)]);
        }
        *next += n;
        let before = Instant::now();
        store.commit(&ops, level)?;
        if level == Level::Buffer && synced.elapsed() > Duration::from_secs(1) {
            store.sync()?;
            synced = Instant::now();
        }
        times.push(before.elapsed().as_secs_f64());
    }
    let total = start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok(CommitRun {
        per_second: times.len() as f64 / total,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    })
}

fn commits(rounds: usize) -> Result<()> {
    let stores = [
        ("file", Level::Sync),
        ("fjall", Level::Sync),
        ("redb", Level::Sync),
        ("redb-log", Level::Sync),
        ("file", Level::Buffer),
        ("fjall", Level::Buffer),
        ("redb-lazy", Level::Buffer),
        ("redb-none", Level::Buffer),
        ("redb-log", Level::Buffer),
    ];
    let sizes = [1, 16, 32, 256, 1000];
    let mut runs: Vec<Vec<Vec<CommitRun>>> = Vec::new();
    runs.resize_with(stores.len(), || {
        (0..sizes.len()).map(|_| Vec::new()).collect()
    });
    for _ in 0..rounds {
        for (which, (name, level)) in stores.iter().enumerate() {
            let dir = fresh(name)?;
            let store = open(name, &dir)?;
            let mut next = 0;
            while next < 50_000 {
                let ops: Vec<Op> = (next..next + 1000).map(Op::Push).collect();
                store.commit(&ops, Level::Buffer)?;
                next += 1000;
            }
            store.sync()?;
            for (size, n) in sizes.iter().enumerate() {
                runs[which][size].push(commit_run(store.as_ref(), *n, *level, &mut next)?);
            }
            drop(store);
            std::fs::remove_dir_all(&dir)?;
        }
    }
    println!("commits: medians of {rounds} rounds on 50 000 messages and more");
    println!("store      level    N  commits/s  pushes/s  p50 ms  p99 ms  of file");
    let mut file = vec![0.0; sizes.len()];
    for (which, (name, level)) in stores.iter().enumerate() {
        for (size, n) in sizes.iter().enumerate() {
            let of = |f: fn(&CommitRun) -> f64| {
                median(&mut runs[which][size].iter().map(f).collect::<Vec<_>>())
            };
            let rate = of(|r| r.per_second);
            if *name == "file" {
                file[size] = rate;
            }
            println!(
                "{name:<10} {level:<6?} {n:>4} {rate:>10.0} {:>9.0} {:>7.3} {:>7.3} {:>8.2}",
                rate * *n as f64,
                of(|r| r.p50) * 1e3,
                of(|r| r.p99) * 1e3,
                rate / file[size],
            );
        }
    }
    Ok(())
}

// ------------------------------------------------------------------- million

fn million(names: &[&str]) -> Result<()> {
    for name in names {
        let dir = fresh(name)?;
        child(&["child-load", name, "1000000"])?;
        child(&["child-scan", name, "killed"])?;
        child(&["child-scan", name, "clean"])?;
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// Loads, reports, and dies by SIGKILL.
fn child_load(name: &str, count: u64) -> Result<()> {
    let dir = root().join(name);
    let store = open(name, &dir)?;
    let start = Instant::now();
    let mut worst = 0f64;
    for first in (0..count).step_by(1000) {
        let mut ops: Vec<Op> = (first..first + 1000).map(Op::Push).collect();
        ops.extend((first..first + 1000).step_by(2).map(Op::Settle));
        let before = Instant::now();
        store.commit(&ops, Level::Buffer)?;
        worst = worst.max(before.elapsed().as_secs_f64());
    }
    store.sync()?;
    let used = usage()?;
    println!(
        "{name}: load {count}: {:.1} s, worst commit {:.0} ms, cpu {:.1} s, rss {:.0} MiB, disk {:.0} MiB, written {:.0} MiB",
        start.elapsed().as_secs_f64(),
        worst * 1e3,
        used.cpu,
        used.rss_kib as f64 / 1024.0,
        disk_bytes(&dir)? as f64 / MIB,
        used.written as f64 / MIB,
    );
    // SAFETY: the process ends here, which is the point.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    Ok(())
}

fn child_scan(name: &str, label: &str) -> Result<()> {
    let dir = root().join(name);
    drop_page_cache(&dir)?;
    let start = Instant::now();
    let store = open(name, &dir)?;
    let opened = start.elapsed().as_secs_f64();
    let scan = store.scan()?;
    let scanned = start.elapsed().as_secs_f64() - opened;
    let used = usage()?;
    println!(
        "{name}: {label}: open {opened:.2} s, scan {scanned:.2} s ({} + {}), cpu {:.1} s, rss {:.0} MiB, disk {:.0} MiB",
        scan.headers,
        scan.deliveries,
        used.cpu,
        used.rss_kib as f64 / 1024.0,
        disk_bytes(&dir)? as f64 / MIB,
    );
    for (kind, step) in [("sequential", 1u64), ("random", 611_953)] {
        let mut seq = 7;
        let mut reads = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            seq = (seq + step) % scan.headers;
            if store.payload(seq)?.is_none() {
                return Err(format!("payload {seq} is lost").into());
            }
            reads += 1;
        }
        println!("{name}: {label}: {} {kind} reads/s", reads / 2);
    }
    drop(store);
    println!(
        "{name}: {label}: after close: disk {:.0} MiB",
        disk_bytes(&dir)? as f64 / MIB
    );
    Ok(())
}

// -------------------------------------------------------------------- steady

fn steady(names: &[&str]) -> Result<()> {
    for name in names {
        let dir = fresh(name)?;
        child(&["child-steady", name])?;
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

fn child_steady(name: &str) -> Result<()> {
    const COUNT: u64 = 2_000_000;
    const WINDOW: u64 = 200_000;
    const N: u64 = 250;
    let dir = root().join(name);
    let mut store = open(name, &dir)?;
    let mut times = Vec::new();
    let mut slices = Vec::new();
    let mut peak = 0;
    let start = Instant::now();
    let mut slice = start;
    let mut synced = start;
    for first in (0..COUNT).step_by(N as usize) {
        let mut ops = Vec::new();
        for seq in first..first + N {
            ops.push(Op::Push(seq));
            ops.extend(seq.checked_sub(1000).map(Op::Settle));
            ops.extend(seq.checked_sub(WINDOW).map(Op::Expire));
        }
        let before = Instant::now();
        store.commit(&ops, Level::Buffer)?;
        if synced.elapsed() > Duration::from_secs(1) {
            store.sync()?;
            synced = Instant::now();
        }
        times.push(before.elapsed().as_secs_f64());
        if (first + N).is_multiple_of(COUNT / 10) {
            slices.push(COUNT as f64 / 10.0 / slice.elapsed().as_secs_f64() / 1e3);
            slice = Instant::now();
            peak = peak.max(disk_bytes(&dir)?);
        }
    }
    store.sync()?;
    let total = start.elapsed().as_secs_f64();
    let used = usage()?;
    let disk = disk_bytes(&dir)?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] * 1e3;
    println!(
        "{name}: steady: {:.0} k pushes/s, cpu {:.1} s of {total:.1}, written {:.0} MiB, rss {:.0} MiB",
        COUNT as f64 / total / 1e3,
        used.cpu,
        used.written as f64 / MIB,
        used.rss_kib as f64 / 1024.0,
    );
    println!(
        "{name}: commit p50 {:.2} p99 {:.2} p99.9 {:.1} worst {:.0} ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    let slices: Vec<String> = slices.iter().map(|s| format!("{s:.0}")).collect();
    println!("{name}: k pushes/s by tenth: {}", slices.join(" "));
    std::thread::sleep(Duration::from_secs(3));
    let rest = disk_bytes(&dir)?;
    let scan_start = Instant::now();
    let scan = store.scan()?;
    println!(
        "{name}: scan {} in {:.2} s; disk: peak {:.0}, end {:.0}, 3 s later {:.0} MiB",
        scan.headers,
        scan_start.elapsed().as_secs_f64(),
        peak as f64 / MIB,
        disk as f64 / MIB,
        rest as f64 / MIB,
    );
    let compact = Instant::now();
    store.compact()?;
    println!(
        "{name}: explicit compaction: {:.1} s, disk {:.0} MiB",
        compact.elapsed().as_secs_f64(),
        disk_bytes(&dir)? as f64 / MIB
    );
    Ok(())
}

// ---------------------------------------------------------------------- idle

fn idle(names: &[&str]) -> Result<()> {
    for name in names {
        let dir = fresh(name)?;
        child(&["child-idle", name])?;
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

fn child_idle(name: &str) -> Result<()> {
    let before = usage()?;
    let store = open(name, &root().join(name))?;
    let opened = usage()?;
    std::thread::sleep(Duration::from_secs(5));
    let rested = usage()?;
    println!(
        "{name}: idle: {} more threads, {} KiB more memory, {:.4} s processor time in 5 s",
        rested.threads - before.threads,
        rested.rss_kib - before.rss_kib,
        rested.cpu - opened.cpu
    );
    drop(store);
    Ok(())
}
