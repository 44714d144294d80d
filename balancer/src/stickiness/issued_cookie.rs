//! What a target does with the application's cookie: reads its Set-Cookie lines (RFC 6265, section 5.2).
//! Must not know: sessions, the balancer's own cookies.

use cookie::{Cookie, Expiration};

use super::cookie_scan::trim_value;
use crate::clock::UnixSeconds;

/// Reads Set-Cookie lines of one cookie.
pub(super) struct IssuedCookie {
    name: Vec<u8>,
}

impl IssuedCookie {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.as_bytes().to_vec() }
    }

    /// The value that this Set-Cookie line gives to the cookie; none when it is another cookie's, or ends the
    /// cookie there and then: such a value is nobody's session.
    pub(super) fn live_value<'l>(&self, line: &'l [u8], now: UnixSeconds) -> Option<&'l [u8]> {
        // Most lines are another cookie's: told by the name before anything is parsed.
        let after_name = line.trim_ascii_start().strip_prefix(self.name.as_slice())?;
        let value = after_name.trim_ascii_start().strip_prefix(b"=")?;
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (value, attributes) = value.split_at_checked(end)?;
        (!is_over(attributes, now)).then(|| trim_value(value))
    }
}

/// Whether the attributes put the cookie's end into the past; Max-Age goes before Expires (RFC 6265, section 5.3).
fn is_over(attributes: &[u8], now: UnixSeconds) -> bool {
    if attributes.is_empty() {
        return false;
    }
    let text = format!("name=value{}", String::from_utf8_lossy(attributes));
    let Ok(cookie) = Cookie::parse(text) else { return false };
    match (cookie.max_age(), cookie.expires()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(Expiration::DateTime(end))) => end.unix_timestamp() <= i64::from(now.0),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &[u8]) -> Option<Vec<u8>> {
        // 14 November 2023, 22:13:20 GMT.
        IssuedCookie::new("SID").live_value(line, UnixSeconds(1_700_000_000)).map(<[u8]>::to_vec)
    }

    #[test]
    fn values_are_taken_as_they_will_come_back() {
        assert_eq!(value(b"SID=abc").as_deref(), Some(&b"abc"[..]));
        assert_eq!(value(b" SID = \"abc\" ; Path=/; HttpOnly").as_deref(), Some(&b"abc"[..]));
        assert_eq!(value(b"SID=a=b==; Secure").as_deref(), Some(&b"a=b=="[..]));
        assert_eq!(value(b"SID=\xe9\xff; Path=/").as_deref(), Some(&b"\xe9\xff"[..]), "any bytes");
        assert_eq!(value(b"SID=").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn other_cookies_are_told_apart() {
        for line in [&b"SIDE=1"[..], b"sid=1", b"XSID=1", b"SID", b"SID; x=SID=1", b"", b"=SID"] {
            assert_eq!(value(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_line_that_ends_the_cookie_gives_no_value() {
        assert_eq!(value(b"SID=gone; Max-Age=0"), None);
        assert_eq!(value(b"SID=gone; max-age=-5; Path=/"), None);
        assert_eq!(value(b"SID=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), None);
        assert_eq!(value(b"SID=gone; expires=Tue, 14 Nov 2023 22:13:19 GMT"), None);
        assert_eq!(value(b"SID=gone; Expires=Thu, 01-Jan-1970 00:00:00 GMT"), None, "the old form of dates");
        assert!(value(b"SID=here; Expires=Tue, 14 Nov 2023 22:13:21 GMT").is_some());
        assert!(value(b"SID=here; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT").is_some());
        assert!(value(b"SID=here; Expires=whenever; Max-Age=soon").is_some());
    }
}
