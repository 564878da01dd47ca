//! Addresses of this machine that connections come from.

use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

/// One address, or all IPv4 addresses from one to another: `127.0.0.1-127.0.0.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    first: IpAddr,
    /// How many follow the first.
    further: u32,
}

/// Each has room for some 28,000 connections to each address of a server: no machine has more than fit into these.
const ADDRESSES_MAX: u32 = 4_096;

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |text: &str| -> Result<IpAddr, String> {
            text.parse().map_err(|_| {
                format!("{text:?}: not an address; one or FIRST-LAST (IPv4) is expected")
            })
        };
        let Some((first, last)) = text.split_once('-') else {
            return Ok(Self {
                first: address(text)?,
                further: 0,
            });
        };
        let (IpAddr::V4(from), IpAddr::V4(to)) = (address(first)?, address(last)?) else {
            return Err(format!("{text:?}: a range is of IPv4 addresses"));
        };
        let further = u32::from(to)
            .checked_sub(u32::from(from))
            .filter(|further| *further < ADDRESSES_MAX)
            .ok_or_else(|| {
                format!("{text:?}: a range of 1 to {ADDRESSES_MAX} addresses is expected")
            })?;
        Ok(Self {
            first: from.into(),
            further,
        })
    }
}

impl AddressRange {
    /// Each of them.
    pub(crate) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (0..=self.further).filter_map(move |step| match self.first {
            IpAddr::V4(first) => u32::from(first)
                .checked_add(step)
                .map(|address| Ipv4Addr::from(address).into()),
            IpAddr::V6(_) => (step == 0).then_some(self.first),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        let range: AddressRange = text.parse().unwrap();
        range.addresses().map(|it| it.to_string()).collect()
    }

    #[test]
    fn one_address_or_a_range_is_read() {
        assert_eq!(addresses("127.0.0.7"), ["127.0.0.7"]);
        assert_eq!(addresses("::1"), ["::1"]);
        assert_eq!(
            addresses("127.0.0.254-127.0.1.1"),
            ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"]
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "localhost",
            "127.0.0.9-127.0.0.1",
            "127.0.0.1-",
            "::1-::9",
            "10.0.0.0-11.0.0.0",
        ] {
            assert!(text.parse::<AddressRange>().is_err(), "{text:?}");
        }
    }
}
