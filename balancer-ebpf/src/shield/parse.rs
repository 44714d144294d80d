//! From the bytes of a frame to a segment of TCP that is for a listener. Must not know: what becomes of it.
//!
//! Headers where they nearly always are (no options, no extensions) are read in place. Any other goes by way of the kernel's
//! copying helper, which also reaches into the further buffers of a frame that has several.

use core::arch::asm;

use aya_ebpf::{helpers::bpf_xdp_load_bytes, programs::XdpContext};
use balancer_common::shield::Service;

use crate::maps::{SHIELD_PORTS, SHIELD_SERVICES};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IEEE 802.1Q and 802.1ad.
const VLAN: [u16; 2] = [0x8100, 0x88a8];
const TCP: u8 = 6;

/// Extension headers of IPv6 (RFC 8200, section 4; RFC 4302; RFC 6275, RFC 7401, RFC 5533).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;
/// Most extension headers that are gone through. A packet to a listener's address that has more is malformed.
const MOST_EXTENSIONS: u32 = 24;

/// Of a header of IPv4 without options, of IPv6, and of TCP without options.
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: u32 = 40;
const TCP_BYTES: u32 = 20;

/// A segment for a listener.
pub struct Segment {
    /// Addresses as words in network byte order; of IPv4 as mapped ones.
    pub source: [u32; 4],
    pub is_v4: bool,
    /// The listener's port; 0 where it cannot be told.
    pub port: u16,
    /// Length of the header and flags, as they stand there, in this machine's byte order; 0 where they are cut off.
    pub length_and_flags: u16,
    /// Bytes that IP says there are of it.
    pub bytes: u32,
}

impl Segment {
    /// Its source's address.
    #[inline(always)]
    pub fn source_bytes(&self) -> [u8; 16] {
        // SAFETY: both are 16 bytes without padding.
        unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(self.source) }
    }
}

/// Defines how a number is read that lies `OFFSET` bytes behind a place in a packet. Written out, since the compiler would
/// assume that numbers are aligned, or else read them byte by byte.
macro_rules! read {
    ($name:ident, $kind:ty, $instruction:literal) => {
        /// # Safety
        /// The bytes must lie within the packet, by a comparison that the verifier has seen.
        #[inline(always)]
        unsafe fn $name<const OFFSET: usize>(place: usize) -> $kind {
            let value: u64;
            // SAFETY: the caller's.
            unsafe {
                asm!($instruction, value = out(reg) value, place = in(reg) place, offset = const OFFSET);
            }
            value as $kind
        }
    };
}

read!(read8, u8, "{value} = *(u8 *)({place} + {offset})");
read!(read16, u16, "{value} = *(u16 *)({place} + {offset})");
read!(read32, u32, "{value} = *(u32 *)({place} + {offset})");

/// The segment that is in the packet, if it is for a listener.
#[inline(always)]
pub fn segment(ctx: &XdpContext) -> Option<Segment> {
    let (data, end) = (ctx.data(), ctx.data_end());
    if data + 14 > end {
        return None;
    }
    // SAFETY: compared.
    let kind = unsafe { read16::<12>(data) };
    if kind == IPV4.to_be() {
        return ipv4(ctx, data + 14, end, 14);
    }
    if kind == IPV6.to_be() {
        return ipv6(ctx, data + 14, end, 14);
    }
    if !is_vlan(kind) || data + 18 > end {
        return None;
    }
    // SAFETY: compared.
    let kind = unsafe { read16::<16>(data) };
    if !is_vlan(kind) {
        return within_vlan(ctx, kind, data + 18, end, 18);
    }
    if data + 22 > end {
        return None;
    }
    // SAFETY: compared.
    let kind = unsafe { read16::<20>(data) };
    within_vlan(ctx, kind, data + 22, end, 22)
}

#[inline(always)]
fn is_vlan(kind: u16) -> bool {
    kind == VLAN[0].to_be() || kind == VLAN[1].to_be()
}

/// One copy for frames with a tag and with two. `at` is the place in the packet, `offset` the same counted from its beginning.
#[inline(always)]
fn within_vlan(ctx: &XdpContext, kind: u16, at: usize, end: usize, offset: u32) -> Option<Segment> {
    if kind == IPV4.to_be() {
        ipv4(ctx, at, end, offset)
    } else if kind == IPV6.to_be() {
        ipv6(ctx, at, end, offset)
    } else {
        None
    }
}

/// RFC 791, section 3.1.
#[inline(always)]
fn ipv4(ctx: &XdpContext, at: usize, end: usize, offset: u32) -> Option<Segment> {
    if at + IPV4_BYTES as usize > end {
        return None;
    }
    // SAFETY: compared.
    let (version, protocol, fragment, total) = unsafe {
        (read8::<0>(at), read8::<9>(at), u16::from_be(read16::<6>(at)), u16::from_be(read16::<2>(at)))
    };
    if protocol != TCP || version >> 4 != 4 || fragment & 0x1fff != 0 {
        return None;
    }
    let header = u32::from(version & 15) * 4;
    if header < IPV4_BYTES {
        return None;
    }
    let (port, length_and_flags) = if header == IPV4_BYTES && at + 40 <= end {
        // SAFETY: compared.
        unsafe { (u16::from_be(read16::<22>(at)), u16::from_be(read16::<32>(at))) }
    } else {
        tcp(ctx, offset + header)?
    };
    if !is_listened_at(port) {
        return None;
    }
    // SAFETY: compared.
    let (source, destination) = unsafe { (read32::<12>(at), read32::<16>(at)) };
    if !is_service(mapped(destination), port) {
        return None;
    }
    // A length of 0 is of a segment that is put together of many, longer than the field can say.
    let bytes = if total == 0 { u32::MAX } else { u32::from(total).saturating_sub(header) };
    Some(Segment { source: mapped(source), is_v4: true, port, length_and_flags, bytes })
}

#[inline(always)]
fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}

/// RFC 8200, section 3.
#[inline(always)]
fn ipv6(ctx: &XdpContext, at: usize, end: usize, offset: u32) -> Option<Segment> {
    if at + IPV6_BYTES as usize > end {
        return None;
    }
    // SAFETY: compared.
    let (version, next, payload) = unsafe { (read8::<0>(at), read8::<6>(at), u16::from_be(read16::<4>(at))) };
    if version >> 4 != 6 {
        return None;
    }
    // Of a jumbogram, or a segment that is put together of many, the length is elsewhere.
    let payload = if payload == 0 { u32::MAX } else { u32::from(payload) };
    if next == TCP && at + 60 <= end {
        // SAFETY: compared.
        let (port, length_and_flags) =
            unsafe { (u16::from_be(read16::<42>(at)), u16::from_be(read16::<52>(at))) };
        if !is_listened_at(port) {
            return None;
        }
        // SAFETY: compared above.
        let (source, destination) = unsafe { addresses(at) };
        return is_service(destination, port).then_some(Segment {
            source,
            is_v4: false,
            port,
            length_and_flags,
            bytes: payload,
        });
    }
    if next != TCP && !is_extension(next) {
        return None;
    }
    // SAFETY: compared above.
    let (source, destination) = unsafe { addresses(at) };
    let (port, length_and_flags, before) = match behind_extensions(ctx, offset + IPV6_BYTES, next) {
        Found::Segment { offset: place, is_first_fragment } => {
            let before = place - offset - IPV6_BYTES;
            match tcp(ctx, place) {
                Some((port, length_and_flags)) => (port, length_and_flags, before),
                // A fragment that begins a segment without telling its ports (RFC 7112).
                None if is_first_fragment => (0, 0, before),
                None => return None,
            }
        }
        Found::Nothing => return None,
        Found::TooMany => (0, 0, 0),
    };
    if (port != 0 && !is_listened_at(port)) || !is_service(destination, port) {
        return None;
    }
    let bytes = if payload == u32::MAX { payload } else { payload.saturating_sub(before) };
    Some(Segment { source, is_v4: false, port, length_and_flags, bytes })
}

/// # Safety
/// A header of IPv6 must lie within the packet.
#[inline(always)]
unsafe fn addresses(at: usize) -> ([u32; 4], [u32; 4]) {
    // SAFETY: the caller's.
    unsafe {
        (
            [read32::<8>(at), read32::<12>(at), read32::<16>(at), read32::<20>(at)],
            [read32::<24>(at), read32::<28>(at), read32::<32>(at), read32::<36>(at)],
        )
    }
}

#[inline(always)]
fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6
    )
}

enum Found {
    /// A segment, where it begins.
    Segment { offset: u32, is_first_fragment: bool },
    /// Something else, or the rest of something.
    Nothing,
    /// No end of extensions.
    TooMany,
}

/// Goes through extension headers.
#[inline(always)]
fn behind_extensions(ctx: &XdpContext, first: u32, next: u8) -> Found {
    let (mut offset, mut next) = (first, next);
    let mut is_first_fragment = false;
    for _ in 0..MOST_EXTENSIONS {
        if next == TCP {
            return Found::Segment { offset, is_first_fragment };
        }
        if !is_extension(next) {
            return Found::Nothing;
        }
        let mut header = [0_u8; 4];
        if !load(ctx, offset, &mut header) {
            return Found::Nothing;
        }
        let length = u32::from(header[1]);
        offset += match next {
            FRAGMENT => {
                if u16::from_be_bytes([header[2], header[3]]) >> 3 != 0 {
                    return Found::Nothing;
                }
                is_first_fragment = true;
                8
            }
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next = header[0];
    }
    Found::TooMany
}

/// Port of destination, and length and flags of a header of TCP (RFC 9293, section 3.1), which are 0 where it is cut off.
#[inline(always)]
fn tcp(ctx: &XdpContext, offset: u32) -> Option<(u16, u16)> {
    let mut header = [0_u8; TCP_BYTES as usize];
    if load(ctx, offset, &mut header) {
        return Some((
            u16::from_be_bytes([header[2], header[3]]),
            u16::from_be_bytes([header[12], header[13]]),
        ));
    }
    let mut ports = [0_u8; 4];
    load(ctx, offset, &mut ports).then(|| (u16::from_be_bytes([ports[2], ports[3]]), 0))
}

/// Copies bytes of the packet; false where it does not have them.
#[inline(always)]
fn load<const BYTES: usize>(ctx: &XdpContext, offset: u32, into: &mut [u8; BYTES]) -> bool {
    // SAFETY: the helper writes as many bytes as are said to what outlives the call.
    unsafe { bpf_xdp_load_bytes(ctx.ctx, offset, into.as_mut_ptr().cast(), BYTES as u32) == 0 }
}

#[inline(always)]
fn is_listened_at(port: u16) -> bool {
    SHIELD_PORTS.get(u32::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 != 0)
}

#[inline(always)]
fn is_service(address: [u32; 4], port: u16) -> bool {
    // SAFETY: both are 16 bytes without padding.
    let address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(address) };
    SHIELD_SERVICES.get_ptr(Service { address, port, padding: 0 }).is_some()
}
