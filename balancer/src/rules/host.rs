//! The host of an authority (RFC 3986, section 3.2), and the one form of it that rules match: lower case, without the
//! port (ALB: host conditions), without one trailing dot, which only says that the name is whole (RFC 3986, section
//! 3.2.2), and without needless percent-encoding. What is forwarded stays as received. Must not know: rules.

use std::borrow::Cow;

use super::path::decoded;

/// Name and port of an authority; the port has its colon, and one without digits is none (RFC 3986, section 3.2.3).
#[must_use]
pub fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    // A port is short, so that its colon is found at once; one within a literal stands before a bracket.
    let last = authority.iter().rposition(|byte| matches!(byte, b':' | b']'));
    let colon = last.filter(|index| authority.get(*index) == Some(&b':'));
    let (name, port) =
        authority.split_at_checked(colon.unwrap_or(authority.len())).unwrap_or((authority, &[]));
    (name, if port == b":" { &[] } else { port })
}

/// A name without the dot at its end, if there is anything before it.
#[must_use]
pub fn without_dot(name: &[u8]) -> &[u8] {
    match name {
        [rest @ .., b'.'] if !rest.is_empty() => rest,
        name => name,
    }
}

/// The host of an authority as rules match it. Costs no allocation where it is in that form already.
pub(super) fn matched(authority: &[u8]) -> Cow<'_, [u8]> {
    let (name, _) = split_port(authority);
    if memchr::memchr(b'%', name).is_some() {
        let decoded = decoded(name);
        return Cow::Owned(without_dot(&decoded).to_ascii_lowercase());
    }
    let name = without_dot(name);
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_port_is_what_follows_the_name_or_the_literal() {
        let split = |text: &'static str| {
            let (name, port) = split_port(text.as_bytes());
            (std::str::from_utf8(name).unwrap(), std::str::from_utf8(port).unwrap())
        };
        assert_eq!(split("a.example:80"), ("a.example", ":80"));
        assert_eq!(split("a.example"), ("a.example", ""));
        assert_eq!(split("a.example:"), ("a.example", ""));
        assert_eq!(split("a.example.:80"), ("a.example.", ":80"));
        assert_eq!(split("[2001:db8::1]"), ("[2001:db8::1]", ""));
        assert_eq!(split("[2001:db8::1]:80"), ("[2001:db8::1]", ":80"));
        assert_eq!(split("[2001:db8::1]:"), ("[2001:db8::1]", ""));
        assert_eq!(split(""), ("", ""));
    }

    #[test]
    fn a_host_has_one_form() {
        for (text, form) in [
            ("app.example.com", "app.example.com"),
            ("App.Example.COM.", "app.example.com"),
            ("app.example.com.:443", "app.example.com"),
            ("app.example.com:", "app.example.com"),
            ("app.example.com.:", "app.example.com"),
            ("%61pp.example%2Ecom%2e", "app.example.com"),
            ("%41pp.example.com", "app.example.com"),
            ("app.example.com..", "app.example.com."),
            ("[2001:DB8::1]:8080", "[2001:db8::1]"),
            ("[2001:DB8::1].", "[2001:db8::1]"),
            (".", "."),
            ("", ""),
            ("%2f", "%2f"),
        ] {
            assert_eq!(String::from_utf8_lossy(&matched(text.as_bytes())), form, "{text}");
        }
        assert!(matches!(matched(b"app.example.com.:80"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(authority: Vec<u8>) {
            let _ = matched(&authority);
        }

        #[test]
        fn dot_case_and_port_make_no_other_host(name in "[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,3}", port in "(:[0-9]{0,5})?") {
            for dot in ["", "."] {
                let given = format!("{}{dot}{port}", name.to_ascii_uppercase());
                prop_assert_eq!(&*matched(given.as_bytes()), name.as_bytes());
            }
        }
    }
}
