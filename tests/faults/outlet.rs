//! The queues of a trial, and how each of them is emptied.

use popbox_test_support::Queue;

/// Those of one realm get transactions together.
pub(crate) const REALMS: [Option<&str>; 3] = [None, Some("acme"), Some("a b/c")];

/// How long a lease is that is meant to lapse now and then, and one that is not.
const LEASE_SHORT_MS: u32 = 1_500;
const LEASE_LONG_MS: u32 = 10_000;

/// How its messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Pop,
    Poprel,
    Subscribe,
    Subscriberel,
}

impl Route {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pop => "pop",
            Self::Poprel => "poprel",
            Self::Subscribe => "subscribe",
            Self::Subscriberel => "subscriberel",
        }
    }

    /// Whether its messages are to be acked.
    pub(crate) fn is_reliable(self) -> bool {
        matches!(self, Self::Poprel | Self::Subscriberel)
    }
}

/// Who empties it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// So many that never go away without need.
    Polite(usize),
    /// One that goes away in every way there is. Others come at the end and take what it has left.
    Rude,
}

/// A queue and its use.
pub(crate) struct Outlet {
    pub(crate) queue: Queue,
    /// Which of [`REALMS`].
    pub(crate) realm: usize,
    pub(crate) route: Route,
    pub(crate) max: usize,
    pub(crate) lease_ms: u32,
    /// Whether some of its messages are acked late or never. With the others it is a fault that does that.
    pub(crate) has_lapses: bool,
    pub(crate) users: Users,
    /// The only producer that pushes to it, one message after the other: they should come in their order.
    pub(crate) producer: Option<usize>,
}

impl Outlet {
    /// For the reader of a report.
    pub(crate) fn describe(&self) -> String {
        let lease = if self.route.is_reliable() {
            format!(", timeoutACK {} ms", self.lease_ms)
        } else {
            String::new()
        };
        format!(
            "{} ({}, max {}{lease}, {:?})",
            self.queue.path(),
            self.route.name(),
            self.max,
            self.users
        )
    }
}

/// How many queues of a kind there are.
struct Share {
    count: usize,
    route: Route,
    users: Users,
    is_ordered: bool,
}

/// All queues of a trial: 60, whatever the seed.
pub(crate) fn outlets(producers: usize) -> Vec<Outlet> {
    let share = |count, route, users| Share {
        count,
        route,
        users,
        is_ordered: false,
    };
    let shares = [
        Share {
            is_ordered: true,
            ..share(producers, Route::Pop, Users::Polite(1))
        },
        share(8, Route::Pop, Users::Polite(1)),
        share(4, Route::Pop, Users::Polite(2)),
        share(14, Route::Poprel, Users::Polite(1)),
        share(6, Route::Poprel, Users::Polite(2)),
        share(8, Route::Subscribe, Users::Polite(1)),
        share(8, Route::Subscriberel, Users::Polite(1)),
        share(3, Route::Pop, Users::Rude),
        share(3, Route::Poprel, Users::Rude),
        share(2, Route::Subscriberel, Users::Rude),
    ];
    let mut outlets = Vec::new();
    for share in &shares {
        for number in 0..share.count {
            let place = outlets.len();
            let realm = if share.is_ordered {
                0
            } else {
                place % REALMS.len()
            };
            let id = format!("q{place}");
            outlets.push(Outlet {
                queue: match REALMS[realm] {
                    None => Queue::named(id),
                    Some(tenant) => Queue::of(tenant, id),
                },
                realm,
                route: share.route,
                // One at a time, several, or whatever there is.
                max: if share.is_ordered || share.users == Users::Rude {
                    1
                } else {
                    [1, 7, 1000][place / REALMS.len() % 3]
                },
                lease_ms: if number % 2 == 0 {
                    LEASE_SHORT_MS
                } else {
                    LEASE_LONG_MS
                },
                has_lapses: number % 2 == 0,
                users: share.users,
                producer: share.is_ordered.then_some(number),
            });
        }
    }
    outlets
}
