//! Keys: what of a request tells whether a condition may be met. Whoever meets a condition has one of its keys; who has one may
//! still not meet it. Must not know: rules.

use std::net::IpAddr;

use super::{
    condition::{Subject, Test},
    path::pairs,
    pattern::Pattern,
    probe::{PLACES, Probe, TextEnds},
};
use crate::model::IpRange;

/// A part of a request that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyPart {
    /// Some of the eight letters at this place of the host.
    Host {
        place: usize,
        mask: u64,
    },
    /// The same of the path.
    Path {
        place: usize,
        mask: u64,
    },
    Method,
    /// So many first bits of the address that it came from.
    Source {
        is_ipv6: bool,
        prefix: u8,
    },
}

/// A key; names and values are hashes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Part(KeyPart, u64),
    /// A field of this name, with this value if one is named.
    Field(u64, Option<u64>),
    /// The same of the query.
    Parameter(u64, Option<u64>),
}

/// Stands for the name of a parameter that may have any.
const ANY_NAME: u64 = 1;

/// Names that keys are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameSet(u64);

impl NameSet {
    pub(super) fn add(&mut self, name: u64) {
        self.0 |= 1 << (name >> 58);
    }

    /// Whether this name may be one of them.
    #[inline]
    fn may_have(self, name: u64) -> bool {
        self.0 >> (name >> 58) & 1 == 1
    }
}

#[inline]
fn mix(one: u64, other: u64) -> u64 {
    (one.rotate_left(23) ^ other).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A hash of a text's length and ends, `either` being the bits in which its letters may differ.
#[inline]
fn hash(text: &[u8], either: u64) -> u64 {
    let long = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    let short = |chunk: &[u8; 4]| u64::from(u32::from_le_bytes(*chunk));
    let (first, last) = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => (long(first), long(last)),
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (short(first), short(last)),
            _ => (text.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
        },
    };
    mix(mix(text.len() as u64, first | either), last | either)
}

/// Of a text in which the case of letters does not count.
#[inline]
fn hash_of_any_case(text: &[u8]) -> u64 {
    hash(text, 0x2020_2020_2020_2020)
}

impl Key {
    /// The part that it is of.
    pub(super) fn part(&self) -> Option<KeyPart> {
        match self {
            Self::Part(part, _) => Some(*part),
            Self::Field(..) | Self::Parameter(..) => None,
        }
    }

    /// Never 0.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let (of, value) = match *self {
            Self::Part(KeyPart::Host { place, mask }, word) => (mix(place as u64, mask), word),
            Self::Part(KeyPart::Path { place, mask }, word) => (mix(16 | place as u64, mask), word),
            Self::Part(KeyPart::Method, word) => (32, word),
            Self::Part(KeyPart::Source { is_ipv6, prefix }, word) => {
                (64 | u64::from(is_ipv6) << 8 | u64::from(prefix) << 16, word)
            }
            Self::Field(name, value) => (name ^ 1 << 40, value.unwrap_or(0)),
            Self::Parameter(name, value) => (name ^ 1 << 41, value.unwrap_or(0)),
        };
        mix(of, value) | 1
    }
}

impl Test {
    /// Ways to tell who may meet the condition: keys of which everybody who does has one.
    pub(super) fn keys(&self) -> Vec<Vec<Key>> {
        match self {
            Self::Host(values) => of_ends(values, |place, mask| KeyPart::Host { place, mask }),
            Self::Path(values) => of_ends(values, |place, mask| KeyPart::Path { place, mask }),
            Self::Method(methods) => {
                vec![methods.iter().map(|method| Key::Part(KeyPart::Method, hash(method, 0))).collect()]
            }
            Self::Source(ranges) => ranges.iter().map(of_range).collect::<Option<_>>().into_iter().collect(),
            Self::Header { name, values } => {
                let name = hash_of_any_case(name.as_bytes());
                let value = |pattern: &Pattern| pattern.literal().map(hash_of_any_case);
                vec![values.iter().map(|pattern| Key::Field(name, value(pattern))).collect()]
            }
            Self::Query(parameters) => {
                let key = |(name, value): (Option<Option<&[u8]>>, Option<&[u8]>)| match (name, value) {
                    (Some(Some(name)), value) => {
                        Some(Key::Parameter(hash_of_any_case(name), value.map(hash_of_any_case)))
                    }
                    (None, Some(value)) => Some(Key::Parameter(ANY_NAME, Some(hash_of_any_case(value)))),
                    _ => None,
                };
                let keys: Option<_> = parameters.iter().map(|parameter| key(parameter.literals())).collect();
                keys.into_iter().collect()
            }
        }
    }
}

/// For each place in which all values say something, what they say.
fn of_ends(values: &[Pattern], part: impl Fn(usize, u64) -> KeyPart) -> Vec<Vec<Key>> {
    let probes: Vec<Probe> = values.iter().map(|value| Probe::of(std::slice::from_ref(value))).collect();
    let key = |probe: &Probe, place| {
        let (wanted, mask) = probe.at(place);
        (mask != 0).then(|| Key::Part(part(place, mask), wanted))
    };
    let at = |place| probes.iter().map(|probe| key(probe, place)).collect::<Option<Vec<_>>>();
    (0..PLACES).filter_map(at).filter(|keys| !keys.is_empty()).collect()
}

fn of_range(range: &IpRange) -> Option<Key> {
    let part = KeyPart::Source { is_ipv6: range.address.is_ipv6(), prefix: range.prefix };
    (range.prefix > 0).then(|| Key::Part(part, network(range.address, range.prefix)))
}

/// The first `prefix` bits of an address.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn network(address: IpAddr, prefix: u8) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) >> 32_u8.saturating_sub(prefix),
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 128_u8.saturating_sub(prefix);
            mix((bits >> 64) as u64, bits as u64)
        }
    }
}

/// What of a request is made of its texts once.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestKeys {
    pub(super) host: TextEnds,
    pub(super) path: TextEnds,
}

impl RequestKeys {
    #[inline]
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let ends = |text: Option<&[u8]>| TextEnds::of(text.unwrap_or_default());
        Self { host: ends(subject.host.as_deref()), path: ends(subject.path.as_deref()) }
    }

    /// The number that the request has for a part.
    #[inline]
    pub(super) fn word(&self, part: KeyPart, subject: &Subject<'_>) -> u64 {
        match part {
            KeyPart::Host { place, mask } => self.host.at(place) & mask,
            KeyPart::Path { place, mask } => self.path.at(place) & mask,
            KeyPart::Method => hash(subject.head.method, 0),
            KeyPart::Source { is_ipv6, prefix } => {
                let peer = subject.peer.to_canonical();
                if peer.is_ipv6() == is_ipv6 { network(peer, prefix) } else { u64::MAX }
            }
        }
    }
}

/// Hands over the keys of the fields whose names may be among `names`.
#[inline]
pub(super) fn of_fields(subject: &Subject<'_>, names: NameSet, add: &mut impl FnMut(u64)) {
    if names.0 == 0 {
        return;
    }
    for field in subject.head.headers {
        let name = hash_of_any_case(field.name);
        if names.may_have(name) {
            add(Key::Field(name, None).hash());
            add(Key::Field(name, Some(hash_of_any_case(field.value))).hash());
        }
    }
}

/// Hands over the keys of the parameters whose names may be among `names`.
#[inline]
pub(super) fn of_parameters(subject: &Subject<'_>, names: NameSet, add: &mut impl FnMut(u64)) {
    let Some(query) = subject.query.filter(|query| names.0 != 0 && !query.is_empty()) else { return };
    for (name, value) in pairs(query) {
        let hashed = hash_of_any_case(name);
        if names.may_have(hashed) {
            add(Key::Parameter(hashed, None).hash());
            add(Key::Parameter(hashed, Some(hash_of_any_case(value.unwrap_or_default()))).hash());
        }
        if names.may_have(ANY_NAME) {
            add(Key::Parameter(ANY_NAME, Some(hash_of_any_case(value.unwrap_or(name)))).hash());
        }
    }
}
