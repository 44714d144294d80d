//! What a Host or `:authority` is made of. Must not know: which of the two a message has.

/// Whether `byte` may stand in an authority (RFC 3986, section 3.2), user information left out.
#[must_use]
#[inline]
pub fn is_host_byte(byte: &u8) -> bool {
    HOST.get(usize::from(*byte)) == Some(&true)
}

/// Which bytes [`is_host_byte`] allows: every request has its host looked at.
static HOST: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "every byte has its place")]
        {
            allowed[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')'
                )
                || matches!(byte, b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']');
        }
        byte += 1;
    }
    allowed
};

/// Whether a Host or `:authority` can be one: there is a host before a port (RFC 9110, section 4.2.1). Nothing at all is
/// what who has no name for the host sends.
pub(super) fn is_authority(value: &[u8]) -> bool {
    value.first() != Some(&b':') && value.iter().all(is_host_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_of_some_bytes_and_has_a_host_before_its_port() {
        for byte in 0..=255_u8 {
            let allowed = byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
            assert_eq!(is_host_byte(&byte), allowed, "{byte}");
        }
        for good in ["", "a.example", "a.example:80", "a:", "[::1]:80", "%61"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [":80", ":", "a b", "a/b", "a@b", "\u{e9}"] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
