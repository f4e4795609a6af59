//! The caps on connections, in total, per address and per network, and on new connections a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The caps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once of one address.
    pub per_address: usize,
    /// Connections at once of one IPv6 network of 64 bits, which is what one customer gets.
    pub per_network: usize,
    /// New connections a second of one IPv4 address or one such network.
    pub per_second: usize,
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    Address,
    Network,
    Rate,
}

impl Refusal {
    /// The key of the configuration that sets this cap.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Full => "connections_max",
            Self::Address => "connections_per_address_max",
            Self::Network => "connections_per_network_max",
            Self::Rate => "connects_per_second_max",
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// All clients.
    connections: usize,
    /// The clients of each address.
    addresses: HashMap<IpAddr, usize>,
    /// The clients of each IPv6 network of 64 bits.
    networks: HashMap<u64, usize>,
    /// The current second, and the new connections of each source in it. The next second starts
    /// with an empty map, so that it stays small however many addresses there are.
    second: u64,
    recent: HashMap<IpAddr, usize>,
}

/// Counts the clients, and admits those that the caps allow.
#[derive(Debug)]
pub(super) struct Admission {
    /// The caps, which never change.
    caps: Caps,
    /// The clients of now.
    counts: Mutex<Counts>,
}

/// A counted client; dropping it gives its place back.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Where it is counted.
    admission: Arc<Admission>,
    /// For which address; `None` for a client that has none.
    address: Option<IpAddr>,
}

/// The 64 bits of an IPv6 address that name its network.
fn network(address: IpAddr) -> Option<u64> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).ok(),
    }
}

fn count_out<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Admission {
    pub(super) fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, counts: Mutex::default() })
    }

    /// No holder of the lock can leave the counts half changed, so a panic elsewhere must not turn
    /// away every later client.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a client and counts it. `second` may be any clock's. Only the cap on all connections
    /// holds for an exempt client, and for one without an address.
    ///
    /// # Errors
    /// The cap that is reached.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        exempt: bool,
        second: u64,
    ) -> Result<Admitted, Refusal> {
        let address = address.map(|address| address.to_canonical());
        let held = address.filter(|_| !exempt);
        let network = address.and_then(network);
        let mut counts = self.counts();
        if let Some(address) = held {
            if counts.second != second {
                counts.second = second;
                counts.recent = HashMap::new();
            }
            let source = network
                .map_or(address, |bits| IpAddr::from((u128::from(bits) << 64).to_be_bytes()));
            let recent = counts.recent.entry(source).or_default();
            if *recent >= self.caps.per_second {
                return Err(Refusal::Rate);
            }
            *recent += 1;
        }
        if counts.connections >= self.caps.connections {
            return Err(Refusal::Full);
        }
        if let Some(address) = held {
            if counts.addresses.get(&address).is_some_and(|count| *count >= self.caps.per_address) {
                return Err(Refusal::Address);
            }
            let full = |bits: u64| {
                counts.networks.get(&bits).is_some_and(|count| *count >= self.caps.per_network)
            };
            if network.is_some_and(full) {
                return Err(Refusal::Network);
            }
        }
        counts.connections += 1;
        if let Some(address) = address {
            *counts.addresses.entry(address).or_default() += 1;
        }
        if let Some(bits) = network {
            *counts.networks.entry(bits).or_default() += 1;
        }
        Ok(Admitted { admission: Arc::clone(self), address })
    }

    /// The number of clients that are counted.
    pub(super) fn connections(&self) -> usize {
        self.counts().connections
    }

    /// Whether the clients must hurry: there are more than three quarters of the cap.
    pub(super) fn is_pressed(&self) -> bool {
        self.connections().saturating_mul(4) > self.caps.connections.saturating_mul(3)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.connections = counts.connections.saturating_sub(1);
        let Some(address) = self.address else { return };
        count_out(&mut counts.addresses, &address);
        if let Some(bits) = network(address) {
            count_out(&mut counts.networks, &bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { connections: 8, per_address: 2, per_network: 3, per_second: 100 };

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn each_cap_lets_its_last_one_in_and_the_next_one_not() {
        let door = Admission::new(CAPS);
        let come = |text| door.admit(address(text), false, 0);
        let mut inside = vec![come("192.0.2.1").unwrap(), come("::ffff:192.0.2.1").unwrap()];
        assert_eq!(come("192.0.2.1").unwrap_err(), Refusal::Address);
        inside.push(come("2001:db8::1").unwrap());
        inside.push(come("2001:db8::1").unwrap());
        assert_eq!(come("2001:db8::1").unwrap_err(), Refusal::Address);
        inside.push(come("2001:db8::2").unwrap());
        assert_eq!(come("2001:db8::3").unwrap_err(), Refusal::Network);
        // The neighbour's network is another's.
        inside.push(come("2001:db8:0:1::3").unwrap());
        assert!(!door.is_pressed());
        inside.push(come("192.0.2.2").unwrap());
        assert!(door.is_pressed());
        inside.push(come("192.0.2.3").unwrap());
        assert_eq!(come("192.0.2.4").unwrap_err(), Refusal::Full);
        assert_eq!(door.admit(address("192.0.2.4"), true, 0).unwrap_err(), Refusal::Full);
        drop(inside);
        // It recovers, and forgets all addresses.
        assert!(!door.is_pressed());
        assert!(door.counts().addresses.is_empty() && door.counts().networks.is_empty());
        assert!(come("2001:db8::3").is_ok());
    }

    #[test]
    fn so_many_come_in_a_second_and_no_more_and_those_turned_away_count_once() {
        let door = Admission::new(Caps { per_second: 2, ..CAPS });
        let come = |text, second| door.admit(address(text), false, second).map(drop);
        assert_eq!((come("192.0.2.1", 5), come("192.0.2.1", 5)), (Ok(()), Ok(())));
        assert_eq!(come("192.0.2.1", 5), Err(Refusal::Rate));
        assert_eq!(come("192.0.2.2", 5), Ok(()));
        assert_eq!(come("192.0.2.1", 6), Ok(()));
        // Of a network of 64 bits each address is the same client.
        assert_eq!((come("2001:db8::1", 6), come("2001:db8::2", 6)), (Ok(()), Ok(())));
        assert_eq!(come("2001:db8::3", 6), Err(Refusal::Rate));
    }

    #[test]
    fn who_has_no_address_is_held_by_the_cap_on_all_only() {
        let door = Admission::new(Caps { per_second: 1, ..CAPS });
        let inside: Vec<_> = (0..8).map(|_| door.admit(None, false, 0).unwrap()).collect();
        assert_eq!(door.admit(None, false, 0).unwrap_err(), Refusal::Full);
        drop(inside);
        assert_eq!(door.connections(), 0);
    }

    #[test]
    fn the_exempt_are_held_by_the_cap_on_all_only() {
        let door = Admission::new(Caps { per_second: 1, ..CAPS });
        let inside: Vec<_> =
            (0..8).map(|_| door.admit(address("127.0.0.1"), true, 0).unwrap()).collect();
        assert_eq!(inside.len(), door.connections());
        assert_eq!(door.admit(address("127.0.0.1"), true, 0).unwrap_err(), Refusal::Full);
    }
}
