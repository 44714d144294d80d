//! What becomes of a segment. Must not know: how it was found in a packet, what is done about it.

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::bpf_ktime_get_ns};
use balancer_common::shield::{
    ALLOW, ALLOWED, DENY, ExactV4, FOR_EVER, LENGTHS_V4, LENGTHS_V6, MALFORMED, PASS, POLICY_EXACT_V4,
    POLICY_EXACT_V6, POLICY_TRIE_V4, POLICY_TRIE_V6, Policy, Prefix, RATE_LIMITED, Until,
};

use crate::{
    maps::{SHIELD_EXACT_V4, SHIELD_EXACT_V6, SHIELD_PREFIXES_V4, SHIELD_PREFIXES_V6, SHIELD_SOURCES},
    parse::Segment,
};

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;
/// Words of a header of TCP without options.
const LEAST_WORDS: u32 = 5;
/// `BPF_NOEXIST` of linux/bpf.h.
const ONLY_NEW: u64 = 1;

/// The action.
#[inline(always)]
pub fn judge(segment: &Segment, policy: &Policy) -> u32 {
    if is_malformed(segment) {
        return MALFORMED;
    }
    if is_loopback(segment) {
        return PASS;
    }
    if let Some(until) = listed(segment, policy) {
        if until == ALLOWED {
            return ALLOW;
        }
        if until == FOR_EVER || now() < until {
            return DENY;
        }
    }
    let is_new = segment.length_and_flags & (SYN | ACK) == SYN;
    if is_new && policy.interval != 0 && !is_within_rate(segment, policy) {
        return RATE_LIMITED;
    }
    PASS
}

/// What no implementation of TCP sends (RFC 9293, sections 3.1 and 3.5): a header that is cut off or says that it is shorter
/// than headers are or longer than the packet, SYN along with FIN or RST, and neither SYN nor RST nor ACK.
#[inline(always)]
fn is_malformed(segment: &Segment) -> bool {
    let (flags, words) = (segment.length_and_flags, u32::from(segment.length_and_flags >> 12));
    words < LEAST_WORDS
        || words * 4 > segment.bytes
        || flags & SYN != 0 && flags & (FIN | RST) != 0
        || flags & (SYN | RST | ACK) == 0
}

#[inline(always)]
fn is_loopback(segment: &Segment) -> bool {
    if segment.is_v4 {
        u32::from_be(segment.source[3]) >> 24 == 127
    } else {
        segment.source == [0, 0, 0, 1_u32.to_be()]
    }
}

/// What is said of the source: by the longest of its prefixes. One that is in a hash has none within it that is in the trie, so
/// the first that is found is that.
#[inline(always)]
fn listed(segment: &Segment, policy: &Policy) -> Option<u64> {
    let flags = policy.flags;
    if segment.is_v4 {
        let address = segment.source[3];
        let found = exact_v4::<0>(address, flags).or_else(|| exact_v4::<1>(address, flags));
        if found.is_some() || flags & POLICY_TRIE_V4 == 0 {
            return found;
        }
        SHIELD_PREFIXES_V4.get(&Key::new(32, address.to_ne_bytes())).map(Until::nanos)
    } else {
        let address = segment.source;
        let found = exact_v6::<0>(address, flags)
            .or_else(|| exact_v6::<1>(address, flags))
            .or_else(|| exact_v6::<2>(address, flags));
        if found.is_some() || flags & POLICY_TRIE_V6 == 0 {
            return found;
        }
        SHIELD_PREFIXES_V6.get(&Key::new(128, segment.source_bytes())).map(Until::nanos)
    }
}

/// The entry of the hash that is of that length.
#[inline(always)]
fn exact_v4<const LENGTH: usize>(address: u32, flags: u32) -> Option<u64> {
    if flags & POLICY_EXACT_V4[LENGTH] == 0 {
        return None;
    }
    let bits = u32::from(LENGTHS_V4[LENGTH]);
    let mask = if bits == 32 { u32::MAX } else { !(u32::MAX >> bits) };
    let key = ExactV4 { address: (address & mask.to_be()).to_ne_bytes(), bits };
    // SAFETY: copied at once; userspace may change the entry, half by half at worst.
    unsafe { SHIELD_EXACT_V4.get(key) }.map(Until::nanos)
}

/// The same of IPv6. Lengths are whole halves of words.
#[inline(always)]
fn exact_v6<const LENGTH: usize>(address: [u32; 4], flags: u32) -> Option<u64> {
    if flags & POLICY_EXACT_V6[LENGTH] == 0 {
        return None;
    }
    let bits = u32::from(LENGTHS_V6[LENGTH]);
    let masked = match bits {
        128 => address,
        64 => [address[0], address[1], 0, 0],
        _ => [address[0], address[1] & 0xffff_0000_u32.to_be(), 0, 0],
    };
    // SAFETY: both are 16 bytes without padding.
    let key = Prefix { address: unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(masked) }, bits };
    // SAFETY: as before.
    unsafe { SHIELD_EXACT_V6.get(key) }.map(Until::nanos)
}

/// Takes a connection from the source's bucket, kept as the time at which it would be full again: no division, one word.
/// (The generic cell rate algorithm of ITU-T I.371.) Two CPUs at once may count one of two connections.
#[inline(always)]
fn is_within_rate(segment: &Segment, policy: &Policy) -> bool {
    let source = if segment.is_v4 {
        segment.source
    } else {
        // A subnet is what one customer has (RFC 6177).
        [segment.source[0], segment.source[1], 0, 0]
    };
    let now = now();
    let Some(full_at) = SHIELD_SOURCES.get_ptr_mut(source) else {
        // When there is no room, nobody is held up.
        let _ = SHIELD_SOURCES.insert(source, now + policy.interval, ONLY_NEW);
        return true;
    };
    // Changed in place: to update an entry of such a table may push out another one.
    // SAFETY: a value of SOURCES, which is one aligned word and not freed while the program runs.
    let ahead = unsafe { full_at.read_volatile() }.max(now);
    if ahead - now > policy.tolerance {
        return false;
    }
    // SAFETY: as before.
    unsafe { full_at.write_volatile(ahead + policy.interval) };
    true
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}
