//! The disk under the embedded store: a server that is killed at any call on it, a power cut, no room left.

mod full;
mod killed;
mod load;
mod platter;
mod tap;

use std::env;
use std::sync::Arc;

use popbox_test_support::{Durability, Layout, Settings};

use tap::Tap;

/// What `POPBOX_FAULTS_SECONDS` or `POPBOX_FAULTS_SEED` says.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// A server on a store whose calls are tapped.
fn tapped(layout: &Arc<Layout>, durability: Durability, tap: &Tap) -> Settings {
    let settings = plain(layout, durability);
    let environment = tap.environment().into_iter();
    environment.fold(settings, |settings, (name, value)| {
        settings.env(name, &value)
    })
}

/// A server that takes pushes while there is any room at all.
fn plain(layout: &Arc<Layout>, durability: Durability) -> Settings {
    Settings::on(layout)
        .durability(durability)
        .set("server.workers", 1)
        .set("store.min_free", 0)
}
