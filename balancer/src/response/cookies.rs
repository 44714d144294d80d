//! The only writer of `Set-Cookie`, and the guard that keeps a response that carries one out of shared caches.
//! Owns the attributes and their order (as ALB writes them: `Expires`, `Path`, then `SameSite`, `Secure`, then
//! `HttpOnly`). Must not know: what a value means, which target answered.

mod cache_guard;

use std::cell::RefCell;

pub use self::cache_guard::keep_private;
use crate::{
    clock::{UnixSeconds, imf_date},
    model::{CookieAttributes, EditOp, HeaderEdits},
};

/// Length of an IMF-fixdate (RFC 9110, section 5.6.7).
const DATE_LEN: usize = 29;

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
            end.into_bytes().into_boxed_slice()
        };
        Self {
            start: format!("{name}=").into_bytes().into_boxed_slice(),
            end_plain: end(false),
            end_secure: end(true),
        }
    }

    /// Adds the `Set-Cookie` line. `value` must be made of cookie octets (RFC 6265, section 4.1.1);
    /// `secure_transport` says whether the client's connection is encrypted.
    pub fn append(
        &self,
        edits: &mut HeaderEdits,
        value: &[u8],
        expires: &ExpiryDate,
        secure_transport: bool,
    ) {
        edits.push_with(EditOp::Append, "Set-Cookie", |line| {
            line.extend_from_slice(&self.start);
            line.extend_from_slice(value);
            line.extend_from_slice(b"; Expires=");
            line.extend_from_slice(&expires.0);
            line.extend_from_slice(if secure_transport { &self.end_secure } else { &self.end_plain });
        });
    }
}

/// An `Expires` date, ready to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryDate([u8; DATE_LEN]);

/// How many dates a thread keeps ready: groups of different durations need one each.
const DATES_KEPT: usize = 16;

thread_local! {
    static DATES: RefCell<[Option<(UnixSeconds, ExpiryDate)>; DATES_KEPT]> =
        const { RefCell::new([None; DATES_KEPT]) };
}

impl ExpiryDate {
    /// The date of `at`. Formatted once per thread and second, then copied.
    #[must_use]
    pub fn of(at: UnixSeconds) -> Self {
        // Fibonacci hashing: the top bits of the product spread neighbouring seconds over all places.
        let place = (at.0.wrapping_mul(0x9E37_79B9) >> 28) as usize;
        DATES.with_borrow_mut(|dates| match dates.get_mut(place) {
            Some(Some((second, date))) if *second == at => *date,
            kept => {
                let date = Self::format(at);
                if let Some(kept) = kept {
                    *kept = Some((at, date));
                }
                date
            }
        })
    }

    fn format(at: UnixSeconds) -> Self {
        let mut date = [b' '; DATE_LEN];
        for (byte, text) in date.iter_mut().zip(imf_date(at).bytes()) {
            *byte = text;
        }
        Self(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixSeconds = UnixSeconds(784_111_777);

    fn attributes(secure: bool, http_only: bool) -> CookieAttributes {
        CookieAttributes { secure, http_only, prefix: "AWSALB".into() }
    }

    fn line(audience: Audience, attributes: &CookieAttributes, secure_transport: bool) -> String {
        let mut edits = HeaderEdits::new();
        let form = CookieForm::new("AWSALB", audience, attributes);
        form.append(&mut edits, b"v", &ExpiryDate::of(AT), secure_transport);
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
    fn a_kept_date_is_the_date_that_was_asked_for() {
        for round in 0..3 {
            for second in 0..200 {
                let at = AT.plus(second * (1 + round));
                assert_eq!(ExpiryDate::of(at).0, imf_date(at).as_bytes(), "{at:?}");
            }
        }
        assert_eq!(ExpiryDate::of(UnixSeconds(u32::MAX)).0, *b"Sun, 07 Feb 2106 06:28:15 GMT");
        assert_eq!(ExpiryDate::of(UnixSeconds(0)).0, *b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
