//! What bytes mean in a head, and how long a line may be.

/// Longest request line, and longest field line (ALB: quotas, 16 K each).
pub const MAX_LINE: usize = 16 * 1024;
/// What a field line of HTTP/1.1 has besides name and value: colon, space, CR, LF.
pub const LINE_EXTRA: usize = 4;
/// Whether `byte` may stand in a token (RFC 9110, section 5.6.2).
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// [`is_token_byte`] for each byte: every field name is looked at.
pub(super) static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "every byte has its place")]
        {
            token[byte as usize] = is_token_byte(byte);
        }
        byte += 1;
    }
    token
};
