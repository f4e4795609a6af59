//! A network of IP addresses, as the configuration names it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network, `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpAddr, u8);

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    /// Reads `192.0.2.0/24`, or one address.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.map_or(Ok(most), str::parse).map_err(|_| NotANetwork)?;
        if bits > most {
            return Err(NotANetwork);
        }
        // An IPv4 network that is written as mapped into IPv6 is kept as the IPv4 one: addresses
        // are compared in that form, and a shorter prefix would hold more than the mapped
        // addresses.
        match address.to_canonical() {
            canonical @ IpAddr::V4(_) if address.is_ipv6() => {
                bits.checked_sub(96).map(|bits| Self(canonical, bits)).ok_or(NotANetwork)
            }
            _ => Ok(Self(address, bits)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl Network {
    /// A network of the addresses that share their first `bits` bits with this one.
    pub(super) const fn new(address: IpAddr, bits: u8) -> Self {
        Self(address, bits)
    }

    /// Whether an address is of this network. A v4-mapped address is its IPv4 one.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let rest = width - u32::from(self.1);
            one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
        };
        match (self.0, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(one.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("127.0.0.0/8", "127.1.2.3") && holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.0/8", "128.0.0.1") && !holds("127.0.0.0/8", "::1"));
        assert!(holds("0.0.0.0/0", "9.9.9.9") && holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
    }

    /// Its 104 bits, taken for bits of an IPv4 address, once held every IPv4 address.
    #[test]
    fn a_network_that_is_mapped_into_ipv6_is_its_ipv4_one() {
        let network: Network = "::ffff:10.0.0.0/104".parse().unwrap();
        assert_eq!(network, "10.0.0.0/8".parse().unwrap());
        assert!(
            network.contains("10.1.2.3".parse().unwrap())
                && !network.contains("9.9.9.9".parse().unwrap())
        );
        assert_eq!("::ffff:0.0.0.0/95".parse::<Network>(), Err(NotANetwork));
    }
}
