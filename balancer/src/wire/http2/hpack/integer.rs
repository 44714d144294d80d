//! Numbers as header blocks have them (RFC 7541, section 5.1).

/// Largest number of bytes that a number is written in.
const MOST_BYTES: u32 = 4;

/// A block that cannot be read: the connection is over (RFC 7541, section 2.3.3 and others).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::http2) struct Unreadable;

/// A number at the front of `rest` whose first byte has `prefix` bits of it (RFC 7541, section 5.1).
#[inline]
pub(super) fn integer(rest: &mut &[u8], prefix: u32) -> Result<usize, Unreadable> {
    let (first, more) = rest.split_first().ok_or(Unreadable)?;
    *rest = more;
    let most = (1_usize << prefix) - 1;
    let mut number = usize::from(*first) & most;
    if number < most {
        return Ok(number);
    }
    for index in 0..MOST_BYTES {
        let (byte, more) = rest.split_first().ok_or(Unreadable)?;
        *rest = more;
        number += usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Unreadable)
}

/// Writes a number that goes behind the bits of `mode`.
#[inline]
pub(super) fn write_integer(out: &mut Vec<u8>, mode: u8, prefix: u32, mut number: usize) {
    let most = (1_usize << prefix) - 1;
    if number < most {
        return out.push(mode | u8::try_from(number).unwrap_or_default());
    }
    out.push(mode | u8::try_from(most).unwrap_or_default());
    number -= most;
    while number >= 128 {
        out.push(u8::try_from(number % 128).unwrap_or_default() | 0x80);
        number /= 128;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}
