//! What a Host or `:authority` is made of. Must not know: which of the two a message has.

/// What a byte is that may stand in an authority (RFC 3986, section 3.2), user information left out; one that says more than that; and
/// one that may not.
const PLAIN: u8 = 1;
const TELLING: u8 = 2;
const BAD: u8 = 4;

/// What each byte is of these: every request has its host looked at.
static HOST: [u8; 256] = {
    let mut bytes = [BAD; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let is_plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
            || matches!(byte, b'*' | b'+' | b',' | b';' | b'=');
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "every byte has its place")]
        if matches!(byte, b':' | b'[' | b']') {
            bytes[byte as usize] = TELLING;
        } else if is_plain {
            bytes[byte as usize] = PLAIN;
        }
        byte += 1;
    }
    bytes
};

/// Whether a Host or `:authority` can be one: a host, be it a literal in brackets, and a port in digits (RFC 3986, section
/// 3.2), the host before the port (RFC 9110, section 4.2.1). Nothing at all is what who has no name for the host sends.
/// Where readers could differ on which part is the host, a rule would match another than its target serves.
#[must_use]
pub fn is_authority(value: &[u8]) -> bool {
    let of = |byte: &u8| HOST.get(usize::from(*byte)).copied().unwrap_or(BAD);
    match value.iter().fold(0, |all, byte| all | of(byte)) {
        0..=PLAIN => return true,
        BAD.. => return false,
        _ => {}
    }
    match memchr::memchr3(b':', b'[', b']', value).and_then(|index| value.split_at_checked(index)) {
        None => true,
        Some(([], literal)) => is_literal(literal),
        Some((_, port)) => is_port(port),
    }
}

/// A literal in brackets, and a port or nothing behind it.
#[cold]
fn is_literal(value: &[u8]) -> bool {
    let Some(inside) = value.strip_prefix(b"[") else { return false };
    let Some((literal, port)) = memchr::memchr(b']', inside).and_then(|end| inside.split_at_checked(end))
    else {
        return false;
    };
    !literal.is_empty() && !literal.contains(&b'[') && port.get(1..).is_some_and(is_port)
}

/// A colon and digits, or nothing.
fn is_port(value: &[u8]) -> bool {
    match value {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_of_some_bytes_and_has_a_host_before_its_port() {
        for byte in 0..=255_u8 {
            let allowed = byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
            assert_eq!(HOST[usize::from(byte)] != BAD, allowed, "{byte}");
        }
        for good in ["", "a.example", "a.example:80", "a:", "[::1]", "[::1]:", "[::1]:80", "[v1.x]", "%61"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [":80", ":", "a b", "a/b", "a@b", "\u{e9}"] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
        // Of these, one reader may take another part for the host than the next.
        for bad in [
            "a:80:80",
            "a::80",
            "a:80:",
            "a:x",
            "a:8x",
            "a:-1",
            "::1",
            "[::1",
            "::1]",
            "[",
            "]",
            "[]",
            "[]:80",
            "[::1]x",
            "[::1].",
            "[::1]80",
            "[::1]:x",
            "[::1]:80:80",
            "[[::1]]",
            "a[::1]",
            "a]",
            "[a]b]:80",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
