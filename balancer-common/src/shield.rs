//! The shield's part of the binary interface: its tables, and what is in them. Must not know: who is denied, and why.
//!
//! Addresses of IPv4 stand in fields of 16 bytes as mapped ones (`::ffff:a.b.c.d`), except in keys of tables that are of IPv4
//! alone. All are in network byte order.

/// Name of the program in the object file; the kernel shows 15 letters of it.
pub const PROGRAM: &str = "balancer_shield";

/// Names of the maps.
pub mod map {
    /// Array of one [`Policy`](super::Policy). Written by userspace.
    pub const POLICY: &str = "SHIELD_POLICY";
    /// Array of words: a bit for every port that a listener has at any address. Written by userspace.
    pub const PORTS: &str = "SHIELD_PORTS";
    /// Hash: [`Service`](super::Service) to a word without meaning. Written by userspace.
    pub const SERVICES: &str = "SHIELD_SERVICES";
    /// Hash: [`ExactV4`](super::ExactV4) of a length of [`LENGTHS_V4`](super::LENGTHS_V4), to what becomes of it
    /// ([`Until`](super::Until)). Written by userspace.
    pub const EXACT_V4: &str = "SHIELD_EXACT_V4";
    /// Hash: [`Prefix`](super::Prefix) of a length of [`LENGTHS_V6`](super::LENGTHS_V6), to the same.
    pub const EXACT_V6: &str = "SHIELD_EXACT_V6";
    /// Trie of prefixes of IPv4 that are not in the hash, to the same.
    pub const PREFIXES_V4: &str = "SHIELD_PREFIXES_V4";
    /// The same of IPv6.
    pub const PREFIXES_V6: &str = "SHIELD_PREFIXES_V6";
    /// Hash that forgets what was used least: a source's prefix, of 16 bytes, to when its bucket would be full again.
    pub const SOURCES: &str = "SHIELD_SOURCES";
    /// Array by action, one for each CPU: [`Packets`](super::Packets).
    pub const PACKETS: &str = "SHIELD_PACKETS";
    /// Ring buffer of [`Sample`](super::Sample)s.
    pub const SAMPLES: &str = "SHIELD_SAMPLES";
    /// Hash: [`Prefix`](super::Prefix) that was denied at run time, to when that ends. For userspace alone.
    pub const RUNTIME: &str = "SHIELD_RUNTIME";
}

/// Words of PORTS.
pub const PORT_WORDS: u32 = 65_536 / 64;
/// Most entries of SERVICES.
pub const MAX_SERVICES: u32 = 16_384;
/// Most entries of each table of prefixes: those of a configuration and those of run time.
pub const MAX_PREFIXES: u32 = 262_144;
/// Lengths of prefixes of IPv4 that are looked up in the hash, the longest first: a fraction of a way through the trie.
pub const LENGTHS_V4: [u8; 2] = [32, 24];
/// The same of IPv6.
pub const LENGTHS_V6: [u8; 3] = [128, 64, 48];
/// Most entries of RUNTIME.
pub const MAX_RUNTIME: u32 = 32_768;
/// Entries of SOURCES. The kernel lets go of some before all are taken.
pub const MAX_SOURCES: u32 = 131_072;
/// Bytes of SAMPLES; a sample takes 32 of them.
pub const SAMPLES_BYTES: u32 = 16 * 1024;

/// Value in a table of prefixes, as halves of a word: values of these tables are aligned no better.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// The upper half.
    pub high: u32,
    /// The lower half.
    pub low: u32,
}

impl Until {
    /// As the value of a table.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the halves of it")]
        let (high, low) = ((nanos >> 32) as u32, nanos as u32);
        Self { high, low }
    }

    /// [`ALLOWED`], or the end of a denial.
    #[inline(always)]
    #[must_use]
    pub const fn nanos(&self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }
}

/// [`Until`]: packets pass. Any other is the end of a denial, in nanoseconds of the kernel's monotonic clock.
pub const ALLOWED: u64 = 0;
/// A denial without an end.
pub const FOR_EVER: u64 = u64::MAX;

/// What is to be done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Nanoseconds that a new connection takes of its source's time; 0: any number is let in.
    pub interval: u64,
    /// Nanoseconds that a source may be ahead of its time: all connections of a burst but one.
    pub tolerance: u64,
    /// Any of the `POLICY_` bits.
    pub flags: u32,
    /// Zero.
    pub padding: u32,
}

/// [`Policy::flags`]: nothing is dropped, all is counted.
pub const POLICY_DRY_RUN: u32 = 1;
/// [`Policy::flags`]: PREFIXES_V4 has entries.
pub const POLICY_TRIE_V4: u32 = 2;
/// [`Policy::flags`]: PREFIXES_V6 has entries.
pub const POLICY_TRIE_V6: u32 = 4;
/// [`Policy::flags`]: EXACT_V4 has entries of a length of [`LENGTHS_V4`]; a bit for each.
pub const POLICY_EXACT_V4: [u32; 2] = [1 << 8, 1 << 9];
/// The same of EXACT_V6 and [`LENGTHS_V6`].
pub const POLICY_EXACT_V6: [u32; 3] = [1 << 16, 1 << 17, 1 << 18];

/// Where a listener can be reached.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Address.
    pub address: [u8; 16],
    /// Port, in this machine's byte order; 0: the address is one of a listener's, whatever the port.
    pub port: u16,
    /// Zero.
    pub padding: u16,
}

/// Addresses that share their first bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The first of them.
    pub address: [u8; 16],
    /// How many bits of the 128.
    pub bits: u32,
}

/// Addresses of IPv4 that share their first bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExactV4 {
    /// The first of them.
    pub address: [u8; 4],
    /// How many bits of the 32.
    pub bits: u32,
}

/// What was counted on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// How many.
    pub packets: u64,
    /// When one of them was last told of, in jiffies.
    pub told: u64,
}

/// A packet that was dropped, or would have been.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where it came from.
    pub source: [u8; 16],
    /// The port that it was for.
    pub port: u16,
    /// One of the actions.
    pub action: u16,
    /// The interface that it came in at, by its index.
    pub interface: u32,
}

/// Action: it went on to a listener.
pub const PASS: u32 = 0;
/// Action: it went on, for its source is allowed.
pub const ALLOW: u32 = 1;
/// Action: its source is denied.
pub const DENY: u32 = 2;
/// Action: its source begins too many connections.
pub const RATE_LIMITED: u32 = 3;
/// Action: it is no segment that TCP knows.
pub const MALFORMED: u32 = 4;
/// How many actions there are.
pub const ACTIONS: u32 = 5;

const _: () = {
    assert!(size_of::<Policy>() == 24);
    assert!(size_of::<Service>() == 20);
    assert!(size_of::<Prefix>() == 20 && size_of::<ExactV4>() == 8);
    assert!(size_of::<Until>() == 8 && align_of::<Until>() == 4);
    assert!(size_of::<Packets>() == 16);
    assert!(size_of::<Sample>() == 24);
    assert!(SAMPLES_BYTES.is_power_of_two() && SAMPLES_BYTES.is_multiple_of(4096));
};
