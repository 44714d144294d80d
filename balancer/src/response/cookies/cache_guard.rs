//! A response that sets one of our cookies belongs to one client: no shared cache may hand it to another
//! (RFC 9111, sections 3.5 and 7.3). Must not know: cookies.

use crate::model::{EditOp, HeaderEdits, HeaderField, ResponseHead};

const CACHE_CONTROL: &str = "Cache-Control";
/// What caches of one kind follow instead of it, whatever it says (RFC 9213, section 2.2; Edge Architecture
/// Specification 1.0).
const TARGETED: [&str; 8] = [
    "Akamai-Cache-Control",
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Edge-Control",
    "Netlify-CDN-Cache-Control",
    "Surrogate-Control",
    "Vercel-CDN-Cache-Control",
    "X-LiteSpeed-Cache-Control",
];

/// What their names end with.
const CONTROL: &[u8] = b"-control";

/// Asks for `Cache-Control: private` unless the response already forbids what would be wrong. Other directives stay, but
/// those go that are for shared caches, and a `private` that names fields, which the one that names none includes. Fields
/// that say otherwise to single caches go, too.
pub fn keep_private(response: &ResponseHead<'_>, edits: &mut HeaderEdits) {
    if edits.drops(CACHE_CONTROL.as_bytes()) {
        // Asked for already, by another of our cookies.
        return;
    }
    // Few names end with this letter.
    let ends_so = |field: &&HeaderField<'_>| field.name.last().is_some_and(|byte| byte | 0x20 == b'l');
    for field in response.headers.iter().filter(ends_so) {
        if let Some((_, end)) = field.name.split_last_chunk::<{ CONTROL.len() }>()
            && end.eq_ignore_ascii_case(CONTROL)
            && let Some(name) = targeted(field.name)
            && !edits.drops(name.as_bytes())
        {
            edits.remove(name);
        }
    }
    if is_kept_private(response) {
        return;
    }
    edits.push_with(EditOp::Set, CACHE_CONTROL, |value| {
        // First, so that a quoted string that some other directive never closes cannot swallow it.
        value.extend_from_slice(b"private");
        for directive in directives(response).filter(|directive| !is_replaced(directive)) {
            value.extend_from_slice(b", ");
            value.extend_from_slice(directive);
        }
    });
}

#[cold]
fn targeted(name: &[u8]) -> Option<&'static str> {
    TARGETED.into_iter().find(|targeted| name.eq_ignore_ascii_case(targeted.as_bytes()))
}

/// Whether no shared cache may store the response: only `private` and `no-store` say so, and only as such. A `no-cache`
/// lets it be stored and asked about; arguments limit what is said to some fields (RFC 9111, sections 5.2.2.4, 5.2.2.5
/// and 5.2.2.7), `must-understand` takes `no-store` back for caches that know it (section 5.2.2.3), and what is said in
/// two ways may be read in either.
fn is_kept_private(response: &ResponseHead<'_>) -> bool {
    let (mut private, mut no_store, mut doubtful, mut conditional) = (false, false, false, false);
    for directive in directives(response) {
        private |= directive.eq_ignore_ascii_case(b"private");
        no_store |= directive.eq_ignore_ascii_case(b"no-store");
        conditional |= directive.eq_ignore_ascii_case(b"must-understand");
        doubtful |= !directive.eq_ignore_ascii_case(b"private") && is_replaced(directive);
    }
    !doubtful && (private || (no_store && !conditional))
}

/// What the `private` of ours takes the place of: `public`, `s-maxage`, and any `private`.
fn is_replaced(directive: &[u8]) -> bool {
    let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
    [&b"public"[..], b"s-maxage", b"private"].iter().any(|replaced| name.eq_ignore_ascii_case(replaced))
}

/// The directives of all `Cache-Control` lines, without the white space around them.
fn directives<'a>(response: &ResponseHead<'a>) -> impl Iterator<Item = &'a [u8]> {
    response
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(CACHE_CONTROL.as_bytes()))
        .flat_map(|field| ListItems(field.value))
        .map(<[u8]>::trim_ascii)
        .filter(|directive| !directive.is_empty())
}

/// The items of a comma-separated list; a comma in a quoted string parts nothing (RFC 9110, section 5.6.4).
struct ListItems<'a>(&'a [u8]);

impl<'a> Iterator for ListItems<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let (mut in_quotes, mut escaped) = (false, false);
        let comma = self.0.iter().position(|&byte| {
            let parts = byte == b',' && !in_quotes;
            if byte == b'"' && !escaped {
                in_quotes = !in_quotes;
            }
            escaped = in_quotes && byte == b'\\' && !escaped;
            parts
        });
        let (item, rest) = match comma {
            Some(comma) => (self.0.get(..comma)?, self.0.get(comma + 1..)?),
            None => (self.0, &[][..]),
        };
        self.0 = rest;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the guard makes of these `Cache-Control` lines; `None` when it leaves them.
    fn guarded(lines: &[&str]) -> Option<String> {
        let headers: Vec<_> =
            lines.iter().map(|l| HeaderField { name: b"cache-control", value: l.as_bytes() }).collect();
        let mut edits = HeaderEdits::new();
        keep_private(&ResponseHead { status: 200, headers: &headers }, &mut edits);
        assert!(edits.iter().count() <= 1);
        edits.iter().next().map(|edit| {
            assert_eq!((edit.op, edit.name), (EditOp::Set, "Cache-Control"));
            String::from_utf8(edit.value.to_vec()).unwrap()
        })
    }

    #[test]
    fn a_response_that_is_private_already_is_left_alone() {
        let cases = [
            "private",
            "no-store",
            "Max-Age=5, PRIVATE",
            "no-cache , No-Store",
            "private, private",
            "no-store, must-understand, private",
            "no-cache=\"set-cookie\", private",
        ];
        for line in cases {
            assert_eq!(guarded(&[line]), None, "{line}");
        }
        assert_eq!(guarded(&["max-age=5", "no-store"]), None, "in a second line");
    }

    #[test]
    fn a_public_response_becomes_private() {
        let cases = [
            (&[][..], "private"),
            (&[""][..], "private"),
            (&["public, max-age=600"][..], "private, max-age=600"),
            (&["max-age=600, S-MaxAge=900,must-revalidate"][..], "private, max-age=600, must-revalidate"),
            (&["PUBLIC"][..], "private"),
            (&["max-age=1", "s-maxage=9", "immutable"][..], "private, max-age=1, immutable"),
            (&["s-maxage = 9"][..], "private"),
            (&["no-store, s-maxage=9"][..], "private, no-store"),
            (&["private, public"][..], "private"),
            (&["private", "s-maxage=60, S-MAXAGE=60"][..], "private"),
        ];
        for (lines, expected) in cases {
            assert_eq!(guarded(lines).as_deref(), Some(expected), "{lines:?}");
        }
    }

    #[test]
    fn what_lets_shared_caches_store_a_response_guards_nothing() {
        for line in [
            "no-cache",
            "No-Cache, must-revalidate",
            "max-age=0, must-revalidate, proxy-revalidate",
            "no-cache=\"set-cookie\"",
            "no-cache=\"a\\\", no-store, b\"",
            "must-understand, no-store",
            "no-store=1",
            "x-private, privately",
            "a=\"private, no-store",
        ] {
            assert_eq!(guarded(&[line]), Some(format!("private, {line}")), "{line}");
        }
        assert_eq!(guarded(&["no-cache", "max-age=0"]).as_deref(), Some("private, no-cache, max-age=0"));
    }

    #[test]
    fn a_qualified_directive_protects_only_the_fields_it_names() {
        for line in
            [r#"private="set-cookie, x-a""#, "private=set-cookie", "private=", r#"private, PRIVATE ="x""#]
        {
            assert_eq!(guarded(&[line, "max-age=5"]).as_deref(), Some("private, max-age=5"), "{line}");
        }
    }

    #[test]
    fn what_single_caches_would_rather_follow_goes() {
        for control in ["private", "public"] {
            let fields =
                [("cache-control", control), ("CDN-CACHE-CONTROL", "max-age=60"), ("cdn-cache", "x")];
            let fields =
                fields.iter().chain(&[("surrogate-control", "max-age=60"), ("cdn-cache-control", "a")]);
            let headers: Vec<_> = fields
                .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
                .collect();
            let mut edits = HeaderEdits::new();
            // Of two cookies.
            for _ in 0..2 {
                keep_private(&ResponseHead { status: 200, headers: &headers }, &mut edits);
            }
            let removed: Vec<_> =
                edits.iter().filter(|edit| edit.op == EditOp::Remove).map(|edit| edit.name).collect();
            assert_eq!(removed, ["CDN-Cache-Control", "Surrogate-Control"], "{control}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_left_alone_the_next_time(lines in prop::collection::vec("[a-z,=\" \\\\-]{0,30}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            if let Some(value) = guarded(&lines) {
                prop_assert_eq!(guarded(&[&value]), None, "{:?}", value);
            }
        }
    }
}
