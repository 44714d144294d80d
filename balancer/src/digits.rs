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
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

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

fn ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let [first, rest @ ..] = address.octets();
    decimal(first, out);
    for octet in rest {
        out.push(b'.');
        decimal(octet, out);
    }
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
