//! A disk that fills while producers push and a borrower acks, and has room again: pushes are refused meanwhile, what
//! empties the store goes on, and nothing that was acknowledged is lost, though the server be killed in between.

use std::thread;

use popbox_test_support::{Durability, Layout, Random, eventually};

use super::load::{Load, Progress};
use super::tap::{Call, Kept, Tap, Wound};
use super::{number, tapped};

const MEBIBYTE: usize = 1 << 20;

/// What is to stay free: as much as a journal that waits for its checkpoint may need in the tables.
const MIN_FREE_MEBIBYTES: usize = 64;

/// What the store may take while the rest of the disk is taken by others.
const ROOM_MEBIBYTES: usize = 16;

/// What others take until there is room again.
const TAKEN_MEBIBYTES: usize = 32;

/// Messages that are there to be borrowed when the disk is full.
const STOCK: usize = 300;

/// Refusals after which the disk counts as full.
const REFUSALS: usize = 30;

/// Acks that show that the store can be emptied.
const ACKS: usize = 5;

/// Pushes and acks that show that all goes on.
const ANSWERS: usize = 50;

const SEED: u64 = 1;

fn fill(durability: Durability, is_killed: bool) {
    let Some(layout) = Layout::on_small_disk(MIN_FREE_MEBIBYTES + ROOM_MEBIBYTES + TAKEN_MEBIBYTES)
    else {
        return;
    };
    let seed = number("POPBOX_FAULTS_SEED").unwrap_or(SEED);
    println!("POPBOX_FAULTS_SEED={seed}, {durability:?}, killed: {is_killed}");
    let mut random = Random::of(seed);
    let tap = Tap::on(&layout.store_dir(), layout.scratch());
    let mut load = Load::new(&mut random, true, STOCK);
    let disk = layout.disk();
    disk.fill(TAKEN_MEBIBYTES * MEBIBYTE);
    let start = || {
        let settings = tapped(&layout, durability, &tap);
        settings
            .set("store.min_free", format!("{MIN_FREE_MEBIBYTES}MiB"))
            .start()
    };
    let mut server = start();

    let filling = Progress::endless();
    thread::scope(|scope| {
        let _ending = filling.end_with();
        scope.spawn(|| load.run(&server, &mut random, &filling));
        eventually("the disk is full", || filling.refused() >= REFUSALS);
        let acked = filling.acked();
        eventually("acks go on", || filling.acked() >= acked + ACKS);
        if is_killed {
            let calls = [Call::Write, Call::Sync, Call::Truncate, Call::Create];
            tap.arm(&Wound::within(
                &mut Random::of(seed),
                20,
                &calls,
                &Kept::ALL,
            ));
            eventually("it is killed", || tap.has_killed());
        } else {
            disk.free();
            let answered = filling.answered();
            eventually("all goes on", || filling.answered() >= answered + ANSWERS);
        }
    });
    if is_killed {
        tap.disarm();
        server = start();
        disk.free();
    }
    let going_on = Progress::until(ANSWERS);
    load.run(&server, &mut random, &going_on);
    server.kill();
    server = start();
    load.assert_kept(&mut server.client());
    server.stop();
}

#[test]
fn nothing_is_lost_where_every_write_is_synced() {
    fill(Durability::Sync, false);
}

#[test]
fn nothing_is_lost_where_writes_are_synced_at_intervals() {
    fill(Durability::Interval, false);
}

#[test]
fn nothing_is_lost_by_a_kill_where_every_write_is_synced() {
    fill(Durability::Sync, true);
}

#[test]
fn nothing_is_lost_by_a_kill_where_writes_are_synced_at_intervals() {
    fill(Durability::Interval, true);
}
