//! The addresses and ports that connections come from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::target::Target;

/// Connections from one address: somewhat fewer than it has ports for.
const CONNECTIONS_OF_ADDRESS_MAX: usize = 20_000;

/// The ports that Linux takes for connections, too, unless told otherwise.
const PORT_MIN: u16 = 32_768;
const PORTS: usize = 28_232;

/// How many ports are tried before a connection is given up.
const TRIES_MAX: usize = 1_000;

/// Tries are far from one another, as neighbours are taken by neighbours.
const TRY_STEP: usize = 7_919;

/// Where a connection comes from: an address, and ports of it to be tried in turn. To let the kernel choose a port of a
/// given address takes it milliseconds once some thousands are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    address: IpAddr,
    first: usize,
}

impl Source {
    /// That of the connection with this number: one of the addresses `given` in turn, or, where none is given and the
    /// target is on this machine, 127.0.0.1, then 127.0.0.2 and so on. Elsewhere the kernel knows best. Ports are taken
    /// from `first_port` on, which is to differ from run to run, as ports rest for a minute after use. Each of the
    /// given addresses takes the same ports: on this machine, nobody else who does not ask for a port gets one of
    /// those, whatever the address.
    pub(crate) fn new(
        given: &[IpAddr],
        target: &Target,
        number: usize,
        first_port: usize,
    ) -> Option<Self> {
        Some(Self {
            address: address(given, target, number)?,
            first: first_port.wrapping_add(number.checked_div(given.len()).unwrap_or(number)),
        })
    }

    /// What to try to bind to.
    pub(crate) fn tries(self) -> impl Iterator<Item = SocketAddr> {
        (0..TRIES_MAX).filter_map(move |time| {
            let offset = self.first.wrapping_add(time * TRY_STEP) % PORTS;
            let port = PORT_MIN.checked_add(u16::try_from(offset).ok()?)?;
            Some(SocketAddr::new(self.address, port))
        })
    }
}

fn address(given: &[IpAddr], target: &Target, number: usize) -> Option<IpAddr> {
    if let Some(turn) = number.checked_rem(given.len()) {
        return given.get(turn).copied();
    }
    let IpAddr::V4(address) = target.address.ip() else {
        return None;
    };
    if !address.is_loopback() {
        return None;
    }
    let step = u32::try_from(number / CONNECTIONS_OF_ADDRESS_MAX).ok()?;
    let source = u32::from(Ipv4Addr::LOCALHOST).checked_add(step)?;
    Some(Ipv4Addr::from(source).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_addresses() {
        let target: Target = "http://127.0.0.1:3001".parse().unwrap();
        for (number, expected) in [
            (0, "127.0.0.1"),
            (19_999, "127.0.0.1"),
            (20_000, "127.0.0.2"),
            (59_999, "127.0.0.3"),
        ] {
            let source = address(&[], &target, number);
            assert_eq!(source, Some(expected.parse().unwrap()));
        }
    }

    #[test]
    fn given_addresses_are_taken_in_turn() {
        let target: Target = "http://127.0.0.1:3001".parse().unwrap();
        let given = ["127.0.0.7".parse().unwrap(), "127.0.0.8".parse().unwrap()];
        assert_eq!(address(&given, &target, 0), Some(given[0]));
        assert_eq!(address(&given, &target, 3), Some(given[1]));
        let port = |number| {
            let source = Source::new(&given, &target, number, 7).unwrap();
            source.tries().next().unwrap().port()
        };
        assert_eq!(port(4), port(5), "each address has ports of its own");
        assert_eq!(port(4) + 1, port(6));
    }

    #[test]
    fn elsewhere_the_kernel_chooses() {
        let target: Target = "http://192.0.2.1:3001".parse().unwrap();
        assert_eq!(address(&[], &target, 5), None);
    }

    #[test]
    fn neighbours_have_different_ports_and_no_try_is_repeated() {
        let target: Target = "http://127.0.0.1:3001".parse().unwrap();
        let mut ports = std::collections::HashSet::new();
        for number in 0..CONNECTIONS_OF_ADDRESS_MAX {
            let source = Source::new(&[], &target, number, 9_999).unwrap();
            let first = source.tries().next().unwrap();
            assert!(first.port() >= PORT_MIN && ports.insert(first));
        }
        let source = Source::new(&[], &target, 0, usize::MAX).unwrap();
        let tries: std::collections::HashSet<_> = source.tries().collect();
        assert_eq!(tries.len(), TRIES_MAX);
    }
}
