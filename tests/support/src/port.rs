//! Ports for servers that need to know theirs before they start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the system gives to outgoing connections: while a server is down, none of the many connections of
/// the tests may be given its port.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// An address that nobody listens on. Another process may be about to: whoever binds it must be ready to ask again.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let number = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        // Runs of the suite at the same time begin far from each other.
        let offset = (process::id().wrapping_mul(613) + number) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {COUNT} from {FIRST} is free");
}
