//! A request target in its parts, and the path in the one form that rules match: unreserved characters are not
//! percent-encoded, other octets have upper-case digits, and there are no dot segments (RFC 3986, section 6.2.2).
//! What is forwarded stays as received. Must not know: rules.

use std::borrow::Cow;

use crate::internal_errors::Part as _;

/// The parts of a request target (RFC 9112, section 3.2) that rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UriParts<'a> {
    /// Of the absolute form: it wins over Host.
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) query: &'a [u8],
}

impl<'a> UriParts<'a> {
    pub(super) fn of(target: &'a [u8]) -> Self {
        // Nearly all begin with a slash, and need not be searched.
        let scheme = if target.starts_with(b"/") { None } else { memchr::memmem::find(target, b"://") };
        let (authority, rest) = match scheme {
            Some(index) => {
                let rest = target.part(index + 3..);
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                let (authority, rest) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
                (Some(authority), rest)
            }
            None => (None, target),
        };
        let rest = memchr::memchr(b'#', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
        let (path, query) = match memchr::memchr(b'?', rest) {
            Some(mark) => (rest.part(..mark), rest.part(mark + 1..)),
            None => (rest, &[][..]),
        };
        Self { authority, path: if path.is_empty() { b"/" } else { path }, query }
    }
}

/// The parameters of a query, name and value; one that stands alone has none.
pub(super) fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = memchr::memchr(b'=', pair);
        match equals.and_then(|equals| pair.split_at_checked(equals)) {
            Some((name, value)) => (name, value.get(1..)),
            None => (pair, None),
        }
    })
}

/// The path as rules match it. Costs no allocation where it is in that form already.
pub(super) fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    let is_behind_slash = |dot: usize| dot.checked_sub(1).and_then(|slash| path.get(slash)) == Some(&b'/');
    let has_dots = memchr::memchr_iter(b'.', path).any(is_behind_slash);
    if memchr::memchr(b'%', path).is_none() {
        return if has_dots { Cow::Owned(without_dots(path)) } else { Cow::Borrowed(path) };
    }
    Cow::Owned(without_dots(&decoded(path)))
}

/// Without percent-encoding of what needs none, and with upper-case digits in the rest.
pub(super) fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let octet = match after {
            [high, low, ..] if byte == b'%' => digit(*high).zip(digit(*low)).map(|(h, l)| (h << 4) | l),
            _ => None,
        };
        let Some(octet) = octet else {
            out.push(byte);
            continue;
        };
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(octet);
        } else {
            out.push(byte);
            out.extend(after.iter().take(2).map(u8::to_ascii_uppercase));
        }
        rest = after.get(2..).unwrap_or_default();
    }
    out
}

fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').skip(usize::from(path.starts_with(b"/"))).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => out.truncate(out.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            out.push(b'/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(path: &str) -> String {
        String::from_utf8_lossy(&normalised(path.as_bytes())).into_owned()
    }

    #[test]
    fn a_path_has_one_form() {
        assert_eq!(form("/a/b"), "/a/b");
        assert!(matches!(normalised(b"/a/b.c"), Cow::Borrowed(_)));
        assert_eq!(form("/%61dmin/%7e%2F%2f"), "/admin/~%2F%2F");
        assert_eq!(form("/a/./b/../c"), "/a/c");
        assert_eq!(form("/a/%2e%2E/b"), "/b");
        assert_eq!(form("/../../x"), "/x");
        assert_eq!(form("/a/.."), "/");
        assert_eq!(form("/a/."), "/a/");
        assert_eq!(form("/a//b"), "/a//b");
        assert_eq!(form("/%"), "/%");
        assert_eq!(form("/%4"), "/%4");
        assert_eq!(form("/%zz/.x"), "/%zz/.x");
    }

    #[test]
    fn a_target_has_parts() {
        let parts = UriParts::of(b"/a?b=c?d");
        assert_eq!((parts.authority, parts.path, parts.query), (None, &b"/a"[..], &b"b=c?d"[..]));
        let parts = UriParts::of(b"http://h.example:80?q");
        assert_eq!(
            (parts.authority, parts.path, parts.query),
            (Some(&b"h.example:80"[..]), &b"/"[..], &b"q"[..])
        );
        assert_eq!(UriParts::of(b"/x?u=http://h/").authority, None);
        assert_eq!(UriParts::of(b"*").path, b"*");
    }

    proptest! {
        #[test]
        fn no_dot_segments_are_left(path in "/[a./%2eE]{0,20}") {
            let once = normalised(path.as_bytes());
            prop_assert!(once.starts_with(b"/"));
            prop_assert!(!once.split(|byte| *byte == b'/').any(|part| part == b"." || part == b".."));
        }

        #[test]
        fn no_bytes_upset_it(target: Vec<u8>) {
            let _ = normalised(UriParts::of(&target).path);
        }
    }
}
