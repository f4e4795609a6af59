//! Unique names that trust no clock.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

/// A sequence of 64-bit values that begins at random.
///
/// It is a permutation of all of them, so that no value is drawn twice here. The values of two
/// servers collide only if their random starting points are closer together than the number of
/// names that they draw. Even then the disk decides: no file is ever overwritten.
pub(super) struct Names(AtomicU64);

/// An odd number near 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Names {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(AtomicU64::new(random()?)))
    }

    // The output function of SplitMix64 (Steele, Lea, Flood 2014), each step of which can be
    // undone.
    pub(super) fn next(&self) -> u64 {
        let mut value = self.0.fetch_add(STEP, Ordering::Relaxed);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}

/// 64 bits of the system's randomness.
pub(super) fn random() -> io::Result<u64> {
    let mut octets = [0; 8];
    // The system call itself, and no device: the sandbox keeps those away. So few octets come whole.
    let filled = retry_on_intr(|| getrandom(octets.as_mut_slice(), GetRandomFlags::empty()))?;
    if filled < octets.len() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(u64::from_le_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_name_comes_twice_and_two_servers_share_none() {
        let (one, other) = (Names::new().unwrap(), Names::new().unwrap());
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            assert!(seen.insert(one.next()) && seen.insert(other.next()));
        }
        // All 64 bits are in use.
        assert_eq!(seen.iter().fold(0, |all, value| all | value), u64::MAX);
        assert_eq!(seen.iter().fold(u64::MAX, |all, value| all & value), 0);
    }
}
