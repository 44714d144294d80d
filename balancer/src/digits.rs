//! Numbers as text, for what is written at every request: without the machinery of `core::fmt`, which costs some hundred instructions a
//! number. Must not know: what the numbers are.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Appends a number in decimal digits.
#[inline]
pub fn decimal(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The last `N` decimal digits of a number, zeros in front.
#[inline]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "a digit")]
pub fn padded<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    let mut pairs = digits.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(PAIRS.get((number % 100) as usize).unwrap_or(b"00"));
        number /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first += (number % 10) as u8;
    }
    digits
}

/// The numbers below a hundred.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100_u8 {
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "the index is below a hundred")]
        {
            pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        }
        number += 1;
    }
    pairs
};

/// The numbers of a byte with a dot behind, the first letter in the lowest byte; and how many letters that is.
static OCTETS: [(u32, u8); 256] = {
    let mut octets = [(0, 0); 256];
    let mut number = 0_u32;
    while number < 256 {
        let [hundreds, tens, ones] = [number / 100, number / 10 % 10, number % 10];
        let (mut text, mut length) = (0, 0);
        if hundreds > 0 {
            text = b'0' as u32 + hundreds;
            length = 1;
        }
        if hundreds > 0 || tens > 0 {
            text |= (b'0' as u32 + tens) << (8 * length);
            length += 1;
        }
        text |= ((b'0' as u32 + ones) | ((b'.' as u32) << 8)) << (8 * length);
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "the index is below 256")]
        {
            octets[number as usize] = (text, length + 2);
        }
        number += 1;
    }
    octets
};

/// The eight hexadecimal digits of a number, in lower case, all at once.
#[inline]
#[must_use]
pub fn hex(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // One in each byte whose digit is a letter.
    let letters = (digits + EACH * 6) >> 4 & EACH;
    (digits + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// Appends an address as its `Display` has it.
#[inline]
pub fn ip(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => ipv4(address, out),
        // Writing to a vector does not fail.
        IpAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

/// Appends an address and port as their `Display` has them.
#[inline]
pub fn socket_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(address) => {
            ipv4(*address.ip(), out);
            out.push(b':');
            decimal(address.port(), out);
        }
        SocketAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

/// Its halves are put together in a number each, the first letter in the lowest byte, and appended at once.
fn ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let [a, b, c, d] =
        address.octets().map(|octet| OCTETS.get(usize::from(octet)).copied().unwrap_or_default());
    let half = |(first, length): (u32, u8), (second, more): (u32, u8)| {
        let text = u64::from(first) | u64::from(second) << (8 * length);
        (text.to_le_bytes(), usize::from(length + more))
    };
    let ((front, front_length), (back, back_length)) = (half(a, b), half(c, d));
    let mut text = [0; 16];
    if let Some(place) = text.first_chunk_mut() {
        *place = front;
    }
    if let Some(place) = text.get_mut(front_length..).and_then(<[u8]>::first_chunk_mut) {
        *place = back;
    }
    // Without the last dot.
    out.extend_from_slice(text.get(..(front_length + back_length).saturating_sub(1)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        write(&mut out);
        String::from_utf8(out.split_off(7)).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_are_written_as_the_library_writes_them(
            number: u64, short in 0..2000_u64, port: u16, small: u32, v4: [u8; 4], v6: [u8; 16],
        ) {
            prop_assert_eq!(text(|out| decimal(number, out)), number.to_string());
            prop_assert_eq!(text(|out| decimal(port, out)), port.to_string());
            prop_assert_eq!(text(|out| out.extend_from_slice(&padded::<4>(short))), format!("{short:04}"));
            prop_assert_eq!(text(|out| out.extend_from_slice(&padded::<20>(number))), format!("{number:020}"));
            prop_assert_eq!(text(|out| out.extend_from_slice(&hex(small))), format!("{small:08x}"));
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                prop_assert_eq!(text(|out| ip(address, out)), address.to_string());
                let address = SocketAddr::new(address, port);
                prop_assert_eq!(text(|out| socket_address(address, out)), address.to_string());
            }
        }
    }

    #[test]
    fn more_digits_than_asked_for_are_cut_off_in_front() {
        assert_eq!(padded::<3>(12_345), *b"345");
        assert_eq!(padded::<3>(7), *b"007");
        assert_eq!(padded::<0>(7), *b"");
    }
}
