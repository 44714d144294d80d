//! Which trailer fields go on: a receiver may merge them into the header fields (RFC 9110, section 6.5.1), so that what
//! means something before the body must not come after it. Must not know: how they are framed.

use super::fields::{Kind, is_plain_name, kind};
use crate::model::TlsFields;

/// Whether a trailer field of this name may travel at all: not what frames, routes, authorises or is of the connection.
#[must_use]
pub fn may_travel(name: &[u8]) -> bool {
    let forbidden: [&[u8]; 6] =
        [b"cookie", b"set-cookie", b"authorization", b"content-encoding", b"content-type", b"content-range"];
    matches!(kind(name), Kind::Other | Kind::Date)
        && !forbidden.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// What clients of a listener may say in trailers: what they may say in header fields.
#[derive(Clone, Debug, Default)]
pub struct TrailerFilter {
    /// Their names are the balancer's.
    pub tls_fields: TlsFields,
    /// Names are of letters, digits and hyphens (ALB: `routing.http.drop_invalid_header_fields.enabled`).
    pub plain_names: bool,
}

impl TrailerFilter {
    /// Whether a field of this name goes on to the target.
    #[must_use]
    pub fn keeps(&self, name: &[u8]) -> bool {
        may_travel(name) && !self.tls_fields.own(name) && (!self.plain_names || is_plain_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_cannot_say_before_they_cannot_say_after() {
        let tls_fields = TlsFields { told: Vec::new(), owned: vec!["X-Who".to_owned()] };
        let lax = TrailerFilter { tls_fields, plain_names: false };
        let strict = TrailerFilter { plain_names: true, ..lax.clone() };
        for (name, by_lax, by_strict) in [
            ("x-sum", true, true),
            ("x_sum", true, false),
            ("X-WHO", false, false),
            ("x_who", false, false),
            ("Authorization", false, false),
            ("cookie", false, false),
            ("Content-Length", false, false),
            ("x-forwarded-for", false, false),
        ] {
            assert_eq!(lax.keeps(name.as_bytes()), by_lax, "{name}");
            assert_eq!(strict.keeps(name.as_bytes()), by_strict, "{name}");
        }
    }
}
