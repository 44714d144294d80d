//! Protocols of Upgrade (RFC 9110, section 7.8): which of those that a client offers may be changed to, and whether what a
//! target changes to was offered. Must not know: who offers, what is spoken then.

use super::{fields::list, head::is_token_byte};

/// Most protocols of one request that are passed on.
const MOST_PROTOCOLS: usize = 8;

/// The members of `offered` that name a protocol of `allowed` (names without versions), as a list of their own.
#[must_use]
pub fn admitted(offered: &[u8], allowed: &[String]) -> Option<Vec<u8>> {
    let is_allowed = |member: &&[u8]| {
        let (name, version) = parts(member);
        version.iter().all(|byte| is_token_byte(*byte))
            && allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(name))
    };
    let kept: Vec<&[u8]> = list(offered).filter(is_allowed).take(MOST_PROTOCOLS).collect();
    (!kept.is_empty()).then(|| kept.join(&b", "[..]))
}

/// Whether a response whose Upgrade fields have these values changes to what was `offered`, and to nothing else. A
/// version that one side does not name is any.
pub fn is_accepted<'a>(offered: &[u8], values: impl Iterator<Item = &'a [u8]>) -> bool {
    let was_offered = |answered: &[u8]| {
        let (name, version) = parts(answered);
        list(offered).map(parts).any(|(offered, of_version)| {
            offered.eq_ignore_ascii_case(name)
                && (version.is_empty() || of_version.is_empty() || version == of_version)
        })
    };
    let mut members = values.flat_map(list).peekable();
    members.peek().is_some() && members.all(was_offered)
}

/// Name and version.
fn parts(protocol: &[u8]) -> (&[u8], &[u8]) {
    let slash = memchr::memchr(b'/', protocol).unwrap_or(protocol.len());
    let (name, version) = protocol.split_at_checked(slash).unwrap_or_default();
    (name, version.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_allowed_is_left_of_an_offer() {
        let left = |offered: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().copied().map(str::to_owned).collect();
            admitted(offered.as_bytes(), &allowed).map(|left| String::from_utf8(left).unwrap())
        };
        let websocket = &["websocket"];
        assert_eq!(left("WebSocket", websocket).as_deref(), Some("WebSocket"));
        assert_eq!(left("h2c, websocket/13 ,, HTTP/3", websocket).as_deref(), Some("websocket/13"));
        assert_eq!(left("foo/1, websocket", &["websocket", "FOO"]).as_deref(), Some("foo/1, websocket"));
        for none in [
            "h2c",
            "",
            ",",
            "websockets",
            "web",
            "websocket h2c",
            "h2c/websocket",
            "websocket/13 h2c",
            "websocket/1/2",
        ] {
            assert_eq!(left(none, websocket), None, "{none}");
        }
        assert_eq!(left("websocket", &[]), None);
        let many = vec!["websocket"; 4000].join(",");
        assert_eq!(left(&many, websocket).unwrap().matches("websocket").count(), MOST_PROTOCOLS);
    }

    #[test]
    fn a_change_is_to_what_was_offered_alone() {
        let accepted = |offered: &str, values: &[&str]| {
            is_accepted(offered.as_bytes(), values.iter().map(|value| value.as_bytes()))
        };
        assert!(accepted("websocket", &["WebSocket"]));
        assert!(accepted("websocket/13", &["websocket"]) && accepted("websocket", &["websocket/13"]));
        assert!(accepted("a/1, a/2, b", &["b, a/2"]) && accepted("a, b", &["a", "b"]));
        for (offered, values) in [
            ("websocket", &[][..]),
            ("websocket", &[""]),
            ("websocket", &["h2c"]),
            ("websocket", &["websocket, h2c"]),
            ("websocket", &["websocket", "h2c"]),
            ("a/1", &["a/2"]),
            ("", &["websocket"]),
        ] {
            assert!(!accepted(offered, values), "{offered} {values:?}");
        }
    }
}
