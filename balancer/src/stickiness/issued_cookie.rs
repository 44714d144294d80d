//! What a target does with the application's cookie: reads the Set-Cookie lines of a response as the client is going to
//! (RFC 6265, sections 5.2 and 5.3). Must not know: sessions, the balancer's own cookies.

use arrayvec::ArrayVec;

use super::{cookie_date, cookie_scan::trim_value, mix::mix};
use crate::{clock::UnixSeconds, internal_errors::Part as _, model::ResponseHead};

/// For how many places (a domain and a path) one response sets a cookie of one name, at most: what it says of others
/// before these is passed over.
const PLACES: usize = 16;

/// Reads Set-Cookie lines of one cookie.
pub(super) struct IssuedCookie {
    name: Vec<u8>,
}

/// A path, for comparing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathMark(u64);

impl PathMark {
    fn new(path: &[u8]) -> Self {
        let words =
            path.chunks(8).map(|bytes| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        Self(words.fold(path.len() as u64, |mark, word| mix(mark ^ word)))
    }

    /// The path of cookies that name none, of a request for `target` (RFC 6265, section 5.1.4): the folder that it is in.
    pub(super) fn of_default(target: &[u8]) -> Self {
        let path = match target.first() {
            Some(b'/') => target,
            // A whole URL.
            _ => memchr::memmem::find(target, b"://")
                .and_then(|scheme| target.get(scheme + 3..))
                .and_then(|rest| rest.get(memchr::memchr(b'/', rest)?..))
                .unwrap_or_default(),
        };
        let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
        let path = path.part(..end);
        match memchr::memrchr(b'/', path) {
            None | Some(0) => Self::new(b"/"),
            Some(last) => Self::new(path.part(..last)),
        }
    }
}

/// A line of the cookie, read.
struct SetCookieLine<'l> {
    value: &'l [u8],
    /// Whether the cookie ends there and then.
    is_over: bool,
    /// Nothing: the host alone.
    domain: Option<&'l [u8]>,
    path: PathMark,
}

impl SetCookieLine<'_> {
    /// Whether both are of one cookie, so that the later takes the place of the earlier.
    fn is_for_the_place_of(&self, other: &SetCookieLine<'_>) -> bool {
        let domains = match (self.domain, other.domain) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        };
        domains && self.path == other.path
    }
}

impl IssuedCookie {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.as_bytes().to_vec() }
    }

    /// The values that the cookie has once the client has read the whole response, the last one first. What the response
    /// sets and then sets anew for the same place, or ends, is nobody's session. `default_path` is that of the request.
    pub(super) fn live_values<'l>(
        &self,
        response: &ResponseHead<'l>,
        default_path: PathMark,
        now: UnixSeconds,
    ) -> impl Iterator<Item = &'l [u8]> {
        let mut later: ArrayVec<SetCookieLine<'l>, PLACES> = ArrayVec::new();
        let lines = response.headers.iter().rev();
        let lines = lines.filter(|field| field.is(b"set-cookie"));
        lines.filter_map(move |field| {
            let line = self.line(field.value, default_path, now)?;
            if later.is_full() || later.iter().any(|other| line.is_for_the_place_of(other)) {
                return None;
            }
            let live = (!line.is_over).then_some(line.value);
            later.push(line);
            live
        })
    }

    /// What this Set-Cookie line says of the cookie; none when it is another cookie's.
    fn line<'l>(
        &self,
        line: &'l [u8],
        default_path: PathMark,
        now: UnixSeconds,
    ) -> Option<SetCookieLine<'l>> {
        // Most lines are another cookie's: told by the name before anything is parsed.
        let after_name = line.trim_ascii_start().strip_prefix(self.name.as_slice())?;
        let value = after_name.trim_ascii_start().strip_prefix(b"=")?;
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (value, attributes) = value.split_at_checked(end)?;
        let mut read =
            SetCookieLine { value: trim_value(value), is_over: false, domain: None, path: default_path };
        read.take_attributes(attributes, default_path, now);
        Some(read)
    }
}

impl<'l> SetCookieLine<'l> {
    /// Of attributes that come twice the last counts, of those that say nothing none; Max-Age goes before Expires.
    fn take_attributes(&mut self, attributes: &'l [u8], default_path: PathMark, now: UnixSeconds) {
        let (mut max_age, mut expires) = (None, None);
        for attribute in attributes.split(|&byte| byte == b';') {
            let equals = memchr::memchr(b'=', attribute).unwrap_or(attribute.len());
            let Some((name, value)) = attribute.split_at_checked(equals) else { continue };
            let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
            if name.eq_ignore_ascii_case(b"expires") {
                expires = cookie_date::parse(value).or(expires);
            } else if name.eq_ignore_ascii_case(b"max-age") {
                max_age = is_positive(value).or(max_age);
            } else if name.eq_ignore_ascii_case(b"path") {
                self.path = if value.starts_with(b"/") { PathMark::new(value) } else { default_path };
            } else if name.eq_ignore_ascii_case(b"domain") {
                let value = value.strip_prefix(b".").unwrap_or(value);
                self.domain = Some(value).filter(|value| !value.is_empty());
            }
        }
        self.is_over = match (max_age, expires) {
            (Some(is_positive), _) => !is_positive,
            (None, Some(end)) => end <= i64::from(now.0),
            (None, None) => false,
        };
    }
}

/// Whether a Max-Age is more than nothing; none where it is no number (RFC 6265, section 5.2.2).
fn is_positive(value: &[u8]) -> Option<bool> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.len() == value.len() && digits.iter().any(|digit| *digit != b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::HeaderField;

    /// 14 November 2023, 22:13:20 GMT.
    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn values(target: &str, lines: &[&[u8]]) -> Vec<Vec<u8>> {
        let headers: Vec<_> = lines.iter().map(|value| HeaderField { name: b"set-COOKIE", value }).collect();
        let response = ResponseHead { status: 200, headers: &headers };
        let issued = IssuedCookie::new("SID");
        let values = issued.live_values(&response, PathMark::of_default(target.as_bytes()), NOW);
        values.map(<[u8]>::to_vec).collect()
    }

    fn value(line: &[u8]) -> Option<Vec<u8>> {
        values("/", &[line]).pop()
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
        for line in [
            "SID=gone; Max-Age=0",
            "SID=gone; max-age=-5; Path=/",
            "SID=gone; max-age = -0 ; Path=/",
            "SID=gone; Max-Age=00000000000000000000000000",
            "SID=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "SID=gone; expires=Tue, 14 Nov 2023 22:13:19 GMT",
            "SID=gone; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
            "SID=gone; Expires=Thursday, 01-Jan-70 00:00:01 GMT",
            "SID=gone; Expires=Thu Jan  1 00:00:01 1970",
            "SID=gone; Expires=Thu, 01 Jan 1970 00:00:10 GMT+0000 (UTC)",
            "SID=gone; Expires=Sat, 1 Jan 00 8:0:0",
            "SID=gone; expires=01/jan/1970:00:00:00 | 00:00:00",
            "SID=gone; Expires=01 jan 1601 00:00:00",
            "SID=gone; Max-Age=60; max-AGE=0",
            "SID=gone; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=x",
            "SID=gone; Max-Age=0; Max-Age=soon; Max-Age=; Max-Age=\"5\"",
        ] {
            assert_eq!(value(line.as_bytes()), None, "{line}");
        }
        for line in [
            "SID=here; Expires=Tue, 14 Nov 2023 22:13:21 GMT",
            "SID=here; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "SID=here; Expires=whenever; Max-Age=soon",
            "SID=here; Max-Age=99999999999999999999999999999; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "SID=here; Expires=Thu, 01 Jan 1600 00:00:00 GMT",
            "SID=here; Expires=Thu, 32 Jan 1970 00:00:00 GMT",
            "SID=here; Max-Age=-; Max-Age=+0; Max-Age=0.0; Max-Age=\"0\"",
            "SID=here; Expires=0; Expires=-1",
            "SID=here; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Fri, 31-Dec-99 23:59:59 GMT; \
             Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "SID=here; xMax-Age=0; Max-Agex=0",
        ] {
            assert_eq!(value(line.as_bytes()).as_deref(), Some(&b"here"[..]), "{line}");
        }
    }

    #[test]
    fn of_lines_for_one_place_the_last_counts() {
        let of = |target: &str, lines: &[&str]| -> String {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let values = values(target, &lines);
            values.iter().map(|value| String::from_utf8(value.clone()).unwrap() + ";").collect()
        };
        assert_eq!(of("/", &["SID=a", "SID=; Max-Age=0"]), "");
        assert_eq!(of("/", &["SID=; Max-Age=0", "X=y", "SID=a"]), "a;");
        assert_eq!(of("/", &["SID=a", "SID=b"]), "b;");
        assert_eq!(of("/", &["SID=a", "SID=b", "SID=c; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]), "");
        // Other paths and domains are other cookies.
        assert_eq!(of("/", &["SID=a; Path=/app", "SID=; Max-Age=0; Path=/"]), "a;");
        assert_eq!(
            of("/", &["SID=a; Path=/app", "SID=b; path = /app ; Secure", "SID=c; Path=/app/"]),
            "c;b;"
        );
        assert_eq!(of("/", &["SID=a; Domain=.Example.com", "SID=; domain=example.COM; Max-Age=0"]), "");
        assert_eq!(of("/", &["SID=a; Domain=example.com", "SID=; Max-Age=0"]), "a;", "a host's own");
        assert_eq!(of("/", &["SID=a; Domain=", "SID=; Max-Age=0"]), "");
        // A line without a path is of the folder of the request.
        for (target, folder) in [
            ("/login", "/"),
            ("/app/login?next=/x/y", "/app"),
            ("/app/", "/app"),
            ("/a/b/c#d/e", "/a/b"),
            ("http://a.example/app/login?x", "/app"),
            ("http://a.example", "/"),
            ("*", "/"),
            ("", "/"),
            ("?a/b", "/"),
        ] {
            let ends = format!("SID=; Max-Age=0; Path={folder}");
            assert_eq!(of(target, &["SID=a", &ends]), "", "{target}");
            assert_eq!(of(target, &["SID=a; Path=nowhere", &ends]), "", "{target}");
            assert_eq!(of(target, &["SID=a; Path=/x; Path=", &ends]), "", "{target}");
            assert_eq!(of(target, &["SID=a", "SID=; Max-Age=0; Path=/other"]), "a;", "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(rest: Vec<u8>) {
            let line = [b"SID=x;", &rest[..]].concat();
            prop_assert!(values("/", &[&line, b"SID=y; Path=/other"]).len() <= 2);
            let _ = PathMark::of_default(&rest);
        }

        #[test]
        fn paths_are_told_apart(one in "/[a-c/]{0,20}", other in "/[a-c/]{0,20}") {
            let marks = [&one, &other].map(|path| PathMark::new(path.as_bytes()));
            prop_assert_eq!(marks[0] == marks[1], one == other);
        }
    }
}
