//! The shield: who may speak to listeners at all. Must not know: how packets are looked at.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use super::WrittenAt;

/// The `shield` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShieldSettings {
    /// Names of the interfaces at which packets are looked at; not the loopback's, each once.
    pub interfaces: Vec<String>,
    /// Where each of them stands.
    pub interfaces_at: Vec<WrittenAt>,
    /// Where on the way of a packet; default `auto`.
    pub mode: ShieldMode,
    /// Whether packets are only counted; default no.
    pub dry_run: bool,
    /// Sources whose packets are dropped, sorted, each once.
    pub deny: Vec<IpPrefix>,
    /// Sources whose packets pass whatever else is said, sorted, each once.
    pub allow: Vec<IpPrefix>,
    /// Files that prefixes were read from.
    pub files: Vec<PathBuf>,
    /// New connections of a source in a second, 1 to 1,000,000; default any number.
    pub new_connections_per_second: Option<u32>,
    /// How many of them may come at once, 1 to 1,000,000; default as many as in a second.
    pub burst: u32,
}

/// `mode` of the shield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShieldMode {
    /// In the driver where it can, else generic.
    Auto,
    /// In the driver.
    Native,
    /// Before the kernel's protocols, whatever the driver.
    Generic,
}

/// Addresses that share their first bits, written by the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no prefix that can be denied or allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is none.
    #[error("is no prefix")]
    Malformed,
    /// It has bits beyond its length.
    #[error("has bits set beyond its length (did you mean \"{0}\"?)")]
    HostBits(IpPrefix),
    /// It is of the loopback.
    #[error("is of the loopback, which is never blocked")]
    Loopback,
    /// It is IPv4 in the form of IPv6.
    #[error("is IPv4 in the form of IPv6 (did you mean \"{0}\"?)")]
    Mapped(IpPrefix),
}

impl IpPrefix {
    /// What of prefixes may be written.
    pub const ALLOWED: &str =
        "addresses and prefixes such as \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"";

    /// The prefix written so; an address is one of its own.
    ///
    /// # Errors
    /// [`PrefixError`].
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Malformed)?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => {
                let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit())
                    && !(bits.len() > 1 && bits.starts_with('0'));
                bits.parse().ok().filter(|bits| is_plain && *bits <= most).ok_or(PrefixError::Malformed)?
            }
        };
        let prefix = Self::of(address, bits);
        if let (IpAddr::V6(address), 96..) = (address, bits)
            && let Some(mapped) = address.to_ipv4_mapped()
        {
            return Err(PrefixError::Mapped(Self::of(mapped.into(), bits - 96)));
        }
        if prefix.address != address {
            return Err(PrefixError::HostBits(prefix));
        }
        let is_of_loopback = match address {
            IpAddr::V4(address) => bits >= 8 && address.is_loopback(),
            IpAddr::V6(address) => bits == 128 && address.is_loopback(),
        };
        if is_of_loopback { Err(PrefixError::Loopback) } else { Ok(prefix) }
    }

    /// The prefix of that length that an address is of. A length beyond the address's is its own.
    #[must_use]
    pub fn of(address: IpAddr, bits: u8) -> Self {
        match address {
            IpAddr::V4(address) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv4Addr::from_bits(address.to_bits() & mask).into(), bits }
            }
            IpAddr::V6(address) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv6Addr::from_bits(address.to_bits() & mask).into(), bits }
            }
        }
    }

    /// The first of the addresses.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits they share: 0 to 32, or 128.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether all of `other` is of this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits
            && self.address.is_ipv4() == other.address.is_ipv4()
            && Self::of(other.address, self.bits) == *self
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_as_they_are_written() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("::/0", "::/0"),
            ("126.0.0.0/7", "126.0.0.0/7"),
        ] {
            assert_eq!(IpPrefix::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_by_what_is_wrong_with_it() {
        for text in [
            "",
            "/",
            "/8",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+8",
            "192.0.2.0/08",
            "192.0.2.0/8/8",
            "192.0.2",
            "192.0.2.0/255.255.255.0",
            "2001:db8::/129",
            "example.com",
            " 192.0.2.7",
            "[2001:db8::]/32",
            "fe80::1%eth0",
            "192.0.2.0/999",
        ] {
            assert_eq!(IpPrefix::parse(text), Err(PrefixError::Malformed), "{text}");
        }
        let meant = |text| match IpPrefix::parse(text) {
            Err(PrefixError::HostBits(meant) | PrefixError::Mapped(meant)) => meant.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(meant("192.0.2.7/24"), "192.0.2.0/24");
        assert_eq!(meant("1.0.0.0/0"), "0.0.0.0/0");
        assert_eq!(meant("2001:db8::1/64"), "2001:db8::/64");
        assert_eq!(meant("::ffff:192.0.2.7"), "192.0.2.7/32");
        assert_eq!(meant("::ffff:192.0.2.0/120"), "192.0.2.0/24");
        for text in ["127.0.0.1", "127.0.0.0/8", "127.1.0.0/16", "::1", "::1/128"] {
            assert_eq!(IpPrefix::parse(text), Err(PrefixError::Loopback), "{text}");
        }
    }

    #[test]
    fn a_prefix_covers_those_within_it() {
        let prefix = |text| IpPrefix::parse(text).unwrap();
        for (outer, inner) in [
            ("0.0.0.0/0", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.0/24", "192.0.2.128/25"),
            ("::/0", "2001:db8::/32"),
            ("2001:db8::/32", "2001:db8:1::1"),
        ] {
            assert!(prefix(outer).covers(&prefix(inner)), "{outer} {inner}");
        }
        for (outer, inner) in [
            ("192.0.2.0/25", "192.0.2.0/24"),
            ("192.0.2.0/24", "192.0.3.0/24"),
            ("::/0", "192.0.2.7"),
            ("0.0.0.0/0", "2001:db8::1"),
        ] {
            assert!(!prefix(outer).covers(&prefix(inner)), "{outer} {inner}");
        }
    }
}
