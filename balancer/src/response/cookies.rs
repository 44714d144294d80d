//! The only writer of `Set-Cookie`, and the guard that keeps a response that carries one out of shared caches.
//! Owns the attributes and their order (as ALB writes them: `Expires`, `Path`, then `SameSite`, `Secure`, then
//! `HttpOnly`; of those that ALB does not have, `Max-Age` follows `Expires` and `Partitioned` comes last).
//! Must not know: what a value means, which target answered.

mod cache_guard;

use std::cell::RefCell;

pub use self::cache_guard::keep_private;
use crate::{
    clock::{UnixSeconds, imf_date},
    internal_errors::Part as _,
    model::{CookieAttributes, EditOp, HeaderEdits},
};

/// What stands before the date.
const EXPIRES: &[u8] = b"; Expires=";

/// With an IMF-fixdate (RFC 9110, section 5.6.7).
const EXPIRES_LEN: usize = EXPIRES.len() + 29;

/// With the seconds of a `u32`, which are up to ten digits.
const END_LEN: usize = EXPIRES_LEN + b"; Max-Age=".len() + 10;

/// Where a cookie may be sent from, and whether that costs it `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// No `SameSite`: the browser's default. `Secure` only where the attributes ask for it.
    SameSite,
    /// `SameSite=None`, and `Secure` when the client's connection is (browsers refuse the one without the other;
    /// a listener without TLS sends it bare, as ALB does).
    AnySite,
}

/// A cookie that is set over and over: everything but its value and its dates is laid out once.
#[derive(Clone, Debug)]
pub struct CookieForm {
    start: Box<[u8]>,
    max_age: bool,
    end_plain: Box<[u8]>,
    end_secure: Box<[u8]>,
}

impl CookieForm {
    /// A cookie of this name, for `Path=/` and this host only.
    #[must_use]
    pub fn new(name: &str, audience: Audience, attributes: &CookieAttributes) -> Self {
        let end = |secure_transport: bool| {
            let mut end = String::from("; Path=/");
            if audience == Audience::AnySite {
                end.push_str("; SameSite=None");
            }
            if attributes.secure || (audience == Audience::AnySite && secure_transport) {
                end.push_str("; Secure");
            }
            if attributes.http_only {
                end.push_str("; HttpOnly");
            }
            if attributes.partitioned {
                end.push_str("; Partitioned");
            }
            end.into_bytes().into_boxed_slice()
        };
        Self {
            start: format!("{name}=").into_bytes().into_boxed_slice(),
            max_age: attributes.max_age,
            end_plain: end(false),
            end_secure: end(true),
        }
    }

    /// Adds the `Set-Cookie` line. `value` must be made of cookie octets (RFC 6265, section 4.1.1);
    /// `secure_transport` says whether the client's connection is encrypted.
    pub fn append(&self, edits: &mut HeaderEdits, value: &[u8], end: &CookieEnd, secure_transport: bool) {
        edits.push_with(EditOp::Append, "Set-Cookie", |line| {
            line.extend_from_slice(&self.start);
            line.extend_from_slice(value);
            line.extend_from_slice(if self.max_age { end.with_age() } else { end.date() });
            line.extend_from_slice(if secure_transport { &self.end_secure } else { &self.end_plain });
        });
    }
}

/// When a cookie ends, ready to write: as a date, and as seconds from now for clients whose clocks are wrong, who go by
/// those (RFC 6265, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieEnd {
    text: [u8; END_LEN],
    len: usize,
}

/// How many ends a thread keeps ready: groups of different durations need one each.
const ENDS_KEPT: usize = 16;

/// The end, when it was asked for, and what came of it.
type KeptEnd = (UnixSeconds, UnixSeconds, CookieEnd);

thread_local! {
    static ENDS: RefCell<[Option<KeptEnd>; ENDS_KEPT]> = const { RefCell::new([None; ENDS_KEPT]) };
}

impl CookieEnd {
    /// The end at `at` of a cookie that is set at `now`. Formatted once per thread and second, then copied.
    #[must_use]
    pub fn of(at: UnixSeconds, now: UnixSeconds) -> Self {
        // Fibonacci hashing: the top bits of the product spread neighbouring seconds over all slots.
        let index = (at.0.wrapping_mul(0x9E37_79B9) >> 28) as usize;
        ENDS.with_borrow_mut(|ends| match ends.get_mut(index) {
            Some(Some((kept_at, set, end))) if (*kept_at, *set) == (at, now) => *end,
            kept => {
                let end = Self::format(at, now);
                if let Some(kept) = kept {
                    *kept = Some((at, now, end));
                }
                end
            }
        })
    }

    fn format(at: UnixSeconds, now: UnixSeconds) -> Self {
        let text = format!("; Expires={}; Max-Age={}", imf_date(at), at.since(now));
        let mut end = Self { text: [b' '; END_LEN], len: text.len() };
        for (byte, text) in end.text.iter_mut().zip(text.bytes()) {
            *byte = text;
        }
        end
    }

    fn date(&self) -> &[u8] {
        self.text.part(..EXPIRES_LEN)
    }

    fn with_age(&self) -> &[u8] {
        self.text.part(..self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixSeconds = UnixSeconds(784_111_777);
    const NOW: UnixSeconds = UnixSeconds(AT.0 - 86_400);

    fn attributes(secure: bool, http_only: bool) -> CookieAttributes {
        CookieAttributes { secure, http_only, max_age: false, ..CookieAttributes::default() }
    }

    fn line(audience: Audience, attributes: &CookieAttributes, secure_transport: bool) -> String {
        let mut edits = HeaderEdits::new();
        let form = CookieForm::new("AWSALB", audience, attributes);
        form.append(&mut edits, b"v", &CookieEnd::of(AT, NOW), secure_transport);
        let edit = edits.iter().next().unwrap();
        assert_eq!((edit.op, edit.name), (EditOp::Append, "Set-Cookie"));
        String::from_utf8(edit.value.to_vec()).unwrap()
    }

    #[test]
    fn attributes_come_in_the_order_of_alb() {
        let start = "AWSALB=v; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/";
        let cases = [
            (Audience::SameSite, false, false, false, ""),
            (Audience::SameSite, false, false, true, ""),
            (Audience::SameSite, true, true, false, "; Secure; HttpOnly"),
            (Audience::AnySite, false, false, false, "; SameSite=None"),
            (Audience::AnySite, false, false, true, "; SameSite=None; Secure"),
            (Audience::AnySite, true, false, false, "; SameSite=None; Secure"),
            (Audience::AnySite, false, true, true, "; SameSite=None; Secure; HttpOnly"),
        ];
        for (audience, secure, http_only, transport, end) in cases {
            assert_eq!(line(audience, &attributes(secure, http_only), transport), format!("{start}{end}"));
        }
    }

    #[test]
    fn max_age_stands_beside_expires_and_partitioned_at_the_end() {
        let attributes =
            CookieAttributes { secure: true, http_only: true, partitioned: true, ..Default::default() };
        let start = "AWSALB=v; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=86400; Path=/";
        for (audience, end) in [
            (Audience::SameSite, "; Secure; HttpOnly; Partitioned"),
            (Audience::AnySite, "; SameSite=None; Secure; HttpOnly; Partitioned"),
        ] {
            assert_eq!(line(audience, &attributes, false), format!("{start}{end}"));
        }
    }

    #[test]
    fn a_kept_end_is_the_end_that_was_asked_for() {
        let text = |at, now| String::from_utf8(CookieEnd::of(at, now).with_age().to_vec()).unwrap();
        for round in 0..3 {
            for second in 0..200 {
                let (at, age) = (AT.plus(second * (1 + round)), 1 + second * round);
                let wanted = format!("; Expires={}; Max-Age={age}", imf_date(at));
                assert_eq!(text(at, UnixSeconds(at.0 - age)), wanted);
                assert_eq!(CookieEnd::of(at, AT).date(), &wanted.as_bytes()[..39]);
            }
        }
        let (first, last) = (UnixSeconds(0), UnixSeconds(u32::MAX));
        assert_eq!(text(last, first), "; Expires=Sun, 07 Feb 2106 06:28:15 GMT; Max-Age=4294967295");
        assert_eq!(text(first, last), "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0");
    }
}
