//! Names to addresses, without those that callbacks must not reach.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address::admit;
use super::failure::Failure;

/// Asks the system, unless it is at too much already. A connection goes to one of the addresses given, so nothing can
/// change between this look at them and the use of them.
#[derive(Debug)]
pub(super) struct Resolver {
    allow_private: bool,
    pub(super) lookups: Arc<Semaphore>,
}

/// Each takes a thread, also when nobody waits for it any more: a slow name server must not take all of them.
pub(super) const LOOKUPS_MAX: u32 = 64;

impl Resolver {
    pub(super) fn new(allow_private: bool) -> Self {
        Self {
            allow_private,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX as usize)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookups = Arc::clone(&self.lookups);
        let allow_private = self.allow_private;
        Box::pin(async move {
            // Those under way may last longer than this attempt.
            let permit = lookups
                .try_acquire_owned()
                .map_err(|_| Failure::LookupsBusy)?;
            // A task of its own, which goes on where the attempt is given up: the permit is for the thread.
            let lookup = tokio::spawn(async move {
                let _permit = permit;
                let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                std::io::Result::Ok(found.collect::<Vec<_>>())
            });
            let addresses = allowed(lookup.await??, allow_private)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Those of a name's addresses that may be reached; a fault if it has some and none may.
fn allowed(mut found: Vec<SocketAddr>, allow_private: bool) -> Result<Vec<SocketAddr>, Failure> {
    let mut refused = None;
    if !allow_private {
        found.retain(|address| {
            admit(address.ip())
                .map_err(|why| refused = Some(why))
                .is_ok()
        });
    }
    match refused {
        Some(why) if found.is_empty() => Err(why),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_only_public_ones_are_given() {
        let addresses = |texts: &[&str]| {
            let addresses = texts.iter().map(|text| text.parse().unwrap());
            addresses.collect::<Vec<SocketAddr>>()
        };
        let found = addresses(&["127.0.0.1:0", "1.1.1.1:0", "[fe80::1]:0", "[2a00::1]:0"]);
        assert_eq!(
            allowed(found.clone(), false).unwrap(),
            addresses(&["1.1.1.1:0", "[2a00::1]:0"])
        );
        assert_eq!(allowed(found.clone(), true).unwrap(), found);
        assert!(allowed(addresses(&["10.0.0.1:0", "[::1]:0"]), false).is_err());
        assert!(allowed(Vec::new(), false).unwrap().is_empty());
    }
}
