//! What can happen to the wires between agents and a redis-server, while both are well.

use std::ops::Range;
use std::time::Duration;

use popbox_test_support::{Direction, Proxy, Random};

use super::fault::{Fault, Heal};
use super::site::Site;

/// How much of what Redis answers still comes before a reset, in bytes.
const LAST_BYTES_MAX: usize = 20_000;

/// How long a slow wire holds each piece, in milliseconds.
const DELAY_MAX_MS: usize = 60;

/// One kind.
struct Wire {
    name: &'static str,
    lasts_ms: Range<usize>,
    wound: fn(&Proxy, &mut Random),
}

/// All kinds.
pub(crate) fn repertoire() -> Vec<Box<dyn Fault>> {
    let wires = [
        Wire {
            name: "wire: cut",
            lasts_ms: 100..2_500,
            wound: |proxy, _| proxy.cut(),
        },
        Wire {
            name: "wire: reset",
            lasts_ms: 0..1,
            wound: |proxy, _| proxy.reset(),
        },
        Wire {
            name: "wire: reset within an answer",
            lasts_ms: 300..1_000,
            wound: |proxy, random| proxy.reset_after(1 + random.below(LAST_BYTES_MAX)),
        },
        Wire {
            name: "wire: slow",
            lasts_ms: 500..3_000,
            wound: |proxy, random| {
                let delay_ms = 1 + random.below(DELAY_MAX_MS);
                proxy.delay(Duration::from_millis(delay_ms as u64));
            },
        },
        Wire {
            name: "wire: nothing reaches Redis",
            lasts_ms: 300..5_000,
            wound: |proxy, _| proxy.stall(Direction::ToServer),
        },
        Wire {
            name: "wire: nothing comes from Redis",
            lasts_ms: 300..5_000,
            wound: |proxy, _| proxy.stall(Direction::ToClient),
        },
        Wire {
            name: "wire: new connections swallowed",
            lasts_ms: 500..3_000,
            wound: |proxy, _| {
                proxy.swallow_new();
                proxy.reset();
            },
        },
    ];
    wires
        .into_iter()
        .map(|wire| Box::new(wire) as Box<dyn Fault>)
        .collect()
}

impl Fault for Wire {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lasts_ms(&self) -> Range<usize> {
        self.lasts_ms.clone()
    }

    /// All agents use the same wire.
    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let shard = random.below(site.shards.len());
        (self.wound)(&site.shards[shard].proxy, random);
        Box::new(move |site| site.shards[shard].proxy.heal())
    }
}
