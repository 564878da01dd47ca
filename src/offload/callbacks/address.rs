//! Which addresses are anybody's, and which are ours alone.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use super::failure::Failure;

/// Refuses an address that callbacks must not reach: one that is not public, or is this machine's, which lets itself in
/// where it would let in nobody else.
pub(super) fn admit(address: IpAddr) -> Result<(), Failure> {
    if !is_public(address) || is_own(address.to_canonical())? {
        return Err(Failure::Refused);
    }
    Ok(())
}

/// Any: nothing is sent to it.
const PORT: u16 = 9;

/// Whether an address is this machine's: it calls itself from the very address that it calls. Of several addresses of
/// an IPv4 network only the first is chosen for that by itself; the others can be asked for, as no other machine's can.
/// Where the system lets sockets have those, too, they are at least not connected.
fn is_own(address: IpAddr) -> io::Result<bool> {
    let from = match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = match UdpSocket::bind((from, 0)) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return Ok(false),
        bound => bound?,
    };
    Ok(socket.connect((address, PORT)).is_ok() && socket.local_addr()?.ip() == address)
}

/// Whether an address is one of the public Internet, so that reaching it from here gives nobody more than reaching it
/// from anywhere. An IPv6 address that stands for an IPv4 one is judged by that.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Networks of IPv4 that are not public, with the bits that tell them.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),        // this host
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // shared by customers of a provider
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // a cloud's own, which virtual machines alone can reach
    ([169, 254, 0, 0], 16),   // link-local; clouds tell secrets there
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocols
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // relays of 6to4
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarks
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 3),      // multicast, reserved, broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(network, bits): &([u8; 4], u32)| {
        let difference = u32::from(address) ^ u32::from_be_bytes(*network);
        difference.leading_zeros() >= *bits
    };
    !SPECIAL_V4.iter().any(is_in)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4-mapped; translated by NAT64; 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Protocols, among them Teredo; documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Nothing else is given out: loopback, unique-local, link-local, multicast, IPv4-compatible and the like are
        // outside of it.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_alone_is_told_from_what_is_anybodys() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.88.98.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.101.0",
            "203.0.112.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2001:db9::1",
            "2a00::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ];
        let ours = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::192.168.1.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff::1",
        ];
        for (addresses, expected) in [(&public[..], true), (&ours[..], false)] {
            for text in addresses {
                let address = text.parse().unwrap();
                assert_eq!(is_public(address), expected, "{text}");
            }
        }
    }

    #[test]
    fn the_addresses_of_this_machine_are_told_from_those_of_others() {
        let is_own = |text: &str| is_own(text.parse().unwrap()).unwrap();
        // The second is one of a network of which the first is.
        assert!(is_own("127.0.0.1") && is_own("127.0.0.2"));
        assert!(!is_own("192.0.2.1"));
        // It may have no IPv6.
        if UdpSocket::bind("[::1]:0").is_ok() {
            assert!(is_own("::1"));
            assert!(!is_own("2001:db8::1"));
        }
    }
}
