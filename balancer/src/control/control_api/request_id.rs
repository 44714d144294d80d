//! Numbers of requests, in the form of UUIDs of version 4 (RFC 9562, section 5.4). Must not know: requests.

/// A new one.
pub(super) fn new() -> String {
    let mut bytes = [0; 16];
    if crate::random::fill(&mut bytes).is_err() {
        // It names a line in a log, and is no secret.
        bytes = (u128::from(crate::clock::monotonic_nanos()) << 64).to_be_bytes();
    }
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_is_another_one_in_the_form_of_a_uuid() {
        let (one, other) = (super::new(), super::new());
        assert_ne!(one, other);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
