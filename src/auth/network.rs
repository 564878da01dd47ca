//! What stands for where a client is.

use std::net::IpAddr;

/// An address, or of IPv6 its network of 64 bits: whoever has one address of that has the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(u64);

impl Network {
    /// Where that address is.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // Where no network of IPv6 is.
            IpAddr::V4(address) => u64::from(u32::MAX) << 32 | u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                // The upper half of 128 bits is 64 of them.
                u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
