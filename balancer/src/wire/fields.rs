//! Field names that a proxy treats in a way of their own, told apart by length first.

use crate::model::is_same_name;

/// What a field name means to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Passed on as it is.
    Other,
    /// Connection (RFC 9110, section 7.6.1).
    Connection,
    /// Hop-by-hop without a further meaning here: Keep-Alive, Proxy-Connection, HTTP2-Settings.
    HopByHop,
    /// TE (RFC 9110, section 10.1.4).
    Te,
    /// Upgrade (RFC 9110, section 7.8).
    Upgrade,
    /// Transfer-Encoding (RFC 9112, section 6.1).
    TransferEncoding,
    /// Content-Length (RFC 9110, section 8.6).
    ContentLength,
    /// Host (RFC 9110, section 7.2).
    Host,
    /// Expect (RFC 9110, section 10.1.1).
    Expect,
    /// Date (RFC 9110, section 6.6.1).
    Date,
    /// Authorization, Proxy-Authorization (RFC 9110, section 11).
    Credentials,
    /// WWW-Authenticate, Proxy-Authenticate (RFC 9110, section 11).
    Challenge,
    /// X-Forwarded-For.
    ForwardedFor,
    /// X-Amzn-Trace-Id.
    TraceId,
    /// X-Forwarded-Proto, X-Forwarded-Port: always ours.
    ForwardedOther,
}

/// The kind of a field name, whatever its case. Length and first letter leave one candidate at most: every field of
/// every message is looked at.
#[must_use]
pub fn kind(name: &[u8]) -> Kind {
    let Some(first) = name.first() else { return Kind::Other };
    let (candidate, kind): (&[u8], Kind) = match (name.len(), first | 0x20) {
        (2, b't') => (b"te", Kind::Te),
        (4, b'h') => (b"host", Kind::Host),
        (4, b'd') => (b"date", Kind::Date),
        (6, b'e') => (b"expect", Kind::Expect),
        (7, b'u') => (b"upgrade", Kind::Upgrade),
        (10, b'c') => (b"connection", Kind::Connection),
        (10, b'k') => (b"keep-alive", Kind::HopByHop),
        (13, b'a') => (b"authorization", Kind::Credentials),
        (14, b'c') => (b"content-length", Kind::ContentLength),
        (14, b'h') => (b"http2-settings", Kind::HopByHop),
        (15, b'x') if name.get(2).is_some_and(|third| third | 0x20 == b'f') => {
            (b"x-forwarded-for", Kind::ForwardedFor)
        }
        (15, b'x') => (b"x-amzn-trace-id", Kind::TraceId),
        (16, b'x') => (b"x-forwarded-port", Kind::ForwardedOther),
        (16, b'p') => (b"proxy-connection", Kind::HopByHop),
        (16, b'w') => (b"www-authenticate", Kind::Challenge),
        (17, b't') => (b"transfer-encoding", Kind::TransferEncoding),
        (17, b'x') => (b"x-forwarded-proto", Kind::ForwardedOther),
        (18, b'p') => (b"proxy-authenticate", Kind::Challenge),
        (19, b'p') => (b"proxy-authorization", Kind::Credentials),
        _ => return Kind::Other,
    };
    if is_same_name(name, candidate) { kind } else { Kind::Other }
}

impl Kind {
    /// Whether fields of this kind go on as they came, unless Connection lists them.
    #[must_use]
    pub fn is_end_to_end(self) -> bool {
        matches!(self, Self::Other | Self::Date | Self::Credentials | Self::Challenge)
    }
}

/// Whether `name` is made of nothing but letters, digits and hyphens, as ALB wants the names of fields that are passed
/// on (ALB: `routing.http.drop_invalid_header_fields.enabled`).
#[must_use]
pub fn is_plain_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| PLAIN.get(usize::from(*byte)) == Some(&true))
}

/// Which bytes [`is_plain_name`] allows: every request has all its names looked at.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        // A constant cannot ask for what may be missing.
        #[allow(clippy::indexing_slicing, reason = "every byte has its place")]
        {
            plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        }
        byte += 1;
    }
    plain
};

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110, section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Appends a field line to `out`.
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_whatever_their_case() {
        assert_eq!(kind(b"TRANSFER-encoding"), Kind::TransferEncoding);
        assert_eq!(kind(b"x-forwarded-proto"), Kind::ForwardedOther);
        assert_eq!(kind(b"X-Amzn-Trace-Id"), Kind::TraceId);
        assert_eq!(kind(b"Keep-Alive"), Kind::HopByHop);
        assert_eq!(kind(b"HTTP2-Settings"), Kind::HopByHop);
        assert_eq!(kind(b"DATE"), Kind::Date);
        assert_eq!(kind(b"Authorization"), kind(b"proxy-authorization"));
        assert_eq!(kind(b"WWW-Authenticate"), kind(b"proxy-authenticate"));
        assert_eq!(kind(b"cookie"), Kind::Other);
        assert_eq!(kind(b"transfer_encoding"), Kind::Other);
        assert_eq!(kind(b"X-AMZN-TRACE-ID"), Kind::TraceId);
        assert_eq!(kind(b"x-amzn-trace-ip"), Kind::Other);
        assert_eq!(kind(b"hose"), Kind::Other);
        assert_eq!(kind(b""), Kind::Other);
    }

    #[test]
    fn only_letters_may_differ_and_only_in_case() {
        let known = [
            "te",
            "host",
            "date",
            "expect",
            "upgrade",
            "connection",
            "keep-alive",
            "authorization",
            "content-length",
            "http2-settings",
            "x-forwarded-for",
            "x-amzn-trace-id",
            "x-forwarded-port",
            "proxy-connection",
            "www-authenticate",
            "transfer-encoding",
            "x-forwarded-proto",
            "proxy-authenticate",
            "proxy-authorization",
        ];
        for name in known {
            let wanted = kind(name.as_bytes());
            assert_ne!(wanted, Kind::Other, "{name}");
            for index in 0..name.len() {
                for byte in 0..=255 {
                    let mut other = name.as_bytes().to_vec();
                    other[index] = byte;
                    let same = other.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(kind(&other) == wanted, same, "{name} {index} {byte}");
                }
            }
        }
    }

    #[test]
    fn plain_names_are_letters_digits_and_hyphens() {
        for byte in 0..=255 {
            let plain = byte == b'-' || byte.is_ascii_alphanumeric();
            assert_eq!(is_plain_name(&[b'a', byte, b'9']), plain, "{byte}");
        }
        assert!(!is_plain_name(b""));
    }

    #[test]
    fn lists_skip_empty_members() {
        assert_eq!(list(b" a ,, b\t,c,").collect::<Vec<_>>(), [&b"a"[..], b"b", b"c"]);
        assert_eq!(list(b" , ").count(), 0);
    }
}
