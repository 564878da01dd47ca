//! What everybody in a trial shares.

use std::time::Duration;

use super::calm::Calm;
use super::ledger::Ledger;
use super::outlet::Outlet;
use super::site::Site;
use super::stage::Stage;

pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) ledger: Ledger,
    pub(crate) stage: Stage,
    pub(crate) calm: Calm,
    /// How long a transaction lives that is not meant to end while it waits.
    pub(crate) life: Duration,
}
