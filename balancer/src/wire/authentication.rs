//! Authentication that holds for a connection, where HTTP has it hold for a request (RFC 9110, section 11.1): NTLM, and
//! Negotiate, which may stand for it (RFC 4559, section 6). Must not know: who authenticates.

use super::{
    fields::{Kind, list},
    head::Response,
};

/// Whether `response` asks for such authentication.
#[must_use]
pub fn is_challenge(response: &Response<'_>) -> bool {
    matches!(response.status, 401 | 407) && is_of_connection(response.fields.of(Kind::Challenge))
}

/// Whether one of `values`, of Authorization or WWW-Authenticate or their like for proxies, is of such a scheme.
pub fn is_of_connection<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.flat_map(list).any(|member| {
        let scheme = member.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        // And what is like it: Nego2.
        scheme.eq_ignore_ascii_case(b"ntlm")
            || scheme.first_chunk().is_some_and(|start: &[u8; 4]| start.eq_ignore_ascii_case(b"nego"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_found_among_others_and_in_any_case() {
        let found = |values: &[&str]| is_of_connection(values.iter().map(|value| value.as_bytes()));
        assert!(found(&["Nego2"]) && !found(&["Neg"]));
        assert!(found(&["NTLM"]) && found(&["negotiate"]) && found(&["Ntlm TlRMTVNTUAAB"]));
        assert!(found(&["Basic realm=\"a\"", "Negotiate"]) && found(&["Basic realm=\"a\", NTLM"]));
        assert!(!found(&[]) && !found(&["", ","]) && !found(&["Basic realm=\"NTLM\""]));
        assert!(!found(&["Bearer NTLM"]) && !found(&["NTLMv2"]));
    }
}
