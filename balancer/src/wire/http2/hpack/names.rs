//! What a name of a field is to who reads a message of HTTP/2, and whether names and values are well-formed (RFC 9113, section
//! 8.2).

use super::text::is_value;
use crate::wire::{head::is_token_byte, many_bytes};

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::http2) enum FieldName {
    /// Of a field that nothing more is said of here.
    Regular,
    Authority,
    Method,
    Path,
    Protocol,
    Scheme,
    Status,
    /// Of Content-Length.
    Length,
    Cookie,
    /// Of TE, which may ask for trailers.
    Te,
    /// None that a message may have.
    Bad,
}

/// What a field is: its name, and whether the value is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire::http2) struct FieldClass {
    pub(in crate::wire::http2) name: FieldName,
    pub(in crate::wire::http2) is_sound: bool,
}

/// For each byte of a name, what it is in small letters; 0 for those that stand in none.
pub(super) static SMALL: [u8; 256] = small(true);

/// The same, where capital letters stand in none.
static STRICT: [u8; 256] = small(false);

#[allow(clippy::indexing_slicing, reason = "worked out while compiling")]
const fn small(takes_capitals: bool) -> [u8; 256] {
    let (mut small, mut byte) = ([0; 256], 0_u8);
    while byte < 128 {
        if is_token_byte(byte) {
            small[byte as usize] = byte.to_ascii_lowercase();
        }
        if byte.is_ascii_uppercase() && !takes_capitals {
            small[byte as usize] = 0;
        }
        byte += 1;
    }
    small
}

fn is_name(name: &[u8]) -> bool {
    !name.iter().fold(name.is_empty(), |bad, byte| bad | (STRICT.get(usize::from(*byte)) == Some(&0)))
}

impl FieldName {
    /// What a name that is written out is.
    pub(in crate::wire::http2) fn of(name: &[u8]) -> Self {
        match name {
            [b':', ..] => match name {
                b":authority" => Self::Authority,
                b":method" => Self::Method,
                b":path" => Self::Path,
                b":protocol" => Self::Protocol,
                b":scheme" => Self::Scheme,
                b":status" => Self::Status,
                _ => Self::Bad,
            },
            b"content-length" => Self::Length,
            b"cookie" => Self::Cookie,
            b"te" => Self::Te,
            // What is of a connection (RFC 9113, section 8.2.2).
            b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive" | b"proxy-connection" => {
                Self::Bad
            }
            _ if is_name(name) => Self::Regular,
            _ => Self::Bad,
        }
    }

    /// Whether the field is one of those that come first (RFC 9113, section 8.3).
    pub(in crate::wire::http2) fn is_pseudo(self) -> bool {
        matches!(
            self,
            Self::Authority | Self::Method | Self::Path | Self::Protocol | Self::Scheme | Self::Status
        )
    }

    /// Whether `value` is one for a field of this name.
    pub(in crate::wire::http2) fn suits(self, value: &[u8]) -> bool {
        match self {
            Self::Regular | Self::Length | Self::Cookie => is_value(value),
            Self::Method => !value.is_empty() && value.iter().all(|byte| is_token_byte(*byte)),
            // What is beyond ASCII is answered, as in HTTP/1.1.
            Self::Path => !value.is_empty() && many_bytes::is_dense(value),
            Self::Authority | Self::Protocol => !value.is_empty() && many_bytes::is_graphic(value),
            Self::Scheme => {
                value.first().is_some_and(u8::is_ascii_alphabetic)
                    && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
            }
            Self::Status => matches!(value, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']),
            Self::Te => value == b"trailers",
            Self::Bad => false,
        }
    }

    fn number(self) -> u32 {
        self as u32
    }
}

impl FieldClass {
    pub(super) fn of(name: FieldName, value: &[u8]) -> Self {
        Self { name, is_sound: name.suits(value) }
    }

    /// As a number, for what keeps it.
    pub(super) fn note(self) -> u32 {
        self.name.number() << 1 | u32::from(self.is_sound)
    }

    /// The class that is kept as this number.
    pub(super) fn noted(note: u32) -> Self {
        const NAMES: [FieldName; 11] = [
            FieldName::Regular,
            FieldName::Authority,
            FieldName::Method,
            FieldName::Path,
            FieldName::Protocol,
            FieldName::Scheme,
            FieldName::Status,
            FieldName::Length,
            FieldName::Cookie,
            FieldName::Te,
            FieldName::Bad,
        ];
        let name = usize::try_from(note >> 1).ok().and_then(|number| NAMES.get(number));
        Self { name: name.copied().unwrap_or(FieldName::Bad), is_sound: note & 1 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_kept_as_numbers() {
        for name in [
            "x",
            ":authority",
            ":method",
            ":path",
            ":protocol",
            ":scheme",
            ":status",
            "content-length",
            "cookie",
            "te",
            "X",
        ] {
            for value in [&b"GET"[..], b"\0"] {
                let class = FieldClass::of(FieldName::of(name.as_bytes()), value);
                assert_eq!(FieldClass::noted(class.note()), class, "{name}");
            }
        }
    }

    #[test]
    fn names_and_values_are_held_to_what_may_stand_in_them() {
        for byte in 0..=u8::MAX {
            let name = FieldName::of(&[b'a', byte]);
            let is_name = is_token_byte(byte) && !byte.is_ascii_uppercase();
            assert_eq!(name, if is_name { FieldName::Regular } else { FieldName::Bad }, "{byte}");
            assert_eq!(
                SMALL[usize::from(byte)],
                if is_token_byte(byte) { byte.to_ascii_lowercase() } else { 0 }
            );
            let is_value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(FieldName::Regular.suits(&[b'a', byte]), is_value, "{byte}");
            assert_eq!(FieldName::Path.suits(&[b'/', byte]), byte > b' ' && byte != 0x7f, "{byte}");
            assert_eq!(FieldName::Authority.suits(&[byte]), byte.is_ascii_graphic(), "{byte}");
        }
        for name in ["", ":x", "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"]
        {
            assert_eq!(FieldName::of(name.as_bytes()), FieldName::Bad, "{name}");
        }
        assert!(
            FieldName::Te.suits(b"trailers")
                && !FieldName::Te.suits(b"trailers, deflate")
                && !FieldName::Path.suits(b"")
        );
        assert!(
            FieldName::Scheme.suits(b"http")
                && !FieldName::Scheme.suits(b"")
                && !FieldName::Scheme.suits(b"1")
        );
    }
}
